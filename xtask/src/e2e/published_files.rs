//! Checks the files that a deploy published, and the lock that it wrote, with the schemas of
//! `docs/reference/schemas`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{deploy::Deployed, parts::Parts};
use crate::{
    checks::{Outcome, Trouble},
    command::root,
};

/// What a deploy publishes; `esb.lock` lies in the project's root.
const PUBLISHED: [&str; 5] =
    ["functions.yml", "routing.yml", "resources.yml", "image-import.json", "state.json"];

/// Each file is as its schema says, and is not once one of its keys is broken.
pub(super) fn are_as_schemas_say(_: &Parts, deployed: &Deployed) -> Outcome {
    let staging = folder_of_state(&deployed.root.join(".esb/staging"))?;
    let published = PUBLISHED.map(|name| (name, staging.join(name)));
    for (name, path) in published.into_iter().chain([("esb.lock", deployed.root.join("esb.lock"))])
    {
        let text = fs::read_to_string(&path).map_err(|error| format!("{name}: {error}"))?;
        let document = read(name, &text).map_err(|error| format!("{name}: {error}"))?;
        let schema = fs::read(root().join(format!("docs/reference/schemas/{name}.json")))?;
        let schema: Value = serde_json::from_slice(&schema).map_err(|error| error.to_string())?;
        let validator = jsonschema::draft7::new(&schema).map_err(|error| error.to_string())?;
        let errors: Vec<String> = validator
            .iter_errors(&document)
            .map(|error| format!("{name}: {}: {error}", error.instance_path()))
            .collect();
        if !errors.is_empty() {
            return Err(Trouble::Failed(errors.join("\n")));
        }
        let required = schema["required"].as_array().into_iter().flatten();
        for key in required.filter_map(Value::as_str) {
            let mut broken = document.clone();
            broken[key] = 0.5.into();
            if validator.is_valid(&broken) {
                return Err(Trouble::Failed(format!(
                    "{name}: a broken `{key}` is as its schema says"
                )));
            }
        }
        if document.as_object().is_none_or(serde_json::Map::is_empty) {
            return Err(Trouble::Failed(format!("{name} is empty")));
        }
    }
    Ok(())
}

/// The folder with the merged configuration: the compose project's name is not asked for.
fn folder_of_state(staging: &Path) -> Outcome<PathBuf> {
    let mut files = walkdir::WalkDir::new(staging).into_iter().filter_map(Result::ok);
    let state = files.find(|entry| entry.file_name() == "state.json");
    let folder = state.and_then(|entry| entry.path().parent().map(Path::to_owned));
    Ok(folder.ok_or("nothing was published")?)
}

fn read(name: &str, text: &str) -> Result<Value, String> {
    match Path::new(name).extension().and_then(|end| end.to_str()) {
        Some("yml") => serde_saphyr::from_str(text).map_err(|error| error.to_string()),
        Some("lock") => toml::from_str(text).map_err(|error| error.to_string()),
        _ => serde_json::from_str(text).map_err(|error| error.to_string()),
    }
}
