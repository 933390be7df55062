//! Builds, pushes and verifies function images, and exports them to the engine or to a layout.

use std::time::Instant;

use esb_image::{Builder, Engine as _};
use esb_model::{ImageRecipe, PublishTarget};
use esb_oci::{ArchiveImage, Image, Index};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::{
    deployment::Deployment,
    error::Error,
    image_names::{Target, function_of, push_reference},
    made_image::MadeImage,
    registry::pushed_tags,
    release::{
        bases::{BuiltImages, build_one},
        inputs,
    },
};

/// Builds and pushes all functions, several at a time. The container engine has a limit of its own,
/// and gives together what is built together: it is asked for all at once.
pub(crate) async fn build(
    run: &Deployment,
    target: &Target,
    recipes: &[ImageRecipe],
    made: &mut BuiltImages,
) -> Result<(), Error> {
    let bases = &made.bases;
    let _batch = run.builders.embedded.batch();
    let (mut here, mut in_engine) = (Vec::new(), Vec::new());
    for recipe in inputs::of_kind(recipes, false) {
        let builder = run.builder(target, recipe).await?;
        let list = if builder.name() == "docker" { &mut in_engine } else { &mut here };
        list.push((recipe, builder));
    }
    let all = async |jobs: Vec<(&ImageRecipe, &dyn Builder)>, at_once: usize| {
        stream::iter(jobs)
            .map(|(recipe, builder)| async move {
                let image = build_one(run, target, recipe, builder, bases).await?;
                let content = Target::content_tag(&image.tag, image.image.digest());
                let made = push(run, target, image, Some(&content)).await?;
                made.report_done(&*run.reporter);
                Ok::<_, Error>(made)
            })
            .buffer_unordered(at_once)
            .try_collect::<Vec<MadeImage>>()
            .await
    };
    let at_once = in_engine.len().max(1);
    let (mut images, others) =
        futures_util::try_join!(all(here, run.at_once()), all(in_engine, at_once))?;
    images.extend(others);
    images.sort_by(|a, b| a.repository.cmp(&b.repository));
    made.images.extend(images);
    Ok(())
}

/// Pushes an image under its content tag, then under its plain one where that may move, when there
/// is a registry.
pub(crate) async fn push(
    run: &Deployment,
    target: &Target,
    mut made: MadeImage,
    content: Option<&str>,
) -> Result<MadeImage, Error> {
    let Some(registry) = &target.registry else { return Ok(made) };
    let start = Instant::now();
    let plain: Vec<&str> = made.tags().collect();
    let (first, extra) = match content {
        Some(content) if run.options.moving_tag => (content, &plain[..]),
        Some(content) => (content, &[][..]),
        None => (plain[0], &plain[1..]),
    };
    let reference = push_reference(&registry.image(&made.repository, first))?;
    let session = &run.learned.session;
    let at = esb_registry::repository(&reference);
    let tags = &run.learned.tags;
    if let Some(found) = tags.wait(&at, plain[0]).await {
        tags.note_blobs(found, &at, made.image.digest());
    }
    // What this machine pushed last is where the tag still points, unless others moved it: then
    // the content tag, which functions.yml names, is right all the same.
    for tag in extra {
        let known = session
            .tag(&at, tag)
            .digest()
            .or_else(|| pushed_tags::last(&run.connections.store, &at, tag));
        if let Some(known) = known {
            session.tag_recorded(&at, tag, known);
        }
    }
    let report = run
        .connections
        .client
        .push(&made.image, &reference, extra, session, &run.events())
        .await
        .map_err(|error| Error::from(&error))?;
    for tag in &plain {
        let (store, digest) = (&run.connections.store, made.image.digest());
        pushed_tags::remember_image(store, &at, tag, digest, run.options.moving_tag)?;
    }
    made.pushed(&report, start.elapsed());
    Ok(made)
}

/// Pushes what a base is on each platform; more than one become an index under its tag.
pub(crate) async fn push_base(
    run: &Deployment,
    target: &Target,
    mut made: Vec<MadeImage>,
) -> Result<Vec<MadeImage>, Error> {
    if made.len() < 2 {
        let alone = async |made: MadeImage| {
            let content = Target::content_tag(&made.tag, made.image.digest());
            push(run, target, made, Some(&*content).filter(|_| !run.options.moving_tag)).await
        };
        return stream::iter(made).then(alone).try_collect().await;
    }
    let Some(registry) = &target.registry else { return Ok(made) };
    let start = Instant::now();
    let images: Vec<&Image> = made.iter().map(|made| &made.image).collect();
    let mut tag = made[0].tag.clone();
    if !run.options.moving_tag {
        let index = Index::of_platforms(images.iter().copied()).map_err(esb_image::Error::from)?;
        tag = Target::content_tag(&tag, index.to_document().1.digest);
    }
    let reference = push_reference(&registry.image(&made[0].repository, &tag))?;
    let pushed = run
        .connections
        .client
        .push_index(&images, &reference, &run.learned.session, &run.events())
        .await;
    let report = pushed.map_err(|error| Error::from(&error))?;
    if let Some(digest) = report.digest {
        pushed_tags::remember_image(
            &run.connections.store,
            &esb_registry::repository(&reference),
            &made[0].tag,
            digest,
            run.options.moving_tag,
        )?;
    }
    // All bytes are told of the first; a summary adds them up.
    let rest = esb_registry::PushReport { unchanged: report.unchanged, ..Default::default() };
    let reports = std::iter::once(&report).chain(std::iter::repeat(&rest));
    for (made, report) in made.iter_mut().zip(reports) {
        made.pushed(report, start.elapsed());
    }
    Ok(made)
}

