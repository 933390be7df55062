//! The Docker engine, over its API: version 1.41 (engine 20.10) and later.
//!
//! Owns everything that goes to or comes from an engine. Refuses to find one: the address, the
//! credentials and all settings are given by the caller, and no variable and no file of Docker's
//! client is read.

mod address;
mod base;
mod build;
mod container;
mod context;
mod dockerfile;
mod engine;
mod export;
mod hidden;
mod job;
mod layer;
mod others;
mod pipe;
mod progress;
mod transfer;
mod transport;

pub use address::{EngineAddress, InvalidAddress, TlsFiles};
pub use build::DockerBuilder;
pub use dockerfile::bases;
pub use engine::DockerEngine;
pub use others::{Beside, FileInside, MountedFolder, OtherContainer, Replacement};
