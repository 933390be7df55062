//! Pushes images: blobs that the repository has are skipped, each other one is sent once, the
//! manifest last.
//!
//! Owns the order of requests of a push. Works on any source of blobs, so that a copy between
//! registries is a push as well.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use esb_model::{Activity, ActivityGuard, Event, ImageRef, Reporter};
use esb_oci::{Blob, BlobError, Digest, Image, Index, Reference};
use futures_util::{StreamExt as _, TryStreamExt as _, future::try_join_all, stream};

use crate::{
    Access, Client, Error, KnownTag, Mount, PushSession, Upload, UploadSession,
    registry::{Repository, name as registry_name, repository},
};

/// Below that many bytes it costs little to send again what a registry has and cannot say so while
/// it opens an upload.
const SMALL: u64 = 1024 * 1024;

/// What registries say of a manifest whose blobs they do not have.
const MISSING: [&str; 2] = ["MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN"];

/// The result of a push.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PushReport {
    /// The manifest's digest, or the index's.
    pub digest: Option<Digest>,
    /// The reference had the digest already; no further request was made.
    pub unchanged: bool,
    pub uploaded: usize,
    pub uploaded_bytes: u64,
    /// Blobs that another repository of the registry had.
    pub mounted: usize,
    /// Blobs that the repository had.
    pub skipped: usize,
}

impl PushReport {
    /// The word for the result of a sync: `synced`, `mounted` when no blob was sent, or `skipped`.
    pub fn sync_action(&self) -> &'static str {
        match self {
            Self { unchanged: true, .. } => "skipped",
            Self { uploaded_bytes: 0, mounted: 1.., .. } => "mounted",
            Self { .. } => "synced",
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.uploaded += other.uploaded;
        self.uploaded_bytes += other.uploaded_bytes;
        self.mounted += other.mounted;
        self.skipped += other.skipped;
    }
}

/// Everything that one manifest needs in a repository.
#[derive(Debug, Clone)]
pub(crate) struct ManifestParts {
    pub(crate) bytes: Bytes,
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) blobs: Vec<Blob>,
}

impl From<&Image> for ManifestParts {
    fn from(image: &Image) -> Self {
        Self {
            bytes: image.manifest_bytes.clone(),
            media_type: image.descriptor.media_type.clone(),
            digest: image.digest(),
            blobs: image.layers.iter().chain([&image.config]).cloned().collect(),
        }
    }
}

/// How a repository came to have a blob.
#[derive(Debug, Clone, Copy)]
enum BlobOutcome {
    /// The repository had it.
    AlreadyPresent,
    Mounted,
    Uploaded(u64),
}

/// The reference that this machine pushes an image's reference to.
///
/// # Errors
/// When the parts make no reference.
pub fn push_reference(image: &ImageRef) -> Result<Reference, Error> {
    // A host without a dot or a port would be read as a part of the repository.
    let here = Reference::with_tag("localhost", &image.repository, &image.tag)?;
    Ok(here.moved_to(&image.push_host, None))
}

impl Client {
    /// Pushes an image to `target` (by tag, or by digest when it has no tag), and to `extra` tags
    /// of the same repository.
    ///
    /// Where `target` has the image's digest already, that is found out with one request. An extra
    /// tag of which the session knows nothing costs one more; one that the session knows to be
    /// right costs none.
    ///
    /// # Errors
    /// When the registry cannot be reached or refuses, or a blob's source fails. No tag is written
    /// before all blobs are there.
    pub async fn push(
        &self,
        image: &Image,
        target: &Reference,
        extra: &[&str],
        session: &PushSession,
        reporter: &Arc<dyn Reporter>,
    ) -> Result<PushReport, Error> {
        let at = repository(target);
        let subject = target.to_string();
        let activity = ActivityGuard::start(&**reporter, &subject, Activity::Push);
        let parts = ManifestParts::from(image);
        let target = target.tag().map_or_else(|| parts.digest.to_string(), str::to_owned);
        let there = match session.tag(&at, &target) {
            KnownTag::Confirmed(known) => known == parts.digest,
            KnownTag::Absent => false,
            // A repository without the tags that come with this one does not have it either, nor
            // one where the last image has another content.
            _ if extra.iter().any(|tag| session.tag(&at, tag) == KnownTag::Absent) => false,
            _ if session.is_replaced(&at, extra, parts.digest) => false,
            _ => self.has(&at, &target, parts.digest).await?,
        };
        let mut report = if there {
            session.tag_confirmed(&at, &target, Some(parts.digest));
            // A manifest does not lie in a repository without its blobs.
            for blob in &parts.blobs {
                session.present(&at, blob.descriptor.digest);
            }
            PushReport { unchanged: true, ..PushReport::default() }
        } else {
            let mut tags = vec![&*target];
            tags.extend(extra.iter().copied().filter(|tag| {
                *tag != target && session.tag(&at, tag).digest() != Some(parts.digest)
            }));
            self.push_parts(&parts, &at, &tags, session, reporter).await?
        };
        if there {
            for tag in extra.iter().copied().filter(|tag| *tag != target) {
                let right = match session.tag(&at, tag) {
                    KnownTag::Recorded(known) | KnownTag::Confirmed(known) => known == parts.digest,
                    KnownTag::Unknown | KnownTag::Absent => {
                        self.has(&at, tag, parts.digest).await?
                    }
                };
                if !right {
                    self.put(&parts, &at, tag, session).await?;
                }
            }
        }
        report.digest = Some(parts.digest);
        let (done, total) = (report.uploaded_bytes, Some(report.uploaded_bytes));
        reporter.event(&Event::Progress { subject: &subject, action: Activity::Push, done, total });
        activity.finish(if report.unchanged { "unchanged" } else { "pushed" });
        Ok(report)
    }

