//! Copies an image or a whole index between registries, and verifies what a reference points to.
//!
//! Owns the walk over an index. Manifests travel as raw bytes, so that digests never change.

use std::collections::BTreeSet;

use esb_model::Platform;
use esb_oci::{Blob, Digest, Index, InvalidImage, Manifest, Reference, manifest::media_type};

use crate::{
    Access, Attempted, Client, Error, ErrorKind, PushSession, RawManifest, RequestAction,
    ServerMessage,
    push::ManifestParts,
    registry::{Repository, repository},
    resolve::check_kind,
    retry::Retry,
    source::ImageSource,
};

/// The most manifests that one index may bring along.
const MANIFESTS: usize = 500;
/// How often a registry is asked for what it accepted.
const CONFIRMATIONS: u32 = 5;
/// The most levels of indexes in indexes.
const LEVELS: usize = 3;

/// Whether one platform of an image is copied or all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CopyScope {
    /// The manifest of one platform, by its own digest.
    Platform(Platform),
    /// What the source reference stands for: an index with everything in it, or one manifest.
    Whole,
}

impl Client {
    /// A manifest and all that are below it, each after those that it names.
    pub(crate) async fn walk(
        &self,
        source: &Reference,
        place: &ImageSource,
        root: RawManifest,
    ) -> Result<Vec<ManifestParts>, Error> {
        let all = self.all_below(source, place, root).await;
        all.map_err(|error| self.without_credentials(error))
    }

    async fn all_below(
        &self,
        source: &Reference,
        place: &ImageSource,
        root: RawManifest,
    ) -> Result<Vec<ManifestParts>, Error> {
        let json = |what| {
            move |error| Error::Document {
                reference: source.to_string(),
                source: InvalidImage::Json { what, source: error },
            }
        };
        let too_much = || {
            let media_type = "an index too large or too deep".to_owned();
            Error::NotAnImage { reference: source.to_string(), media_type }
        };
        let (mut all, mut seen) = (Vec::new(), BTreeSet::from([root.digest]));
        let mut level = vec![root];
        for _ in 0..LEVELS {
            let mut next = Vec::new();
            for RawManifest { bytes, media_type, digest } in level {
                let mut blobs = Vec::new();
                if media_type::is_index(&media_type) {
                    let index: Index = serde_json::from_slice(&bytes).map_err(json("index"))?;
                    for child in index.manifests {
                        if seen.insert(child.digest) {
                            next.push(place.manifest(source, &child).await?);
                        }
                        if seen.len() > MANIFESTS {
                            return Err(too_much());
                        }
                    }
                } else {
                    check_kind(source, &media_type)?;
                    let manifest: Manifest =
                        serde_json::from_slice(&bytes).map_err(json("manifest"))?;
                    let descriptors = manifest.layers.into_iter().chain([manifest.config]);
                    blobs.extend(descriptors.map(|blob| place.blob(blob)));
                }
                all.push(ManifestParts { bytes, media_type, digest, blobs });
            }
            level = next;
        }
        if !level.is_empty() {
            return Err(too_much());
        }
        // Level by level downwards, so that the reverse has every manifest before what names it.
        all.reverse();
        Ok(all)
    }

    /// Asks each registry for the last manifest that it accepted in this session, by one HEAD
    /// request where it has it: one that keeps nothing is found out before anything refers to it.
    ///
    /// # Errors
    /// [`Error::NotKept`] when a registry does not have what it accepted, or the error of the
    /// request.
    pub async fn confirm_accepted(&self, session: &PushSession) -> Result<(), Error> {
        for (at, target, digest) in session.take_accepted() {
            if self.keeps(&at, &target, digest).await? {
                continue;
            }
            let subject =
                Attempted::manifest(&at, &target, RequestAction::CheckManifest, Access::Pull);
            return Err(Error::NotKept { attempted: Box::new(subject), digest });
        }
        Ok(())
    }

    /// Whether a registry has what it accepted; it may need a moment, and others may have moved
    /// the tag.
    async fn keeps(&self, at: &Repository, target: &str, digest: Digest) -> Result<bool, Error> {
        let own = digest.to_string();
        let mut tries = 1;
        loop {
            if self.has(at, target, digest).await? || self.has(at, &own, digest).await? {
                return Ok(true);
            }
            let wait = self.settings().retry.wait(tries, Retry::Later(None), fastrand::f64());
            let Some(wait) = wait.filter(|_| tries < CONFIRMATIONS) else { break };
            tokio::time::sleep(wait).await;
            tries += 1;
        }
        // To somebody who may write and not read it looks the same.
        match self.registry().manifest_head(at, target, Access::Pull).await {
            Err(error) if error.kind() == ErrorKind::Auth => Ok(true),
            Err(error) => Err(error),
            Ok(_) => Ok(false),
        }
    }

    /// Checks that a reference can be pulled and has the expected digest.
    ///
    /// # Errors [`Error::NotFound`], [`Error::DigestMismatch`], or the error of the request.
    pub async fn verify(&self, reference: &Reference, expected: Digest) -> Result<(), Error> {
        let actual = self.digest_of(reference).await?;
        if actual == expected {
            return Ok(());
        }
        Err(Error::DigestMismatch { subject: reference.to_string(), expected, actual })
    }

    /// The bytes of those blobs that a push to a repository would send: it has none of them, and
    /// none lies in another repository of its registry.
    ///
    /// # Errors
    /// When the registry cannot be asked.
    pub async fn missing_bytes<'a>(
        &self,
        blobs: impl IntoIterator<Item = &'a Blob>,
        target: &Reference,
    ) -> Result<u64, Error> {
        let at = repository(target);
        let mut bytes = 0;
        for blob in blobs {
            let location = blob.source.location();
            let is_mounted = location.is_some_and(|location| location.registry == at.registry);
            let digest = blob.descriptor.digest;
            if !is_mounted && !self.registry().blob_head(&at, digest, Access::Push).await? {
                bytes += blob.descriptor.size;
            }
        }
        Ok(bytes)
    }

    /// The digest that a reference has in its own registry now; mirrors are not asked.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such reference.
    pub async fn digest_of(&self, reference: &Reference) -> Result<Digest, Error> {
        let at: Repository = repository(reference);
        let target = reference.target();
        match self.registry().manifest_head(&at, &target, Access::Pull).await? {
            Some(head) => match head.digest {
                Some(digest) => Ok(digest),
                None => Ok(self.registry().manifest_get(&at, &target).await?.digest),
            },
            None => Err(Error::NotFound {
                attempted: Box::new(Attempted::manifest(
                    &at,
                    &target,
                    RequestAction::CheckManifest,
                    Access::Pull,
                )),
                message: ServerMessage::default(),
            }),
        }
    }
}
