//! The image: its layers, its config and manifest, what is written about it in annotations, and
//! images that were published before.

pub(crate) mod assemble;
pub(crate) mod extend;
pub(crate) mod layer;
pub(crate) mod parts;
pub(crate) mod published;
