//! Tests of the checks on projects on disk.

mod imports;
mod java;
mod node;
mod python;
mod support;
