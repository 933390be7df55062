//! The first half of a run: from templates to images in a registry, and a [`Revision`] with
//! everything that a site needs.

pub(crate) mod bases;
pub(crate) mod configuration;
pub(crate) mod external_images;
pub(crate) mod fleet;
pub(crate) mod functions;
pub(crate) mod inputs;
mod pins;
pub(crate) mod runnable;
pub(crate) mod target;

use esb_model::{Finding, ImageRecipe};

use crate::{
    code, deployment::Deployment, error::Error, external::External, history, image_names::Target,
    load::Loaded, made_image::MadeImage, record, revision::Revision,
};

/// What a release made.
pub(crate) struct Released {
    pub(crate) revision: Revision,
    pub(crate) images: Vec<MadeImage>,
    /// What was found in code once packages were installed.
    pub(crate) code_findings: Vec<Finding>,
}

impl Deployment {
    /// Builds all images and brings them to where they go.
    pub(crate) async fn release(
        &self,
        loaded: &mut Loaded,
        recipes: &[ImageRecipe],
        target: &Target,
        externals: &[External],
    ) -> Result<Released, Error> {
        inputs::tidy(self, recipes)?;
        let mut sources = bases::resolve(self, recipes).await?;
        if self.options.publish {
            self.record_application();
        }
        self.learned.lock.write()?;
        fleet::prepare(self, target, recipes, &mut sources).await?;
        inputs::prepare(self, target, recipes, &sources).await?;
        let before = history::in_engine(self, target, recipes).await?;
        let mut made = bases::build(self, target, recipes, sources).await?;
        let code_findings = code::after_installation(self, recipes, &made.bases, loaded)?;
        fleet::place(self, target, recipes, &made.bases).await?;
        functions::build(self, target, recipes, &mut made).await?;
        history::note(self, target, &made.images, &before)?;
        self.learned.lock.write()?;
        functions::hand_over(self, target, &mut made).await?;
        let app = &loaded.app;
        let rendered = configuration::of_run(self, app, target, &made, externals);
        let named = externals.iter().map(|external| {
            let function = app.functions.iter().find(|function| function.id == external.function);
            let name = function.map(|function| function.effective_name().into_owned());
            (name.unwrap_or_default(), external.clone())
        });
        let made_for = (&*made.images, target);
        let owners = self.run_owners();
        let revision = Revision::new(&self.project.environment, rendered, owners, made_for, named);
        record::write(self, target, &made.images)?;
        if let Some(registry) = &target.registry {
            let (key, moving_tag) = (self.pushed_names(registry), self.options.moving_tag);
            self.learned.tags.remember(key, registry, &made.images, moving_tag)?;
        }
        functions::list_in_store(self, &made)?;
        Ok(Released { revision, images: made.images, code_findings })
    }
}
