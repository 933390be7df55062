//! The runtime configuration: previewed with the findings, published last.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use esb_config::{
    ConfigFile, ImportedImage, Lock, Merged, Publication, Published, PublishedImage, Rendered,
};
use esb_model::{Application, FunctionId, ImageKind, ImageRecipe, Package};

use super::{Order, bases::Made, run::Run, sync::External, target::Target};
use crate::{
    exit::{Exit, Failure},
    inputs::Project,
    load::Loaded,
};

/// How long a run waits for another one to end its publication.
const LOCK_LIMIT: Duration = Duration::from_secs(30);

/// Where the configuration goes beside the generated folder.
pub(crate) struct Places {
    /// Merged configuration of this project and environment.
    pub(crate) staging: PathBuf,
    /// The folder that a Gateway reads.
    pub(crate) delivered: Option<PathBuf>,
    /// What the run would change, found out before any work.
    pub(crate) preview: Option<Merged>,
}

/// What was written where.
pub(crate) struct Written {
    /// The generated files, in order.
    pub(crate) generated: Vec<PathBuf>,
    pub(crate) staging: Option<PathBuf>,
    pub(crate) delivered: Option<PathBuf>,
    pub(crate) changed: Vec<ConfigFile>,
    pub(crate) changes: Vec<esb_config::Change>,
}

/// Renders the configuration as if all images were there, for its findings.
pub(crate) fn preview(project: &Project, app: &Application, recipes: &[ImageRecipe]) -> Rendered {
    let mut images = BTreeMap::new();
    let placeholder =
        || PublishedImage { reference: "-".to_owned(), digest: String::new(), import: None };
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
    render(project, app, &images, "")
}

/// Finds the places, and everything that would forbid to write there.
pub(crate) fn prepare(run: &Run, order: &Order<'_>, preview: &Rendered) -> Result<Places, Failure> {
    let staging = run
        .project
        .brand
        .folder(&run.project.root)
        .join("staging")
        .join(&run.compose_project)
        .join(&run.project.environment)
        .join("config");
    let given = order.deploy.and_then(|deploy| deploy.config_to.as_deref());
    let delivered = match given.or_else(|| run.environment.get("CONFIG_DIR")) {
        None | Some("none") => None,
        Some(text) if text.starts_with("container:") => {
            let text = "delivery into a container's volume is not supported yet";
            return Err(Failure::new(Exit::Usage, "config-to", text)
                .hint("name the folder that the Gateway reads with `--config-to DIR`"));
        }
        Some(dir) => Some(PathBuf::from(dir)),
    };
    let mut places = Places { staging, delivered, preview: None };
    if order.publishes() {
        for dir in [Some(&places.staging), places.delivered.as_ref()].into_iter().flatten() {
            esb_config::check_writable(dir).map_err(|error| failure(&error))?;
        }
        let published = current(&places)?;
        let merged = esb_config::merge(&published, preview, &owners(run));
        places.preview = Some(merged.map_err(|error| failure(&error))?);
    }
    Ok(places)
}

/// Writes the generated configuration and publishes it, when the run publishes.
pub(crate) fn publish(
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
            let published = PublishedImage { reference, digest: digest.to_string(), import: None };
            images.insert(id.clone(), published);
        }
    }
    for external in externals {
        images.insert(external.function.clone(), published_external(external));
    }
    let push_target = target.registry.as_ref().map_or("", |registry| registry.push_host());
    let rendered = render(&run.project, &loaded.app, &images, push_target);
    let generated = run.project.generated().join("config");
    let failed = |error: esb_config::Error| failure(&error);
    let mut publication =
        esb_config::write_generated(&generated, &rendered.config).map_err(failed)?;
    let mut written = Written {
        generated: ConfigFile::GENERATED.iter().map(|file| generated.join(file.name())).collect(),
        staging: None,
        delivered: None,
        changed: Vec::new(),
        changes: Vec::new(),
    };
    if order.publishes() {
        let lock = Lock::acquire(&places.staging, LOCK_LIMIT).map_err(failed)?;
        let published = current(places)?;
        let merged = esb_config::merge(&published, &rendered, &owners(run)).map_err(failed)?;
        publication = esb_config::publish(&lock, &merged).map_err(failed)?;
        if let Some(delivered) = &places.delivered {
            let lock = Lock::acquire(delivered, LOCK_LIMIT).map_err(failed)?;
            publication = esb_config::publish(&lock, &merged).map_err(failed)?;
            written.delivered = Some(delivered.clone());
        }
        written.staging = Some(places.staging.clone());
        written.changes = merged.changes;
    }
    let Publication { written: changed, .. } = publication;
    written.changed = changed;
    Ok(written)
}

fn published_external(external: &External) -> PublishedImage {
    let digest = external.digest.map(|digest| digest.to_string()).unwrap_or_default();
    match &external.target {
        Some(target) => PublishedImage {
            reference: target.runtime(),
            digest,
            import: Some(ImportedImage {
                source: external.source.clone(),
                image_ref: target.runtime(),
            }),
        },
        None => PublishedImage { reference: external.source.clone(), digest, import: None },
    }
}

fn render(
    project: &Project,
    app: &Application,
    images: &BTreeMap<FunctionId, PublishedImage>,
    push_target: &str,
) -> Rendered {
    let settings = esb_config::Settings {
        owners: project.templates.iter().map(|file| file.owner.clone()).collect(),
        push_target: push_target.to_owned(),
        secret_env: project.secret_env.clone(),
    };
    esb_config::render(app, images, &settings)
}

fn owners(run: &Run) -> BTreeSet<String> {
    run.project.templates.iter().map(|file| file.owner.clone()).collect()
}

/// What is published where a Gateway reads, else in staging.
fn current(places: &Places) -> Result<Published, Failure> {
    let dir = places.delivered.as_ref().filter(|dir| dir.join("functions.yml").exists());
    esb_config::read(dir.unwrap_or(&places.staging)).map_err(|error| failure(&error))
}

fn failure(error: &esb_config::Error) -> Failure {
    let (exit, code) = match error {
        esb_config::Error::Locked { .. } => (Exit::Locked, "locked"),
        esb_config::Error::Conflict(_) => (Exit::Input, "conflict"),
        esb_config::Error::Io { .. } => (Exit::Local, "disk"),
        _ => (Exit::Input, "config"),
    };
    Failure::of(exit, code, error).maybe_hint(error.hint())
}
