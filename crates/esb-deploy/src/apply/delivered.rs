//! Remembers, beside staging, the folder that a project's configuration was last delivered to.
//!
//! Other projects deliver there too, and what they published afterwards is not in this project's
//! staging: a command that removes unused images has to look there.

use std::path::{Path, PathBuf};

use esb_oci::Folder;
use serde::{Deserialize, Serialize};

use crate::error::Error;

#[derive(Serialize, Deserialize)]
struct Delivered {
    folder: PathBuf,
}

/// The file's name beside staging.
const NAME: &str = "delivered.json";

/// The most bytes of the file that are read.
const LIMIT: u64 = 64 * 1024;

/// Records the folder.
pub(crate) fn remember(staging: &Folder, folder: &Path) -> Result<(), Error> {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    if delivered(staging).as_ref() == Some(&folder) {
        return Ok(());
    }
    let Some(beside) = staging.above() else { return Ok(()) };
    // A path that is no text cannot be noted.
    let Ok(text) = serde_json::to_string(&Delivered { folder }) else { return Ok(()) };
    Ok(esb_config::replace(&beside, NAME, format!("{text}\n").as_bytes(), esb_config::READABLE)?)
}

/// Reads the recorded folder.
pub fn delivered(staging: &Folder) -> Option<PathBuf> {
    let text = staging.above()?.read(NAME, LIMIT).ok()??;
    serde_json::from_slice::<Delivered>(&text).ok().map(|delivered| delivered.folder)
}
