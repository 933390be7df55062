//! Remembers, beside staging, the folders that a project's configuration was delivered to.
//!
//! Other projects deliver there too, and what they published afterwards is not in this project's
//! staging, nor is what an earlier run published in another of the folders: a command that removes
//! unused images has to look there.

use std::path::{Path, PathBuf};

use esb_model::FormatVersions;
use esb_oci::Folder;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind};

#[derive(Serialize, Deserialize)]
struct Delivered {
    /// Lists from before there were versions are of the first.
    #[serde(default = "first")]
    version: u32,
    /// The newest last.
    #[serde(default)]
    folders: Vec<PathBuf>,
    /// The only one, in lists from before there were several.
    #[serde(default, skip_serializing)]
    folder: Option<PathBuf>,
}

/// The file's name beside staging.
const NAME: &str = "delivered.json";

/// The form of the list (docs/contracts/formats.md#files-of-a-project).
const VERSIONS: FormatVersions = FormatVersions::up_to(1);

/// The most bytes of the file that are read.
const LIMIT: u64 = 8 * 1024 * 1024;

/// The folders beyond so many that were delivered to first are forgotten.
const MOST: usize = 1000;

/// What every form of the list has.
#[derive(Deserialize)]
struct Head {
    #[serde(default = "first")]
    version: u32,
}

fn first() -> u32 {
    1
}

/// Refuses a run that would replace a list of another version.
///
/// # Errors
/// When there is one.
pub(crate) fn check(staging: &Folder) -> Result<(), Error> {
    match delivered(staging) {
        Err(error) if error.is_version() => Err(error),
        _ => Ok(()),
    }
}

/// Records the folder.
pub(crate) fn remember(staging: &Folder, folder: &Path) -> Result<(), Error> {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    // A list that cannot be read was told by whoever needed it.
    let mut folders = delivered(staging).unwrap_or_default();
    if folders.last() == Some(&folder) {
        return Ok(());
    }
    folders.retain(|known| *known != folder);
    folders.push(folder);
    let over = folders.len().saturating_sub(MOST);
    folders.drain(..over);
    let Some(beside) = staging.above() else { return Ok(()) };
    // A path that is no text cannot be noted.
    let list = Delivered { version: VERSIONS.newest(), folders, folder: None };
    let Ok(text) = serde_json::to_string(&list) else { return Ok(()) };
    Ok(esb_config::replace(&beside, NAME, format!("{text}\n").as_bytes(), esb_config::READABLE)?)
}

/// Lists the recorded folders.
///
/// # Errors
/// When the list is there and cannot be read.
pub fn delivered(staging: &Folder) -> Result<Vec<PathBuf>, Error> {
    let Some(beside) = staging.above() else { return Ok(Vec::new()) };
    let Some(text) = beside.read(NAME, LIMIT)? else { return Ok(Vec::new()) };
    let path = beside.path().join(NAME);
    let failed = |error: serde_json::Error| {
        let text = format!("could not read `{}`: {error}", path.display());
        Error::new(Kind::Local, "delivered", text)
            .hint("remove it, and deploy once to each folder where a Gateway reads")
    };
    let Head { version } = serde_json::from_slice(&text).map_err(failed)?;
    VERSIONS.check(version).map_err(|version| Error::of_version(&path, version))?;
    let delivered: Delivered = serde_json::from_slice(&text).map_err(failed)?;
    Ok(delivered.folders.into_iter().chain(delivered.folder).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_folders_are_remembered_and_the_first_form_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let staging = Folder::new(dir.path()).join("config");
        assert!(delivered(&staging).unwrap().is_empty());
        std::fs::write(dir.path().join(NAME), r#"{"folder":"/a"}"#).unwrap();
        for folder in ["/b", "/c", "/b"] {
            remember(&staging, Path::new(folder)).unwrap();
        }
        assert_eq!(delivered(&staging).unwrap(), ["/a", "/c", "/b"].map(PathBuf::from));
        for at in 0..MOST {
            remember(&staging, &Path::new("/many").join(at.to_string())).unwrap();
        }
        assert_eq!(delivered(&staging).unwrap().len(), MOST);
        let text = std::fs::read_to_string(dir.path().join(NAME)).unwrap();
        assert!(text.starts_with(r#"{"version":1,"#), "{text}");
        for (text, is_version) in [
            ("[", false),
            (r#"{"version":"1","folders":[]}"#, false),
            (r#"{"version":2,"folders":{}}"#, true),
            (r#"{"version":0}"#, true),
        ] {
            std::fs::write(dir.path().join(NAME), text).unwrap();
            assert!(delivered(&staging).unwrap_err().to_string().contains(NAME));
            assert_eq!(check(&staging).is_err(), is_version, "{text}");
        }
    }
}
