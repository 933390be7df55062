//! Tests of the checks on projects on disk.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod imports;
mod java;
mod node;
mod python;
mod starts;
mod support;
