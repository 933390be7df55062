//! How an application is shown: one document for programs, lines for people.

mod json;
mod text;

pub(crate) use json::{document, findings};
pub(crate) use text::text;
