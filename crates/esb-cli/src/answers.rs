//! Answers of earlier runs, which prefill the questions of later ones: `config.yaml` in the brand's
//! folder, readable by its owner alone.
//!
//! Owns that file. Refuses to fail a run for it, and to hold secrets: those are never asked for.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
};

use serde::{Deserialize, Serialize};

use crate::{ask::Answers, inputs::Project};

/// The most bytes of the file that are read.
const LIMIT: u64 = 1024 * 1024;

/// The file: values of parameters by environment and template.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Saved {
    parameters: BTreeMap<String, BTreeMap<String, BTreeMap<String, String>>>,
}

/// What was answered for this environment, by template; nothing where the file cannot be read.
pub(crate) fn of(project: &Project) -> BTreeMap<String, BTreeMap<String, String>> {
    read(project).parameters.remove(&project.environment).unwrap_or_default()
}

/// Remembers answers beside those of other templates and environments.
pub(crate) fn save(project: &Project, names: &[String], answers: Answers) -> io::Result<()> {
    let mut saved = read(project);
    let own = saved.parameters.entry(project.environment.clone()).or_default();
    for (template, values) in answers {
        let name = names.get(template).cloned().unwrap_or_default();
        own.entry(name).or_default().extend(values);
    }
    let path = path(project);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let new = path.with_extension(format!("yaml.{}.tmp", std::process::id()));
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    // JSON is YAML too.
    file.write_all(serde_json::to_string_pretty(&saved)?.as_bytes())?;
    file.write_all(b"\n")?;
    fs::rename(new, path)
}

fn read(project: &Project) -> Saved {
    let path = path(project);
    let fits = fs::metadata(&path).is_ok_and(|meta| meta.len() <= LIMIT);
    let text = if fits { fs::read_to_string(&path).unwrap_or_default() } else { String::new() };
    serde_saphyr::from_str(&text).unwrap_or_default()
}

fn path(project: &Project) -> PathBuf {
    project.brand.folder(&project.root).join("config.yaml")
}
