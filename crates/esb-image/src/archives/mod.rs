//! Reads archives and compressed layers: zip and tar with limits, gzip and zstd as streams, and the
//! digest of what a layer holds uncompressed.

pub(crate) mod diff_id;
pub(crate) mod tar_entries;
pub(crate) mod unpack;
mod zstd;
