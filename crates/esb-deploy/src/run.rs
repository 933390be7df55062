//! Runs the steps of a deploy in order. A failure at any step leaves the published configuration as
//! it was.

use esb_oci::ContentStore;

use crate::{
    STORE_LIMIT,
    apply::Applied,
    damage::{self, FoundDamage},
    deployment::Deployment,
    error::Error,
    last_target::LastTarget,
    made_image::MadeImage,
    outcome::Outcome,
    plan::Plan,
    release::{Released, inputs},
};

impl Deployment {
    /// Carries out a plan: builds and pushes images, and publishes the configuration when the
    /// options ask for it.
    ///
    /// # Errors
    /// The published configuration is as it was then, unless workers could not be replaced.
    pub async fn run(&self, plan: Plan) -> Result<Outcome, Error> {
        // The future of a whole run is large for a caller's stack.
        Box::pin(self.release_and_apply(plan)).await
    }

    async fn release_and_apply(&self, plan: Plan) -> Result<Outcome, Error> {
        let Plan { mut loaded, recipes, target, mut site, .. } = plan;
        self.preflight(&mut site).await?;
        let lock = inputs::alone(self).await?;
        let externals = &site.externals.images;
        let mut damaged = FoundDamage::default();
        let released = loop {
            let released = self.release(&mut loaded, &recipes, &target, externals).await;
            if released.is_ok() || !damaged.is_removed(self) {
                break released?;
            }
        };
        let Released { mut revision, images, code_findings } = released;
        let applied = self.apply(&mut revision, site).await?;
        damage::tell(&self.connections.store, &*self.reporter);
        let Applied { externals, places, written, pulled, replaced } = applied;
        if self.options.publish {
            LastTarget::record(self, &target, &places)?;
        }
        Ok(Outcome {
            loaded,
            code_findings,
            recipes,
            target,
            images,
            revision,
            externals,
            places,
            written,
            pulled,
            replaced,
            _lock: lock,
        })
    }

    /// Ends a run and releases the store. Once a day, a run that built something collects the
    /// store's garbage.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn close(self, outcome: Outcome) -> Result<(), Error> {
        let built = outcome.images.iter().any(MadeImage::was_built);
        let root = self.connections.store.root().to_owned();
        // Our shared lock is released; collection may run.
        drop((self, outcome));
        if built {
            ContentStore::open(root)?.collect_daily(STORE_LIMIT)?;
        }
        Ok(())
    }
}
