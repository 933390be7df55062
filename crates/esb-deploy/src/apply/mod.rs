//! Applies a release to a site: syncs external images, verifies references, publishes and delivers
//! the configuration, replaces workers.

pub(crate) mod compose;
pub(crate) mod config;
pub(crate) mod delivered;
pub(crate) mod delivery;
pub(crate) mod derived;
pub(crate) mod own_folders;
pub(crate) mod pull;
pub(crate) mod sync;
pub(crate) mod workers;