    /// Pushes images of several platforms by their digests, then the index of them all as
    /// `target`; where that is there already, one request finds it out.
    ///
    /// # Errors
    /// As [`Client::push`].
    pub async fn push_index(
        &self,
        images: &[&Image],
        target: &Reference,
        session: &PushSession,
        reporter: &Arc<dyn Reporter>,
    ) -> Result<PushReport, Error> {
        let index = Index::of_platforms(images.iter().copied())
            .map_err(|source| Error::Document { reference: target.to_string(), source })?;
        let (bytes, descriptor) = index.to_document();
        let (media_type, digest) = (descriptor.media_type, descriptor.digest);
        let at = repository(target);
        let tag = target.target();
        let there = match session.tag(&at, &tag) {
            KnownTag::Confirmed(known) => known == digest,
            KnownTag::Absent => false,
            KnownTag::Unknown | KnownTag::Recorded(_) => self.has(&at, &tag, digest).await?,
        };
        let mut report =
            PushReport { digest: Some(digest), unchanged: there, ..PushReport::default() };
        if there {
            return Ok(report);
        }
        for image in images {
            let pinned = target.pinned(image.digest());
            let pushed = self.push(image, &pinned, &[], session, reporter).await?;
            report.add(&pushed);
        }
        let parts = ManifestParts { bytes: bytes.into(), media_type, digest, blobs: Vec::new() };
        self.put(&parts, &at, &tag, session).await?;
        Ok(report)
    }

    /// Whether a tag has a digest: one request, or more for registries that do not send digests.
    pub(crate) async fn has(
        &self,
        at: &Repository,
        target: &str,
        digest: Digest,
    ) -> Result<bool, Error> {
        let head = self.registry().manifest_head(at, target, Access::Push).await?;
        Ok(match head.map(|head| head.digest) {
            Some(Some(actual)) => actual == digest,
            Some(None) => self.registry().manifest_get(at, target).await?.digest == digest,
            None => false,
        })
    }

    /// Brings the blobs of a manifest into a repository, then the manifest itself under its names.
    pub(crate) async fn push_parts(
        &self,
        parts: &ManifestParts,
        at: &Repository,
        targets: &[&str],
        session: &PushSession,
        reporter: &Arc<dyn Reporter>,
    ) -> Result<PushReport, Error> {
        // An image may have the same layer twice.
        let blobs: BTreeMap<Digest, &Blob> =
            parts.blobs.iter().map(|blob| (blob.descriptor.digest, blob)).collect();
        let mut report = self.push_blobs(&blobs, at, session, reporter).await?;
        match self.put_all(parts, at, targets, session).await {
            // A blob was collected, a mount came too early, or another run pushes the same blob and
            // the registry read its half-written link: look again, once.
            Err(Error::Refused { message, .. } | Error::NotFound { message, .. })
                if MISSING.iter().any(|code| message.has_code(code)) =>
            {
                for digest in blobs.keys() {
                    session.absent(at, *digest);
                }
                let again = self.push_blobs(&blobs, at, session, reporter).await?;
                report.uploaded += again.uploaded;
                report.uploaded_bytes += again.uploaded_bytes;
                report.mounted += again.mounted;
                self.put_all(parts, at, targets, session).await?;
            }
            put => put?,
        }
        report.digest = Some(parts.digest);
        Ok(report)
    }

    async fn put_all(
        &self,
        parts: &ManifestParts,
        at: &Repository,
        targets: &[&str],
        session: &PushSession,
    ) -> Result<(), Error> {
        let puts = targets.iter().map(|target| self.put(parts, at, target, session));
        try_join_all(puts).await.map(drop)
    }

    /// Writes the manifest and remembers where the name points now: for certain when the registry
    /// says it.
    async fn put(
        &self,
        parts: &ManifestParts,
        at: &Repository,
        target: &str,
        session: &PushSession,
    ) -> Result<(), Error> {
        let registry = self.registry();
        let said = registry.manifest_put(at, target, &parts.media_type, &parts.bytes).await?;
        session.manifest_accepted(at, target, parts.digest);
        if said == Some(parts.digest) {
            session.tag_confirmed(at, target, said);
        } else {
            session.tag_written(at, target, parts.digest);
        }
        Ok(())
    }

