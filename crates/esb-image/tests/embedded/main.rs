//! The embedded engine through its public face.
#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the message")]

mod caching;
mod dependencies;
mod fixture;
mod images;
mod landing;
mod refusals;
mod staging;
