//! `--dry-run`: finds out what a deploy would do, without doing it.
//!
//! Reads registries, the store and the disk; writes nothing but what caches remember.

use std::collections::BTreeMap;

use esb_config::{Change, ChangeKind, Merged};
use esb_image::{Base, BuildPrediction};
use esb_model::{BaseRef, ImageKind, ImageRecipe};
use esb_oci::Image;

use crate::{
    apply::config,
    deployment::Deployment,
    error::Error,
    external::ExternalState,
    image_names::{Target, function_of, push_reference},
    options::BuilderChoice,
    plan::Plan,
    release::{
        bases::{self, Bases, BuildInputs},
        configuration, fleet, inputs,
    },
};

/// The result of a dry run.
#[derive(Debug)]
pub struct Preview {
    /// What would happen to each image.
    pub images: Vec<PlannedImage>,
    /// What would be published; none when the run does not publish.
    pub merged: Option<Merged>,
}

/// What a run would do with one image.
#[derive(Debug, Clone)]
pub struct PlannedImage {
    /// As functions.yml or Dockerfiles would name it; without a content tag while that is unknown.
    pub reference: String,
    pub name: String,
    pub function: Option<String>,
    pub platform: String,
    /// What it is built on, or copied from.
    pub from: String,
    pub action: PlannedAction,
    pub reason: String,
    /// The bytes that would be sent, when that is known.
    pub size: Option<u64>,
    /// The daemon of a fleet that would build it.
    pub daemon: Option<String>,
}

/// The actions of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlannedAction {
    Build,
    /// Nothing to do: built already, and where it has to be.
    Reuse,
    /// Built already, and not yet in the registry.
    Push,
    Sync,
}

impl PlannedAction {
    pub fn word(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Reuse => "reuse",
            Self::Push => "push",
            Self::Sync => "sync",
        }
    }
}

impl Preview {
    /// Whether the run would change anything.
    pub fn has_changes(&self) -> bool {
        self.images.iter().any(|image| image.action != PlannedAction::Reuse)
            || self.changes_configuration()
    }

    /// Whether the run would remove published entries, or take over those of others.
    pub fn takes_away(&self) -> bool {
        self.merged.as_ref().is_some_and(|merged| {
            let is_removed = |change: &Change| change.kind == ChangeKind::Removed;
            !merged.adopted.is_empty()
                || !merged.replaced.is_empty()
                || merged.changes.iter().any(is_removed)
        })
    }

    /// Whether the run would change entries or their owners.
    pub fn changes_configuration(&self) -> bool {
        let merged = self.merged.as_ref();
        merged.is_some_and(|merged| !merged.changes.is_empty() || !merged.adopted.is_empty())
    }
}

/// The images that would be reused, by name.
type Known = BTreeMap<String, Image>;

impl Deployment {
    /// Finds out what [`Deployment::run`] would do.
    ///
    /// # Errors
    /// When it would end with an error before any work.
    pub async fn preview(&self, plan: &mut Plan) -> Result<Preview, Error> {
        self.preflight(&mut plan.site).await?;
        make(self, plan).await
    }
}

async fn make(run: &Deployment, plan: &Plan) -> Result<Preview, Error> {
    let Plan { target, recipes, site, .. } = plan;
    let (app, externals, places) = (&plan.loaded.app, &site.externals.images, &site.places);
    let mut images = Vec::new();
    let mut known = Known::new();
    let (mut found, missing) = match bases::resolve(run, recipes).await {
        Ok(found) => (found, None),
        Err(failure) => (Bases::new(), Some(failure.message)),
    };
    for recipe in inputs::of_kind(recipes, true).chain(inputs::of_kind(recipes, false)) {
        let (planned, image) = one(run, target, recipe, &found, missing.as_deref()).await?;
        if let Some(image) = image {
            if let ImageKind::Function(id) = &recipe.kind {
                known.insert(id.logical_id.clone(), image);
            } else {
                let name = format!("{}:{}", recipe.repository, recipe.tag);
                let base = Base { image, pullable: None, name };
                let reference = bases::own_reference(run, recipe);
                found.entry(recipe.platform).or_default().insert(reference, base);
            }
        }
        images.push(planned);
    }
    let daemons = fleet::place(run, target, recipes, &found).await?;
    for image in images.iter_mut().filter(|image| image.function.is_some()) {
        let repository = image.name.rsplit_once(':').map_or(&*image.name, |(name, _)| name);
        image.daemon = daemons.get(repository).cloned();
    }
    for external in externals {
        let Some(to) = &external.target else { continue };
        let (action, reason, size) = match &external.state {
            ExternalState::Present => {
                (PlannedAction::Reuse, "the registry has it".to_owned(), None)
            }
            ExternalState::Planned { bytes, from } => {
                (PlannedAction::Sync, format!("found in {from}"), Some(*bytes))
            }
            _ => (PlannedAction::Sync, "external image".to_owned(), None),
        };
        images.push(PlannedImage {
            reference: to.runtime(),
            name: format!("{}:{}", to.repository, to.tag),
            function: Some(external.function.logical_id.clone()),
            platform: external.platform.to_string(),
            from: external.source.clone(),
            action,
            reason,
            size,
            daemon: None,
        });
    }
    let merged = if run.options.publish {
        let mut published = BTreeMap::new();
        for recipe in inputs::of_kind(recipes, false) {
            let Some(id) = function_of(&recipe.kind) else { continue };
            let image = known.get(&id.logical_id);
            published.insert(id.clone(), configuration::of_image(target, recipe, image));
        }
        let rendered = configuration::with_images(run, app, published, externals);
        let current = config::current(places).await?;
        let merged = esb_config::merge(&current, &rendered, &run.run_owners());
        Some(merged.map_err(|error| config::merge_failure(error, run.project.brand.slug()))?)
    } else {
        None
    };
    Ok(Preview { images, merged })
}

