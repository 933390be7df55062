//! The file system of an image before its layers are written: the index of the base image, with the
//! changes of `COPY`, `ADD` and `WORKDIR` on top.

mod accounts;
pub(crate) mod apply;
pub(crate) mod base_contents;
pub(crate) mod base_index;
pub(crate) mod base_layers;
pub(crate) mod node;
pub(crate) mod sources;
mod tree;