/// Chooses the first tag that a run asks a new registry for: that of a base image, else that of a
/// function's image.
pub(crate) fn first_question(
    run: &Deployment,
    registry: &PublishTarget,
    recipes: &[ImageRecipe],
) -> Result<Option<(esb_registry::Repository, String)>, Error> {
    let mut bases = inputs::of_kind(recipes, true);
    let Some(recipe) = bases.next().or_else(|| inputs::of_kind(recipes, false).next()) else {
        return Ok(None);
    };
    let plain = push_reference(&registry.image(&recipe.repository, &recipe.tag))?;
    let at = esb_registry::repository(&plain);
    let mut tag = recipe.tag.clone();
    if function_of(&recipe.kind).is_some() {
        let Some(digest) = pushed_tags::last_image(&run.connections.store, &at, &tag) else {
            return Ok(None);
        };
        tag = Target::content_tag(&tag, digest);
    }
    Ok(Some((at, tag)))
}

/// Loads images into the engine and writes them into the layout, as far as the target has them.
pub(crate) async fn hand_over(
    run: &Deployment,
    target: &Target,
    made: &mut BuiltImages,
) -> Result<(), Error> {
    if target.engine || target.layout.is_some() {
        for made in &mut made.images {
            made.image.read_config().await?;
        }
    }
    if target.layout.is_some() {
        // All layouts, and the engine beside one, need the layers of bases, which come once.
        for layer in made.images.iter().flat_map(|image| &image.image.layers) {
            if layer.source.location().is_some() {
                run.connections.store.ingest(layer).await?;
            }
        }
        for made in &made.images {
            check_layers(&made.image).await?;
        }
    }
    if target.engine {
        let images: Vec<ArchiveImage> = made
            .images
            .iter()
            .map(|image| ArchiveImage { image: image.image.clone(), names: names(target, image) })
            .collect();
        run.engine().await?.load(&images).await?;
    }
    if let Some(layout) = &target.layout {
        let mut images: Vec<(String, Image)> = Vec::new();
        for made in &made.images {
            let mut tags: Vec<_> = made.tags().map(str::to_owned).collect();
            if made.is_function() {
                tags.push(Target::content_tag(&made.tag, made.image.digest()));
            }
            for tag in tags {
                images.push((format!("{}:{tag}", made.repository), made.image.clone()));
            }
        }
        esb_oci::write_layout(run.project.folder_at(layout), &images).await?;
    }
    Ok(())
}

/// Looks at layers that were taken from the registry for what others said they are made of:
/// nobody unpacks what goes into a layout before it is used.
async fn check_layers(image: &Image) -> Result<(), Error> {
    let diff_ids = image.parse_config().map_err(esb_image::Error::from)?;
    let named = image.manifest.layers.iter().zip(diff_ids.diff_ids());
    for (layer, (said, diff_id)) in image.layers.iter().zip(named) {
        // Those of a base say nothing of themselves, and are the base's.
        if layer.source.location().is_some() && !said.annotations.is_empty() {
            esb_image::check_layer(layer, diff_id).await?;
        }
    }
    Ok(())
}

/// Names the built images in the index of the store, which other tools read as an OCI layout.
pub(crate) fn list_in_store(run: &Deployment, made: &BuiltImages) -> Result<(), Error> {
    let built = made.images.iter().filter(|image| image.was_built());
    let named =
        |image: &MadeImage| (format!("{}:{}", image.repository, image.tag), image.image.clone());
    let images: Vec<_> = built.map(named).collect();
    if !images.is_empty() {
        run.connections.store.list_images(&images)?;
    }
    Ok(())
}

fn names(target: &Target, made: &MadeImage) -> Vec<String> {
    let mut names: Vec<_> = made.tags().map(|tag| target.plain(&made.repository, tag)).collect();
    if made.is_function() {
        let content = Target::content_tag(&made.tag, made.image.digest());
        names.push(target.plain(&made.repository, &content));
    }
    names
}
