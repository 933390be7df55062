//! Puts files into a folder that others read while we write.
//!
//! Owns the order of the steps, the atomic replacement of a file and the rule of its time
//! (contracts, sections 1.6 and 10.5). Decides nothing about content: that is the merge's.

use std::{
    collections::BTreeMap,
    fs::{self, File, Permissions},
    io::{self, Write as _},
    os::unix::fs::{self as unix, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::{ConfigFile, ConfigSet, Error, Lock, Merged, config::load_bytes};

/// One file to replace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub file: ConfigFile,
    /// Its whole new content. May hold secrets.
    pub text: String,
}

/// What a publication did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Publication {
    /// Files with new content, once each.
    pub written: Vec<ConfigFile>,
    /// Files that were as they had to be, and were not touched.
    pub unchanged: Vec<ConfigFile>,
}

impl Merged {
    /// What to replace, in order, where `current` gives the content that is there.
    ///
    /// A reader that sees the files after any of the steps finds each route's function, and every
    /// entry's owner is known from the first step on, so that a run after a crash ends the work.
    /// Files that are as they have to be do not appear.
    pub fn steps(&self, current: impl Fn(ConfigFile) -> Option<Vec<u8>>) -> Vec<Step> {
        let text = |file| match file {
            ConfigFile::State => self.state.to_json(),
            file => self.config.text(file).expect("all other files are of the set"),
        };
        let mut there: BTreeMap<ConfigFile, Option<Vec<u8>>> = BTreeMap::new();
        let mut is_there = |file, text: &str| {
            let current = there.entry(file).or_insert_with(|| current(file));
            current.as_deref() == Some(text.as_bytes())
        };
        let stale: Vec<ConfigFile> = ConfigFile::GENERATED
            .into_iter()
            .filter(|file| !is_there(*file, &text(*file)))
            .collect();
        let mut planned = Vec::new();
        if !stale.is_empty() {
            planned.push((ConfigFile::State, self.interim_state.to_json()));
        }
        if stale.contains(&ConfigFile::Functions) && stale.contains(&ConfigFile::Routing) {
            planned.push((ConfigFile::Functions, self.interim_functions.to_yaml()));
        }
        // New routes only after their functions, and old functions go after their routes.
        for file in [
            ConfigFile::Routing,
            ConfigFile::Functions,
            ConfigFile::Resources,
            ConfigFile::Images,
            ConfigFile::State,
        ] {
            planned.push((file, text(file)));
        }
        let mut steps: Vec<Step> = Vec::new();
        for (file, text) in planned {
            let earlier = steps.iter().rfind(|step| step.file == file);
            let there = earlier.map_or_else(|| is_there(file, &text), |step| step.text == text);
            if !there {
                steps.push(Step { file, text });
            }
        }
        steps
    }
}

/// Publishes into the locked folder, one file after the other in the order of
/// [`Merged::steps`].
///
/// # Errors
/// [`Error::Io`]: the step that failed, and those after it, left their files as they were.
pub fn publish(lock: &Lock, merged: &Merged) -> Result<Publication, Error> {
    let dir = lock.dir();
    remove_leftovers(dir)?;
    let mut current = BTreeMap::new();
    for file in ConfigFile::GENERATED.into_iter().chain([ConfigFile::State]) {
        current.insert(file, load_bytes(&dir.join(file.name()))?);
    }
    let steps = merged.steps(|file| current.get(&file).cloned().flatten());
    let mut publication = Publication::default();
    for step in &steps {
        replace(&dir.join(step.file.name()), step.text.as_bytes(), READABLE)?;
        if !publication.written.contains(&step.file) {
            publication.written.push(step.file);
        }
    }
    publication.unchanged =
        current.into_keys().filter(|file| !publication.written.contains(file)).collect();
    Ok(publication)
}

/// Writes what a run generated into a folder of its own, such as `.<brand>/<env>/config/`.
///
/// # Errors
/// [`Error::Io`] when a file cannot be replaced.
pub fn write_generated(dir: &Path, config: &ConfigSet) -> Result<Publication, Error> {
    fs::create_dir_all(dir).map_err(Error::io("create folder", dir))?;
    let mut publication = Publication::default();
    for file in ConfigFile::GENERATED {
        let text = config.text(file).expect("a file of the set");
        if load_bytes(&dir.join(file.name()))?.as_deref() == Some(text.as_bytes()) {
            publication.unchanged.push(file);
        } else {
            replace(&dir.join(file.name()), text.as_bytes(), READABLE)?;
            publication.written.push(file);
        }
    }
    Ok(publication)
}

/// Finds out, without changing anything, whether files can be replaced in a folder so that they
/// keep their owner.
///
/// Of a folder that is not there the nearest one above it counts.
///
/// # Errors
/// [`Error::Io`] with the reason, [`Error::Owner`] when the folder or one of its files belongs to
/// another user: who reads them could lose them (contracts, section 1.1).
pub fn check_writable(dir: &Path) -> Result<(), Error> {
    let there = dir.ancestors().find(|dir| dir.exists() && !dir.as_os_str().is_empty());
    let place = there.unwrap_or(Path::new("."));
    let file = temporary(place, "check").map_err(Error::io("create a file in", place))?;
    let own = file.as_file().metadata().map_err(Error::io("create a file in", dir))?.uid();
    let files = ConfigFile::GENERATED.into_iter().map(|file| dir.join(file.name()));
    check_owners(own, files.chain([dir.to_owned()]))
}

