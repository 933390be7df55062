//! The names of the files and folders in a content store.
//!
//! Owns the one list of the names that a store gives, which decides what may be removed from it and
//! whether a folder without a marker is a store. A file with another name does not belong to a
//! store.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use crate::{
    EntryKind, Folder, FolderEntry, FolderError,
    collect::{LOCK, LOOKED},
    folder::is_temporary,
    marker, records,
};

/// The folder of blobs.
pub(crate) const BLOBS: &str = "blobs";

/// The folder of all blobs whose digests we know.
pub(crate) const SHA256: &str = "blobs/sha256";

/// The folder of blobs and files that are being written.
pub(crate) const TEMPORARY: &str = "tmp";

/// The folder of installed packages.
const DEPENDENCIES: &str = "dependencies";

/// What the names of folders start with in which packages are being installed.
const INSTALLING: &str = "installing-";

/// The folder of the first bytes of slow downloads.
const PARTIAL: &str = "partial";

/// The folder of locks for places inside containers, and the lock's name in each.
const DELIVERY: &str = "delivery";
const DELIVERY_LOCK: &str = ".deploy.lock";

/// The folders of a store, none of which may be a link.
pub(crate) const FOLDERS: [&str; 7] =
    [BLOBS, SHA256, records::FOLDER, TEMPORARY, DEPENDENCIES, PARTIAL, DELIVERY];

/// The files of an OCI layout.
pub(crate) const LAYOUT_FILES: [&str; 2] = ["oci-layout", "index.json"];

/// What systems and backup programs put into a folder that is otherwise empty.
const OF_NOBODY: [&str; 2] = ["lost+found", "CACHEDIR.TAG"];

/// What is counted as [`StoreEntry::kind`] that processes left, or are still writing.
pub(crate) const LEFTOVERS: &str = "leftovers";

/// Something of a store that is kept or removed as a whole.
#[derive(Debug)]
pub(crate) struct StoreEntry {
    /// Relative to the store's folder.
    pub(crate) path: PathBuf,
    pub(crate) kind: String,
    pub(crate) is_folder: bool,
}

/// The names in a folder, by whether they belong to a store.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    pub(crate) found: Vec<StoreEntry>,
    /// What no store made, relative to the folder.
    pub(crate) foreign: Vec<PathBuf>,
    /// Whether it holds what only a store has, and no layout.
    is_store: bool,
    is_layout: bool,
}

impl Scan {
    /// Whether all of it can be a store's.
    pub(crate) fn is_ours(&self) -> bool {
        self.foreign.is_empty() && (self.is_store || !self.is_layout)
    }

    fn add(&mut self, path: PathBuf, entry: &FolderEntry, kind: &str) {
        let is_folder = entry.kind == EntryKind::Folder;
        self.found.push(StoreEntry { path, kind: kind.to_owned(), is_folder });
    }
}

/// Looks at everything in a folder that is a store or could be one.
pub(crate) fn scan(root: &Folder) -> Result<Scan, FolderError> {
    let mut scan = Scan::default();
    for entry in root.entries()? {
        let Some(name) = entry.text() else {
            scan.foreign.push(PathBuf::from(&entry.name));
            continue;
        };
        match (name, entry.kind) {
            (BLOBS, EntryKind::Folder) => blobs(root, &mut scan)?,
            (records::FOLDER, EntryKind::Folder) => {
                scan.is_store = true;
                of_records(root, &mut scan)?;
            }
            (TEMPORARY, EntryKind::Folder) => {
                each(root, TEMPORARY, &mut scan, |entry| is_scratch(entry).then_some(LEFTOVERS))?;
            }
            (DEPENDENCIES, EntryKind::Folder) => {
                scan.is_store = true;
                each(root, DEPENDENCIES, &mut scan, |entry| installed(entry, DEPENDENCIES))?;
            }
            (PARTIAL, EntryKind::Folder) => {
                scan.is_store = true;
                each(root, PARTIAL, &mut scan, |entry| file(entry).then_some(PARTIAL))?;
            }
            (DELIVERY, EntryKind::Folder) => {
                scan.is_store = true;
                deliveries(root, &mut scan)?;
            }
            (LOCK | LOOKED | marker::NAME, EntryKind::File) => scan.is_store = true,
            (name, EntryKind::File) if LAYOUT_FILES.contains(&name) => scan.is_layout = true,
            (name, _) if OF_NOBODY.contains(&name) => {}
            _ if is_unfinished(&entry) => scan.add(PathBuf::from(name), &entry, LEFTOVERS),
            _ => scan.foreign.push(PathBuf::from(name)),
        }
    }
    Ok(scan)
}

