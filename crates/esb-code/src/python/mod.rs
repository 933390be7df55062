//! Python: the module of a handler, the names that it defines, and what it imports.

mod decode;
mod handler;
mod imports;
mod names;
mod nesting;
mod packages;
mod read;
mod resolve;
mod standard_library;
mod suggestion;
mod summary;
mod version;

pub(crate) use self::{
    handler::check,
    summary::{Modules, Summary},
    version::Version,
};
