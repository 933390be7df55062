//! The Docker engine, over its API: version 1.41 (engine 20.10) and later.
//!
//! Owns everything that goes to or comes from an engine, and which engine Docker's own client would
//! talk to ([`ClientSettings`]). Refuses to read variables: credentials and all settings are given
//! by the caller.

mod address;
mod base;
mod build;
mod client;
mod container;
mod context;
mod dockerfile;
mod engine;
mod export;
mod exports;
mod hidden;
mod job;
mod layer;
mod others;
mod pipe;
mod progress;
mod session;
#[cfg(feature = "ssh")]
mod ssh;
mod transfer;
mod transport;

#[cfg(feature = "ssh")]
pub use address::SshHost;
pub use address::{EngineAddress, InvalidAddress, TlsFiles};
pub use build::DockerBuilder;
pub use client::{ClientError, ClientSettings};
pub use dockerfile::bases;
pub use engine::DockerEngine;
pub use others::{Beside, FileInside, MountedFolder, OtherContainer, Replacement};
pub(crate) use session::StepSecrets;
