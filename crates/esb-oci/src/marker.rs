//! The marker file that identifies a folder as a content store.
//!
//! Nothing is ever removed from a folder without it. Stores from before there was one are
//! recognised by holding nothing but what a store holds, and get it then.

use esb_model::FormatVersions;
use serde_json::{Value, json};

use crate::{Folder, FolderError, StoreError, is_denied, kinds};

/// The marker's name.
pub(crate) const NAME: &str = "content-store.json";

/// The form of a store (docs/contracts/formats.md#the-content-store).
pub(crate) const VERSIONS: FormatVersions = FormatVersions::up_to(1);

/// The most bytes of the marker.
const LIMIT: u64 = 4096;

/// The most names of foreign files that a message lists.
const TOLD: usize = 3;

/// The key of its version: a number; anything else is some newer program's.
const KEY: &str = "contentStore";

/// Makes sure that a folder is a store, or may become one; then it is marked. Whether its marker is
/// damaged: what holds nothing but a store's own files is a store all the same.
///
/// # Errors
/// [`StoreError::Foreign`] when it holds what is somebody else's, [`StoreError::Version`] when
/// another program made it; or when the disk fails.
pub(crate) fn check(root: &Folder) -> Result<bool, StoreError> {
    let text = root.read(NAME, LIMIT)?;
    let wrong = |version| StoreError::Version { path: root.path(), version };
    let is_damaged = text.is_some();
    if let Some(text) = text {
        let marker = serde_json::from_slice::<Value>(&text).unwrap_or_default();
        if let Some(content_store) = marker.get(KEY) {
            let version = content_store.as_u64().and_then(|version| u32::try_from(version).ok());
            let version = version.ok_or_else(|| wrong(None))?;
            return match VERSIONS.check(version) {
                Ok(()) => Ok(false),
                Err(error) => Err(wrong(Some(error))),
            };
        }
    }
    let scan = kinds::scan(root)?;
    if !scan.is_ours() {
        if is_damaged {
            return Err(wrong(None));
        }
        let mut names: Vec<_> =
            scan.foreign.iter().take(TOLD).map(|path| path.display().to_string()).collect();
        if names.is_empty() {
            // All of it could be a store's, and is that of an OCI layout.
            names.extend(kinds::LAYOUT_FILES.map(str::to_owned));
        }
        return Err(StoreError::Foreign { path: root.path(), names });
    }
    if !is_damaged {
        write(root)?;
    }
    Ok(is_damaged)
}

/// Marks a folder as a store, where this user may write.
pub(crate) fn write(root: &Folder) -> Result<(), StoreError> {
    let marker = json!({ KEY: VERSIONS.newest() }).to_string();
    match root.write(NAME, marker.as_bytes(), 0o644) {
        Err(FolderError::Io { source, .. }) if is_denied(source.kind()) => Ok(()),
        written => Ok(written?),
    }
}
