//! Shows an application as JSON, as text, or as a diagram.

mod json;
mod mermaid;
mod text;

pub(crate) use json::Document;
pub(crate) use mermaid::mermaid;
pub(crate) use text::text;
