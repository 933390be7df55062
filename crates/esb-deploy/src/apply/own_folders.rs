//! Refuses to publish into, or to copy results to, a folder where they would overwrite other
//! entries or become part of an image.
//!
//! What a build generates has this run's entries alone, and none of what others published: a
//! Gateway that reads it, or a copy of it over what is published, would lose theirs. What lies in
//! code or in a layer would get into an image, and each run would make another one.

use std::{
    fs,
    path::{Path, PathBuf},
};

use esb_config::{ConfigFile, FoldersAbove, is_same_folder, is_within};
use esb_model::ImageRecipe;

use crate::{
    apply::{config::Places, delivery::ConfigPlace},
    copied_source::CopiedSource,
    deployment::Deployment,
    error::{Error, Kind},
    image_names::Target,
};

/// Folders below that of an environment which builds write into.
const GENERATED: [&str; 5] = ["config", "functions", "base", "images", "layers"];

/// Refuses a place inside what builds generate, of any environment, and among files of others: the
/// store's, a layout's, and those of git.
pub(crate) fn check_place(
    run: &Deployment,
    target: &Target,
    place: &ConfigPlace,
) -> Result<(), Error> {
    let ConfigPlace::Folder(folder) = place else { return Ok(()) };
    let dir = &folder.path();
    if let Some((folder, words)) = among_others(run, target, dir) {
        let text = format!(
            "`{}` cannot be where a Gateway reads: `{}` is {words}",
            run.short(dir),
            run.short(&folder)
        );
        return Err(
            Error::new(Kind::Input, "config-to", text).hint("deliver to a folder of its own")
        );
    }
    let staging = run.project.staging(&run.compose_project);
    if is_same_folder(dir, &staging) {
        return Ok(());
    }
    let found = generated(run).into_iter().find(|folder| is_within(dir, folder));
    let Some(folder) = found.or_else(|| generated_later(run, dir)) else { return Ok(()) };
    let text = format!(
        "`{}` cannot be where a Gateway reads: each build writes into `{}`, before anything is \
         published",
        run.short(dir),
        run.short(&folder)
    );
    Err(Error::new(Kind::Input, "config-to", text)
        .hint(format!("deliver to `{}`, or to a folder of its own", run.short(&staging))))
}

/// A folder around `dir` whose files something else looks after, with what it is.
fn among_others(run: &Deployment, target: &Target, dir: &Path) -> Option<(PathBuf, &'static str)> {
    let store = run.connections.store.root();
    if is_within(dir, store) {
        return Some((store.to_owned(), "the store of what was built"));
    }
    let is_of =
        |layout: &Path| is_same_folder(dir, layout) || is_within(dir, &layout.join("blobs"));
    let layout = target.layout.as_ref().map(|path| run.project.folder_at(path).path());
    if let Some(layout) = layout.filter(|layout| is_of(layout)) {
        return Some((layout, "the layout for images"));
    }
    // Wherever links lead; of what is not there yet, by its name.
    let there = dir.ancestors().find_map(|above| above.canonicalize().ok());
    let mut above = dir.ancestors().chain(there.iter().flat_map(|path| path.ancestors()));
    above.find_map(|folder| {
        if folder.ends_with(".git") {
            Some((folder.to_owned(), "a folder of git"))
        } else if folder.join("oci-layout").exists() && is_of(folder) {
            Some((folder.to_owned(), "an OCI layout"))
        } else {
            None
        }
    })
}

fn generated(run: &Deployment) -> Vec<PathBuf> {
    let brand = run.project.brand.folder(&run.project.root);
    let others = fs::read_dir(brand).into_iter().flatten().flatten().map(|entry| entry.path());
    let environments = others.chain([run.project.generated()]);
    environments.flat_map(|folder| GENERATED.map(|name| folder.join(name))).collect()
}

/// The folder around `dir` that builds of an environment which is not there yet would make.
fn generated_later(run: &Deployment, dir: &Path) -> Option<PathBuf> {
    let brand = run.project.brand.folder(&run.project.root);
    let found = dir.ancestors().find(|folder| {
        GENERATED.iter().any(|name| folder.ends_with(name))
            && folder.ancestors().nth(2).is_some_and(|above| is_same_folder(above, &brand))
    });
    found.map(Path::to_path_buf)
}

/// Refuses a copy of what is generated whose configuration is a published one: the copy has this run's entries
/// alone.
pub(crate) fn check_output(run: &Deployment, places: &Places, output: &Path) -> Result<(), Error> {
    let config = output.join("config");
    let place = places.found.place.as_ref().and_then(|place| match place {
        ConfigPlace::Folder(folder) => Some(folder.path()),
        ConfigPlace::Container(_) => None,
    });
    let is_published = config.join(ConfigFile::State.name()).exists()
        || [Some(places.staging.path()), place]
            .into_iter()
            .flatten()
            .any(|dir| is_same_folder(&dir, &config));
    if !is_published {
        return Ok(());
    }
    let text = format!(
        "a copy of what is generated would replace the published configuration in `{}` by this run's \
         part of it",
        run.short(&config)
    );
    Err(Error::new(Kind::Input, "output", text).hint("name another folder"))
}

/// A folder that a run writes into.
pub(crate) struct Written {
    /// The finding's code.
    code: &'static str,
    /// As the user named it.
    name: String,
    path: PathBuf,
}

/// The folders that a run writes into, other than the project's own.
pub(crate) fn written(
    run: &Deployment,
    target: &Target,
    places: &Places,
    output: Option<&Path>,
) -> Vec<Written> {
    let named = |code, name: &str, path: PathBuf| {
        let name = format!("{name} `{}`", run.short(&path));
        Written { code, name, path }
    };
    let layout = target.layout.iter().map(|path| named("to", "the layout for images", path.into()));
    let config = match &places.found.place {
        Some(ConfigPlace::Folder(folder)) => {
            Some(named("config-to", "the folder where a Gateway reads,", folder.path()))
        }
        _ => None,
    };
    let output = output
        .map(|path| named("output", "the folder for the copy of what is generated,", path.into()));
    let variable = format!("{}_CACHE_DIR", run.project.brand.variable_prefix());
    let store = format!("the store of what was built (`{variable}`),");
    let store = named("store", &store, run.connections.store.root().to_owned());
    layout.chain(config).chain(output).chain([store]).collect()
}

/// Refuses a folder that would get into an image.
pub(crate) fn check_code(
    run: &Deployment,
    written: &[Written],
    recipes: &[ImageRecipe],
) -> Result<(), Error> {
    let above: Vec<_> = written.iter().map(|written| FoldersAbove::of(&written.path)).collect();
    for recipe in recipes {
        for copied in CopiedSource::of(recipe, &run.project.root) {
            let Ok(folder) = fs::metadata(&copied.folder) else { continue };
            let has = |above: &FoldersAbove| {
                above.seen_from(&folder).is_some_and(|path| copied.takes(path))
            };
            let mut written = written.iter().zip(&above);
            let Some((written, _)) = written.find(|(_, above)| has(above)) else { continue };
            let text = format!(
                "{} lies in `{}`, which becomes part of the image `{}`: each run would make \
                 another image",
                written.name,
                run.short(&copied.folder),
                recipe.repository
            );
            let ignore = if recipe.own.is_some() { ".dockerignore" } else { ".samignore" };
            return Err(Error::new(Kind::Input, written.code, text).hint(format!(
                "name a folder outside of code and layers, or leave it out of the image with \
                 `{ignore}`"
            )));
        }
    }
    Ok(())
}
