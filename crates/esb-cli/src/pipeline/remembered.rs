//! Which folder a project's configuration was delivered to last, beside its staging.
//!
//! Others deliver there too, and what they published afterwards is not in this project's staging:
//! who removes what nothing uses has to look there.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::config::failure;
use crate::exit::Failure;

#[derive(Serialize, Deserialize)]
struct Delivered {
    folder: PathBuf,
}

fn file(staging: &Path) -> PathBuf {
    staging.with_file_name("delivered.json")
}

/// Notes the folder.
pub(super) fn remember(staging: &Path, folder: &Path) -> Result<(), Failure> {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    if delivered(staging).as_ref() == Some(&folder) {
        return Ok(());
    }
    // A path that is no text cannot be noted.
    let Ok(text) = serde_json::to_string(&Delivered { folder }) else { return Ok(()) };
    esb_config::replace(&file(staging), format!("{text}\n").as_bytes(), esb_config::READABLE)
        .map_err(|error| failure(&error))
}

/// The folder, when there was one.
pub(crate) fn delivered(staging: &Path) -> Option<PathBuf> {
    let text = std::fs::read(file(staging)).ok()?;
    serde_json::from_slice::<Delivered>(&text).ok().map(|delivered| delivered.folder)
}
