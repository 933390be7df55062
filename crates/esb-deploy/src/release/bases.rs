//! Resolves external base images, and builds and publishes the platform's own, on which functions
//! are built.

use std::{collections::BTreeMap, time::Instant};

use esb_image::{Base, BuildReport, BuildRequest, Builder, Built, Pins, PublishedImages};
use esb_model::{BaseRef, ImageKind, ImageRecipe, Platform};
use esb_oci::Image;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::{
    deployment::Deployment,
    error::Error,
    image_names::{Target, labels_of},
    lockfile::Pinned,
    made_image::MadeImage,
    registry::published::Registry,
    release::{fleet, functions, inputs, pins},
};

/// The images behind the names after `FROM`, for each platform.
pub(crate) type Bases = BTreeMap<Platform, BTreeMap<String, Base>>;

/// The images that a run has made so far.
#[derive(Default)]
pub(crate) struct BuiltImages {
    pub(crate) bases: Bases,
    pub(crate) images: Vec<MadeImage>,
}

/// Resolves every base of the outside world that the recipes need, as `esb.lock` pins it.
pub(crate) async fn resolve(run: &Deployment, recipes: &[ImageRecipe]) -> Result<Bases, Error> {
    let wanted = wanted(recipes)?;
    for (name, platform) in &wanted {
        run.learned.lock.need(Pinned::Base, name, *platform);
    }
    run.learned.lock.check()?;
    let resolved: Vec<_> = stream::iter(wanted)
        .map(|(name, platform)| async move {
            let resolved = run
                .resolve(Pinned::Base, &name, platform)
                .await
                .map_err(|error| error.during(format!("could not find the base image `{name}`")))?;
            resolved.check_layers().map_err(|error| {
                Error::from(&error).during(format!("could not use the base image `{name}`"))
            })?;
            let pullable = resolved.image.layers.first().and_then(|layer| {
                let at = layer.source.location()?;
                Some(format!("{}/{}@{}", at.registry, at.repository, resolved.digest))
            });
            Ok::<_, Error>((platform, name.clone(), Base { image: resolved.image, pullable, name }))
        })
        .buffer_unordered(run.jobs())
        .try_collect()
        .await?;
    let mut bases = Bases::new();
    for (platform, name, base) in resolved {
        bases.entry(platform).or_default().insert(name, base);
    }
    Ok(bases)
}

/// The bases of the outside world, each with its platform.
pub(crate) fn wanted(recipes: &[ImageRecipe]) -> Result<Vec<(String, Platform)>, Error> {
    let mut wanted: Vec<(String, Platform)> = Vec::new();
    for recipe in recipes {
        wanted.extend(of_recipe(recipe)?.into_iter().map(|name| (name, recipe.platform)));
    }
    wanted.sort();
    wanted.dedup();
    Ok(wanted)
}

/// The bases of the outside world that one recipe starts from.
pub(crate) fn of_recipe(recipe: &ImageRecipe) -> Result<Vec<String>, Error> {
    Ok(match &recipe.base {
        BaseRef::External { reference } => vec![reference.clone()],
        BaseRef::Own { .. } => Vec::new(),
        BaseRef::InDockerfile => esb_image::docker::bases(recipe)?,
    })
}

/// Builds our own bases and publishes them where functions find them.
pub(crate) async fn build(
    run: &Deployment,
    target: &Target,
    recipes: &[ImageRecipe],
    sources: Bases,
) -> Result<BuiltImages, Error> {
    let sources = &sources;
    // A base exists once for each platform, under one name.
    let mut named: BTreeMap<(&str, &str), Vec<&ImageRecipe>> = BTreeMap::new();
    for recipe in inputs::of_kind(recipes, true) {
        named.entry((&recipe.repository, &recipe.tag)).or_default().push(recipe);
    }
    let built: Vec<Vec<MadeImage>> = stream::iter(named.into_values())
        .map(|recipes| async move {
            let mut made = Vec::with_capacity(recipes.len());
            for recipe in recipes {
                made.push(
                    build_one(run, target, recipe, run.builder(target, recipe).await?, sources)
                        .await?,
                );
            }
            let made = functions::push_base(run, target, made).await?;
            for made in &made {
                made.report_done(&*run.reporter);
            }
            Ok::<_, Error>(made)
        })
        .buffer_unordered(run.jobs())
        .try_collect()
        .await?;
    let mut made = BuiltImages { bases: sources.clone(), images: built.concat() };
    made.images.sort_by(|a, b| (&a.repository, &a.tag).cmp(&(&b.repository, &b.tag)));
    for (recipe, image) in inputs::of_kind(recipes, true).filter_map(|recipe| {
        let image = made.images.iter().find(|image| image.is_of(recipe))?;
        Some((recipe, image))
    }) {
        let registry = target.registry.as_ref();
        let pullable = registry.map(|registry| {
            let image_ref = registry.image(&recipe.repository, &recipe.tag);
            format!("{}/{}@{}", image_ref.push_host, image_ref.repository, image.image.digest())
        });
        // The registry's name is left out of the image: two registries get the same digest.
        let name = format!("{}:{}", recipe.repository, recipe.tag);
        let base = Base { image: image.image.clone(), pullable, name };
        let reference = own_reference(run, recipe);
        made.bases.entry(recipe.platform).or_default().insert(reference, base);
    }
    Ok(made)
}

