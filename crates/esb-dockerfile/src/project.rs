//! The trait [`Project`]: what recipes need to know of the files of a project.
//!
//! Owns the questions (what is there, what does a folder hold, which names has an archive) and
//! their limits. Refuses to write, and to read more than a recipe needs.

use std::{
    collections::HashMap,
    fs,
    io::{self, BufReader},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use esb_model::FollowLinks;
use esb_oci::{CopiedLinks, IgnoreRules, LinkRules, look_at_links};

/// The rules for copying a folder: exclusions, and which links are followed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct CopyRules {
    /// Patterns in the language of `.dockerignore`.
    pub exclude: Vec<String>,
    pub follow: FollowLinks,
    /// The folder of the root that holds what is made for builds.
    pub generated: String,
}

/// The most entries of one folder or archive.
const MAX_ENTRIES: usize = 200_000;

/// The kind of a directory entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    Dir,
    File,
    /// A socket, a device and the like: never part of an image.
    Other,
}

/// A path with symbolic links resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// Relative to the project root when inside it (empty: the root itself), else absolute.
    pub path: PathBuf,
    pub kind: EntryKind,
}

/// One entry of a folder. Symbolic links are followed for `kind`; a dangling one is `Other`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectEntry {
    pub name: String,
    pub kind: EntryKind,
}

/// Reads the files of a project; relative paths start at the project root.
pub trait Project {
    /// Resolves the symbolic links of a path.
    fn locate(&self, path: &Path) -> io::Result<Located>;

    /// The entries of a folder, sorted by name.
    fn entries(&self, path: &Path) -> io::Result<Vec<ProjectEntry>>;

    /// A whole file of at most `limit` bytes; a longer one is an error.
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>>;

    /// The names in a zip archive, as they are stored: `/` between parts and after folders.
    fn archive_names(&self, path: &Path) -> io::Result<Vec<String>>;

    /// Looks at the symbolic links of a folder that is to be copied.
    fn links(&self, path: &Path, rules: &CopyRules) -> io::Result<CopiedLinks>;
}

/// A project on the local disk.
#[derive(Debug)]
pub struct DiskProject {
    /// Absolute and without symbolic links.
    root: PathBuf,
    /// What was found already: many functions share one folder.
    links: Mutex<HashMap<(PathBuf, CopyRules), CopiedLinks>>,
}

impl DiskProject {
    /// Opens the project whose root is `root`.
    ///
    /// # Errors
    /// When there is no such folder.
    pub fn open(root: &Path) -> io::Result<Self> {
        Ok(Self { root: fs::canonicalize(root)?, links: Mutex::default() })
    }

    /// The root, absolute and without symbolic links.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

impl Project for DiskProject {
    fn locate(&self, path: &Path) -> io::Result<Located> {
        let real = fs::canonicalize(self.root.join(path))?;
        let kind = kind(&fs::metadata(&real)?);
        let path = real.strip_prefix(&self.root).map_or_else(|_| real.clone(), Path::to_path_buf);
        Ok(Located { path, kind })
    }

    fn entries(&self, path: &Path) -> io::Result<Vec<ProjectEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(self.root.join(path))? {
            let entry = entry?;
            limit_entries(entries.len())?;
            let kind = match entry.file_type()? {
                found if found.is_dir() => EntryKind::Dir,
                found if found.is_file() => EntryKind::File,
                _ => fs::metadata(entry.path()).map_or(EntryKind::Other, |found| kind(&found)),
            };
            // A name that is not UTF-8 is no module's, no requirement's and no layer folder's.
            let name = entry.file_name().to_string_lossy().into_owned();
            entries.push(ProjectEntry { name, kind });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        esb_oci::read_file(&self.root.join(path), limit)
    }

    fn archive_names(&self, path: &Path) -> io::Result<Vec<String>> {
        let file = BufReader::new(esb_oci::open_file(&self.root.join(path))?);
        let archive = zip::ZipArchive::new(file)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        limit_entries(archive.len())?;
        Ok(archive
            .file_names_raw()
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect())
    }

    fn links(&self, path: &Path, rules: &CopyRules) -> io::Result<CopiedLinks> {
        let folder = fs::canonicalize(self.root.join(path))?;
        let key = (folder.clone(), rules.clone());
        let mut known = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(links) = known.get(&key) {
            return Ok(links.clone());
        }
        let ignore = IgnoreRules::new(rules.exclude.iter().map(String::as_str))
            .map_err(|reason| io::Error::new(io::ErrorKind::InvalidData, reason))?;
        let generated = Path::new(&rules.generated);
        let links = LinkRules::new(self.root.clone(), generated, rules.follow);
        let links = look_at_links(&folder, &ignore, &links);
        known.insert(key, links.clone());
        Ok(links)
    }
}

fn kind(metadata: &fs::Metadata) -> EntryKind {
    if metadata.is_dir() {
        EntryKind::Dir
    } else if metadata.is_file() {
        EntryKind::File
    } else {
        EntryKind::Other
    }
}

fn limit_entries(count: usize) -> io::Result<()> {
    if count > MAX_ENTRIES {
        return Err(io::Error::other(format!("has more than {MAX_ENTRIES} entries")));
    }
    Ok(())
}
