//! Removes files and folders; of a symbolic link the link itself, never its target.

use std::{ffi::OsStr, os::fd::OwnedFd, path::Path};

use rustix::{
    fs::{AtFlags, Mode, OFlags},
    io::Errno,
};

use super::{EntryKind, Folder, FolderError, open};

impl Folder {
    /// Removes a file; says whether it was there.
    ///
    /// # Errors
    /// When it is no file or cannot be removed, or a link is on the way to it.
    pub fn remove_file(&self, name: impl AsRef<Path>) -> Result<bool, FolderError> {
        let Some(place) = self.place(name.as_ref())? else { return Ok(false) };
        match place.kind()? {
            None => Ok(false),
            Some(EntryKind::File) => {
                match rustix::fs::unlinkat(&place.folder, &place.name, AtFlags::empty()) {
                    Ok(()) => Ok(true),
                    Err(Errno::NOENT) => Ok(false),
                    Err(error) => Err(place.io("remove")(error.into())),
                }
            }
            Some(found) => Err(place.other(found, "file")),
        }
    }

    /// Removes a folder with all that it holds; says whether it was there.
    ///
    /// # Errors
    /// When it is no folder or cannot be removed, or a link is on the way to it.
    pub fn remove_folder(&self, name: impl AsRef<Path>) -> Result<bool, FolderError> {
        let Some(place) = self.place(name.as_ref())? else { return Ok(false) };
        match place.kind()? {
            None => Ok(false),
            Some(EntryKind::Folder) => remove_at(&place.folder, &place.name)
                .map(|()| true)
                .map_err(|error| place.io("remove")(error.into())),
            Some(found) => Err(place.other(found, "folder")),
        }
    }

    /// Removes a folder that holds nothing. Anything else stays.
    ///
    /// # Errors
    /// When a link is on the way to it.
    pub fn remove_empty(&self, name: impl AsRef<Path>) -> Result<(), FolderError> {
        if let Some(place) = self.place(name.as_ref())? {
            let _holds_more = rustix::fs::unlinkat(&place.folder, &place.name, AtFlags::REMOVEDIR);
        }
        Ok(())
    }
}

/// Removes what a name in an open folder stands for, and what lies below it.
pub(super) fn remove_at(folder: &OwnedFd, name: &OsStr) -> rustix::io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let removed = match rustix::fs::openat(folder, name, flags, Mode::empty()) {
        Ok(below) => {
            for (name, _) in open::names(&below)? {
                remove_at(&below, &name)?;
            }
            rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR)
        }
        Err(Errno::NOTDIR | Errno::LOOP | Errno::MLINK) => {
            rustix::fs::unlinkat(folder, name, AtFlags::empty())
        }
        Err(error) => Err(error),
    };
    match removed {
        Err(Errno::NOENT) => Ok(()),
        removed => removed,
    }
}
