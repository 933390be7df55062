//! File operations below a folder that follow no symbolic link.
//!
//! A project may come with links of its own below the folder that is written to, such as
//! `.esb/dev/functions -> /home/user`. So every operation opens folder by folder from a handle
//! and refuses a link on the way. Owns reading, writing, locking and removing in such folders.
//! Refuses to decide which folder it is: the way to its base is the user's and may lead through
//! links.

mod error;
mod open;
mod remove;
mod write;

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File, Metadata},
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::fs::OFlags;

pub use self::{
    error::FolderError,
    write::{TemporaryFolder, is_temporary},
};

/// What happens when a path leads through a symbolic link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Links {
    /// It is an error, which names the setting that lets links be followed, if there is one.
    Refused { unless: Option<Arc<str>> },
    /// It is followed: the user says so.
    Followed,
}

/// A folder, which need not exist. Cheap to clone: no file is open between two operations.
///
/// Names that its methods take may have several parts; folders on the way are opened as the
/// folder itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    base: PathBuf,
    below: PathBuf,
    links: Links,
    /// Folders that are made may be read by all users, whatever the umask says.
    is_readable: bool,
}

impl From<&Folder> for Folder {
    fn from(folder: &Folder) -> Self {
        folder.clone()
    }
}

impl From<&Path> for Folder {
    fn from(base: &Path) -> Self {
        Self::new(base)
    }
}

impl From<&PathBuf> for Folder {
    fn from(base: &PathBuf) -> Self {
        Self::new(base)
    }
}

/// The kind of an entry of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    File,
    Folder,
    Link,
    /// A pipe, a device, a socket.
    Other,
}

/// An entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderEntry {
    pub name: OsString,
    pub kind: EntryKind,
}

impl FolderEntry {
    /// The name, when it is text.
    pub fn text(&self) -> Option<&str> {
        self.name.to_str()
    }
}

impl Folder {
    /// A folder to which links may lead, and below which they are errors.
    pub fn new(base: impl Into<PathBuf>) -> Self {
        let links = Links::Refused { unless: None };
        Self { base: base.into(), below: PathBuf::new(), links, is_readable: false }
    }

    /// The same folder with other rules for links.
    #[must_use]
    pub fn with_links(self, links: Links) -> Self {
        Self { links, ..self }
    }

    /// The same folder for what other users read: folders that are made let them in, whatever the
    /// umask says.
    #[must_use]
    pub fn readable(self) -> Self {
        Self { is_readable: true, ..self }
    }

    /// A folder below this one.
    #[must_use]
    pub fn join(&self, name: impl AsRef<Path>) -> Self {
        let below = self.below.join(name);
        Self { below, ..self.clone() }
    }

    /// The folder above this one; the base has none that is known.
    pub fn above(&self) -> Option<Self> {
        let below = self.below.parent()?.to_owned();
        Some(Self { below, ..self.clone() })
    }

    /// Where the folder lies.
    pub fn path(&self) -> PathBuf {
        if self.below.as_os_str().is_empty() {
            self.base.clone()
        } else {
            self.base.join(&self.below)
        }
    }

    /// Whether the folder is there.
    ///
    /// # Errors
    /// When something else is there, or a link on the way.
    pub fn exists(&self) -> Result<bool, FolderError> {
        Ok(self.walk(false)?.is_some())
    }

    /// Makes the folder and those above it that are missing.
    ///
    /// # Errors
    /// When the disk fails, or a link is on the way.
    pub fn make(&self) -> Result<(), FolderError> {
        self.made().map(drop)
    }

    /// The nearest folder that is there: this one, or one above it.
    ///
    /// # Errors
    /// When something else is there, or a link on the way.
    pub fn nearest(&self) -> Result<Self, FolderError> {
        let above =
            self.below.ancestors().map(|below| Self { below: below.into(), ..self.clone() });
        for folder in above {
            if folder.exists()? {
                return Ok(folder);
            }
        }
        let above = self.base.ancestors().filter(|path| !path.as_os_str().is_empty());
        let base = above.into_iter().find(|path| path.exists()).unwrap_or(Path::new("."));
        Ok(Self { base: base.to_owned(), below: PathBuf::new(), ..self.clone() })
    }

    /// A handle of the folder, to lock it with.
    ///
    /// # Errors
    /// When it is missing, or a link is on the way.
    pub fn open_folder(&self) -> Result<File, FolderError> {
        let missing = || FolderError::io("open", &self.path())(io::ErrorKind::NotFound.into());
        Ok(File::from(self.walk(false)?.ok_or_else(missing)?))
    }

