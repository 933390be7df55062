//! Plans a run: where images go, which external images it needs, and where the configuration is
//! published.

use esb_config::Rendered;
use esb_image::docker::EngineAddress;
use esb_model::{Finding, ImageRecipe, PublishTarget, Severity};

use crate::{
    apply::{Site, config, delivery::ConfigPlace, own_folders, sync::Externals},
    deployment::Deployment,
    error::Error,
    history,
    image_names::Target,
    last_target::LastTarget,
    load::{self, Loaded, TemplateInputs},
    options::Destination,
    predict::{self, Prediction},
    registry::tag_prefetch::PushedNames,
    release::{external_images, runnable, target},
};

/// The templates of a run and the recipes made from them.
#[derive(Debug)]
#[non_exhaustive]
pub struct Templates {
    /// What was read, with what was found.
    pub loaded: Loaded,
    /// How each image is built.
    pub recipes: Vec<ImageRecipe>,
    /// The configuration as if all images were there.
    pub(crate) preview: Rendered,
}

/// The plan of a run. Making it builds, pushes and writes nothing.
#[derive(Debug)]
#[non_exhaustive]
pub struct Plan {
    /// What was read, with what was found.
    pub loaded: Loaded,
    /// How each image is built.
    pub recipes: Vec<ImageRecipe>,
    /// Where images go.
    pub target: Target,
    /// What was found after the templates were read; also among those of `loaded`.
    pub findings: Vec<Finding>,
    pub(crate) site: Site,
}

impl Plan {
    /// Where a Gateway reads the configuration, as messages name it; none where nothing is
    /// delivered to one.
    pub fn delivery(&self, run: &Deployment) -> Option<String> {
        self.site.places.found.place.as_ref().map(|place| place.name(run))
    }

    /// Whether images or configuration go to another machine.
    pub fn leaves_machine(&self, run: &Deployment) -> bool {
        let is_elsewhere =
            |registry: &PublishTarget| !esb_registry::is_loopback(registry.push_host());
        let is_here = |address: &EngineAddress| {
            address.is_local()
                || matches!(address, EngineAddress::Tcp { host, .. } if esb_registry::is_loopback(host))
        };
        let engine = run.connections.engine.address();
        let has_engine_elsewhere = engine.is_ok_and(|address| !is_here(&address));
        let uses_engine = self.target.engine
            || matches!(self.site.places.found.place, Some(ConfigPlace::Container(_)));
        self.target.registry.as_ref().is_some_and(is_elsewhere)
            || uses_engine && has_engine_elsewhere
    }
}

impl Deployment {
    /// Reads the templates, and makes recipes and findings of them. From here on, the tags that the
    /// last run with the same settings pushed are requested, on the caller's async runtime.
    ///
    /// # Errors
    /// When a file cannot be read. What is wrong in a template is a finding.
    pub fn load(&self, inputs: &TemplateInputs) -> Result<Templates, Error> {
        self.project.refuse_links()?;
        if self.may_push() && !self.options.dry_run {
            let names = &self.options.registry;
            let registry = names.configured.as_ref().unwrap_or(&names.default);
            self.learned.tags.start(self.pushed_names(registry), self.jobs());
        }
        let inputs = TemplateInputs { strict: true, ..inputs.clone() };
        let mut loaded = load::load(&self.project, &inputs)?;
        let store = Some(&self.connections.store);
        let (naming, owners) = (self.naming(), self.owners());
        let Prediction { recipes, preview } =
            predict::predict(&self.project, &naming, &owners, store, &mut loaded)?;
        loaded.report_parameters(Severity::Error);
        Ok(Templates { loaded, recipes, preview })
    }

    /// Decides where images and configuration go, and checks that they can be written there.
    ///
    /// # Errors
    /// When the templates have errors, or what is asked for cannot be done.
    pub async fn plan(&self, templates: Templates) -> Result<Plan, Error> {
        let Templates { mut loaded, recipes, preview } = templates;
        loaded.check()?;
        history::check(self)?;
        let target = target::choose(self, &recipes).await?;
        let externals = external_images::find(self, &loaded.app, &target)?;
        let externals = Externals::new(externals, self.options.site.all_platforms);
        let places = config::prepare(self, &target, &preview).await?;
        let output = self.options.output.as_deref();
        let written = own_folders::written(self, &target, &places, output);
        own_folders::check_code(self, &written, &recipes)?;
        if let Some(folder) = output {
            own_folders::check_output(self, &places, folder)?;
        }
        let findings = runnable::findings(self, &loaded.app, &recipes);
        loaded.findings.extend(findings.clone());
        let findings = loaded.with_levels(findings);
        let last = if self.options.publish { LastTarget::find(self, &places).await? } else { None };
        let site = Site { registry: target.registry.clone(), places, externals, last };
        Ok(Plan { loaded, recipes, target, findings, site })
    }

    /// Whether images may go to a registry, as far as that is known before anything is looked at.
    fn may_push(&self) -> bool {
        let named = &self.options.destinations;
        named.is_empty() || named.contains(&Destination::Registry)
    }

    /// The names under which runs of these settings push to a registry.
    pub(crate) fn pushed_names(&self, registry: &PublishTarget) -> PushedNames {
        let templates: Vec<_> = self.project.templates.iter().map(|file| &file.path).collect();
        PushedNames::new(&self.project.generated(), (registry, &self.options.tag), &templates)
    }
}
