//! Remembers, beside staging, the folders that a project's configuration was delivered to.
//!
//! Other projects deliver there too, and what they published afterwards is not in this project's
//! staging, nor is what an earlier run published in another of the folders: a command that removes
//! unused images has to look there.

use std::path::{Path, PathBuf};

use esb_model::{FormatHead, FormatVersions};
use esb_oci::Folder;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind};

#[derive(Serialize, Deserialize)]
struct Delivered {
    #[serde(default)]
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

/// Lists from before there were versions are of it.
const FIRST: u32 = 1;

/// The most bytes of the file that are read.
const LIMIT: u64 = 8 * 1024 * 1024;

/// The folders beyond so many that were delivered to first are forgotten.
const MOST: usize = 1000;

/// Refuses a run that would replace a list that it cannot read: it alone says which other folders
/// name images, and what no folder names is removed.
///
/// # Errors
/// When there is one.
pub(crate) fn check(staging: &Folder) -> Result<(), Error> {
    delivered(staging).map(drop)
}

/// Records the folder.
pub(crate) fn remember(staging: &Folder, folder: &Path) -> Result<(), Error> {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let mut folders = delivered(staging)?;
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
            .hint("bring it back as it was; or remove it, and deploy once to each folder where a Gateway reads")
    };
    let head: FormatHead<Option<u32>> = serde_json::from_slice(&text).map_err(failed)?;
    VERSIONS
        .check(head.version.unwrap_or(FIRST))
        .map_err(|version| Error::of_version(&path, version))?;
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
        for text in [
            "[",
            "",
            "[]",
            r#"{"folders":["/a""#,
            r#"{"version":"1","folders":[]}"#,
            r#"{"version":2,"folders":{}}"#,
            r#"{"version":0}"#,
        ] {
            std::fs::write(dir.path().join(NAME), text).unwrap();
            assert!(check(&staging).unwrap_err().to_string().contains(NAME), "{text}");
            assert!(remember(&staging, Path::new("/d")).is_err(), "{text}");
            assert_eq!(std::fs::read_to_string(dir.path().join(NAME)).unwrap(), text);
        }
    }
}