/// Root gives files back to their owner; nobody else can.
fn check_owners(own: u32, paths: impl Iterator<Item = PathBuf>) -> Result<(), Error> {
    if own == 0 {
        return Ok(());
    }
    for path in paths {
        if let Ok(metadata) = fs::metadata(&path)
            && metadata.uid() != own
        {
            return Err(Error::Owner { owner: metadata.uid(), own, path });
        }
    }
    Ok(())
}

/// The time that a file gets when it is replaced: now, or the whole second after the previous
/// file's, whichever is later. Readers look at whole seconds only.
pub fn next_mtime(previous: Option<SystemTime>, now: SystemTime) -> SystemTime {
    let Some(previous) = previous else { return now };
    let seconds = previous.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    now.max(UNIX_EPOCH + Duration::from_secs(seconds + 1))
}

/// How names of files end that are not complete.
const TEMPORARY: &str = ".tmp";

fn temporary(dir: &Path, name: &str) -> io::Result<tempfile::NamedTempFile> {
    tempfile::Builder::new().prefix(&format!(".{name}.")).suffix(TEMPORARY).tempfile_in(dir)
}

/// The mode of a file that every reader of a folder may read.
pub const READABLE: u32 = 0o644;

/// Replaces one file as a whole, or makes it: a reader sees the old content or the new one, whose
/// time is [`next_mtime`]. The new file has the owner of the old one, else of its folder, where this
/// process may give files away; nobody but that owner can read it before it has its `mode`.
///
/// # Errors
/// [`Error::Io`]: the file is as it was.
pub fn replace(path: &Path, content: &[u8], mode: u32) -> Result<(), Error> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let metadata = fs::metadata(path);
    let previous = metadata.as_ref().ok().and_then(|metadata| metadata.modified().ok());
    let mut file = temporary(dir, &name).map_err(Error::io("create a file beside", path))?;
    let owner = metadata.or_else(|_| fs::metadata(dir)).map_err(Error::io("look at", dir))?;
    keep_owner(file.as_file(), &owner).map_err(Error::io("keep the owner of", path))?;
    file.write_all(content)
        .and_then(|()| file.as_file().set_permissions(Permissions::from_mode(mode)))
        .and_then(|()| file.as_file().set_modified(next_mtime(previous, SystemTime::now())))
        .and_then(|()| file.as_file().sync_all())
        .map_err(Error::io("write", path))?;
    file.persist(path).map_err(|error| Error::io("replace", path)(error.error))?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(Error::io("sync", dir))
}

/// A file of root's goes to the owner of what it replaces, else of its folder.
fn keep_owner(file: &File, wanted: &fs::Metadata) -> io::Result<()> {
    let own = file.metadata()?;
    if own.uid() != 0 || (own.uid(), own.gid()) == (wanted.uid(), wanted.gid()) {
        return Ok(());
    }
    unix::fchown(file, Some(wanted.uid()), Some(wanted.gid()))
}

/// Removes what a run that was killed left behind. The lock is held, so nobody writes now.
fn remove_leftovers(dir: &Path) -> Result<(), Error> {
    /// Entries of a folder that are looked at.
    const LIMIT: usize = 10_000;
    let ours = |name: &str| {
        name.strip_suffix(TEMPORARY).is_some()
            && ConfigFile::GENERATED
                .into_iter()
                .chain([ConfigFile::State])
                .any(|file| name.starts_with(&format!(".{}.", file.name())))
    };
    for entry in fs::read_dir(dir).map_err(Error::io("list", dir))?.take(LIMIT) {
        let entry = entry.map_err(Error::io("list", dir))?;
        if entry.file_name().to_str().is_some_and(ours) {
            fs::remove_file(entry.path()).map_err(Error::io("remove", entry.path()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_owner_is_told_unless_root_can_give_back() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("functions.yml");
        fs::write(&file, "functions: {}\n").unwrap();
        let own = fs::metadata(&file).unwrap().uid();
        let check = |uid| check_owners(uid, [file.clone()].into_iter());
        check(own).unwrap();
        check(0).unwrap();
        let error = check(own + 1).unwrap_err();
        assert!(error.to_string().contains(&format!("belongs to user {own}")), "{error}");
        assert!(error.hint().unwrap().contains("chown"), "{error}");
    }

    #[test]
    fn root_keeps_the_owner_of_what_it_replaces() {
        let dir = tempfile::tempdir().unwrap();
        if fs::metadata(dir.path()).unwrap().uid() != 0 {
            return; // nobody else can give files away
        }
        let file = dir.path().join("functions.yml");
        fs::write(&file, "functions: {}\n").unwrap();
        unix::chown(&file, Some(1000), Some(1001)).unwrap();
        unix::chown(dir.path(), Some(1002), Some(1003)).unwrap();
        write_generated(dir.path(), &ConfigSet::default()).unwrap();
        let owner = |name: &str| {
            let metadata = fs::metadata(dir.path().join(name)).unwrap();
            (metadata.uid(), metadata.gid())
        };
        replace(&file, b"functions: {}\n# new\n", READABLE).unwrap();
        assert_eq!(owner("functions.yml"), (1000, 1001));
        assert_eq!(owner("routing.yml"), (1002, 1003));
    }
}
