//! Chooses where images go, and makes sure that it answers.

use std::path::PathBuf;

use esb_model::{ImageRecipe, PublishTarget};

use crate::{
    Remedy,
    deployment::Deployment,
    error::{Error, Kind},
    image_names::Target,
    options::{Destination, ImageRefForm},
    release::functions,
};

/// Chooses the places (`docs/reference`, "Where images go"), and makes sure that they answer.
pub(crate) async fn choose(run: &Deployment, recipes: &[ImageRecipe]) -> Result<Target, Error> {
    let names = &run.options.registry;
    check_names(run)?;
    let mut target = Target {
        registry: None,
        engine: false,
        layout: None,
        prefix: names.configured.as_ref().map(PublishTarget::runtime_prefix),
        form: run.options.image_ref,
        moving_tag: run.options.moving_tag,
    };
    let default_layout = || run.project.generated().join("images");
    for place in &run.options.destinations {
        match place {
            Destination::Registry => {
                target.registry =
                    Some(names.configured.clone().unwrap_or_else(|| names.default.clone()));
            }
            Destination::Engine => target.engine = true,
            Destination::Layout(dir) => {
                target.layout = Some(dir.clone().unwrap_or_else(default_layout));
            }
        }
    }
    if run.options.destinations.is_empty() {
        default(run, &mut target, recipes, default_layout).await?;
    }
    if let Some(registry) = &target.registry {
        target.prefix = Some(registry.runtime_prefix());
        answers(run, registry, recipes).await?;
    }
    if target.engine {
        run.engine().await?;
    }
    if let Some(layout) = &target.layout {
        esb_oci::check_layout(&run.project.folder_at(layout))?;
    }
    Ok(target)
}

/// Refuses names of tags that are not pushed.
fn check_names(run: &Deployment) -> Result<(), Error> {
    if run.options.moving_tag || run.options.image_ref != ImageRefForm::Tag {
        return Ok(());
    }
    let text = "functions.yml would name images by their plain tags, which are not pushed";
    Err(Error::new(Kind::Input, "image-ref", text).hint(Remedy::NameByContent))
}

/// Without `--to`: the configured registry, else that of the mode when it answers, else the
/// engine, else a layout.
async fn default(
    run: &Deployment,
    target: &mut Target,
    recipes: &[ImageRecipe],
    layout: impl Fn() -> PathBuf,
) -> Result<(), Error> {
    let names = &run.options.registry;
    if let Some(configured) = &names.configured {
        target.registry = Some(configured.clone());
        return Ok(());
    }
    if is_there(run, &names.default, recipes).await? {
        target.registry = Some(names.default.clone());
        return Ok(());
    }
    let absent = format!("no registry answers at {}", names.default.push_host());
    if run.engine().await.is_ok() {
        target.engine = true;
        run.warn(&format!("{absent}: images go into the container engine, and the platform's Agent cannot pull them"));
    } else {
        let layout = layout();
        run.warn(&format!(
            "{absent}, nor a container engine: images go into the OCI layout {}, and the \
             platform's Agent cannot pull them",
            run.short(&layout)
        ));
        target.layout = Some(layout);
    }
    Ok(())
}

/// Whether a registry answers. What is asked first is what has to be asked anyway, and its answer
/// is kept: where the name of the first image leads.
async fn is_there(
    run: &Deployment,
    registry: &PublishTarget,
    recipes: &[ImageRecipe],
) -> Result<bool, Error> {
    let host = registry.push_host();
    if let Some(answered) = run.learned.tags.is_answered().await {
        return Ok(answered);
    }
    let Some((at, tag)) = functions::first_question(run, registry, recipes)? else {
        return Ok(run.connections.client.finds(host).await);
    };
    let known = run.learned.session.tag(&at, &tag).is_answered();
    Ok(known || run.connections.client.ping_at(&at, &tag, false, &run.learned.session).await)
}

async fn answers(
    run: &Deployment,
    registry: &PublishTarget,
    recipes: &[ImageRecipe],
) -> Result<(), Error> {
    let host = registry.push_host();
    if is_there(run, registry, recipes).await? {
        return Ok(());
    }
    let mut found = None;
    if run.options.registry.configured.is_some() {
        // Somebody named it: it is worth more than a glance.
        match run.connections.client.contact(host).await {
            Ok(()) => return Ok(()),
            Err(error) => found = Some(error),
        }
    }
    if let Some(error) = found.filter(esb_registry::Error::is_telling) {
        return Err(Error::from(&error));
    }
    let failure = Error::new(Kind::Remote, "registry", format!("no registry answers at {host}"));
    Err(match &run.options.registry.configured {
        Some(_) => failure.hint(Remedy::StartOrNamePushAddress),
        None => failure.hint(Remedy::StartOrNameRegistry),
    })
}
