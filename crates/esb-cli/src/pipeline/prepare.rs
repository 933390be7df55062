//! Recipes, and what has to lie on disk before an image can be built from them.

use std::{
    collections::BTreeSet,
    fs::{File, TryLockError},
    time::{Duration, Instant},
};

use esb_config::READABLE;
use esb_dockerfile::{DiskProject, Recipes};
use esb_image::{Distribution, Error, InstallRequest, Installed};
use esb_model::{Application, Event, ImageKind, ImageRecipe, Platform, Reporter as _};
use esb_oci::{EntryKind, Folder};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{bases::Bases, run::Run, target::Target};
use crate::{
    exit::{Exit, Failure},
    inputs::Project,
    lockfile::Packages,
};

/// What recipes take from a run's settings.
#[derive(Debug, Clone, Default)]
pub(crate) struct Naming {
    /// What precedes our images in Dockerfiles.
    pub(crate) prefix: Option<String>,
    pub(crate) tag: String,
    pub(crate) platform: Option<Platform>,
}

/// The recipes of an application.
pub(crate) fn recipes(
    project: &Project,
    naming: &Naming,
    app: &Application,
) -> Result<Recipes, Failure> {
    let disk = DiskProject::open(&project.root).map_err(|error| {
        let text = format!("could not open the project folder `{}`", project.root.display());
        Failure::of(Exit::Local, "disk", &error).during(text)
    })?;
    let settings = esb_dockerfile::Settings {
        brand: &project.brand,
        environment: &project.environment,
        registry_prefix: naming.prefix.as_deref(),
        tag: &naming.tag,
        template_folders: project.templates.iter().map(|file| file.folder.clone()).collect(),
        platform: naming.platform,
        follow_links: project.follow_links,
    };
    Ok(esb_dockerfile::recipes(app, &settings, &disk))
}

/// How long a run waits for another one of the same project and environment unless it is told.
const LOCK_LIMIT: Duration = Duration::from_mins(10);

/// How often it looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Waits until no other run works on the same generated files, and keeps others away as long as
/// the result lives: contexts must not change while they are read. None where the file system has
/// no locks.
pub(crate) async fn alone(run: &Run) -> Result<Option<File>, Failure> {
    let folder = run.project.folder_at(&run.project.generated());
    folder.make()?;
    let lock = folder.open_folder()?;
    let limit = run.environment.lock_wait(LOCK_LIMIT)?;
    let start = Instant::now();
    let mut told = false;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(Some(lock)),
            Err(TryLockError::Error(_)) => return Ok(None),
            Err(TryLockError::WouldBlock) if start.elapsed() < limit => {
                if !std::mem::replace(&mut told, true) {
                    let environment = &run.project.environment;
                    run.printer.note(&format!(
                        "waiting for another run of the environment `{environment}`"
                    ));
                }
                tokio::time::sleep(PAUSE).await;
            }
            Err(TryLockError::WouldBlock) => {
                let text = format!("another run works in `{}`", folder.path().display());
                return Err(Failure::new(Exit::Locked, "locked", text)
                    .hint("wait for it, or build for another environment with `-e`"));
            }
        }
    }
}

/// What is put into the folder of a function.
const OF_A_FUNCTION: [(&str, EntryKind); 5] = [
    ("Dockerfile", EntryKind::File),
    ("Dockerfile.dockerignore", EntryKind::File),
    ("code", EntryKind::Folder),
    ("dependencies", EntryKind::Folder),
    ("install", EntryKind::Folder),
];

/// The record of the folders of functions that runs made, beside the generated files.
const FOLDERS: &str = "folders.json";

/// The most bytes of the record that are read.
const FOLDERS_LIMIT: u64 = 16 * 1024 * 1024;

/// Makes the folder of generated files, and removes what functions that are gone left in it.
/// A folder that no run is recorded to have made is somebody else's and stays, and so does what has
/// another name than what is put there.
pub(crate) fn tidy(run: &Run, recipes: &[ImageRecipe]) -> Result<(), Failure> {
    let root = run.project.folder();
    let brand = root.join(run.project.brand.folder_name());
    if brand.metadata(".gitignore")?.is_none() {
        put(&brand, ".gitignore", b"*\n")?;
    }
    let generated = run.project.folder_at(&run.project.generated());
    let functions = generated.join("functions");
    let made = generated.read(FOLDERS, FOLDERS_LIMIT)?.unwrap_or_default();
    let made: BTreeSet<String> = serde_json::from_slice(&made).unwrap_or_default();
    let keep: Vec<_> = recipes.iter().map(|recipe| root.join(&recipe.folder).path()).collect();
    for entry in functions.entries()? {
        let folder = functions.join(&entry.name);
        if entry.kind == EntryKind::File || keep.contains(&folder.path()) {
            continue;
        }
        let inside = folder.entries()?;
        if !entry.name.to_str().is_some_and(|name| made.contains(name)) {
            continue;
        }
        for found in inside {
            let ours =
                |(name, kind): &(&str, EntryKind)| found.name == *name && found.kind == *kind;
            match OF_A_FUNCTION.iter().find(|known| ours(known)) {
                Some((name, EntryKind::Folder)) => drop(folder.remove_folder(name)?),
                Some((name, _)) => drop(folder.remove_file(name)?),
                None => {}
            }
        }
        functions.remove_empty(&entry.name)?;
    }
    let names = keep.iter().filter_map(|folder| folder.file_name()?.to_str());
    let names: BTreeSet<&str> = names.collect();
    let text = serde_json::to_string_pretty(&names).expect("texts are JSON");
    put(&generated, FOLDERS, format!("{text}\n").as_bytes())
}

