//! Files of a later release, as either program meets them.

use std::{collections::BTreeMap, fs, path::PathBuf};

use super::{Outcome, Program, Trouble, expect, projects::Project};

/// A version that no release has.
const LATER: &str = "99";

/// Each file that cannot be made anew is refused, with its name and version, and nothing is written.
pub(super) fn refused(project: &Project, program: &Program) -> Outcome {
    let files = [
        (project.root.join("esb.lock"), "version = 99\nlater = true\n"),
        (project.published().join("state.json"), r#"{"version": 99, "owners": 1}"#),
        (project.store().join("content-store.json"), r#"{"contentStore": 99}"#),
    ];
    for (path, text) in files {
        let old = fs::read(&path)?;
        fs::write(&path, text)?;
        let before = contents(project)?;
        let said = expect(&mut project.deploy(program, project.name), 1);
        let after = contents(project)?;
        fs::write(&path, old)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let named = if name.starts_with("content-store") { "content store" } else { &name };
        said?.tells(&[named, LATER])?;
        if before != after {
            return Err(Trouble::Failed(format!("something was written beside a later {name}")));
        }
    }
    expect(&mut project.deploy(program, project.name), 0).map(drop)
}

fn contents(project: &Project) -> Outcome<BTreeMap<PathBuf, Vec<u8>>> {
    let mut found = BTreeMap::new();
    for entry in walkdir::WalkDir::new(&project.root) {
        let entry = entry.map_err(|error| error.to_string())?;
        // A lock holds the number of the process that had it last.
        if entry.file_type().is_file() && entry.file_name() != ".deploy.lock" {
            found.insert(entry.path().to_owned(), fs::read(entry.path())?);
        }
    }
    Ok(found)
}
