//! Folders of a run that cannot be where a Gateway reads.
//!
//! What a build generates has this run's entries alone, and none of what others published: a
//! Gateway that reads it, or a copy of it over what is published, would lose theirs.

use std::{
    fs,
    path::{Path, PathBuf},
};

use esb_config::{ConfigFile, is_same_folder, is_within};

use super::{Places, delivery::Place, run::Run};
use crate::exit::{Exit, Failure};

/// Folders below that of an environment which each build makes anew.
const GENERATED: [&str; 3] = ["config", "functions", "base"];

/// Refuses a place inside what builds generate, of any environment.
pub(super) fn check_place(run: &Run, place: &Place) -> Result<(), Failure> {
    let Place::Folder(folder) = place else { return Ok(()) };
    let dir = &folder.path();
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
    Err(Failure::new(Exit::Input, "config-to", text)
        .hint(format!("deliver to `{}`, or to a folder of its own", run.short(&staging))))
}

fn generated(run: &Run) -> Vec<PathBuf> {
    let brand = run.project.brand.folder(&run.project.root);
    let others = fs::read_dir(brand).into_iter().flatten().flatten().map(|entry| entry.path());
    let environments = others.chain([run.project.generated()]);
    environments.flat_map(|folder| GENERATED.map(|name| folder.join(name))).collect()
}

/// The folder around `dir` that builds of an environment which is not there yet would make.
fn generated_later(run: &Run, dir: &Path) -> Option<PathBuf> {
    let brand = run.project.brand.folder(&run.project.root);
    let found = dir.ancestors().find(|folder| {
        GENERATED.iter().any(|name| folder.ends_with(name))
            && folder.ancestors().nth(2).is_some_and(|above| is_same_folder(above, &brand))
    });
    found.map(Path::to_path_buf)
}

/// Refuses an `--output` whose configuration is a published one: the copy has this run's entries
/// alone.
pub(super) fn check_output(run: &Run, places: &Places, output: &Path) -> Result<(), Failure> {
    let config = output.join("config");
    let place = places.found.place.as_ref().and_then(|place| match place {
        Place::Folder(folder) => Some(folder.path()),
        Place::Container(_) => None,
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
        "`--output` would replace the published configuration in `{}` by this run's part of it",
        run.short(&config)
    );
    Err(Failure::new(Exit::Input, "output", text).hint("name another folder"))
}
