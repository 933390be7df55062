//! How an application is shown: one document for programs, lines for people, a diagram for both.

mod json;
mod mermaid;
mod text;

pub(crate) use json::{Document, findings};
pub(crate) use mermaid::mermaid;
pub(crate) use text::text;
