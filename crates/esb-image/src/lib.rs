#![doc = include_str!("../README.md")]
//!
//! This crate knows neither SAM nor a registry's protocol: bases come in as [`Base`]s, images go
//! out as [`Built`].

#![cfg_attr(docsrs, feature(doc_cfg))] // docs.rs shows which feature an item needs

mod archives;
mod blocking;
mod builder;
#[cfg(feature = "buildkit")]
pub mod buildkit;
mod context;
#[cfg(any(feature = "docker", feature = "buildkit"))]
mod daemon;
#[cfg(feature = "docker")]
pub mod docker;
mod dockerfile;
mod embedded;
mod engine;
mod error;
mod filesystem;
mod fingerprint;
mod image;
mod inputs;
mod paths;
mod redacting_reporter;

pub use archives::unpack::UnpackLimits;
pub use builder::{
    Action, Base, BuildPrediction, BuildReport, BuildRequest, Builder, Built, Unsupported,
};
pub use embedded::{Batch, EmbeddedBuilder, EmbeddedSettings};
pub use engine::{Container, Engine, EngineImage, EngineInfo, RunSpec};
pub use error::{Error, ErrorKind, Remedy, StepPlace};
pub use filesystem::{base_index::base_entries, base_layers::check_layer};
pub use image::{
    extend::{Extension, extend},
    published::{ExpectedImage, Pins, PublishedImages},
};
#[cfg(any(feature = "docker", feature = "buildkit"))]
pub use inputs::dependencies::StepEngine;
pub use inputs::{
    dependencies::{
        Distribution, FetchedWheels, InstallRequest, Installed, Installer, Tools, verify_packages,
    },
    staging::Stager,
};
