//! Java: the class of a handler, and its method.

mod class_file;
mod class_path;
mod handler;

pub(crate) use self::handler::check;
