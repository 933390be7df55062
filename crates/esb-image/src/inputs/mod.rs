//! Prepares what a build context needs before an image is built: staged files and installed
//! packages.

pub(crate) mod dependencies;
pub(crate) mod staging;
