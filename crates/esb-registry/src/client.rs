//! The client of all registries: settings, transport, and the bound on transfers.
//!
//! Owns what the operations share; each operation is a module of its own.

use std::{sync::Arc, time::Duration};

use esb_oci::Digest;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{
    DirectRegistry, Error, OciClientRegistry, PushSession, Registry, Repository, Settings,
    Transport, direct::Probe,
};

/// How long [`Client::ping`] waits.
const PING: Duration = Duration::from_secs(2);

/// Resolves, pushes, copies and verifies images. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    settings: Arc<Settings>,
    direct: DirectRegistry,
    registry: Arc<dyn Registry>,
    transfers: Arc<Semaphore>,
}

impl Client {
    /// Checks the settings; connects to nothing yet.
    ///
    /// Where the process has no provider of cryptography for TLS, ring becomes it.
    ///
    /// # Errors
    /// [`Error::Settings`] when a proxy or a certificate is not usable.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        let settings = Arc::new(settings);
        let direct = DirectRegistry::new(Arc::clone(&settings))?;
        let registry: Arc<dyn Registry> = match settings.transport {
            Transport::OciClient => Arc::new(OciClientRegistry::new(direct.clone())),
            Transport::Direct => Arc::new(direct.clone()),
        };
        let transfers = Arc::new(Semaphore::new(settings.transfers.max(1)));
        Ok(Self { settings, direct, registry, transfers })
    }

    /// What the client was told.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The requests that the operations are made of.
    pub fn registry(&self) -> &Arc<dyn Registry> {
        &self.registry
    }

    /// Whether a registry answers at `host[:port]`, within two seconds and without a second try:
    /// any answer from 200 to 499 will do (docs/contracts/platform.md#registries).
    pub async fn ping(&self, registry: &str) -> bool {
        tokio::time::timeout(PING, self.direct.answers(registry)).await.unwrap_or(false)
    }

    /// As [`Client::ping`], by a question that has to be asked anyway: where a tag points. The
    /// session remembers the answer. With `is_open` the registry is presumed to want no
    /// authentication, as [`Client::is_open`] told earlier: then many such questions may be asked at
    /// once, without waiting for the first answer.
    pub async fn ping_at(
        &self,
        at: &Repository,
        tag: &str,
        is_open: bool,
        session: &PushSession,
    ) -> bool {
        match tokio::time::timeout(PING, self.direct.probe(at, tag, is_open)).await {
            Err(_) | Ok(Probe::Silent) => false,
            Ok(Probe::Answers) => true,
            Ok(Probe::Tag(digest)) => {
                session.tag_checked(at, tag, digest);
                true
            }
        }
    }

    /// Whether the registry at `host[:port]` has answered this client without wanting authentication.
    pub fn is_open(&self, registry: &str) -> bool {
        self.direct.is_open(registry)
    }

    /// The names of all repositories of a registry at `host[:port]`.
    ///
    /// # Errors
    /// Why the registry did not tell; not every registry does.
    pub async fn repositories(&self, registry: &str) -> Result<Vec<String>, Error> {
        self.direct.repositories(registry).await
    }

    /// The tags of a repository; none for one that is not there.
    ///
    /// # Errors
    /// Why the registry did not tell.
    pub async fn tags(&self, at: &Repository) -> Result<Vec<String>, Error> {
        self.direct.tags(at).await
    }

    /// Removes a manifest and every tag that leads to it; one that is gone is no failure. Its
    /// blobs stay until the registry collects its garbage.
    ///
    /// # Errors
    /// [`Error::Refused`] with the status 405 where the registry does not delete.
    pub async fn delete(&self, at: &Repository, digest: Digest) -> Result<(), Error> {
        self.direct.manifest_delete(at, digest).await
    }

    /// An error about a document, in which a registry may have written what we sent it.
    pub(crate) fn without_credentials(&self, error: Error) -> Error {
        error.redacted(&self.direct.redactor())
    }

    /// Waits for the right to transfer one blob.
    pub(crate) async fn transfer(&self) -> SemaphorePermit<'_> {
        self.transfers.acquire().await.expect("the semaphore is never closed")
    }
}