/// Our base's name as functions' Dockerfiles write it.
pub(crate) fn own_reference(run: &Deployment, recipe: &ImageRecipe) -> String {
    let name = format!("{}:{}", recipe.repository, recipe.tag);
    match &run.options.registry.configured {
        Some(registry) => format!("{}/{name}", registry.runtime_prefix()),
        None => name,
    }
}

/// The values that a build request borrows.
pub(crate) struct BuildInputs<'a> {
    run: &'a Deployment,
    recipe: &'a ImageRecipe,
    labels: BTreeMap<String, String>,
    fingerprint: String,
    label_prefix: String,
    registry: Option<Registry<'a>>,
    target: &'a Target,
    none: BTreeMap<String, Base>,
    pins: Pins,
}

impl<'a> BuildInputs<'a> {
    pub(crate) fn new(run: &'a Deployment, target: &'a Target, recipe: &'a ImageRecipe) -> Self {
        Self {
            run,
            recipe,
            labels: labels(run, recipe),
            fingerprint: run.project.brand.label("image_fingerprint"),
            label_prefix: run.project.brand.label(""),
            registry: target.registry.as_ref().map(|target| Registry { run, target }),
            target,
            none: BTreeMap::new(),
            pins: pins::of(run, recipe),
        }
    }

    /// Whether layers of the recipe's bases will be read for an output: by engine and layout always,
    /// by a registry unless they lie in it.
    fn keeps(&self, bases: &Bases) -> bool {
        let Target { engine, layout, registry, .. } = self.target;
        let elsewhere = |base: &Base| {
            let at = base.image.layers.first().and_then(|layer| layer.source.location());
            at.zip(registry.as_ref()).is_some_and(|(at, own)| at.registry != own.push_host())
        };
        let mut bases = bases.get(&self.recipe.platform).into_iter().flat_map(BTreeMap::values);
        *engine || layout.is_some() || bases.any(elsewhere)
    }

    pub(crate) fn request<'b>(&'b self, bases: &'b Bases) -> BuildRequest<'b> {
        let of_function = matches!(self.recipe.kind, ImageKind::Function(_));
        let mut request = BuildRequest::new(
            self.recipe,
            &self.run.project.root,
            bases.get(&self.recipe.platform).unwrap_or(&self.none),
        );
        request.labels = &self.labels;
        request.fingerprint_label = of_function.then_some(&*self.fingerprint);
        request.label_prefix = &self.label_prefix;
        request.epoch = self.run.options.epoch;
        request.no_cache = self.run.options.no_cache;
        request.keep_bases = self.keeps(bases);
        request.published = self.registry.as_ref().map(|registry| registry as &dyn PublishedImages);
        request.pins = &self.pins;
        request.trusts_published = self.run.options.trust_registry;
        request
    }
}

/// Builds one image with the engine that suits its recipe, [`Deployment::builder`].
pub(crate) async fn build_one(
    run: &Deployment,
    target: &Target,
    recipe: &ImageRecipe,
    builder: &dyn Builder,
    bases: &Bases,
) -> Result<MadeImage, Error> {
    let start = Instant::now();
    let inputs = BuildInputs::new(run, target, recipe);
    let mut builder = builder;
    let mut built = builder.build(inputs.request(bases), &*run.reporter).await;
    if let Err(esb_image::Error::Unsupported { source, .. }) = &built
        && let Some(other) = run.builder_beside(target, recipe, source).await?
    {
        builder = other;
        built = builder.build(inputs.request(bases), &*run.reporter).await;
    }
    let report = built?;
    let BuildReport { built, action, reason, daemon, pins, .. } = report;
    pins::note(run, recipe, builder, &pins);
    let image: Image = match built {
        Built::Local(image) => *image,
        Built::InEngine { id } => {
            use esb_image::Engine as _;
            run.engine().await?.export(&id).await?
        }
        Built::Pushed { reference, digest } => {
            fleet::pushed(run, recipe, &reference, digest).await?
        }
    };
    let made = MadeImage::new(recipe, image, action, reason, builder.name(), start.elapsed());
    Ok(made.on(daemon))
}

/// The labels of an image of ours.
pub(crate) fn labels(run: &Deployment, recipe: &ImageRecipe) -> BTreeMap<String, String> {
    labels_of(run, matches!(recipe.kind, ImageKind::Function(_)))
}
