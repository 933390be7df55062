//! The runtime configuration: previewed with the findings, published last.

use std::{collections::BTreeMap, path::PathBuf};

use esb_config::{
    ConfigFile, ImportedImage, Lock, Merged, Owner, Publication, Published, PublishedImage,
    Rendered,
};
use esb_model::{Application, FunctionId, ImageKind, ImageRecipe, Package};
use esb_oci::Folder;

use super::{
    Order,
    bases::Made,
    compose,
    delivery::{self, Found, Place},
    own_folders, remembered,
    run::Run,
    sync::External,
    target::Target,
};
use crate::{
    exit::{Exit, Failure},
    inputs::Project,
    load::Loaded,
};

/// Keeps other runs from publishing into a folder, once they let go of it.
pub(crate) fn lock(run: &Run, folder: &Folder) -> Result<Lock, Failure> {
    let limit = run.environment.lock_wait(Lock::DEFAULT_LIMIT)?;
    Lock::acquire(folder, limit).map_err(|error| failure(&error))
}

/// Where the configuration goes beside the generated folder.
pub(crate) struct Places {
    /// Merged configuration of this project and environment.
    pub(crate) staging: Folder,
    /// Where a Gateway reads.
    pub(crate) found: Found,
}

/// What was written where.
pub(crate) struct Written {
    /// The generated files, in order.
    pub(crate) generated: Vec<PathBuf>,
    pub(crate) staging: Option<PathBuf>,
    /// The Gateway's place, as messages name it.
    pub(crate) delivered: Option<String>,
    pub(crate) changed: Vec<ConfigFile>,
    pub(crate) changes: Vec<esb_config::Change>,
    /// What is published now; none when the run does not publish.
    pub(crate) merged: Option<Merged>,
    /// Functions whose `max_capacity` changed, which a Gateway takes when it starts.
    pub(crate) capacities: Vec<String>,
}

/// Renders the configuration as if all images were there, for its findings.
pub(crate) fn preview(
    project: &Project,
    owners: &[Owner],
    app: &Application,
    recipes: &[ImageRecipe],
) -> Rendered {
    let mut images = BTreeMap::new();
    let placeholder = || PublishedImage { reference: "-".to_owned(), ..PublishedImage::default() };
    for recipe in recipes {
        if let ImageKind::Function(id) = &recipe.kind {
            images.insert(id.clone(), placeholder());
        }
    }
    for function in &app.functions {
        if matches!(&function.package, Package::Image(package) if package.uri.is_some()) {
            images.insert(function.id.clone(), placeholder());
        }
    }
    render(project, owners, app, &images, "")
}

/// Where configuration lies, for who only looks or mends.
pub(crate) async fn places(run: &Run, order: &Order<'_>) -> Result<Places, Failure> {
    let given = order.deploy.and_then(|deploy| deploy.config_to.as_deref());
    let staging = run.project.folder_at(&run.project.staging(&run.compose_project));
    Ok(Places { staging, found: delivery::find(run, given).await? })
}

impl Places {
    /// The place that counts, as messages name it.
    pub(crate) fn name(&self, run: &Run) -> String {
        match &self.found.place {
            Some(place) => place.name(run),
            None => run.short(&self.staging.path()),
        }
    }
}

/// Publishes into all places; staging's lock is held.
pub(crate) async fn publish_merged(
    run: &Run,
    places: &Places,
    lock: &Lock,
    merged: &Merged,
) -> Result<(), Failure> {
    esb_config::publish(lock, merged).map_err(|error| failure(&error))?;
    if let Some(place) = &places.found.place
        && let Some(lock) = place.lock(run, lock)?
    {
        place.publish(&lock, merged).await?;
    }
    Ok(())
}

/// Finds the places, and everything that would forbid to write there.
pub(crate) async fn prepare(
    run: &Run,
    order: &Order<'_>,
    target: &Target,
    preview: &Rendered,
) -> Result<Places, Failure> {
    let staging = run.project.folder_at(&run.project.staging(&run.compose_project));
    let mut places = Places { staging, found: Found::default() };
    if order.publishes() {
        let given = order.deploy.and_then(|deploy| deploy.config_to.as_deref());
        places.found = delivery::find(run, given).await?;
        refuse_local(order, target, &places.found)?;
        refuse_unset(run, &places.found)?;
        esb_config::check_writable(&places.staging).map_err(|error| failure(&error))?;
        if let Some(place) = &places.found.place {
            place.check()?;
            own_folders::check_place(run, place)?;
        }
        let published = current(&places).await?;
        esb_config::merge(&published, preview, &run.run_owners())
            .map_err(|error| failure(&error))?;
    }
    Ok(places)
}

