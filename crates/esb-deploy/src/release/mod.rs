//! The first half of a run: from templates to images in a registry.

pub(crate) mod bases;
pub(crate) mod configuration;
pub(crate) mod external_images;
pub(crate) mod fleet;
pub(crate) mod functions;
pub(crate) mod inputs;
mod pins;
pub(crate) mod runnable;
pub(crate) mod target;
