//! The client for all registries: settings, requests, and a limit on concurrent transfers.
//!
//! Owns what the operations share; each operation is a module of its own.

use std::{future::Future, sync::Arc, time::Duration};

use esb_oci::Digest;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{DirectRegistry, Error, PushSession, Registry, RegistrySettings, Repository, TagPing};

/// How long [`Client::ping`] waits for a first answer.
const PING: Duration = Duration::from_secs(2);

/// Resolves, pushes, copies and verifies images. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    settings: Arc<RegistrySettings>,
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
    pub fn new(settings: RegistrySettings) -> Result<Self, Error> {
        let registry = DirectRegistry::new(Arc::new(settings.clone()))?;
        Ok(Self::with_registry(settings, Arc::new(registry)))
    }

    /// Makes a client whose requests go through `registry`. Of the settings it uses mirrors, the
    /// store and the number of transfers; those of the network are for `registry`.
    pub fn with_registry(settings: RegistrySettings, registry: Arc<dyn Registry>) -> Self {
        let transfers = Arc::new(Semaphore::new(settings.transfers.max(1)));
        Self { settings: Arc::new(settings), registry, transfers }
    }

    /// The settings of this client.
    pub fn settings(&self) -> &RegistrySettings {
        &self.settings
    }

    /// The implementation that makes this client's requests.
    pub fn registry(&self) -> &Arc<dyn Registry> {
        &self.registry
    }

    /// Whether a registry answers at `host[:port]`: any answer from 200 to 499 will do
    /// (docs/contracts/platform.md#registries). One request, and two seconds.
    pub async fn ping(&self, registry: &str) -> bool {
        self.soon(registry, self.registry.ping(registry)).await.unwrap_or(false)
    }

    /// As [`Client::ping`] for a registry that was only guessed: an answer that may pass, such as
    /// 503, is asked for again, a refused connection and silence of two seconds are answers.
    pub async fn finds(&self, registry: &str) -> bool {
        let asked = self.registry.contact(registry, true);
        self.soon(registry, asked).await.is_some_and(|answer| answer.is_ok())
    }

    /// As [`Client::finds`], by a request that is needed anyway: where a tag points. The session
    /// remembers the answer. With `is_open` the registry is presumed to require no authentication,
    /// as [`Client::is_open`] said earlier: then many such requests may be sent at once, without
    /// waiting for the first response.
    pub async fn ping_at(
        &self,
        at: &Repository,
        tag: &str,
        is_open: bool,
        session: &PushSession,
    ) -> bool {
        let asked = self.registry.ping_tag(at, tag, is_open);
        match self.soon(&at.registry, asked).await {
            None | Some(TagPing::NoAnswer) => return false,
            Some(TagPing::Answered) => {}
            Some(TagPing::Absent) => session.tag_confirmed(at, tag, None),
            Some(TagPing::Found(digest)) => session.tag_confirmed(at, tag, Some(digest)),
        }
        true
    }

    /// Waits for `asked`; `None` when the registry has answered nothing within two seconds.
    /// Once it has, a slow token server or the wait that it asks for takes as long as it takes.
    async fn soon<T>(&self, registry: &str, asked: impl Future<Output = T>) -> Option<T> {
        let mut asked = std::pin::pin!(asked);
        match tokio::time::timeout(PING, asked.as_mut()).await {
            Ok(output) => Some(output),
            Err(_) if self.registry.has_answered(registry) => Some(asked.await),
            Err(_) => None,
        }
    }

    /// Makes sure that the registry at `host[:port]` answers, with the patience of any other
    /// request: for a registry that somebody named.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn contact(&self, registry: &str) -> Result<(), Error> {
        self.registry.contact(registry, false).await
    }

    /// Whether the registry at `host[:port]` has answered this client without requiring
    /// authentication.
    pub fn is_open(&self, registry: &str) -> bool {
        self.registry.is_open(registry)
    }

    /// The names of all repositories of a registry at `host[:port]`.
    ///
    /// # Errors
    /// The request failed; not every registry supports it.
    pub async fn repositories(&self, registry: &str) -> Result<Vec<String>, Error> {
        self.registry.repositories(registry).await
    }

    /// The tags of a repository; none for one that is not there.
    ///
    /// # Errors
    /// The request failed.
    pub async fn tags(&self, at: &Repository) -> Result<Vec<String>, Error> {
        self.registry.tags(at).await
    }

    /// Removes a manifest and every tag that leads to it; one that is gone is no failure. Its
    /// blobs stay until the registry collects its garbage.
    ///
    /// # Errors
    /// [`Error::Refused`] with the status 405 where the registry does not delete.
    pub async fn delete(&self, at: &Repository, digest: Digest) -> Result<(), Error> {
        self.registry.manifest_delete(at, digest).await
    }

    /// An error about a document, in which a registry may have written what we sent it.
    pub(crate) fn without_credentials(&self, error: Error) -> Error {
        self.registry.redact(error)
    }

    /// Waits for the right to transfer one blob.
    pub(crate) async fn transfer(&self) -> SemaphorePermit<'_> {
        self.transfers.acquire().await.expect("the semaphore is never closed")
    }
}
