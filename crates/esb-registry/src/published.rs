//! Reads images from a registry without their blobs, in as few requests as possible.
//!
//! The blobs of such an image are read from its repository when they are needed. Whether the image
//! is the expected one is for the caller to decide.

use bytes::Bytes;
use esb_model::Platform;
use esb_oci::{Blob, Image, Index, Manifest, Reference, manifest::media_type};

use crate::{
    Client, Error, KnownTag, PushSession, RawManifest,
    document::is_schema_1,
    registry::repository,
    source::{ImageSource, read_config},
};

impl Client {
    /// Reads the image at a reference from its own registry with one request, one more with
    /// `config`, and one more for the platform's image of an index. `None` when there is no usable
    /// image. The session remembers where the tag points.
    ///
    /// Without `config` the image's config is not read.
    ///
    /// # Errors
    /// The request failed.
    pub async fn published(
        &self,
        reference: &Reference,
        platform: Platform,
        config: bool,
        session: &PushSession,
    ) -> Result<Option<Image>, Error> {
        let at = repository(reference);
        let target = reference.target();
        if session.tag(&at, &target) == KnownTag::Absent {
            return Ok(None);
        }
        let mut found = match self.registry().manifest_get(&at, &target).await {
            Ok(found) => found,
            Err(Error::NotFound { .. }) => {
                session.tag_confirmed(&at, &target, None);
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        session.tag_confirmed(&at, &target, Some(found.digest));
        if media_type::is_index(&found.media_type) {
            let index: Option<Index> = serde_json::from_slice(&found.bytes).ok();
            let wanted = platform.architecture.oci_name();
            let Some(entry) = index.as_ref().and_then(|index| index.select(wanted)) else {
                return Ok(None);
            };
            let target = entry.digest.to_string();
            found = self.registry().manifest_get(&at, &target).await?;
        }
        let RawManifest { bytes, media_type, .. } = found;
        if is_schema_1(&media_type) || !media_type::is_manifest(&media_type) {
            return Ok(None);
        }
        let Some(mut image) = self.image_at(reference, bytes) else { return Ok(None) };
        if config {
            let bytes = read_config(reference, &image.config).await?;
            image.config_bytes = Some(bytes);
        }
        Ok(Some(image))
    }

    /// Makes an image of a manifest's bytes whose blobs are read from the reference's repository;
    /// its config is not read. `None` when the bytes are not a manifest. Makes no request.
    pub fn image_at(&self, reference: &Reference, manifest: Bytes) -> Option<Image> {
        let place = ImageSource::repository(self, repository(reference));
        let parsed: Manifest = serde_json::from_slice(&manifest).ok()?;
        let config: Blob = place.blob(parsed.config);
        let layers = parsed.layers.into_iter().map(|layer| place.blob(layer)).collect();
        Image::unread(manifest, config, layers).ok()
    }

    /// Whether a tag leads to a digest; one request, or none when the session knows.
    ///
    /// # Errors
    /// The request failed.
    pub async fn leads_to(
        &self,
        reference: &Reference,
        digest: esb_oci::Digest,
        session: &PushSession,
    ) -> Result<bool, Error> {
        let at = repository(reference);
        let target = reference.target();
        match session.tag(&at, &target) {
            KnownTag::Confirmed(known) => return Ok(known == digest),
            KnownTag::Absent => return Ok(false),
            KnownTag::Unknown | KnownTag::Recorded(_) => {}
        }
        let there = self.has(&at, &target, digest).await?;
        if there {
            session.tag_confirmed(&at, &target, Some(digest));
        }
        Ok(there)
    }
}
