//! Remembers, beside staging, the folders that a project's configuration was delivered to.
//!
//! Other projects deliver there too, and what they published afterwards is not in this project's
//! staging, nor is what an earlier run published in another of the folders: a command that removes
//! unused images has to look there.

use std::path::{Path, PathBuf};

use esb_oci::Folder;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind};

#[derive(Default, Serialize, Deserialize)]
struct Delivered {
    /// The newest last.
    #[serde(default)]
    folders: Vec<PathBuf>,
    /// The only one, in the first form.
    #[serde(default, skip_serializing)]
    folder: Option<PathBuf>,
}

/// The file's name beside staging.
const NAME: &str = "delivered.json";

/// The most bytes of the file that are read.
const LIMIT: u64 = 8 * 1024 * 1024;

/// The folders beyond so many that were delivered to first are forgotten.
const MOST: usize = 1000;

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
    let Ok(text) = serde_json::to_string(&Delivered { folders, folder: None }) else {
        return Ok(());
    };
    Ok(esb_config::replace(&beside, NAME, format!("{text}\n").as_bytes(), esb_config::READABLE)?)
}

/// Lists the recorded folders.
///
/// # Errors
/// When the list is there and cannot be read.
pub fn delivered(staging: &Folder) -> Result<Vec<PathBuf>, Error> {
    let Some(beside) = staging.above() else { return Ok(Vec::new()) };
    let Some(text) = beside.read(NAME, LIMIT)? else { return Ok(Vec::new()) };
    let delivered: Delivered = serde_json::from_slice(&text).map_err(|error| {
        let path = beside.path().join(NAME);
        let text = format!("could not read `{}`: {error}", path.display());
        Error::new(Kind::Local, "delivered", text)
            .hint("remove it, and deploy once to each folder where a Gateway reads")
    })?;
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
        std::fs::write(dir.path().join(NAME), "[").unwrap();
        assert!(delivered(&staging).unwrap_err().to_string().contains(NAME));
    }
}
