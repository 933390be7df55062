//! The trait [`Engine`]: what a container engine does beside building: load, export, list, remove,
//! run.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use esb_oci::{ArchiveImage, BoxFuture, Image};

use crate::Error;

/// A container engine.
pub trait Engine: Send + Sync {
    /// The engine's name and platform.
    fn info(&self) -> &EngineInfo;

    /// Loads images under their names, in one stream; layers that the engine has may be left out.
    fn load<'a>(&'a self, images: &'a [ArchiveImage]) -> BoxFuture<'a, Result<(), Error>>;

    /// The engine's id of an image, by name or id; `None` when it has none.
    fn find<'a>(&'a self, reference: &'a str) -> BoxFuture<'a, Result<Option<String>, Error>>;

    /// Takes an image out of the engine: its blobs lie in the content store afterwards.
    fn export<'a>(&'a self, reference: &'a str) -> BoxFuture<'a, Result<Image, Error>>;

    /// Images that carry all of the labels; an empty value asks for the key alone.
    fn list<'a>(
        &'a self,
        labels: &'a BTreeMap<String, String>,
    ) -> BoxFuture<'a, Result<Vec<EngineImage>, Error>>;

    /// Removes an image by id or name.
    fn remove<'a>(&'a self, reference: &'a str) -> BoxFuture<'a, Result<(), Error>>;

    /// Starts one container whose port is published on loopback.
    fn run<'a>(&'a self, spec: &'a RunSpec) -> BoxFuture<'a, Result<Box<dyn Container>, Error>>;
}

/// A container that runs. It is removed by [`Container::stop`], and when it is dropped as far as
/// the engine still answers then.
pub trait Container: Send + Sync {
    /// The address of its published port on this machine.
    fn address(&self) -> SocketAddr;

    /// All that it wrote so far, both streams in order, as text.
    fn logs(&self) -> BoxFuture<'_, Result<String, Error>>;

    /// Whether it still runs; the exit code when it does not.
    fn exit_code(&self) -> BoxFuture<'_, Result<Option<i64>, Error>>;

    /// Stops and removes it.
    fn stop(self: Box<Self>, grace: Duration) -> BoxFuture<'static, Result<(), Error>>;
}

/// An engine and its platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineInfo {
    /// `Docker 20.10.24 (unix:///var/run/docker.sock)`.
    pub description: String,
    /// As OCI names it: `amd64`.
    pub architecture: String,
}

/// An image that an engine holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineImage {
    pub id: String,
    pub names: Vec<String>,
    pub labels: BTreeMap<String, String>,
    /// Bytes.
    pub size: u64,
    /// Seconds since 1970.
    pub created: i64,
}

/// One container to run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunSpec {
    /// Name or id.
    pub image: String,
    pub environment: BTreeMap<String, String>,
    /// The port inside that is published on a free port of loopback.
    pub port: u16,
    pub labels: BTreeMap<String, String>,
    /// Folders of this machine and where they are seen inside, read-only.
    pub mounts: Vec<(PathBuf, String)>,
    /// MB; none when the engine shall set no limit.
    pub memory: Option<u32>,
}