/// Predicts what would happen to the image of a recipe, and returns the image when it is known.
async fn one(
    run: &Deployment,
    target: &Target,
    recipe: &ImageRecipe,
    found: &Bases,
    missing: Option<&str>,
) -> Result<(PlannedImage, Option<Image>), Error> {
    let foresight = predict(run, target, recipe, found, missing).await?;
    let mut planned = PlannedImage {
        reference: target.plain(&recipe.repository, &recipe.tag),
        name: format!("{}:{}", recipe.repository, recipe.tag),
        function: function_of(&recipe.kind).map(|id| id.logical_id.clone()),
        platform: recipe.platform.to_string(),
        from: recipe.base.reference().unwrap_or("its Dockerfile").to_owned(),
        action: PlannedAction::Build,
        reason: String::new(),
        size: None,
        daemon: None,
    };
    let image = match foresight {
        BuildPrediction::Build { reason } => {
            planned.reason = reason;
            return Ok((planned, None));
        }
        BuildPrediction::Reuse(image) => *image,
    };
    let digest = image.digest();
    let bases = found.get(&recipe.platform);
    let base = recipe.base.reference().and_then(|name| bases?.get(name));
    let below = base.map_or(0, |base| base.image.layers.len());
    let tag = match &recipe.kind {
        ImageKind::Function(_) => {
            planned.reference = target.written(&recipe.repository, &recipe.tag, digest);
            Target::content_tag(&recipe.tag, digest)
        }
        ImageKind::Base(_) => recipe.tag.clone(),
    };
    (planned.action, planned.reason) = match &target.registry {
        Some(registry) => {
            let mut reference = push_reference(&registry.image(&recipe.repository, &tag))?;
            if function_of(&recipe.kind).is_none() && !run.options.moving_tag {
                reference = reference.pinned(digest);
            }
            let client = &run.connections.client;
            if client.verify(&reference, digest).await.is_ok() {
                planned.size = Some(0);
                (PlannedAction::Reuse, "the registry has it".to_owned())
            } else {
                // A function mounts the layers of its base, which is pushed before it.
                let is_base = matches!(recipe.kind, ImageKind::Base(_));
                let layers = image.layers.iter().skip(if is_base { 0 } else { below });
                let blobs = layers.chain([&image.config]);
                planned.size = client.missing_bytes(blobs, &reference).await.ok();
                (PlannedAction::Push, "the registry does not have it".to_owned())
            }
        }
        None => (PlannedAction::Reuse, "same content, base and recipe".to_owned()),
    };
    Ok((planned, Some(image)))
}

/// Whether nothing was made for an image in this environment yet.
fn is_new(run: &Deployment, recipe: &ImageRecipe) -> Result<bool, Error> {
    Ok(run.project.folder().kind(recipe.folder.join("Dockerfile"))?.is_none())
}

fn first_build(run: &Deployment) -> String {
    format!("first build for environment `{}`", run.project.environment)
}

async fn predict(
    run: &Deployment,
    target: &Target,
    recipe: &ImageRecipe,
    found: &Bases,
    missing: Option<&str>,
) -> Result<BuildPrediction, Error> {
    let build = |reason: String| Ok(BuildPrediction::Build { reason });
    let empty = BTreeMap::new();
    let bases = found.get(&recipe.platform).unwrap_or(&empty);
    let named = match &recipe.base {
        BaseRef::Own { reference, .. } => vec![reference.clone()],
        BaseRef::External { .. } | BaseRef::InDockerfile => bases::of_recipe(recipe)?,
    };
    if named.iter().any(|name| !bases.contains_key(name)) {
        return match (&recipe.base, missing) {
            (BaseRef::External { .. } | BaseRef::InDockerfile, Some(reason)) => {
                build(reason.to_owned())
            }
            _ if is_new(run, recipe)? => build(first_build(run)),
            _ => build("its base image is built again".to_owned()),
        };
    }
    if run.options.no_cache {
        return build("the cache is off".to_owned());
    }
    if let Some(stale) = run.builders.stager.stale(recipe, &run.project.root).await? {
        let folder = run.project.folder();
        return build(if folder.kind(&stale)?.is_none() {
            first_build(run)
        } else {
            format!("`{}` changed", stale.display())
        });
    }
    for dependencies in recipe.all_dependencies() {
        let packages = inputs::packages(run, recipe, dependencies).await?;
        run.learned.lock.check()?;
        let pins = inputs::pins(packages.as_ref());
        let request = inputs::install_request(run, (recipe, dependencies), &pins);
        if run.builders.installer.is_stale(request).await? {
            let file = dependencies.requirements.display();
            return build(format!("the packages of `{file}` are to be installed"));
        }
    }
    let inputs = BuildInputs::new(run, target, recipe);
    let request = inputs.request(found);
    let (choice, needs) = run.engine_for(recipe);
    let builder = match run.builder(target, recipe).await {
        Ok(builder) => builder,
        // A plan needs no engine; the run will.
        Err(_) if choice == BuilderChoice::Docker && !needs.is_empty() => {
            return build(needs_engine(&needs));
        }
        Err(error) => return Err(error),
    };
    match builder.predict(request).await {
        Ok(Some(foresight)) => Ok(foresight),
        Ok(None) => build(format!("the {} engine decides what it reuses", builder.name())),
        Err(esb_image::Error::Unsupported { source, .. })
            if run.options.builder == BuilderChoice::Auto =>
        {
            build(needs_engine(&source.to_string()))
        }
        Err(error) => Err(error.into()),
    }
}

fn needs_engine(reason: &str) -> String {
    format!("needs a container engine: {reason}")
}
