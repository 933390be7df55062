//! Opens a path one component at a time, each relative to the folder opened before it.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File, Permissions},
    io,
    os::{
        fd::OwnedFd,
        unix::{
            ffi::{OsStrExt as _, OsStringExt as _},
            fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
        },
    },
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, RawMode},
    io::Errno,
};

use super::{EntryKind, Folder, FolderError, Links, split};

/// How folders are opened.
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// How files are opened beside what is done with them: a pipe must not be waited for.
const FILE: OFlags =
    OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// A name in an open folder.
pub(super) struct OpenedName {
    pub(super) folder: OwnedFd,
    pub(super) name: OsString,
    pub(super) path: PathBuf,
    links: Links,
    is_readable: bool,
}

impl Folder {
    /// Opens the folder; none when it is missing and is not to be made.
    pub(super) fn walk(&self, make: bool) -> Result<Option<OwnedFd>, FolderError> {
        let base = if self.base.as_os_str().is_empty() { Path::new(".") } else { &self.base };
        if make {
            self.make_base(base).map_err(FolderError::io("create folder", base))?;
        }
        let mut path = base.to_owned();
        let mut folder = match rustix::fs::open(base, FOLDER, Mode::empty()) {
            Ok(folder) => folder,
            Err(Errno::NOENT) if !make => return Ok(None),
            Err(error) => return Err(FolderError::io("open folder", base)(error.into())),
        };
        for part in self.below.components() {
            let name = match part {
                Component::Normal(name) => name,
                Component::CurDir => continue,
                _ => {
                    let error = io::Error::other("it leads out of its folder");
                    return Err(FolderError::io("open", &self.path())(error));
                }
            };
            path.push(name);
            let (name, links) = (name.to_owned(), self.links.clone());
            let place = OpenedName { folder, name, path, links, is_readable: self.is_readable };
            let Some(next) = place.open_folder(make)? else { return Ok(None) };
            (folder, path) = (next, place.path);
        }
        Ok(Some(folder))
    }

    /// Makes the base and the folders above it that are missing.
    fn make_base(&self, base: &Path) -> io::Result<()> {
        if base.is_dir() {
            return Ok(());
        }
        let is_missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
        let missing: Vec<&Path> = base.ancestors().take_while(is_missing).collect();
        let above = base.ancestors().nth(missing.len()).filter(|path| !path.as_os_str().is_empty());
        let mode = narrowed(fs::metadata(above.unwrap_or(Path::new(".")))?.mode(), 0o777);
        fs::DirBuilder::new().recursive(true).mode(mode).create(base)?;
        if self.is_readable {
            for folder in missing {
                fs::set_permissions(folder, Permissions::from_mode(mode))?;
            }
        }
        Ok(())
    }

    /// Opens the folder, and makes it first when it is missing.
    pub(super) fn made(&self) -> Result<OwnedFd, FolderError> {
        let missing = || FolderError::io("create folder", &self.path());
        self.walk(true)?.ok_or_else(|| missing()(io::ErrorKind::NotFound.into()))
    }

    /// A name in this folder or below it; none when the folder that it lies in is missing.
    pub(super) fn place(&self, name: &Path) -> Result<Option<OpenedName>, FolderError> {
        self.find(name, false)
    }

    /// As [`Folder::place`]; the folder is made.
    pub(super) fn made_place(&self, name: &Path) -> Result<OpenedName, FolderError> {
        let missing = || FolderError::io("create folder", &self.path());
        self.find(name, true)?.ok_or_else(|| missing()(io::ErrorKind::NotFound.into()))
    }

    fn find(&self, name: &Path, make: bool) -> Result<Option<OpenedName>, FolderError> {
        let (before, last) = split(name);
        let above = self.join(before);
        let path = self.path().join(name);
        let Some(last) = last else {
            let error = io::Error::other("it is not a name in a folder");
            return Err(FolderError::io("open", &path)(error));
        };
        let Some(folder) = above.walk(make)? else { return Ok(None) };
        let (name, links) = (last.to_owned(), self.links.clone());
        let place = OpenedName { folder, name, path, links, is_readable: self.is_readable };
        if self.links == Links::Followed && place.kind()? == Some(EntryKind::Link) {
            let real = place.path.canonicalize().map_err(FolderError::io("follow", &place.path))?;
            let (folder, name) = split(&real);
            let folder = Self { base: folder.to_owned(), below: PathBuf::new(), ..self.clone() };
            return folder.find(Path::new(name.unwrap_or_default()), make);
        }
        Ok(Some(place))
    }
}

impl OpenedName {
    pub(super) fn kind(&self) -> Result<Option<EntryKind>, FolderError> {
        kind_at(&self.folder, &self.name).map_err(|error| self.io("look at")(error.into()))
    }

