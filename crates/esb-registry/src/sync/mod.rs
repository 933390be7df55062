//! Syncs images from registry to registry: a plan of everything first, then the copies.
//!
//! Owns what is asked to find out what has to be done, and the order of the copies. Nothing is
//! written before the plan of all images is complete, and no request of the plan is repeated.

mod journal;
mod plan;
mod run;

pub use journal::Journal;
pub use plan::{PlannedCopy, PlannedImage, SyncItem, SyncPlan, SyncStep};
pub use run::{Synced, SyncedImage};
