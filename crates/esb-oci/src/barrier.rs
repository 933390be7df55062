//! Finds the file or folder whose permissions are in the way of a path.

use std::{
    fmt, fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use rustix::{fs::Access, io::Errno};

/// A file or folder that this user may not read, write or enter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Barrier {
    /// Where it is.
    pub path: PathBuf,
    /// The user that it belongs to.
    pub owner: u32,
    /// Its file system is mounted read-only.
    pub is_read_only: bool,
    /// What this user may not do.
    verb: &'static str,
}

/// What helps where nothing is known to be in the way.
pub(crate) const GIVE_RIGHT: &str = "give this user the right to";

/// Whether an error of the operating system means that this user may not do something.
pub fn is_denied(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

impl Barrier {
    /// What an error about a path came from; none when permissions have no part in it.
    pub fn behind(error: &io::Error, path: &Path) -> Option<Self> {
        is_denied(error.kind()).then(|| Self::find(path)).flatten()
    }

    /// Looks from the root on for what keeps this user from a path; none when nothing does.
    pub fn find(path: &Path) -> Option<Self> {
        let path = std::path::absolute(path).ok()?;
        let mut above: Vec<&Path> = path.ancestors().skip(1).collect();
        above.reverse();
        let mut nearest = Path::new("/");
        for folder in above {
            match rustix::fs::access(folder, Access::EXEC_OK) {
                Ok(()) => nearest = folder,
                Err(Errno::NOENT) => break,
                Err(_) => return Self::of(folder, "enter it", false),
            }
        }
        let found = fs::symlink_metadata(&path).ok();
        if let Some(found) = &found {
            let wanted = if found.is_dir() { Access::WRITE_OK } else { Access::READ_OK };
            match (rustix::fs::access(&path, wanted), found.is_dir()) {
                (Ok(()), _) => {}
                (Err(error), true) => return Self::of(&path, "write there", error == Errno::ROFS),
                (Err(_), false) => return Self::of(&path, "read it", false),
            }
        }
        match rustix::fs::access(nearest, Access::WRITE_OK) {
            Ok(()) => None,
            Err(error) => Self::of(nearest, "write there", error == Errno::ROFS),
        }
    }

    /// What is in the way, and what helps.
    pub(crate) fn advice(&self) -> String {
        let help =
            if self.is_read_only { "mount it so that it can be written" } else { GIVE_RIGHT };
        format!("{self}: {help}")
    }

    fn of(path: &Path, verb: &'static str, is_read_only: bool) -> Option<Self> {
        let owner = fs::metadata(path).ok()?.uid();
        Some(Self { path: path.to_owned(), owner, is_read_only, verb })
    }
}

impl fmt::Display for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display().to_string();
        let path = path.escape_debug();
        if self.is_read_only {
            return write!(f, "`{path}` is on a file system that is mounted read-only");
        }
        let own = rustix::process::geteuid().as_raw();
        let Self { owner, verb, .. } = self;
        write!(f, "`{path}` belongs to user {owner}, and this user ({own}) may not {verb}")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_folder_that_is_in_the_way_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("a");
        fs::create_dir(&below).unwrap();
        assert_eq!(Barrier::find(&below.join("b/c/d")), None);
        if rustix::process::geteuid().is_root() {
            return; // nothing holds root back
        }
        let allow = |mode| fs::set_permissions(&below, fs::Permissions::from_mode(mode)).unwrap();
        for (mode, words) in [(0o555, "may not write there"), (0o600, "may not enter it")] {
            allow(mode);
            let found = Barrier::find(&below.join("b/c/d")).unwrap();
            assert_eq!(found.path, below);
            assert!(found.to_string().contains(words), "{found}");
        }
        allow(0o755);
    }
}
