//! Reuses an image that the registry or layout has, when it is exactly what the build would make.
//!
//! Owns that decision. What such an image says of itself is never enough, unless the request says
//! so: its digest is remembered here, or pinned, or it is put together here, from the files and
//! without their compression, and has to come out the same, byte for byte of config and manifest.
//! Of its layers that leaves what they are called and how large they are; what they hold is named
//! by the config, and compared by whoever unpacks them.

use std::sync::Arc;

use esb_model::Reporter;
use esb_oci::{Digest, Image};

use super::{EmbeddedBuilder, Inner, Prepared, Progress, job::Job, make, report};
use crate::{
    Action, BuildReport, Error, Pins, PublishedImages,
    blocking::blocking,
    filesystem::{apply::AppliedSteps, node::Changes},
    image::assemble,
};

impl EmbeddedBuilder {
    /// Asks the place that the image goes to, when this machine does not have it.
    pub(super) async fn find(
        &self,
        job: &Arc<Job>,
        published: &dyn PublishedImages,
        mut prepared: Box<Prepared>,
        reporter: &dyn Reporter,
    ) -> Result<Progress, Error> {
        let found = published.find(&job.recipe, prepared.wanted.clone()).await;
        let Some(image) = found else { return Ok(Progress::Needed(prepared)) };
        let is_marked = job.names.is_marked(&image, prepared.parts.key());
        let is_wanted = prepared.wanted.is(&image);
        if job.is_sound(&image) && (is_wanted || is_marked && job.trusts_published) {
            let (inner, job) = (Arc::clone(&self.inner), Arc::clone(job));
            let report = blocking(move || inner.use_published(&job, &prepared, image)).await?;
            return Ok(Progress::Done(Box::new(report)));
        }
        prepared.earlier = job.names.layers(&image).trusted(job.trusts_published);
        if !is_marked {
            return Ok(Progress::Needed(prepared));
        }
        let (prepared, applied, _permit) = self.apply(job, prepared, reporter).await?;
        let (inner, job) = (Arc::clone(&self.inner), Arc::clone(job));
        blocking(move || {
            Ok(match inner.use_if_same(&job, &prepared, &applied, &image)? {
                Some(report) => Progress::Done(Box::new(report)),
                None => Progress::Needed(prepared),
            })
        })
        .await
    }
}

impl Inner {
    /// Uses a published image whose digest is the expected one, or whose annotations are trusted.
    fn use_published(
        &self,
        job: &Job,
        prepared: &Prepared,
        image: Image,
    ) -> Result<BuildReport, Error> {
        let key = prepared.parts.key();
        assemble::remember(&image, &self.store, job.memory(key))?;
        job.last_parts(&self.store).write(&prepared.parts)?;
        let pins = self.accept(job, &image, key);
        let reason = "published already with the same content, base and recipe".to_owned();
        Ok(report(image, Action::Cached, reason, pins))
    }

    /// Records what the manifest of a reused image says, and returns its pin; neither when only its
    /// annotations were trusted.
    pub(super) fn accept(&self, job: &Job, image: &Image, fingerprint: Digest) -> Pins {
        if job.trusts_published {
            return Pins::default();
        }
        self.mark_own(image);
        Pins::of_image(fingerprint, image.digest())
    }

    /// Uses an image when it comes out the same here. Nothing is compressed.
    fn use_if_same(
        &self,
        job: &Job,
        prepared: &Prepared,
        applied: &AppliedSteps,
        image: &Image,
    ) -> Result<Option<BuildReport>, Error> {
        let layer_request = make::layer_request(job, prepared);
        let layer = |changes: &Changes| self.layers.published(changes, layer_request);
        let assembled = self.assemble(job, prepared, applied, layer)?;
        let Some(assembled) = assembled.filter(|made| made.image.digest() == image.digest()) else {
            return Ok(None);
        };
        self.remember(job, prepared, &assembled)?;
        let mut reason = "published already with the same content, base and recipe".to_owned();
        if job.is_base() {
            reason = job.pins.explain(&reason, prepared.parts.key());
        }
        Ok(Some(report(assembled.image, Action::Cached, reason, assembled.pins)))
    }
}
