//! Zip archives: which names they hold, and single entries with a limit.

use std::{
    collections::{BTreeSet, HashMap},
    io::{BufReader, Cursor, Read, Seek},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use zip::ZipArchive;

/// The most entries of an archive; one with more is not looked into.
const MAX_ENTRIES: usize = 200_000;

/// The most bytes of an archive in an archive, and of all of them together.
const MAX_INNER: u64 = 64 * 1024 * 1024;
const MAX_INNER_TOTAL: u64 = 512 * 1024 * 1024;

trait Input: Read + Seek + Send {}
impl<T: Read + Seek + Send> Input for T {}

/// An archive whose names are known.
pub(crate) struct Archive {
    names: BTreeSet<String>,
    reader: Mutex<ZipArchive<Box<dyn Input>>>,
    /// The entries of the archives in it, by the archive's name, once somebody asked.
    inner: OnceLock<Option<HashMap<String, BTreeSet<String>>>>,
}

impl Archive {
    /// Opens a file; `None` when it is no archive, or one that is too large.
    pub(crate) fn open(path: &Path) -> Option<Self> {
        Self::new(Box::new(BufReader::new(esb_oci::open_file(path).ok()?)))
    }

    fn new(input: Box<dyn Input>) -> Option<Self> {
        let reader = ZipArchive::new(input).ok()?;
        if reader.len() > MAX_ENTRIES {
            return None;
        }
        let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        let names = reader.file_names_raw().map(text);
        let names = names.map(|name| name.trim_start_matches("./").to_owned()).collect();
        Some(Self { names, reader: Mutex::new(reader), inner: OnceLock::new() })
    }

    pub(crate) fn has_file(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    pub(crate) fn has_folder(&self, name: &str) -> bool {
        let start = if name.is_empty() { String::new() } else { format!("{name}/") };
        let first = self.names.range(start.clone()..).next();
        first.is_some_and(|found| found.starts_with(&start))
    }

    /// The names below a folder, relative to it.
    pub(crate) fn below<'a>(&'a self, folder: &str) -> impl Iterator<Item = &'a str> {
        let start = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let range = self.names.range(start.clone()..);
        range.map_while(move |name| name.strip_prefix(&start)).filter(|rest| !rest.is_empty())
    }

    /// An entry of at most `limit` bytes.
    pub(crate) fn read(&self, name: &str, limit: u64) -> Option<Vec<u8>> {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        // Names are unique here: what `./` begins is the same file.
        let index = reader.index_for_name(name).or_else(|| {
            let dotted = format!("./{name}");
            reader.index_for_name(&dotted)
        })?;
        let entry = reader.by_index(index).ok()?;
        if entry.size() > limit {
            return None;
        }
        let mut bytes = Vec::new();
        entry.take(limit + 1).read_to_end(&mut bytes).ok()?;
        (bytes.len() as u64 <= limit).then_some(bytes)
    }

    /// The archives right in a folder of this one, each with the names that it holds; `None` when
    /// they are too large to look into.
    pub(crate) fn archives_in(&self, folder: &str) -> Option<&HashMap<String, BTreeSet<String>>> {
        let list = || {
            let jars = self.below(folder).filter(|name| !name.contains('/') && is_jar(name));
            let mut left = MAX_INNER_TOTAL;
            let mut found = HashMap::new();
            for jar in jars {
                let name = format!("{folder}/{jar}");
                let bytes = self.read(&name, MAX_INNER.min(left))?;
                left -= bytes.len() as u64;
                let archive = Self::new(Box::new(Cursor::new(bytes)))?;
                found.insert(name, archive.names);
            }
            Some(found)
        };
        self.inner.get_or_init(list).as_ref()
    }

    /// An entry of an archive in this one.
    pub(crate) fn read_inner(&self, archive: &str, name: &str, limit: u64) -> Option<Vec<u8>> {
        let bytes = self.read(archive, MAX_INNER)?;
        Self::new(Box::new(Cursor::new(bytes)))?.read(name, limit)
    }
}

/// Whether a file name is that of a jar.
pub(crate) fn is_jar(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, end)| end.eq_ignore_ascii_case("jar"))
}

/// An archive once somebody opened it; none where that failed.
type Opened = Arc<OnceLock<Option<Arc<Archive>>>>;

/// The archives of a run, each opened once.
#[derive(Default)]
pub(crate) struct Archives {
    opened: Mutex<HashMap<PathBuf, Opened>>,
}

impl Archives {
    pub(crate) fn open(&self, path: &Path) -> Option<Arc<Archive>> {
        let cell = {
            let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(opened.entry(path.to_owned()).or_default())
        };
        cell.get_or_init(|| Archive::open(path).map(Arc::new)).clone()
    }
}
