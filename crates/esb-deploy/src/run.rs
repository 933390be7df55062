//! Runs the steps of a deploy in order. A failure at any step leaves the published configuration as
//! it was.

use esb_oci::ContentStore;

use crate::{
    STORE_LIMIT,
    apply::{config, pull, workers},
    deployment::Deployment,
    error::Error,
    history,
    made_image::MadeImage,
    outcome::Outcome,
    plan::Plan,
    record,
    release::{bases, fleet, functions, inputs},
};

impl Deployment {
    /// Carries out a plan: builds and pushes images, and publishes the configuration when the
    /// options ask for it.
    ///
    /// # Errors
    /// The published configuration is as it was then, unless workers could not be replaced.
    pub async fn run(&self, plan: Plan) -> Result<Outcome, Error> {
        let Plan { loaded, recipes, target, places, mut externals, .. } = plan;
        let publish = self.options.publish;
        if publish {
            externals.preflight(self, target.registry.as_ref()).await?;
        }
        let lock = inputs::alone(self).await?;
        inputs::tidy(self, &recipes)?;
        let mut sources = bases::resolve(self, &recipes).await?;
        if publish {
            self.record_application();
        }
        self.learned.lock.write()?;
        fleet::prepare(self, &target, &recipes, &mut sources).await?;
        inputs::prepare(self, &target, &recipes, &sources).await?;
        let mut made = bases::build(self, &target, &recipes, sources).await?;
        fleet::place(self, &target, &recipes, &made.bases).await?;
        functions::build(self, &target, &recipes, &mut made).await?;
        history::note(self, &target, &made)?;
        self.learned.lock.write()?;
        functions::hand_over(self, &target, &mut made).await?;
        if publish {
            externals.copy(self).await?;
        }
        let externals = externals.images;
        functions::verify(self, &target, &made).await?;
        let pulled = pull::ahead(self, &target, &made, &externals, &places).await?;
        let written =
            config::publish(self, &loaded.app, &target, &made, &externals, &places).await?;
        record::write(self, &target, &made)?;
        if let Some(registry) = &target.registry {
            self.learned.tags.remember(self.pushed_names(registry), registry, &made.images)?;
        }
        let replaced = workers::replace(self, &places, &written).await?;
        functions::list_in_store(self, &made)?;
        let images = made.images;
        Ok(Outcome {
            loaded,
            recipes,
            target,
            images,
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