/// Writes Dockerfiles, stages inputs and installs dependencies, several at a time.
pub(crate) async fn inputs(
    run: &Run,
    target: &Target,
    recipes: &[ImageRecipe],
    sources: &Bases,
) -> Result<(), Failure> {
    run.stager.stage_all(recipes, &run.project.root, run.no_cache).await?;
    let mut wanted = Vec::with_capacity(recipes.len());
    for recipe in recipes {
        wanted.push((recipe, packages(run, recipe).await?));
    }
    run.lock.check()?;
    stream::iter(wanted)
        .map(|(recipe, packages)| install(run, target, recipe, packages, sources))
        .buffer_unordered(run.jobs)
        .try_collect::<Vec<_>>()
        .await?;
    run.lock.check()?;
    run.lock.write()
}

/// What a recipe's requirements led to, as far as `esb.lock` pins it; none when there is nothing
/// to be pinned.
pub(crate) async fn packages(run: &Run, recipe: &ImageRecipe) -> Result<Option<Packages>, Failure> {
    let Some(dependencies) = &recipe.dependencies else { return Ok(None) };
    let Some(asked) = run.installer.wanted(install_request(run, recipe, &[])).await? else {
        return Ok(None);
    };
    let mut packages = Packages {
        requirements: dependencies.requirements.display().to_string(),
        runtime: dependencies.runtime.to_string(),
        platform: dependencies.platform.to_string(),
        asked,
        versions: Vec::new(),
        layer: None,
    };
    run.lock.pin_packages(&mut packages);
    Ok(Some(packages))
}

/// The versions of pinned packages.
pub(crate) fn pins(packages: Option<&Packages>) -> Vec<Distribution> {
    let named = |line: &String| {
        let (name, version) = line.split_once("==")?;
        Some(Distribution { name: name.to_owned(), version: version.to_owned() })
    };
    packages.into_iter().flat_map(|found| &found.versions).filter_map(named).collect()
}

/// What the installer is asked for.
pub(crate) fn install_request<'a>(
    run: &'a Run,
    recipe: &'a ImageRecipe,
    pins: &'a [Distribution],
) -> InstallRequest<'a> {
    let (root, no_cache, reporter) = (&*run.project.root, run.no_cache, &*run.reporter);
    InstallRequest { recipe, root, pins, no_cache, reporter }
}

/// Installs what `esb.lock` pins, and notes for it what was resolved.
async fn install(
    run: &Run,
    target: &Target,
    recipe: &ImageRecipe,
    packages: Option<Packages>,
    sources: &Bases,
) -> Result<(), Failure> {
    let pins = pins(packages.as_ref());
    let request = install_request(run, recipe, &pins);
    let installed = install_anywhere(run, target, request, sources).await?;
    if let (Some(installed), Some(mut packages)) = (installed, packages) {
        let named = |found: &Distribution| format!("{}=={}", found.name, found.version);
        packages.versions = installed.distributions.iter().map(named).collect();
        run.lock.found_packages(packages);
    }
    Ok(())
}

/// Installs on this machine; what it cannot install, pip installs on the fleet or in the container
/// engine, unless the user wants none.
async fn install_anywhere(
    run: &Run,
    target: &Target,
    request: InstallRequest<'_>,
    sources: &Bases,
) -> Result<Option<Installed>, Failure> {
    let recipe = request.recipe;
    let failed = match run.installer.install(request).await {
        Ok(installed) => return Ok(installed),
        Err(
            error @ (Error::NoWheel { .. } | Error::NoInstaller { .. } | Error::NeedsBuild { .. }),
        ) => error,
        Err(error) => return Err(error.into()),
    };
    let runtime = recipe.dependencies.as_ref().map(|wanted| wanted.runtime.aws_base_image());
    let base = runtime.and_then(|name| sources.get(&recipe.platform)?.get(&name));
    let Some(base) = base else { return Err(failed.into()) };
    let Some(engine) = run.step_engine(target).await? else { return Err(failed.into()) };
    let decision = format!("pip runs {}: {failed}", engine.name());
    run.reporter.event(&Event::Decided { subject: &recipe.repository, decision: &decision });
    Ok(run.installer.install_in(engine, base, request).await?)
}

/// Recipes of base images, or of functions.
pub(crate) fn of_kind(recipes: &[ImageRecipe], base: bool) -> impl Iterator<Item = &ImageRecipe> {
    recipes.iter().filter(move |recipe| matches!(recipe.kind, ImageKind::Base(_)) == base)
}

/// Writes a file unless it has that content already.
pub(crate) fn put(folder: &Folder, name: &str, content: &[u8]) -> Result<(), Failure> {
    if folder.holds(name, content) {
        return Ok(());
    }
    Ok(folder.write(name, content, READABLE)?)
}
