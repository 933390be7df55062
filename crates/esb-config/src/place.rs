//! Compares paths by the folder that they lead to.
//!
//! Owns the comparison by device and inode, which links, relative paths and mounts do not change.
//! Of a folder that is not there yet, the nearest one above it and the rest of the path count.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// Links that lead to nothing and are followed one after the other.
const LINKS: usize = 40;

/// A folder that is there, and what is missing below it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct DiskPlace {
    device: u64,
    inode: u64,
    missing: PathBuf,
}

/// Whether two paths lead to the same folder, or would once it is made.
pub fn is_same_folder(a: &Path, b: &Path) -> bool {
    let (a, b) = (real(a), real(b));
    a == b || find(&a).is_some_and(|place| Some(place) == find(&b))
}

/// Whether a path leads into a folder, or to the folder itself.
pub fn is_within(path: &Path, folder: &Path) -> bool {
    let folder = real(folder);
    let Some(wanted) = find(&folder) else { return false };
    real(path).ancestors().any(|above| above == folder || find(above).as_ref() == Some(&wanted))
}

/// The folders that a path lies in, itself included.
#[derive(Debug, Clone)]
pub struct FoldersAbove(Vec<DiskPlace>);

impl FoldersAbove {
    /// Looks at the folders above a path, wherever links lead.
    pub fn of(path: &Path) -> Self {
        let real = real(path);
        let above = real.ancestors().filter_map(|above| {
            let found = fs::metadata(above).ok()?;
            let missing = real.strip_prefix(above).ok()?.to_owned();
            Some(DiskPlace { device: found.dev(), inode: found.ino(), missing })
        });
        Self(above.collect())
    }

    /// The path as seen from a folder that it lies in.
    pub fn seen_from(&self, folder: &fs::Metadata) -> Option<&Path> {
        let is = |place: &&DiskPlace| (place.device, place.inode) == (folder.dev(), folder.ino());
        self.0.iter().find(is).map(|place| &*place.missing)
    }
}

/// The path without links and dots, as far as it is there.
fn real(path: &Path) -> PathBuf {
    let mut path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut missing = PathBuf::new();
    let mut links = 0;
    loop {
        if let Ok(real) = path.canonicalize() {
            // A joined empty path would end with a slash.
            return if missing.as_os_str().is_empty() { real } else { real.join(missing) };
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return path.join(missing);
        };
        match fs::read_link(&path) {
            Ok(target) if links < LINKS => {
                links += 1;
                path = parent.join(target);
            }
            _ => {
                missing = if missing.as_os_str().is_empty() {
                    name.into()
                } else {
                    Path::new(name).join(missing)
                };
                path = parent.to_owned();
            }
        }
    }
}

fn find(real: &Path) -> Option<DiskPlace> {
    real.ancestors().find_map(|above| {
        let found = fs::metadata(above).ok()?;
        let missing = real.strip_prefix(above).ok()?.to_owned();
        Some(DiskPlace { device: found.dev(), inode: found.ino(), missing })
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn one_folder_by_several_names() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir_all(root.join("a/b")).unwrap();
        symlink("a", root.join("link")).unwrap();
        symlink(root.join("a/new"), root.join("dangling")).unwrap();
        symlink("round", root.join("round")).unwrap();
        let same = |a: &str, b: &str| is_same_folder(&root.join(a), &root.join(b));
        assert!(same("a/b", "a/./b/"));
        assert!(same("a/b", "link/b"));
        assert!(same("a/b", "a/b/../b"));
        assert!(same("a/new/x", "link/new/x"));
        assert!(same("a/new/x", "dangling/x"));
        assert!(!same("a/b", "a"));
        assert!(!same("a/new", "a/other"));
        assert!(!same("a/new", "b/new"));
        assert!(!same("round", "a"));
        assert!(is_same_folder(Path::new("."), &std::env::current_dir().unwrap()));
        let within = |a: &str, b: &str| is_within(&root.join(a), &root.join(b));
        assert!(within("a/b", "a/b"));
        assert!(within("link/b/new", "a"));
        assert!(within("dangling/x", "a/new"));
        assert!(!within("a", "a/b"));
        assert!(!within("ab", "a"));
        assert!(!within("a/new", "a/other"));
        let seen = |path: &str, folder: &str| {
            let folder = fs::metadata(root.join(folder)).unwrap();
            FoldersAbove::of(&root.join(path)).seen_from(&folder).map(Path::to_owned)
        };
        assert_eq!(seen("link/b/new/x", "a"), Some("b/new/x".into()));
        assert_eq!(seen("link/b/new/x", "link/b"), Some("new/x".into()));
        assert_eq!(seen("a", "a/b"), None);
        assert_eq!(seen("a/b", "link/b"), Some("".into()));
    }
}
