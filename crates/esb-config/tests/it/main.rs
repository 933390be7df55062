//! From an application to published files, through the crate's public face.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod applications;
mod golden;
mod merging;
mod pieces;
mod publishing;
mod rendering;
mod round_trip;
mod sample;
mod schemas;
