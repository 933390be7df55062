#![doc = include_str!("../README.md")]
//!
//! This crate owns the registries' protocol, authentication, and the order of requests. It refuses
//! to build, and it reads neither the environment nor any file that it was not given.

mod attempted;
mod auth;
mod certificates;
mod challenge;
mod client;
mod copy;
mod direct;
mod docker_config;
mod document;
mod error;
mod http;
mod mapping;
mod mirror;
mod partial;
mod proxies;
mod published;
mod push;
mod refusal;
mod registry;
mod resolve;
mod response;
mod resume;
mod retry;
mod server_message;
mod session;
mod settings;
mod source;
mod stream;
mod sync;

pub use attempted::{Access, Attempted, Denial, RequestAction};
pub use client::Client;
pub use copy::CopyScope;
pub use direct::DirectRegistry;
pub use docker_config::{CredentialFiles, DockerConfig};
pub use error::{Error, ErrorKind, Remedy, TriedPlace};
pub use http::install_tls_provider;
pub use mapping::{Internal, internal_reference};
pub use mirror::{Mirror, MirrorPlace, Mirrors};
pub use push::{PushReport, push_reference};
pub use registry::{
    ManifestHead, Mount, RawManifest, Registry, Repository, TagPing, Upload, UploadSession,
    repository,
};
pub use resolve::ResolvedImage;
pub use retry::RetryPolicy;
pub use server_message::ServerMessage;
pub use session::{KnownTag, PushSession};
pub use settings::{ProxySettings, RegistrySettings, Timeouts, is_loopback};
pub use sync::{
    Journal, PlannedCopy, PlannedImage, SyncItem, SyncPlan, SyncStep, Synced, SyncedImage,
};
