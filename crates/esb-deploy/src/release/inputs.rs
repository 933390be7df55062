//! Makes recipes, and the files that builds need on disk.

use std::{
    collections::BTreeSet,
    fs::TryLockError,
    time::{Duration, Instant},
};

use esb_image::{Distribution, Error as BuildError, InstallRequest, Installed};
use esb_model::{Dependencies, Event, ImageKind, ImageRecipe};
use esb_oci::{EntryKind, LockWait, LockedFile};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::{
    Remedy,
    deployment::Deployment,
    error::{Error, Kind},
    folders::put,
    image_names::Target,
    lockfile::Packages,
    release::bases::Bases,
};

/// How long a run waits by default for another one of the same project and environment.
const LOCK_LIMIT: Duration = Duration::from_mins(10);

/// How often it looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Waits until no other run works on the same generated files, and keeps others away as long as
/// the result lives: contexts must not change while they are read. None where the file system has
/// no locks.
pub(crate) async fn alone(run: &Deployment) -> Result<Option<LockedFile>, Error> {
    let folder = run.project.folder_at(&run.project.generated());
    folder.make()?;
    let lock = folder.open_folder()?;
    let limit = run.options.lock_wait.unwrap_or(LOCK_LIMIT);
    let start = Instant::now();
    let mut told = false;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(Some(LockedFile::new(lock))),
            Err(TryLockError::Error(_)) => return Ok(None),
            Err(TryLockError::WouldBlock) if start.elapsed() < limit => {
                if !std::mem::replace(&mut told, true) {
                    let environment = &run.project.environment;
                    let holder = LockWait::of(folder.path(), &lock).holder;
                    let whose = holder.map(|process| format!(" (process {process})"));
                    run.note(&format!(
                        "waiting for another run of the environment `{environment}`{}",
                        whose.unwrap_or_default()
                    ));
                }
                tokio::time::sleep(PAUSE).await;
            }
            Err(TryLockError::WouldBlock) => {
                let text = format!("another run works in `{}`", folder.path().display());
                return Err(
                    Error::new(Kind::Locked, "locked", text).hint(Remedy::UseAnotherEnvironment)
                );
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
/// What has another name than what is put there is somebody else's and stays.
pub(crate) fn tidy(run: &Deployment, recipes: &[ImageRecipe]) -> Result<(), Error> {
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
pub(crate) async fn prepare(
    run: &Deployment,
    target: &Target,
    recipes: &[ImageRecipe],
    sources: &Bases,
) -> Result<(), Error> {
    run.builders.stager.stage_all(recipes, &run.project.root, run.options.no_cache).await?;
    let mut wanted = Vec::with_capacity(recipes.len());
    let mut targets = BTreeSet::new();
    for recipe in recipes {
        // The packages of a layer are those of all functions that have it.
        for dependencies in recipe.all_dependencies().filter(|one| targets.insert(&one.target)) {
            wanted.push((recipe, dependencies, packages(run, recipe, dependencies).await?));
        }
    }
    run.learned.lock.check()?;
    stream::iter(wanted)
        .map(|(recipe, dependencies, packages)| {
            install(run, target, (recipe, dependencies), packages, sources)
        })
        .buffer_unordered(run.jobs())
        .try_collect::<Vec<_>>()
        .await?;
    run.learned.lock.check()?;
    run.learned.lock.write()
}

/// The versions that `esb.lock` pins for a recipe's requirements; `None` when there is nothing to
/// pin.
pub(crate) async fn packages(
    run: &Deployment,
    recipe: &ImageRecipe,
    dependencies: &Dependencies,
) -> Result<Option<Packages>, Error> {
    let request = install_request(run, (recipe, dependencies), &[]);
    let Some(asked) = run.builders.installer.wanted(request).await? else { return Ok(None) };
    let mut packages = Packages {
        requirements: dependencies.requirements.display().to_string(),
        runtime: dependencies.runtime.to_string(),
        platform: dependencies.platform.to_string(),
        asked,
        versions: Vec::new(),
        layer: None,
    };
    run.learned.lock.pin_packages(&mut packages);
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

/// Makes the request to the installer.
pub(crate) fn install_request<'a>(
    run: &'a Deployment,
    (recipe, dependencies): (&'a ImageRecipe, &'a Dependencies),
    pins: &'a [Distribution],
) -> InstallRequest<'a> {
    let (root, no_cache, reporter) = (&*run.project.root, run.options.no_cache, &*run.reporter);
    InstallRequest { recipe, dependencies, root, pins, no_cache, reporter }
}

/// Installs what `esb.lock` pins, and notes for it what was resolved.
async fn install(
    run: &Deployment,
    target: &Target,
    wanted: (&ImageRecipe, &Dependencies),
    packages: Option<Packages>,
    sources: &Bases,
) -> Result<(), Error> {
    let pins = pins(packages.as_ref());
    let request = install_request(run, wanted, &pins);
    let installed = install_anywhere(run, target, request, sources).await?;
    if let Some(packages) = packages {
        note_installed(run, packages, &installed);
    }
    Ok(())
}

/// Notes for esb.lock what was installed.
pub(crate) fn note_installed(run: &Deployment, mut packages: Packages, installed: &Installed) {
    let named = |found: &Distribution| format!("{}=={}", found.name, found.version);
    packages.versions = installed.distributions.iter().map(named).collect();
    run.learned.lock.found_packages(packages);
}

/// Installs on this machine; what it cannot install, pip installs on the fleet or in the container
/// engine, unless the user wants none.
async fn install_anywhere(
    run: &Deployment,
    target: &Target,
    request: InstallRequest<'_>,
    sources: &Bases,
) -> Result<Installed, Error> {
    let InstallRequest { recipe, dependencies, .. } = request;
    let failed = match run.builders.installer.install(request).await {
        Ok(installed) => return Ok(installed),
        Err(
            error @ (BuildError::NoWheel { .. }
            | BuildError::NoInstaller { .. }
            | BuildError::NeedsBuild { .. }),
        ) => error,
        Err(error) => return Err(error.into()),
    };
    // A step in an engine would reach an index.
    if run.connections.tools.offline.is_some() {
        let (requirements, reason) = (dependencies.requirements.clone(), failed.to_string());
        return Err(BuildError::Offline { requirements, reason }.into());
    }
    let name = dependencies.runtime.aws_base_image();
    let base = sources.get(&recipe.platform).and_then(|found| found.get(&name));
    let Some(base) = base else { return Err(failed.into()) };
    let Some(engine) = run.step_engine(target).await? else { return Err(failed.into()) };
    let decision = format!("pip runs {}: {failed}", engine.name());
    run.reporter.event(&Event::Decided { subject: &recipe.repository, decision: &decision });
    Ok(run.builders.installer.install_in(engine, base, request).await?)
}

/// Recipes of base images, or of functions.
pub(crate) fn of_kind(recipes: &[ImageRecipe], base: bool) -> impl Iterator<Item = &ImageRecipe> {
    recipes.iter().filter(move |recipe| matches!(recipe.kind, ImageKind::Base(_)) == base)
}
