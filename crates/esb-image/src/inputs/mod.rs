//! What has to lie in the build context before an image is built: staged files and installed
//! packages.

pub(crate) mod dependencies;
pub(crate) mod staging;
