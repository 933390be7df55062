//! Whose a content store is, and who may write to it.
//!
//! What lies in a store goes into images, so that whoever can write there decides what is run. Owns
//! the rule that a store belongs to this user or to root, or is shared on purpose: by a folder with
//! the setgid bit that a group of this user may write to. Refuses to decide whether the user trusts
//! a store all the same.

use std::{
    fs::{self, Metadata, Permissions},
    io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use crate::{StoreError, kinds};

/// The permissions that let every user of the machine write.
const BY_ALL: u32 = 0o002;

/// The setgid bit, with which new files get the group of their folder, and the right of that group
/// to write.
const BY_GROUP: u32 = 0o2020;

/// The most folders and files that are narrowed.
const MAX_ENTRIES: usize = 20_000_000;

/// What was found about a store's folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreAccess {
    /// Only this user, root, or a group on purpose can write to it; or nothing is there yet.
    Trusted,
    /// It is this user's, and every user could write to it; now no longer.
    Narrowed,
    /// Every user can write to it, and it is root's.
    OpenToAll,
}

/// Looks at the folder of a store before it is opened, and takes from others the right to write to
/// one of this user's own.
///
/// # Errors
/// [`StoreError::Owner`] when it belongs to another user, or when it cannot be narrowed.
pub fn check_store_access(root: &Path) -> Result<StoreAccess, StoreError> {
    let Ok(found) = fs::metadata(root) else { return Ok(StoreAccess::Trusted) };
    let own = rustix::process::geteuid().as_raw();
    if found.uid() != own && found.uid() != 0 && !is_shared(&found) {
        return Err(StoreError::Owner { path: root.to_owned(), owner: found.uid(), own });
    }
    if found.uid() != own {
        let is_open = found.mode() & BY_ALL != 0;
        return Ok(if is_open { StoreAccess::OpenToAll } else { StoreAccess::Trusted });
    }
    let folders = kinds::FOLDERS.iter().map(|name| root.join(name));
    let is_open = |path: PathBuf| fs::symlink_metadata(path).is_ok_and(|at| is_open(&at, own));
    if !folders.chain([root.to_owned()]).any(is_open) {
        return Ok(StoreAccess::Trusted);
    }
    narrow(root, own).map_err(StoreError::io("take the right to write from others in", root))?;
    Ok(StoreAccess::Narrowed)
}

/// Whether a folder is shared by a group of this user.
fn is_shared(found: &Metadata) -> bool {
    let groups = rustix::process::getgroups().unwrap_or_default();
    let mut groups = groups.into_iter().chain([rustix::process::getegid()]);
    found.mode() & (BY_GROUP | BY_ALL) == BY_GROUP
        && groups.any(|group| group.as_raw() == found.gid())
}

fn is_open(found: &Metadata, own: u32) -> bool {
    found.uid() == own && !found.is_symlink() && found.mode() & BY_ALL != 0
}

fn narrow(root: &Path, own: u32) -> io::Result<()> {
    let (mut folders, mut seen) = (vec![root.to_owned()], 0);
    take(root, own)?;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            seen += 1;
            if seen > MAX_ENTRIES {
                return Ok(());
            }
            if take(&path, own)?.is_dir() {
                folders.push(path);
            }
        }
    }
    Ok(())
}

/// Takes from others the right to write to a file or folder of this user's.
fn take(path: &Path, own: u32) -> io::Result<Metadata> {
    let found = fs::symlink_metadata(path)?;
    if is_open(&found, own) {
        fs::set_permissions(path, Permissions::from_mode(found.mode() & 0o7775))?;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::chown;

    use super::*;
    use crate::{ContentStore, Digest};

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn a_store_that_all_may_write_to_is_narrowed() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("store");
        assert_eq!(check_store_access(&root).unwrap(), StoreAccess::Trusted, "nothing is there");
        let store = ContentStore::open(&root).unwrap();
        store.set_record("a", Digest::of(b"a"), &1).unwrap();
        assert_eq!(check_store_access(&root).unwrap(), StoreAccess::Trusted);
        let records = root.join("records");
        for open in [vec![&root], vec![&records], vec![&root, &records]] {
            for path in open {
                fs::set_permissions(path, Permissions::from_mode(0o777)).unwrap();
            }
            fs::set_permissions(records.join("a.log"), Permissions::from_mode(0o666)).unwrap();
            assert_eq!(check_store_access(&root).unwrap(), StoreAccess::Narrowed);
            assert_eq!(mode(&root) & 0o002, 0);
            assert_eq!([mode(&records), mode(&records.join("a.log"))].map(|mode| mode & 2), [0, 0]);
            assert_eq!(check_store_access(&root).unwrap(), StoreAccess::Trusted);
        }
    }

    #[test]
    fn a_store_of_another_user_is_refused_unless_a_group_shares_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        if !rustix::process::geteuid().is_root() {
            return; // nobody else can give folders away
        }
        let refused = || matches!(check_store_access(root), Err(StoreError::Owner { .. }));
        chown(root, Some(65534), Some(0)).unwrap();
        assert!(refused());
        fs::set_permissions(root, Permissions::from_mode(0o2775)).unwrap();
        assert_eq!(check_store_access(root).unwrap(), StoreAccess::Trusted, "shared on purpose");
        fs::set_permissions(root, Permissions::from_mode(0o2777)).unwrap();
        assert!(refused());
        chown(root, Some(65534), Some(65534)).unwrap();
        fs::set_permissions(root, Permissions::from_mode(0o2775)).unwrap();
        assert!(refused(), "by a group of others");
    }
}
