//! Writes files and folders under temporary names and renames them once they are complete.

use std::{
    ffi::{OsStr, OsString},
    fs::{File, Permissions},
    io::{self, Write as _},
    os::{fd::OwnedFd, unix::fs::PermissionsExt as _},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, Mode, OFlags},
    io::Errno,
};

use super::{EntryKind, Folder, FolderError, open::OpenedName, remove::remove_at};

/// How many digits make a temporary name.
const DIGITS: usize = 16;

/// How often a name is tried that others take at the same time.
const ATTEMPTS: u32 = 10;

/// What the names of files end with that are not whole.
const ENDING: &str = ".tmp";

impl Folder {
    /// Makes or replaces a file as a whole: readers see the old content or the new one. What
    /// `make` gets is readable by its owner alone, and lies under a temporary name; whether its
    /// content is synced is its own affair. The folder is made when it is missing.
    ///
    /// # Errors
    /// When `make` or the disk fails, something else than a file is there, or a link is on the
    /// way: the file is as it was.
    pub fn replace(
        &self,
        name: impl AsRef<Path>,
        make: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> Result<(), FolderError> {
        let place = self.made_place(name.as_ref())?;
        match place.kind()? {
            None | Some(EntryKind::File) => {}
            Some(found) => return Err(place.other(found, "file")),
        }
        let (temporary, mut file) = temporary_file(&place)?;
        let done = make(&mut file).map_err(place.io("write")).and_then(|()| {
            rustix::fs::renameat(&place.folder, &temporary, &place.folder, &place.name)
                .map_err(|error| place.io("replace")(error.into()))
        });
        if done.is_err() {
            let _gone = rustix::fs::unlinkat(&place.folder, &temporary, AtFlags::empty());
        }
        done
    }

    /// As [`Folder::replace`], with content and mode; both are on the disk when it returns.
    ///
    /// # Errors
    /// As [`Folder::replace`].
    pub fn write(
        &self,
        name: impl AsRef<Path>,
        content: &[u8],
        mode: u32,
    ) -> Result<(), FolderError> {
        let name = name.as_ref();
        self.replace(name, |file| {
            file.write_all(content)?;
            file.set_permissions(Permissions::from_mode(mode))?;
            file.sync_all()
        })?;
        self.join(super::split(name).0).sync()
    }

    /// Waits until the disk has the names in this folder.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn sync(&self) -> Result<(), FolderError> {
        self.open_folder()?.sync_all().map_err(FolderError::io("sync", &self.path()))
    }

    /// Makes a folder in this one, which vanishes when it is dropped; `prefix` says whose it is.
    ///
    /// # Errors
    /// When the disk fails, or a link is on the way.
    pub fn temporary(&self, prefix: &str) -> Result<TemporaryFolder, FolderError> {
        let parent = self.made()?;
        loop {
            let name = format!("{prefix}{}", digits());
            match rustix::fs::mkdirat(&parent, &name, Mode::RWXU) {
                Ok(()) => {
                    let folder = self.join(&name);
                    return Ok(TemporaryFolder { parent, name: name.into(), folder });
                }
                Err(Errno::EXIST) => {}
                Err(error) => {
                    let failed = FolderError::io("create a folder in", &self.path());
                    return Err(failed(error.into()));
                }
            }
        }
    }

    /// Puts what was made in a temporary folder under a name here. What had the name goes with
    /// the temporary folder.
    ///
    /// # Errors
    /// When the disk fails, a link has the name or is on the way.
    pub fn put(
        &self,
        name: impl AsRef<Path>,
        from: &TemporaryFolder,
        made: &str,
    ) -> Result<(), FolderError> {
        let place = self.made_place(name.as_ref())?;
        let below = from.folder.made()?;
        // Another process may put something there between two steps.
        for attempt in 0..ATTEMPTS {
            match place.kind()? {
                None => {}
                Some(EntryKind::File | EntryKind::Folder) => {
                    let old = format!("old-{attempt}");
                    match rustix::fs::renameat(&place.folder, &place.name, &below, old) {
                        Ok(()) | Err(Errno::NOENT) => {}
                        Err(error) => return Err(place.io("replace")(error.into())),
                    }
                }
                Some(found) => return Err(place.other(found, "file or folder")),
            }
            match rustix::fs::renameat(&below, made, &place.folder, &place.name) {
                Err(Errno::EXIST | Errno::NOTEMPTY | Errno::ISDIR | Errno::NOTDIR) => {}
                done => return done.map_err(|error| place.io("put in place")(error.into())),
            }
        }
        Err(place.io("put in place")(io::ErrorKind::AlreadyExists.into()))
    }
}

/// A folder that vanishes with all that it holds when it is dropped.
#[derive(Debug)]
pub struct TemporaryFolder {
    parent: OwnedFd,
    name: OsString,
    folder: Folder,
}

impl TemporaryFolder {
    /// The folder, for what writes into it.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Where it lies.
    pub fn path(&self) -> PathBuf {
        self.folder.path()
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        let _left_for_the_next = remove_at(&self.parent, &self.name);
    }
}

/// Whether a name is one that [`Folder::replace`] gave a file while it was not whole (`of` is the
/// name of the whole file), or [`Folder::temporary`] a folder (`of` is its prefix).
pub fn is_temporary(name: &OsStr, of: &str, kind: EntryKind) -> bool {
    let Some(name) = name.to_str() else { return false };
    let digits = match kind {
        EntryKind::File => {
            let rest = name.strip_prefix('.').and_then(|name| name.strip_prefix(of));
            rest.and_then(|name| name.strip_prefix('.')?.strip_suffix(ENDING))
        }
        EntryKind::Folder => name.strip_prefix(of),
        EntryKind::Link | EntryKind::Other => None,
    };
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    digits.is_some_and(|text| text.len() == DIGITS && text.bytes().all(is_digit))
}

fn digits() -> String {
    format!("{:016x}", fastrand::u64(..))
}

fn temporary_file(place: &OpenedName) -> Result<(OsString, File), FolderError> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    loop {
        let mut name = OsString::from(".");
        name.push(&place.name);
        name.push(format!(".{}{ENDING}", digits()));
        match rustix::fs::openat(&place.folder, &name, flags, Mode::RUSR | Mode::WUSR) {
            Ok(file) => return Ok((name, File::from(file))),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(place.io("create a file beside")(error.into())),
        }
    }
}
