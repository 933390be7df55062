//! Finds images of earlier runs in the target registry, whichever machine pushed them.
//!
//! Makes the requests to the registry before a build. A registry that does not answer is no reason
//! to stop: the image is built, and the push says what is wrong.

use esb_image::{ExpectedImage, PublishedImages};
use esb_model::{ImageKind, ImageRecipe, PublishTarget};
use esb_oci::{BoxFuture, Digest, Image, Reference};

use crate::{
    deployment::Deployment,
    image_names::{Target, push_reference},
};

/// The registry that a run publishes to.
pub(crate) struct Registry<'a> {
    pub(crate) run: &'a Deployment,
    pub(crate) target: &'a PublishTarget,
}

impl PublishedImages for Registry<'_> {
    fn find<'a>(
        &'a self,
        recipe: &'a ImageRecipe,
        wanted: ExpectedImage,
    ) -> BoxFuture<'a, Option<Image>> {
        Box::pin(self.ask(recipe, wanted))
    }
}

impl Registry<'_> {
    async fn ask(&self, recipe: &ImageRecipe, wanted: ExpectedImage) -> Option<Image> {
        let Self { run, target } = self;
        let base = matches!(recipe.kind, ImageKind::Base(_));
        let plain = push_reference(&target.image(&recipe.repository, &recipe.tag)).ok()?;
        let at = esb_registry::repository(&plain);
        let content = |digest| {
            let tag = Target::content_tag(&recipe.tag, digest);
            push_reference(&target.image(&recipe.repository, &tag)).ok()
        };
        let found = run.learned.tags.wait(&at, &recipe.tag).await;
        if let Some(manifest) = wanted.known {
            let digest = Digest::of(&manifest);
            let name = match base {
                // It has no tag of its own where it is one of several platforms.
                true if !run.options.moving_tag => plain.pinned(digest),
                true => plain.clone(),
                false => content(digest)?,
            };
            if run.connections.client.leads_to(&name, digest, &run.learned.session).await.ok()? {
                let mut image = run.connections.client.image_at(&plain, manifest)?;
                if base {
                    let kept = run.connections.store.document(image.config.descriptor.digest);
                    image.config_bytes = kept.map(Into::into);
                    image.read_config().await.ok()?;
                }
                return Some(image);
            }
        }
        let find = async |name: &Reference| {
            let found = run
                .connections
                .client
                .published(name, recipe.platform, base, &run.learned.session)
                .await;
            found.ok().flatten()
        };
        let is_pinned = |image: &Image| wanted.pinned == Some(image.digest());
        if !base && let Some(pinned) = wanted.pinned {
            // Where a push of it leads: the push need not ask again.
            if let Some(image) = find(&content(pinned)?).await.filter(is_pinned) {
                return Some(image);
            }
        }
        if !base
            && let Some((_, manifest)) = found.and_then(|found| run.learned.tags.manifest(found))
        {
            // It says what its layers are made of; nobody has to be asked for it.
            return run.connections.client.image_at(&plain, manifest.into());
        }
        let found = find(&plain).await;
        match wanted.pinned {
            // Others moved the tag meanwhile.
            Some(pinned) if base && !found.as_ref().is_some_and(is_pinned) => {
                find(&plain.pinned(pinned)).await.or(found)
            }
            _ => found,
        }
    }
}
