//! A fleet of `BuildKit` daemons, over their own protocol: hosts, pods, with mutual TLS.
//!
//! Owns everything between a recipe and an image that a daemon pushed or gave back: which daemon
//! (`placement`), the session that it asks its questions in, the solve, and whose fault a failure
//! is. Refuses to read variables and files of settings: credentials, secrets and addresses are given
//! by the caller. No trace context is ever sent: a daemon would write a record of every span for
//! every build.

mod content;
mod failure;
mod filesync;
mod fleet;
mod key;
mod node;
mod placement;
mod services;
mod session;
mod solve;

pub use fleet::{FleetBuilder, FleetSettings};
pub use placement::{PlacementItem, RendezvousHasher};
