//! Copies images from registry to registry, and verifies what a reference stands for.
//!
//! Owns the walk over an index. Manifests travel as raw bytes, so that digests never change.

use std::{collections::BTreeSet, sync::Arc};

use esb_model::{Event, Platform, Reporter};
use esb_oci::{Digest, Index, InvalidImage, Manifest, Reference, manifest::media_type};

use crate::{
    Access, Action, Client, Error, PushReport, PushSession, RawManifest,
    direct::about_manifest,
    error::Words,
    push::Parts,
    registry::{Repository, repository},
    resolve::check_kind,
    source::Place,
};

/// The most manifests that one index may bring along.
const MANIFESTS: usize = 500;
/// The most levels of indexes in indexes.
const LEVELS: usize = 3;

/// What of an image is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyScope {
    /// The manifest of one platform, by its own digest.
    Platform(Platform),
    /// What the source reference stands for: an index with everything in it, or one manifest.
    Whole,
}

impl Client {
    /// Copies an image to `target` as a stream, keeping its digest; mirrors apply to the source.
    ///
    /// # Errors
    /// As [`Client::resolve`] and [`Client::push`].
    pub async fn copy(
        &self,
        source: &Reference,
        target: &Reference,
        scope: CopyScope,
        session: &PushSession,
        reporter: &Arc<dyn Reporter>,
    ) -> Result<PushReport, Error> {
        match scope {
            CopyScope::Platform(platform) => {
                let found = self.resolve(source, platform).await?;
                self.push(&found.image, target, &[], session, reporter).await
            }
            CopyScope::Whole => self.copy_whole(source, target, session, reporter).await,
        }
    }

    async fn copy_whole(
        &self,
        source: &Reference,
        target: &Reference,
        session: &PushSession,
        reporter: &Arc<dyn Reporter>,
    ) -> Result<PushReport, Error> {
        let at = repository(target);
        let subject = target.to_string();
        reporter.event(&Event::Started { subject: &subject, action: "push" });
        let finished = |detail| {
            reporter.event(&Event::Finished { subject: &subject, action: "push", detail });
        };
        // A pinned source need not be asked when the target has it.
        if let (Some(digest), Some(tag)) = (source.digest(), target.tag())
            && self.has(&at, tag, digest).await?
        {
            finished("unchanged");
            return Ok(PushReport {
                unchanged: true,
                digest: Some(digest),
                ..PushReport::default()
            });
        }
        let (place, root) = self.find(source).await?;
        let digest = root.digest;
        let tag = target.tag().map_or_else(|| digest.to_string(), str::to_owned);
        let mut report = PushReport::default();
        if source.digest().is_none() && self.has(&at, &tag, digest).await? {
            report.unchanged = true;
        } else {
            let steps = self.walk(source, &place, root).await?;
            for parts in &steps {
                let name =
                    if parts.digest == digest { tag.clone() } else { parts.digest.to_string() };
                let done = self.push_parts(parts, &at, &name, session, reporter).await?;
                report.add(&done);
            }
        }
        report.digest = Some(digest);
        finished(if report.unchanged { "unchanged" } else { "pushed" });
        Ok(report)
    }

    /// A manifest and all that are below it, each after those that it names.
    async fn walk(
        &self,
        source: &Reference,
        place: &Place,
        root: RawManifest,
    ) -> Result<Vec<Parts>, Error> {
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
                all.push(Parts { bytes, media_type, digest, blobs });
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

    /// Checks that a reference can be pulled and is the digest that we mean.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::DigestMismatch`], or why the registry did not tell.
    pub async fn verify(&self, reference: &Reference, expected: Digest) -> Result<(), Error> {
        let actual = self.digest_of(reference).await?;
        if actual == expected {
            return Ok(());
        }
        Err(Error::DigestMismatch { subject: reference.to_string(), expected, actual })
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
                attempted: Box::new(about_manifest(
                    &at,
                    &target,
                    Action::CheckManifest,
                    Access::Pull,
                )),
                words: Words::plain("status 404"),
            }),
        }
    }
}
