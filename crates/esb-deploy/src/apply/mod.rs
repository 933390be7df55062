//! Brings a site to what was released: external images are synced, references verified, the
//! configuration published and delivered, workers replaced.

pub(crate) mod compose;
pub(crate) mod config;
pub(crate) mod delivered;
pub(crate) mod delivery;
pub(crate) mod derived;
pub(crate) mod own_folders;
pub(crate) mod pull;
pub(crate) mod sync;
pub(crate) mod workers;
