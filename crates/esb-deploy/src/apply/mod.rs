//! The second half of a run: applies a [`Revision`] to a site. Syncs external images, verifies
//! references, publishes and delivers the configuration, replaces workers.
//!
//! Nothing here looks at a template.

pub(crate) mod compose;
pub(crate) mod config;
pub(crate) mod delivered;
pub(crate) mod delivery;
pub(crate) mod derived;
pub(crate) mod own_folders;
pub(crate) mod publication;
pub(crate) mod pull;
pub(crate) mod readers;
pub(crate) mod sync;
pub(crate) mod verify;
pub(crate) mod workers;

use esb_model::PublishTarget;

use self::{
    config::{Places, Written},
    pull::Pulled,
    sync::Externals,
    workers::Replaced,
};
use crate::{
    deployment::Deployment, error::Error, external::External, last_target::LastTarget,
    revision::Revision,
};

/// The site that a revision is brought to, as it was found before any work.
#[derive(Debug)]
pub(crate) struct Site {
    /// The registry that it pulls from.
    pub(crate) registry: Option<PublishTarget>,
    pub(crate) places: Places,
    pub(crate) externals: Externals,
    /// The target of the environment's last deploy.
    pub(crate) last: Option<LastTarget>,
}

/// What was done to a site.
pub(crate) struct Applied {
    pub(crate) externals: Vec<External>,
    pub(crate) places: Places,
    pub(crate) written: Written,
    pub(crate) pulled: Pulled,
    pub(crate) replaced: Replaced,
}

impl Deployment {
    /// Finds out what has to be done for external images, before any work.
    pub(crate) async fn preflight(&self, site: &mut Site) -> Result<(), Error> {
        if self.options.publish {
            site.externals.preflight(self, site.registry.as_ref()).await?;
        }
        Ok(())
    }

    /// Brings a site to a revision; without publishing, only what is generated for it is written.
    pub(crate) async fn apply(
        &self,
        revision: &mut Revision,
        site: Site,
    ) -> Result<Applied, Error> {
        let Site { registry, places, mut externals, .. } = site;
        if self.options.publish {
            externals.copy(self).await?;
            revision.note_digests(externals.images.iter().map(|external| external.digest));
        }
        let externals = externals.images;
        let registry = registry.as_ref();
        verify::verify(self, registry, revision).await?;
        let pulled = pull::ahead(self, registry, revision, &places).await?;
        let written = config::publish(self, revision, &places).await?;
        let replaced = workers::replace(self, &places, &written).await?;
        Ok(Applied { externals, places, written, pulled, replaced })
    }
}