/// A Gateway that runs would hand out names that its Agent cannot pull.
fn refuse_local(order: &Order<'_>, target: &Target, found: &Found) -> Result<(), Failure> {
    let allowed = order.deploy.is_some_and(|deploy| deploy.allow_local);
    let running = found.gateway.as_ref().filter(|gateway| gateway.running && !allowed);
    let (Some(gateway), Some(reason)) = (running, target.unreachable()) else { return Ok(()) };
    let text = format!("the Gateway `{}` runs, and {reason}", gateway.name);
    Err(Failure::new(Exit::Input, "local-names", text).hint(
        "start the platform's registry or name one with `--registry HOST[:PORT]`, and push there \
         (`--to registry`), or insist with `--allow-local`",
    ))
}

/// A Gateway would leave the placeholder of a secret that it does not have as it is.
fn refuse_unset(run: &Run, found: &Found) -> Result<(), Failure> {
    let Some(gateway) = &found.gateway else { return Ok(()) };
    let has = |name: &str| gateway.environment.names().any(|own| own == name);
    let absent = run.project.secret_env.iter().filter(|(_, variable)| !has(variable));
    let failures = absent.map(|(function, variable)| {
        let text = format!(
            "the Gateway `{}` has no variable `{variable}`, which `--secret-env \
             {function}.{variable}` leaves to it",
            gateway.name
        );
        let up = compose::command(run, Some(gateway), "up -d gateway");
        Failure::new(Exit::Input, "secret-env", text).hint(format!(
            "add it to the `environment` of the service `gateway` in the compose file, then: {up}"
        ))
    });
    let summary = |count| format!("{count} variables of `--secret-env` are not there");
    Failure::all(failures.collect(), summary).map_or(Ok(()), Err)
}

/// Functions that were published with another `max_capacity`, of their own or by default.
fn changed_capacities(before: &Published, after: &Merged) -> Vec<String> {
    let of = |file: &esb_config::FunctionsFile, name: &str| {
        let own = file.functions.get(name)?.scaling.max_capacity;
        Some(own.or(file.defaults.scaling.max_capacity))
    };
    let (old, new) = (&before.config.functions, &after.config.functions);
    let differs = |name: &&String| of(old, name).is_some_and(|was| of(new, name) != Some(was));
    new.functions.keys().filter(differs).cloned().collect()
}

/// Writes the generated configuration and publishes it, when the run publishes.
pub(crate) async fn publish(
    run: &Run,
    order: &Order<'_>,
    loaded: &Loaded,
    target: &Target,
    made: &Made,
    externals: &[External],
    places: &Places,
) -> Result<Written, Failure> {
    let mut images: BTreeMap<FunctionId, PublishedImage> = BTreeMap::new();
    for image in &made.images {
        if let Some(id) = super::images::function_of(&image.kind) {
            let digest = image.image.digest();
            let reference = target.written(&image.repository, &image.tag, digest);
            let published = PublishedImage {
                reference,
                digest: digest.to_string(),
                ..PublishedImage::default()
            };
            images.insert(id.clone(), published);
        }
    }
    for external in externals {
        images.insert(external.function.clone(), published_external(external));
    }
    let push_target = target.registry.as_ref().map_or("", |registry| registry.push_host());
    let rendered = render(&run.project, &run.owners(), &loaded.app, &images, push_target);
    let generated = run.project.generated().join("config");
    let failed = |error: esb_config::Error| failure(&error);
    let mut publication =
        esb_config::write_generated(run.project.folder_at(&generated), &rendered.config)
            .map_err(failed)?;
    let mut written = Written {
        generated: ConfigFile::GENERATED.iter().map(|file| generated.join(file.name())).collect(),
        staging: None,
        delivered: None,
        changed: Vec::new(),
        changes: Vec::new(),
        merged: None,
        capacities: Vec::new(),
    };
    if order.publishes() {
        let lock = lock(run, &places.staging)?;
        let place = places.found.place.as_ref();
        let place = match place {
            Some(place) => Some((place, place.lock(run, &lock)?)),
            None => None,
        };
        let published = current(places).await?;
        let merged = esb_config::merge(&published, &rendered, &run.run_owners())
            .map_err(|error| merge_failure(&error, run.project.brand.slug()))?;
        publication = esb_config::publish(&lock, &merged).map_err(failed)?;
        if let Some((place, lock)) = &place {
            if let Some(lock) = lock {
                publication = place.publish(lock, &merged).await?;
                if let Place::Folder(folder) = place {
                    remembered::remember(&places.staging, &folder.path())?;
                }
            }
            written.delivered = Some(place.name(run));
        }
        written.staging = Some(places.staging.path());
        written.capacities = changed_capacities(&published, &merged);
        written.changes.clone_from(&merged.changes);
        written.merged = Some(merged);
    }
    let Publication { written: changed, .. } = publication;
    written.changed = changed;
    Ok(written)
}

