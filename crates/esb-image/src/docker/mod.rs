//! The Docker engine, over its API: version 1.41 (engine 20.10) and later.
//!
//! Owns everything that goes to or comes from an engine, and which engine Docker's own client would
//! talk to ([`ClientSettings`]). Refuses to read variables: credentials and all settings are given
//! by the caller.

mod bases;
mod build;
mod calls;
mod client;
mod container;
mod container_info;
mod containers;
mod engine;
mod exports;
mod placeholder;
mod process;
mod session;
mod sleep_program;
mod transfer;
mod transport;

#[cfg(feature = "ssh")]
pub use crate::daemon::address::SshHost;
pub use crate::{
    daemon::address::{EngineAddress, InvalidAddress, TlsFiles},
    dockerfile::rewrite::{bases, sources},
};
pub use build::DockerBuilder;
pub use calls::WorkerState;
pub use client::{ClientError, ClientSettings};
pub use container_info::{Attachment, ContainerInfo, MountedFolder, PublishedPort, Variables};
pub use containers::{FileInside, HelperContainer, Replacement};
pub use engine::DockerEngine;
pub use placeholder::{AddressResult, Placeholder, PlaceholderSpec};
