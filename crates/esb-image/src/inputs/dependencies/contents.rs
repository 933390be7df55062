//! Compares installed packages with what they were when they were installed, and with the lists of
//! files that they bring.
//!
//! Tools keep what they download, and do not look at it again. Owns reading `RECORD`, and the
//! verification of all that is installed. Refuses to judge files that no list names.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use esb_oci::{ContentStore, Damage, Digest, Verified};

use super::{FOLDER, INSTALLED, fetch, record_key};
use crate::{
    Error, Stager, UnpackLimits,
    context::{Content, ItemKind, Selected},
    inputs::staging::Copying,
    paths,
};

/// The largest list that is read, in bytes.
const MAX_LIST: u64 = 64 * 1024 * 1024;

/// Reads all packages that are installed in a store, and compares them with what they were when they
/// were installed. With `remove` those that have changed are removed: the next run that needs them
/// installs them again. What tools keep of their downloads says nothing of itself, and is not
/// looked at.
///
/// # Errors
/// When a folder cannot be read or removed.
pub fn verify_packages(
    store: &ContentStore,
    remove: bool,
    verified: &mut Verified,
) -> Result<(), Error> {
    let stager = Stager::new(store.clone(), UnpackLimits::default());
    let folder = store.folder().join(FOLDER);
    for entry in folder.entries()? {
        let place = folder.path().join(&entry.name);
        let record = record_key(&place);
        let is_damaged = if place.join(fetch::WHEEL).is_file() {
            fetch::verified(&place.join(fetch::WHEEL))?.is_err()
        } else if let Some(known) = store.record::<Digest>(INSTALLED, record) {
            stager.content(FOLDER, &place, &Copying::default(), false)? != known
        } else {
            continue;
        };
        if is_damaged && remove {
            folder.remove_folder(&entry.name)?;
        }
        verified.count("packages", is_damaged.then_some(Damage::Packages { path: place }));
    }
    Ok(())
}

/// Whether every file of a folder is what the list that names it says. With `complete` none may be
/// missing, and no list may be empty: of what was just installed, tools put some files elsewhere.
pub(super) fn are_as_listed(folder: &Selected, complete: bool) -> bool {
    let files: BTreeMap<&str, &Content> = folder
        .items
        .iter()
        .filter_map(|item| match &item.kind {
            ItemKind::File(content) => Some((&*item.path, content)),
            _ => None,
        })
        .collect();
    let lists = files.iter().filter(|(path, _)| {
        paths::name(path) == "RECORD" && paths::parent(path).ends_with(".dist-info")
    });
    lists.map(|(_, list)| list.text(MAX_LIST)).all(|list| {
        let mut names = list.iter().flat_map(|list| list.lines()).filter_map(listed).peekable();
        !(complete && names.peek().is_none())
            && names.all(|(name, digest)| match files.get(&*paths::clean(name)) {
                Some(found) => URL_SAFE_NO_PAD.encode(found.digest.bytes()) == digest,
                None => !complete || name.starts_with("..") || name.starts_with('/'),
            })
    })
}

/// The name and the digest in a line of a list.
fn listed(line: &str) -> Option<(&str, &str)> {
    let (rest, _size) = line.trim_end().rsplit_once(',')?;
    let (name, hash) = rest.rsplit_once(',')?;
    let name = name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name);
    Some((name, hash.strip_prefix("sha256=")?.trim_end_matches('=')))
}

#[cfg(test)]
mod tests {
    use esb_oci::Attributes;

    use super::*;
    use crate::context::Item;

    #[test]
    fn files_are_compared_with_their_lists() {
        let folder = tempfile::tempdir().unwrap();
        let hash = URL_SAFE_NO_PAD.encode(Digest::of(b"x = 1\n").bytes());
        let list = format!(
            "p/a.py,sha256={hash},6\r\n\"p/b,c.py\",sha256={hash}=,6\nbin/p,,\n\
             gone.py,sha256=A,1\np-1.dist-info/RECORD,,\n"
        );
        let same = |files: &[(&str, &str)], complete| {
            let items = files.iter().map(|(path, text)| {
                let place = folder.path().join(paths::name(path));
                std::fs::write(&place, text).unwrap();
                let content = Content {
                    path: place,
                    size: text.len() as u64,
                    digest: Digest::of(text.as_bytes()),
                };
                let kind = ItemKind::File(content);
                Item { path: (*path).to_owned(), attributes: Attributes::root(0o644), kind }
            });
            let items = items.collect();
            let passed = <_>::default();
            let folder = Selected { name: String::new(), is_folder: true, items, passed };
            are_as_listed(&folder, complete)
        };
        let list = ("p-1.dist-info/RECORD", &*list);
        let all = [list, ("p/a.py", "x = 1\n"), ("p/b,c.py", "x = 1\n"), ("bin/p", "y")];
        assert!(same(&all, false));
        assert!(!same(&[list, ("p/a.py", "x = 2\n")], false));
        assert!(!same(&[list, ("p/b,c.py", "x = 2\n")], false));
        assert!(same(&[("p/a.py", "x = 2\n"), ("RECORD", list.1)], false), "no list of a package");
        // `gone.py` may be elsewhere after an installation, and not later.
        assert!(!same(&all, true));
        let short = list.1.replace("gone.py,", "../gone.py,");
        let short = [(list.0, &*short), all[1], all[2]];
        assert!(same(&short, true));
        assert!(!same(&short[..2], true));
        assert!(same(&[(list.0, "")], false) && !same(&[(list.0, "")], true));
    }
}
