//! Reads YAML and JSON into trees whose nodes know their position in the text.
//!
//! Owns the tree, its composer and the meaning of scalars. Knows nothing of CloudFormation except
//! that a short tag `!Name` is written for a map with one key.

mod allow;
mod compose;
mod fault;
mod merge;
mod node;
mod scalar;
mod texts;

pub(crate) use allow::allowances;
pub(crate) use compose::compose;
pub(crate) use node::{MapEntry, Node, NodeKind, NodePlace, Style};
pub(crate) use scalar::{Meaning, meaning, reads_differently};
