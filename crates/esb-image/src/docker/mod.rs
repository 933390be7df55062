//! The Docker engine, over its API: version 1.41 (engine 20.10) and later.
//!
//! Owns everything that goes to or comes from an engine, and which engine Docker's own client would
//! talk to ([`ClientSettings`]). Refuses to read variables: credentials and all settings are given
//! by the caller.

mod base;
mod build;
mod calls;
mod client;
mod container;
mod described;
mod engine;
mod exports;
mod others;
mod placeholder;
mod process;
mod session;
mod sleeper;
#[cfg(feature = "ssh")]
pub(crate) mod ssh;
mod transfer;
mod transport;

#[cfg(feature = "ssh")]
pub use crate::daemon::address::SshHost;
pub use crate::daemon::{
    address::{EngineAddress, InvalidAddress, TlsFiles},
    dockerfile::bases,
};
pub use build::DockerBuilder;
pub use calls::Moment;
pub use client::{ClientError, ClientSettings};
pub use described::{Attachment, MountedFolder, OtherContainer, Variables};
pub use engine::DockerEngine;
pub use others::{Beside, FileInside, Replacement};
pub use placeholder::{Placeholder, PlaceholderSpec, Taken};
