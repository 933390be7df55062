//! Cases from folders: `Dockerfile`, `ctx/`, and `args.json` with build arguments and a target.
//!
//! Owns how such a folder becomes a case. What it must give is what `args.json` has as `expected`:
//! `same`, `refused` or `wrong`; without it, both engines have to build the same, or the embedded
//! engine leaves it to another.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use esb_model::{OwnDockerfile, Secret};
use serde_json::Value;

use super::{Case, Expected};
use crate::{checks::Outcome, command::output};

/// The cases of a folder's folders, in order of their names.
pub(super) fn cases(folder: &Path) -> Outcome<Vec<Case>> {
    let mut folders = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.join("Dockerfile").is_file() {
            folders.insert(path);
        }
    }
    if folders.is_empty() {
        return Err(format!("`{}` holds no folder with a Dockerfile", folder.display()).into());
    }
    folders.into_iter().map(case).collect()
}

fn case(folder: PathBuf) -> Outcome<Case> {
    let context = folder.join("ctx");
    let dockerfile = fs::read_to_string(folder.join("Dockerfile"))?;
    let dockerignore = fs::read_to_string(context.join(".dockerignore")).unwrap_or_default();
    let said: Value = match fs::read(folder.join("args.json")) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| error.to_string())?,
        Err(_) => Value::Null,
    };
    let expected = match said["expected"].as_str() {
        None => Expected::Anything,
        Some("same") => Expected::Same,
        Some("refused") => Expected::Refused(""),
        Some("wrong") => Expected::Wrong,
        Some(other) => return Err(format!("`{other}` is no expectation").into()),
    };
    Ok(Case {
        dockerfile,
        shared: "",
        files: String::new(),
        dockerignore,
        expected,
        own: own(&said),
        folder: Some(folder),
    })
}

/// Build arguments and target of a case; what else is said is not ours.
fn own(said: &Value) -> Option<OwnDockerfile> {
    let args = said["args"].as_object().into_iter().flatten();
    let args: BTreeMap<_, _> = args
        .filter_map(|(name, value)| Some((name.clone(), Secret::new(value.as_str()?.to_owned()))))
        .collect();
    let target = said["target"].as_str().map(str::to_owned);
    let own = OwnDockerfile { args, target, ..OwnDockerfile::default() };
    (own != OwnDockerfile::default()).then_some(own)
}

/// Copies a case's context to where a build reads it.
pub(super) fn copy(case: &Path, to: &Path) -> Outcome {
    let context = case.join("ctx");
    fs::create_dir_all(to)?;
    if context.is_dir() {
        output(std::process::Command::new("cp").arg("-a").arg(context.join(".")).arg(to))?;
    }
    Ok(())
}