/// What would be published, where the images of functions are known as far as they are.
pub(super) async fn planned(
    run: &Run,
    loaded: &Loaded,
    mut images: BTreeMap<FunctionId, PublishedImage>,
    externals: &[External],
    places: &Places,
) -> Result<Merged, Failure> {
    for external in externals {
        images.insert(external.function.clone(), published_external(external));
    }
    let rendered = render(&run.project, &run.owners(), &loaded.app, &images, "");
    let published = current(places).await?;
    esb_config::merge(&published, &rendered, &run.run_owners())
        .map_err(|error| merge_failure(&error, run.project.brand.slug()))
}

/// A function's image as functions.yml would name it; one that has to be built has no tag yet.
pub(super) fn of_image(
    target: &Target,
    recipe: &ImageRecipe,
    image: Option<&esb_oci::Image>,
) -> PublishedImage {
    let (reference, digest) = match image.map(esb_oci::Image::digest) {
        Some(digest) => {
            (target.written(&recipe.repository, &recipe.tag, digest), digest.to_string())
        }
        None => (format!("{} (new)", target.plain(&recipe.repository, &recipe.tag)), String::new()),
    };
    PublishedImage { reference, digest, ..PublishedImage::default() }
}

fn published_external(external: &External) -> PublishedImage {
    let digest = external.digest.map(|digest| digest.to_string()).unwrap_or_default();
    // A tag and a push by hand would bring an image without its hooks.
    let copied = external.target.as_ref().filter(|_| !external.hooks);
    let import = copied.map(|target| ImportedImage {
        source: external.source.clone(),
        image_ref: target.runtime(),
    });
    let hooks_loaded_by = external.hooks_loaded_by.clone();
    PublishedImage { reference: external.name.clone(), digest, import, hooks_loaded_by }
}

fn render(
    project: &Project,
    owners: &[Owner],
    app: &Application,
    images: &BTreeMap<FunctionId, PublishedImage>,
    push_target: &str,
) -> Rendered {
    let settings = esb_config::Settings {
        owners: owners.to_vec(),
        push_target: push_target.to_owned(),
        secret_env: project.secret_env.clone(),
        containerd_prefix: project
            .containerd
            .then(|| format!("{}-{}-", project.brand.slug(), project.environment)),
    };
    esb_config::render(app, images, &settings)
}

/// What is published where a Gateway reads, else in staging.
pub(crate) async fn current(places: &Places) -> Result<Published, Failure> {
    if let Some(place) = &places.found.place
        && let Some(published) = place.read().await?
    {
        return Ok(published);
    }
    esb_config::read(&places.staging).map_err(|error| failure(&error))
}

/// As [`failure`], with the program in the commands that the hint names.
fn merge_failure(error: &esb_config::Error, program: &str) -> Failure {
    let mut failure = failure(error);
    if let Some(hint) = &mut failure.hint {
        *hint = hint.replace("`config rm", &format!("`{program} config rm"));
    }
    failure
}

pub(crate) fn failure(error: &esb_config::Error) -> Failure {
    let (exit, code) = match error {
        esb_config::Error::Locked { .. } => (Exit::Locked, "locked"),
        esb_config::Error::Conflict(_)
        | esb_config::Error::Namesakes(_)
        | esb_config::Error::Elsewhere(_) => (Exit::Input, "conflict"),
        esb_config::Error::Folder(_) => (Exit::Input, "disk"),
        esb_config::Error::Io { .. } | esb_config::Error::Owner { .. } => (Exit::Local, "disk"),
        _ => (Exit::Input, "config"),
    };
    Failure::of(exit, code, error).maybe_hint(error.hint())
}
