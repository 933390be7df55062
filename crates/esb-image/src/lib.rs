#![doc = include_str!("../README.md")]
//!
//! This crate knows neither SAM nor a registry's protocol: bases come in as [`Base`]s, images go
//! out as [`Built`].

mod accounts;
mod assemble;
mod base_index;
mod base_layers;
mod blocking;
mod builder;
#[cfg(feature = "buildkit")]
pub mod buildkit;
mod context;
#[cfg(feature = "daemon")]
mod daemon;
mod dependencies;
mod diff_id;
#[cfg(feature = "docker")]
pub mod docker;
mod dockerfile;
mod embedded;
mod engine;
mod error;
mod extend;
mod fingerprint;
mod hidden;
mod landing;
mod layer;
mod listing;
mod looks;
mod own_folders;
mod paths;
mod published;
mod staging;
mod stat_cache;
mod tree;
mod unpack;
mod zstd;

pub use base_layers::check_layer;
pub use builder::{
    Action, Base, BuildReport, BuildRequest, Builder, Built, Foresight, Unsupported,
};
#[cfg(any(feature = "docker", feature = "buildkit"))]
pub use dependencies::StepEngine;
pub use dependencies::{Distribution, InstallRequest, Installed, Installer, Tools};
pub use embedded::{Batch, EmbeddedBuilder, EmbeddedSettings};
pub use engine::{Container, Engine, EngineImage, EngineInfo, RunSpec};
pub use error::{Error, Kind, StepPlace};
pub use extend::{Extension, extend};
pub use published::{Pins, Published, Wanted};
pub use staging::Stager;
pub use unpack::UnpackLimits;