    async fn push_blobs(
        &self,
        blobs: &BTreeMap<Digest, &Blob>,
        at: &Repository,
        session: &PushSession,
        reporter: &Arc<dyn Reporter>,
    ) -> Result<PushReport, Error> {
        let work: Vec<_> =
            blobs.values().map(|blob| self.push_blob(blob, at, session, reporter)).collect();
        let limit = self.settings().transfers.max(1);
        stream::iter(work)
            .buffer_unordered(limit)
            .try_fold(PushReport::default(), async |mut report, came| {
                match came {
                    BlobOutcome::AlreadyPresent => report.skipped += 1,
                    BlobOutcome::Mounted => report.mounted += 1,
                    BlobOutcome::Uploaded(bytes) => {
                        report.uploaded += 1;
                        report.uploaded_bytes += bytes;
                    }
                }
                Ok(report)
            })
            .await
    }

    /// Brings one blob into a repository in the cheapest way.
    async fn push_blob(
        &self,
        blob: &Blob,
        at: &Repository,
        session: &PushSession,
        reporter: &Arc<dyn Reporter>,
    ) -> Result<BlobOutcome, Error> {
        let digest = blob.descriptor.digest;
        let lock = session.upload_lock(at, digest);
        if session.holder(at, digest).is_none() {
            let _guard = lock.lock().await;
            // Another push may have brought it meanwhile.
            if session.holder(at, digest).is_none() {
                let came = self.place(blob, at, None, session, reporter).await?;
                session.present(at, digest);
                return Ok(came);
            }
        }
        if session.is_present(at, digest) {
            return Ok(BlobOutcome::AlreadyPresent);
        }
        // Mounting needs no lock: many repositories may do it at once.
        let mut opened = None;
        if let Some(holder) = session.holder(at, digest) {
            match self.registry().blob_mount(at, &holder, digest).await? {
                Mount::Mounted => {
                    session.present(at, digest);
                    return Ok(BlobOutcome::Mounted);
                }
                Mount::Opened(upload) => opened = Some(upload),
                Mount::Refused => {}
            }
        }
        let _guard = lock.lock().await;
        let came = self.place(blob, at, opened, session, reporter).await?;
        session.present(at, digest);
        Ok(came)
    }

    /// Looks for a blob, mounts it from where it was seen, or uploads it.
    async fn place(
        &self,
        blob: &Blob,
        at: &Repository,
        mut opened: Option<UploadSession>,
        session: &PushSession,
        reporter: &Arc<dyn Reporter>,
    ) -> Result<BlobOutcome, Error> {
        let digest = blob.descriptor.digest;
        let registry = self.registry();
        let mut from = session.candidates(at, digest);
        if let Some(location) = blob.source.location()
            && location.registry == at.registry
        {
            from.insert(0, location.repository);
        }
        if from.is_empty() && blob.descriptor.size < SMALL {
            // One request that finds the blob or opens its upload.
            match registry.blob_mount(at, &at.repository, digest).await? {
                Mount::Mounted => return Ok(BlobOutcome::AlreadyPresent),
                Mount::Opened(upload) => opened = Some(upload),
                Mount::Refused => {}
            }
        }
        let mut asked = opened.is_some();
        if opened.is_none() && (from.is_empty() || from.contains(&at.repository)) {
            asked = true;
            if registry.blob_head(at, digest, Access::Push).await? {
                return Ok(BlobOutcome::AlreadyPresent);
            }
            from.retain(|from| *from != at.repository);
        }
        for from in from {
            if opened.is_some() {
                break;
            }
            match registry.blob_mount(at, &from, digest).await? {
                Mount::Mounted => return Ok(BlobOutcome::Mounted),
                Mount::Opened(upload) => {
                    session.forget(&at.registry, &from, digest);
                    opened = Some(upload);
                }
                Mount::Refused => {}
            }
        }
        // The places that were thought to have it do not; the repository itself still may.
        if !asked && registry.blob_head(at, digest, Access::Push).await? {
            return Ok(BlobOutcome::AlreadyPresent);
        }
        let subject = format!("{}@{digest}", registry_name(at));
        let permit = self.transfer().await;
        let activity = ActivityGuard::start(&**reporter, &subject, Activity::Upload);
        let upload = Upload { blob, subject: &subject, reporter };
        match registry.blob_push(at, upload, opened).await {
            // Damaged on the way, or by what an earlier run left, which is gone now: once more.
            Err(Error::Source { source: BlobError::Mismatch { .. }, .. })
                if blob.source.location().is_some() =>
            {
                registry.blob_push(at, upload, None).await?;
            }
            pushed => pushed?,
        }
        activity.finish("");
        drop(permit);
        Ok(BlobOutcome::Uploaded(blob.descriptor.size))
    }
}