    /// What the folder holds, by name; nothing when it is missing.
    ///
    /// # Errors
    /// When it cannot be read, or a link is on the way.
    pub fn entries(&self) -> Result<Vec<FolderEntry>, FolderError> {
        let Some(folder) = self.walk(false)? else { return Ok(Vec::new()) };
        let failed = || FolderError::io("list", &self.path());
        let names = open::names(&folder).map_err(|error| failed()(error.into()))?;
        let mut entries = Vec::with_capacity(names.len());
        for (name, kind) in names {
            let kind = match kind {
                Some(kind) => Some(kind),
                None => open::kind_at(&folder, &name).map_err(|error| failed()(error.into()))?,
            };
            entries.extend(kind.map(|kind| FolderEntry { name, kind }));
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// What a name stands for; none when nothing is there.
    ///
    /// # Errors
    /// When it cannot be seen, or a link is on the way to it.
    pub fn kind(&self, name: impl AsRef<Path>) -> Result<Option<EntryKind>, FolderError> {
        let Some(place) = self.place(name.as_ref())? else { return Ok(None) };
        place.kind()
    }

    /// The metadata of a file or folder; none when nothing is there.
    ///
    /// # Errors
    /// When it cannot be seen, or is a link, or one is on the way to it.
    pub fn metadata(&self, name: impl AsRef<Path>) -> Result<Option<Metadata>, FolderError> {
        let Some(place) = self.place(name.as_ref())? else { return Ok(None) };
        match place.kind()? {
            None => Ok(None),
            Some(EntryKind::Link) => Err(place.link()),
            Some(_) => match fs::symlink_metadata(&place.path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                found => found.map(Some).map_err(FolderError::io("look at", &place.path)),
            },
        }
    }

    /// Opens a file to read it; none when nothing is there.
    ///
    /// # Errors
    /// When it cannot be opened, or is no file, or a link is on the way to it.
    pub fn open(&self, name: impl AsRef<Path>) -> Result<Option<File>, FolderError> {
        match self.place(name.as_ref())? {
            Some(place) => place.open(OFlags::RDONLY),
            None => Ok(None),
        }
    }

    /// The content of a file of at most `limit` bytes; none when nothing is there.
    ///
    /// # Errors
    /// As [`Folder::open`], and when it is larger.
    pub fn read(&self, name: impl AsRef<Path>, limit: u64) -> Result<Option<Vec<u8>>, FolderError> {
        let Some(file) = self.open(name.as_ref())? else { return Ok(None) };
        let path = self.path().join(name);
        let mut content = Vec::new();
        file.take(limit.saturating_add(1))
            .read_to_end(&mut content)
            .map_err(FolderError::io("read", &path))?;
        if content.len() as u64 > limit {
            let error = io::Error::new(io::ErrorKind::FileTooLarge, "it is too large");
            return Err(FolderError::io("read", &path)(error));
        }
        Ok(Some(content))
    }

    /// Whether a name stands for a file with that content.
    pub fn holds(&self, name: impl AsRef<Path>, content: &[u8]) -> bool {
        let found = self.read(name, content.len() as u64);
        found.is_ok_and(|found| found.is_some_and(|found| found == content))
    }

    /// Opens a file that processes lock, and makes it when it is missing. What stands in it stays.
    ///
    /// # Errors
    /// When it cannot be opened, or is no file, or a link is on the way to it.
    pub fn lock_file(&self, name: impl AsRef<Path>) -> Result<File, FolderError> {
        self.create(name.as_ref(), OFlags::RDWR | OFlags::CREATE)
    }

    /// Opens a file to read it and to add to its end, and makes it when it is missing.
    ///
    /// # Errors
    /// When it cannot be opened, or is no file, or a link is on the way to it.
    pub fn append(&self, name: impl AsRef<Path>) -> Result<File, FolderError> {
        self.create(name.as_ref(), OFlags::RDWR | OFlags::APPEND | OFlags::CREATE)
    }

    fn create(&self, name: &Path, flags: OFlags) -> Result<File, FolderError> {
        let place = self.made_place(name)?;
        let gone = || FolderError::io("open", &place.path)(io::ErrorKind::NotFound.into());
        place.open(flags)?.ok_or_else(gone)
    }
}

/// The last part of a name, and what stands before it.
fn split(name: &Path) -> (&Path, Option<&OsStr>) {
    (name.parent().unwrap_or(Path::new("")), name.file_name())
}

#[cfg(test)]
mod tests;