/// Sorts the entries of a folder: those that have a kind, and those of others.
fn each<'a>(
    root: &Folder,
    folder: &str,
    scan: &mut Scan,
    kind: impl Fn(&FolderEntry) -> Option<&'a str>,
) -> Result<(), FolderError> {
    for entry in root.join(folder).entries()? {
        let path = Path::new(folder).join(&entry.name);
        match kind(&entry) {
            Some(kind) => scan.add(path, &entry, kind),
            None => scan.foreign.push(path),
        }
    }
    Ok(())
}

fn blobs(root: &Folder, scan: &mut Scan) -> Result<(), FolderError> {
    for entry in root.join(BLOBS).entries()? {
        if entry.name == "sha256" && entry.kind == EntryKind::Folder {
            each(root, SHA256, scan, |entry| file(entry).then_some(BLOBS))?;
        } else {
            scan.foreign.push(Path::new(BLOBS).join(entry.name));
        }
    }
    Ok(())
}

/// Records of a kind are lines of one file, and large ones have files of their own. Others too name
/// a file `notes.log`: what it begins with tells whose it is.
fn of_records(root: &Folder, scan: &mut Scan) -> Result<(), FolderError> {
    let named = |name: &str| format!("{}/{name}", records::FOLDER);
    let folder = root.join(records::FOLDER);
    for entry in folder.entries()? {
        let path = Path::new(records::FOLDER).join(&entry.name);
        let name = entry.text().unwrap_or_default();
        match (entry.kind, name.strip_suffix(records::ENDING)) {
            (EntryKind::File, Some(kind))
                if is_word(kind) && records::is_file_of_records(&folder, name) =>
            {
                scan.add(path, &entry, &named(kind));
            }
            (EntryKind::File, _) if is_unfinished(&entry) => scan.add(path, &entry, LEFTOVERS),
            (EntryKind::Folder, _) if is_word(name) => {
                let kind = named(name);
                each(root, &kind, scan, |entry| match entry.kind {
                    EntryKind::File if is_unfinished(entry) => Some(LEFTOVERS),
                    _ => file(entry).then_some(&*kind),
                })?;
            }
            _ => scan.foreign.push(path),
        }
    }
    Ok(())
}

/// Each is a folder with a lock in it.
fn deliveries(root: &Folder, scan: &mut Scan) -> Result<(), FolderError> {
    for entry in root.join(DELIVERY).entries()? {
        let path = Path::new(DELIVERY).join(&entry.name);
        let is_lock =
            |held: &FolderEntry| held.name == DELIVERY_LOCK && held.kind == EntryKind::File;
        if entry.kind == EntryKind::Folder && root.join(&path).entries()?.iter().all(is_lock) {
            scan.add(path, &entry, LEFTOVERS);
        } else {
            scan.foreign.push(path);
        }
    }
    Ok(())
}

/// What is being written, and the locks of those who make something now ([`crate::KeyLock`]).
pub(crate) fn is_scratch(entry: &FolderEntry) -> bool {
    let is_turn =
        |name: &str| name.rsplit_once('-').is_some_and(|(what, key)| is_word(what) && is_key(key));
    is_unfinished(entry) || entry.kind == EntryKind::File && entry.text().is_some_and(is_turn)
}

fn installed<'a>(entry: &FolderEntry, kind: &'a str) -> Option<&'a str> {
    let name = entry.text().filter(|_| entry.kind == EntryKind::Folder)?;
    let is_letters =
        |rest: &str| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric());
    if is_key(name) {
        Some(kind)
    } else {
        name.strip_prefix(INSTALLING).is_some_and(is_letters).then_some(LEFTOVERS)
    }
}

/// Whether a file has its final name: the digest that it is found by.
fn file(entry: &FolderEntry) -> bool {
    entry.kind == EntryKind::File && entry.text().is_some_and(is_key)
}

fn is_key(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_word(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !name.is_empty() && name.bytes().all(is_letter)
}

/// Whether something has the name of what is not whole yet: `.tmp` and six letters or digits, or that of
/// [`Folder::replace`] for a file of ours.
fn is_unfinished(entry: &FolderEntry) -> bool {
    let Some(name) = entry.text() else { return false };
    let is_drawn = |rest: &str| rest.len() == 6 && rest.bytes().all(|b| b.is_ascii_alphanumeric());
    if name.strip_prefix(".tmp").is_some_and(is_drawn) {
        return matches!(entry.kind, EntryKind::File | EntryKind::Folder);
    }
    let whole = name.strip_prefix('.').and_then(|rest| rest.strip_suffix(".tmp"));
    let whole = whole.and_then(|rest| rest.rsplit_once('.')).map(|(whole, _)| whole);
    let is_ours = |whole: &str| {
        let named = LAYOUT_FILES.into_iter().chain([marker::NAME, LOOKED]);
        named.into_iter().any(|name| name == whole)
            || is_key(whole)
            || whole.strip_suffix(records::ENDING).is_some_and(is_word)
    };
    whole.is_some_and(|whole| is_ours(whole) && is_temporary(OsStr::new(name), whole, entry.kind))
}