    /// The permissions of something new here.
    fn mode(&self, whole: RawMode) -> Mode {
        let above = rustix::fs::fstat(&self.folder).map_or(0, |found| found.st_mode);
        Mode::from_raw_mode(narrowed(above, whole))
    }

    pub(super) fn io(&self, action: &'static str) -> impl FnOnce(io::Error) -> FolderError {
        FolderError::io(action, &self.path)
    }

    /// The error for a symbolic link at this place.
    pub(super) fn link(&self) -> FolderError {
        let target = rustix::fs::readlinkat(&self.folder, &self.name, Vec::new()).ok();
        let target = target.map(|text| PathBuf::from(OsString::from_vec(text.into_bytes())));
        let unless = match &self.links {
            Links::Refused { unless } => unless.clone(),
            Links::Followed => None,
        };
        FolderError::Link { path: self.path.clone(), target, unless }
    }

    /// The error for an entry of another kind at this place.
    pub(super) fn other(&self, found: EntryKind, expected: &'static str) -> FolderError {
        match found {
            EntryKind::Link => self.link(),
            found => FolderError::Kind { path: self.path.clone(), found, expected },
        }
    }

    fn open_folder(&self, make: bool) -> Result<Option<OwnedFd>, FolderError> {
        let flags = match self.links {
            Links::Refused { .. } => FOLDER | OFlags::NOFOLLOW,
            Links::Followed => FOLDER,
        };
        let open = || rustix::fs::openat(&self.folder, &self.name, flags, Mode::empty());
        let mut opened = open();
        if make && matches!(opened, Err(Errno::NOENT)) {
            let mode = self.mode(0o777);
            match rustix::fs::mkdirat(&self.folder, &self.name, mode) {
                Ok(()) => {
                    opened = open();
                    if let (true, Ok(made)) = (self.is_readable, &opened) {
                        let widened = rustix::fs::fchmod(made, mode);
                        widened.map_err(|error| self.io("let others into")(error.into()))?;
                    }
                }
                // Somebody else was faster.
                Err(Errno::EXIST) => opened = open(),
                Err(error) => return Err(self.io("create folder")(error.into())),
            }
        }
        match opened {
            Ok(folder) => Ok(Some(folder)),
            Err(Errno::NOENT) if !make => Ok(None),
            Err(error) => Err(match self.kind()? {
                Some(found) if found != EntryKind::Folder => self.other(found, "folder"),
                _ => self.io("open folder")(error.into()),
            }),
        }
    }

    /// Opens the file; none when nothing is here.
    pub(super) fn open(&self, flags: OFlags) -> Result<Option<File>, FolderError> {
        let is_new = flags.contains(OFlags::CREATE);
        let mode = if is_new { self.mode(0o666) } else { Mode::empty() };
        let file = match rustix::fs::openat(&self.folder, &self.name, flags | FILE, mode) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => {
                return Err(match self.kind()? {
                    Some(found) if found != EntryKind::File => self.other(found, "file"),
                    _ => self.io("open")(error.into()),
                });
            }
        };
        let found = rustix::fs::fstat(&file).map_err(|error| self.io("look at")(error.into()))?;
        match kind_of(FileType::from_raw_mode(found.st_mode)) {
            Some(EntryKind::File) => Ok(Some(file)),
            found => Err(self.other(found.unwrap_or(EntryKind::Other), "file")),
        }
    }
}

/// Of the permissions of something new those that are given, before the umask takes its part: never
/// to every user to write, and to the group only where it may write to the folder above.
fn narrowed(above: RawMode, whole: RawMode) -> RawMode {
    let by_group = above & 0o020;
    whole & (0o755 | by_group)
}

/// What a name in an open folder stands for; none when nothing is there.
pub(super) fn kind_at(folder: &OwnedFd, name: &OsStr) -> rustix::io::Result<Option<EntryKind>> {
    match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => Ok(kind_of(FileType::from_raw_mode(found.st_mode)).or(Some(EntryKind::Other))),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// None where it has to be looked at.
fn kind_of(kind: FileType) -> Option<EntryKind> {
    match kind {
        FileType::RegularFile => Some(EntryKind::File),
        FileType::Directory => Some(EntryKind::Folder),
        FileType::Symlink => Some(EntryKind::Link),
        FileType::Unknown => None,
        _ => Some(EntryKind::Other),
    }
}

/// The names in an open folder, with what they stand for as far as the folder itself says it.
pub(super) fn names(folder: &OwnedFd) -> rustix::io::Result<Vec<(OsString, Option<EntryKind>)>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name != "." && name != ".." {
            names.push((name.to_owned(), kind_of(entry.file_type())));
        }
    }
    Ok(names)
}
