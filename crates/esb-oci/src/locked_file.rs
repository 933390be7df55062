//! A locked file, whose lock ends when it is dropped.

use std::{fs::File, ops::Deref};

/// A file or folder that this process has locked; dropping it releases the lock.
///
/// Closing the file would not do: a child process that another thread is just starting holds all
/// that is open here until it runs its own program, and the lock for as long.
#[derive(Debug)]
#[must_use = "the lock is released when it is dropped"]
pub struct LockedFile(File);

impl LockedFile {
    /// Takes over a file of which the caller has the lock.
    pub fn new(locked: File) -> Self {
        Self(locked)
    }
}

impl Deref for LockedFile {
    type Target = File;

    fn deref(&self) -> &File {
        &self.0
    }
}

impl Drop for LockedFile {
    fn drop(&mut self) {
        // The file is closed next, which ends the lock as well.
        let _still_locked = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_of_the_descriptor_does_not_keep_the_lock() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mine = file.reopen().unwrap();
        mine.lock().unwrap();
        // As a child has it that has not run its program yet.
        let copy = mine.try_clone().unwrap();
        let mine = LockedFile::new(mine);
        let other = file.reopen().unwrap();
        assert!(other.try_lock().is_err());
        drop(mine);
        other.try_lock().unwrap();
        drop(copy);
    }
}
