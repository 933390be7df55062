//! What a deploy would do, found out without doing it: `--dry-run`.
//!
//! Reads registries, the store and the disk; writes nothing but what caches remember.

use std::collections::BTreeMap;

use esb_config::Merged;
use esb_image::{Base, Foresight};
use esb_model::{BaseRef, ImageKind, ImageRecipe};
use esb_oci::Image;

use super::{
    Order, Places,
    bases::{self, Asked, Bases},
    config, fleet, prepare,
    run::Run,
    sync::{External, State},
    target::Target,
};
use crate::{exit::Failure, load::Loaded};

/// What would happen.
pub(crate) struct Plan {
    pub(crate) images: Vec<PlannedImage>,
    /// What would be published; none when the run does not publish.
    pub(crate) merged: Option<Merged>,
}

/// What would happen to one image.
#[derive(Debug, Clone)]
pub(crate) struct PlannedImage {
    /// As functions.yml or Dockerfiles would name it; without a content tag while that is unknown.
    pub(crate) reference: String,
    pub(crate) name: String,
    pub(crate) function: Option<String>,
    pub(crate) platform: String,
    /// What it is built on, or copied from.
    pub(crate) from: String,
    pub(crate) action: PlannedAction,
    pub(crate) reason: String,
    /// Bytes of the layers above the base, when the image is known.
    pub(crate) size: Option<u64>,
    /// The daemon of a fleet that would build it.
    pub(crate) daemon: Option<String>,
}

/// The actions of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PlannedAction {
    Build,
    /// Nothing to do: built already, and where it has to be.
    Reuse,
    /// Built already, and not yet in the registry.
    Push,
    Sync,
}

impl PlannedAction {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Reuse => "reuse",
            Self::Push => "push",
            Self::Sync => "sync",
        }
    }
}

impl Plan {
    /// Whether the run would change anything.
    pub(crate) fn has_changes(&self) -> bool {
        self.images.iter().any(|image| image.action != PlannedAction::Reuse)
            || self.changes_configuration()
    }

    /// Whether the run would change entries or their owners.
    pub(crate) fn changes_configuration(&self) -> bool {
        let merged = self.merged.as_ref();
        merged.is_some_and(|merged| !merged.changes.is_empty() || !merged.adopted.is_empty())
    }
}

/// What is known of an image that would be used.
type Known = BTreeMap<String, Image>;

/// What the steps before the work gave.
#[derive(Clone, Copy)]
pub(crate) struct Stage<'a> {
    pub(crate) target: &'a Target,
    pub(crate) externals: &'a [External],
    pub(crate) places: &'a Places,
}

/// Makes the plan.
pub(crate) async fn make(
    run: &Run,
    order: &Order<'_>,
    loaded: &Loaded,
    recipes: &[ImageRecipe],
    stage: &Stage<'_>,
) -> Result<Plan, Failure> {
    let Stage { target, externals, places } = *stage;
    let mut images = Vec::new();
    let mut known = Known::new();
    let (mut found, missing) = match bases::resolve(run, recipes).await {
        Ok(found) => (found, None),
        Err(failure) => (Bases::new(), Some(failure.message)),
    };
    for recipe in prepare::of_kind(recipes, true).chain(prepare::of_kind(recipes, false)) {
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
            State::Present => (PlannedAction::Reuse, "the registry has it".to_owned(), None),
            State::Planned { bytes, from } => {
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
    let merged = if order.publishes() {
        let mut published = BTreeMap::new();
        for recipe in prepare::of_kind(recipes, false) {
            let Some(id) = super::images::function_of(&recipe.kind) else { continue };
            let image = known.get(&id.logical_id);
            published.insert(id.clone(), config::of_image(target, recipe, image));
        }
        Some(config::planned(run, loaded, published, externals, places).await?)
    } else {
        None
    };
    Ok(Plan { images, merged })
}

/// What would happen to the image of a recipe, and the image when it is known.
async fn one(
    run: &Run,
    target: &Target,
    recipe: &ImageRecipe,
    found: &Bases,
    missing: Option<&str>,
) -> Result<(PlannedImage, Option<Image>), Failure> {
    let foresight = foresee(run, target, recipe, found, missing).await?;
    let mut planned = PlannedImage {
        reference: target.plain(&recipe.repository, &recipe.tag),
        name: format!("{}:{}", recipe.repository, recipe.tag),
        function: super::images::function_of(&recipe.kind).map(|id| id.logical_id.clone()),
        platform: recipe.platform.to_string(),
        from: recipe.base.reference().unwrap_or("its Dockerfile").to_owned(),
        action: PlannedAction::Build,
        reason: String::new(),
        size: None,
        daemon: None,
    };
    let image = match foresight {
        Foresight::Build { reason } => {
            planned.reason = reason;
            return Ok((planned, None));
        }
        Foresight::Reuse(image) => *image,
    };
    let digest = image.digest();
    let bases = found.get(&recipe.platform);
    let base = recipe.base.reference().and_then(|name| bases?.get(name));
    let below = base.map_or(0, |base| base.image.layers.len());
    planned.size = Some(image.layers.iter().skip(below).map(|layer| layer.descriptor.size).sum());
    let tag = match &recipe.kind {
        ImageKind::Function(_) => {
            planned.reference = target.written(&recipe.repository, &recipe.tag, digest);
            Target::content_tag(&recipe.tag, digest)
        }
        ImageKind::Base(_) => recipe.tag.clone(),
    };
    (planned.action, planned.reason) = match &target.registry {
        Some(registry) => {
            let reference =
                super::images::push_reference(&registry.image(&recipe.repository, &tag))?;
            match run.client.verify(&reference, digest).await {
                Ok(()) => (PlannedAction::Reuse, "the registry has it".to_owned()),
                Err(_) => (PlannedAction::Push, "the registry does not have it".to_owned()),
            }
        }
        None => (PlannedAction::Reuse, "same content, base and recipe".to_owned()),
    };
    Ok((planned, Some(image)))
}

async fn foresee(
    run: &Run,
    target: &Target,
    recipe: &ImageRecipe,
    found: &Bases,
    missing: Option<&str>,
) -> Result<Foresight, Failure> {
    let build = |reason: String| Ok(Foresight::Build { reason });
    let empty = BTreeMap::new();
    let bases = found.get(&recipe.platform).unwrap_or(&empty);
    if recipe.base.reference().is_some_and(|name| !bases.contains_key(name)) {
        return match (&recipe.base, missing) {
            (BaseRef::External { .. }, Some(reason)) => build(reason.to_owned()),
            _ => build("its base is built".to_owned()),
        };
    }
    if run.no_cache {
        return build("`--no-cache`".to_owned());
    }
    if let Some(stale) = run.stager.stale(recipe, &run.project.root).await? {
        return build(format!("`{}` is new", stale.display()));
    }
    let packages = prepare::packages(run, recipe).await?;
    run.lock.check()?;
    let pins = prepare::pins(packages.as_ref());
    if run.installer.is_stale(prepare::install_request(run, recipe, &pins)).await? {
        return build("dependencies changed".to_owned());
    }
    let asked = Asked::new(run, target, recipe);
    let builder = run.builder(target, recipe).await?;
    match builder.foresee(asked.request(found)).await? {
        Some(foresight) => Ok(foresight),
        None => build(format!("the {} engine decides what it reuses", builder.name())),
    }
}
