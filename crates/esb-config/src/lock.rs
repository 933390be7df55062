//! The lock that makes one run at a time publish into a folder.

use std::{
    fs::{File, TryLockError},
    io::{Read as _, Seek as _, Write as _},
    os::unix::fs::MetadataExt as _,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use esb_oci::{Folder, LockWait, LockedFile, TELL_AFTER};

use crate::{Error, is_same_folder};

/// An exclusive lock on a folder's `.deploy.lock`, held until it is dropped
/// (docs/contracts/platform.md#the-lock).
///
/// The system releases it when the process ends in any way; the file stays.
#[derive(Debug)]
pub struct Lock {
    folder: Folder,
    _locked: LockedFile,
}

const FILE_NAME: &str = ".deploy.lock";
const RETRY: Duration = Duration::from_millis(100);

impl Lock {
    /// How long a run waits for another one by default (docs/contracts/platform.md#the-lock).
    pub const DEFAULT_LIMIT: Duration = Duration::from_secs(30);

    /// Creates the folder if it is not there and waits, at most `limit`, for its lock.
    ///
    /// Blocks the thread.
    ///
    /// # Errors
    /// [`Error::Locked`] with the process that holds it, or when the folder is not writable.
    pub fn acquire(folder: impl Into<Folder>, limit: Duration) -> Result<Self, Error> {
        Self::acquire_telling(folder, limit, |_| {})
    }

    /// As [`Lock::acquire`]; a wait of more than [`TELL_AFTER`] is told.
    ///
    /// # Errors
    /// As [`Lock::acquire`].
    pub fn acquire_telling(
        folder: impl Into<Folder>,
        limit: Duration,
        tell: impl FnOnce(&LockWait),
    ) -> Result<Self, Error> {
        let folder = folder.into();
        let mut tell = Some(tell);
        folder.clone().readable().make()?;
        let path = folder.path().join(FILE_NAME);
        let mut file = folder.lock_file(FILE_NAME)?;
        let start = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if start.elapsed() < limit => {
                    if start.elapsed() >= TELL_AFTER
                        && let Some(tell) = tell.take()
                    {
                        tell(&LockWait::of(path.clone(), &file));
                    }
                    thread::sleep(RETRY.min(limit));
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::Locked { holder: holder(&mut file), path, limit });
                }
                Err(TryLockError::Error(error)) => return Err(Error::io("lock", path)(error)),
            }
        }
        // One with another name may be somebody's file, and locks as well without a number in it.
        let is_ours = file.metadata().map_err(Error::io("look at", &path))?.nlink() == 1;
        if is_ours {
            file.set_len(0)
                .and_then(|()| file.rewind())
                .and_then(|()| write!(file, "{}", std::process::id()))
                .map_err(Error::io("write", &path))?;
        }
        Ok(Self { folder, _locked: LockedFile::new(file) })
    }

    /// Whether a folder is the locked one, whatever it is called: a second lock of it would wait
    /// for this one.
    pub fn is_of(&self, dir: &Path) -> bool {
        is_same_folder(&self.folder.path(), dir)
    }

    /// The folder that is locked.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }
}

/// The process that wrote its number last.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Remedy;

    #[test]
    fn the_second_is_told_who_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(dir.path()).join("a/b");
        let first = Lock::acquire(&folder, Duration::ZERO).unwrap();
        let error = Lock::acquire(&folder, Duration::ZERO).unwrap_err();
        let pid = std::process::id();
        assert!(
            matches!(&error, Error::Locked { holder: Some(holder), .. } if *holder == pid),
            "{error:?}"
        );
        assert!(error.to_string().contains(&format!("(process {pid})")), "{error}");
        assert!(
            matches!(error.remedy(), Some(Remedy::Advice(text)) if text.contains(&pid.to_string()))
        );
        drop(first);
        Lock::acquire(&folder, Duration::ZERO).unwrap();
    }

    #[test]
    fn a_folder_of_another_name_is_known() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(dir.path(), dir.path().join("link")).unwrap();
        let lock = Lock::acquire(&dir.path().join("a"), Duration::ZERO).unwrap();
        assert!(lock.is_of(&dir.path().join("link/link/a")));
        assert!(!lock.is_of(dir.path()));
    }

    #[test]
    fn a_waiting_run_gets_it() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(dir.path());
        let first = Lock::acquire(&folder, Duration::ZERO).unwrap();
        thread::scope(|scope| {
            let second = scope.spawn(|| Lock::acquire(&folder, Lock::DEFAULT_LIMIT));
            drop(first);
            assert_eq!(second.join().unwrap().unwrap().folder(), &folder);
        });
    }

    #[test]
    fn a_folder_that_cannot_be() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Lock::acquire(file.path(), Duration::ZERO).unwrap_err();
        assert!(matches!(error, Error::Io { action: "create folder", .. }), "{error:?}");
    }
}
