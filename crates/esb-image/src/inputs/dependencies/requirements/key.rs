//! What an installation is known by: all that its packages depend on, without secrets.

use std::{collections::BTreeMap, fs, os::unix::fs::MetadataExt as _, path::Path};

use super::{Links, Options, Requirements, path_of, read};
use crate::{
    fingerprint::Fingerprint,
    inputs::dependencies::{entry, lines},
};

impl Requirements {
    /// The key of what is requested, without the places where packages are found.
    pub(crate) fn describe_wish(&self, key: &mut Fingerprint) {
        for text in &self.texts {
            describe_text(text, key);
        }
        for line in &self.changed {
            key.text(&entry::without_users(line));
        }
    }

    /// All that the installed packages depend on, without what is secret.
    pub(crate) fn describe(&self, key: &mut Fingerprint) {
        for entry in self.entries.iter().chain(&self.overrides) {
            entry.describe(key);
        }
        key.number(self.entries.len() as u64);
        let Options { index, extra, links, no_index, pre, require_hashes, .. } = &self.options;
        for address in index.iter().chain(extra) {
            key.text(&entry::without_user(address));
        }
        key.number(u64::from(index.is_some()));
        for links in links {
            match links {
                Links::Address(address) => key.text(&entry::without_user(address)),
                Links::Folder(folder) => describe_folder(folder, key),
            };
        }
        let flags = [*no_index, *pre, *require_hashes].map(u64::from);
        key.number(flags[0] | flags[1] << 1 | flags[2] << 2);
        for (is_constraint, address) in &self.lists {
            key.number(u64::from(*is_constraint)).text(&entry::without_user(address));
        }
        if let Some((_, what)) = &self.build {
            key.text(what);
        }
        for text in self.project.iter().flat_map(|project| &project.texts) {
            describe_text(text, key);
        }
        // What asks for builds does so with values of its own.
        if self.build.is_some() {
            self.describe_wish(key);
        }
        for content in &self.contents {
            key.digest(*content);
        }
    }
}

/// A file without the passwords of its addresses.
fn describe_text(bytes: &[u8], key: &mut Fingerprint) {
    let text = lines::decode(bytes).ok();
    let clean = text.as_ref().map(|text| entry::without_users(text));
    match clean.filter(|clean| Some(clean) != text.as_ref()) {
        Some(clean) => key.bytes(clean.as_bytes()),
        None => key.bytes(bytes),
    };
}

/// Names, sizes, times and inodes of a folder's archives; of a page of links also what it says.
///
/// Tools that want builds to be reproducible give every file the same time of modification; the time
/// of change and the inode tell of another file all the same.
fn describe_folder<'k>(folder: &Path, key: &'k mut Fingerprint) -> &'k mut Fingerprint {
    let mut folder = folder;
    if folder.is_file() {
        describe_text(&read("", folder).unwrap_or_default(), key);
        folder = folder.parent().unwrap_or(folder);
    }
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten().take(100_000) {
        let Ok(metadata) = entry.path().metadata() else { continue };
        let times = [metadata.mtime(), metadata.mtime_nsec(), metadata.ctime()];
        let times = times.map(|time| time.to_string()).join(" ");
        let stat = format!("{times} {} {}", metadata.ctime_nsec(), metadata.ino());
        found.insert(entry.file_name(), (metadata.len(), stat));
    }
    key.number(found.len() as u64);
    for (name, (size, stat)) in found {
        key.text(&name.to_string_lossy()).number(size).text(&stat);
    }
    key
}

/// A setting's folders, for a key.
pub(crate) fn describe_links(list: &str, key: &mut Fingerprint) {
    for link in list.split([' ', ',']).filter(|link| !link.is_empty()) {
        match path_of(link) {
            Some(folder) => describe_folder(Path::new(&folder), key),
            None => key.text(&entry::without_user(link)),
        };
    }
}
