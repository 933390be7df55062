//! Python: the module of a handler, the names that it defines, and what it imports.

mod decode;
mod encodings;
mod handler;
mod imports;
mod indentation;
mod names;
mod nesting;
mod packages;
mod read;
mod resolve;
mod semantics;
mod standard_library;
mod suggestion;
mod summary;
mod version;

pub(crate) use self::{
    handler::check,
    summary::{Modules, Summary},
    version::Version,
};
