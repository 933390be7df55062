//! Who holds a lock that somebody waits for.

use std::{
    fmt,
    fs::File,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::read_file;

/// After how long a wait is told.
pub const TELL_AFTER: Duration = Duration::from_secs(2);

/// A wait for a lock that another process holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockWait {
    /// The file or folder that is locked.
    pub path: PathBuf,
    /// The process that holds it, where the system says so.
    pub holder: Option<u32>,
    /// Its program.
    pub program: Option<String>,
}

/// The most bytes of the system's list of locks.
const MAX_LOCKS: u64 = 16 * 1024 * 1024;

impl LockWait {
    /// Looks who holds the lock of a file or folder that is open here.
    pub fn of(path: PathBuf, file: &File) -> Self {
        let holder = file.metadata().ok().and_then(|found| holder(found.ino()));
        let program = holder.and_then(|process| {
            let name = Path::new("/proc").join(process.to_string()).join("comm");
            let name = read_file(&name, 4096).ok()?;
            Some(String::from_utf8_lossy(&name).trim().to_owned())
        });
        Self { path, holder, program }
    }
}

impl fmt::Display for LockWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display().to_string();
        write!(f, "waiting for the lock `{}`, which ", path.escape_debug())?;
        match (self.holder, &self.program) {
            (Some(process), Some(program)) => {
                write!(f, "process {process} (`{}`) holds", program.escape_debug())
            }
            (Some(process), None) => write!(f, "process {process} holds"),
            (None, _) => f.write_str("another process holds"),
        }
    }
}

/// The process that locked an inode, as the system lists it: `1: FLOCK  ADVISORY  WRITE 123
/// fd:01:456 0 EOF`. One that waits for it has an arrow in its line.
fn holder(inode: u64) -> Option<u32> {
    let locks = read_file(Path::new("/proc/locks"), MAX_LOCKS).ok()?;
    String::from_utf8_lossy(&locks).lines().find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        (words.next()? == "FLOCK").then_some(())?;
        let process = words.nth(2)?.parse().ok()?;
        let locked = words.next()?.rsplit(':').next()?;
        (locked.parse() == Ok(inode)).then_some(process)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_is_found() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let other = File::open(file.path()).unwrap();
        let wait = || LockWait::of(file.path().to_owned(), &other);
        let words = format!("waiting for the lock `{}`, which ", file.path().display());
        assert_eq!(wait().to_string(), format!("{words}another process holds"));
        file.as_file().lock().unwrap();
        let process = std::process::id();
        let told = wait().to_string();
        // A sandbox may have no list.
        if Path::new("/proc/locks").exists() {
            assert!(told.starts_with(&format!("{words}process {process} (`")), "{told}");
        }
    }
}
