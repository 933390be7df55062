//! Replaces files in a folder that other programs read at the same time.
//!
//! Owns the order of the steps, the atomic replacement of a file and the rule of its time
//! (docs/contracts/platform.md#hot-reload). Decides nothing about content: that is the merge's.

use std::{
    collections::BTreeMap,
    fs::{self, File, Permissions},
    io::{self, Write as _},
    os::unix::fs::{self as unix, MetadataExt as _, PermissionsExt as _},
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use esb_oci::{Folder, is_temporary};

use crate::{
    ConfigFile, ConfigSet, Error, Lock, Merged,
    config::load_bytes,
    secret_mode::{OF_GROUP, Reader, secret_mode},
};

/// One file to replace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishStep {
    pub file: ConfigFile,
    /// Its whole new content. May hold secrets.
    pub text: String,
}

/// The result of publishing: which files were written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Publication {
    /// Files with new content, once each.
    pub written: Vec<ConfigFile>,
    /// Files that had the right content already and were not touched.
    pub unchanged: Vec<ConfigFile>,
}

impl Merged {
    /// Whether secret values stand in functions.yml, or do so until old functions are gone.
    pub fn has_secrets(&self) -> bool {
        self.keeps_secrets() || !self.interim_state.secrets.is_empty()
    }

    /// Whether secret values stand in functions.yml once it is published.
    pub fn keeps_secrets(&self) -> bool {
        !self.state.secrets.is_empty()
    }

    /// The files to replace, in order; `current` returns the content that a file has now.
    ///
    /// A reader that sees the files after any of the steps finds each route's function, and every
    /// entry's owner is known from the first step on, so that a run after a crash ends the work.
    /// Files that are as they have to be do not appear.
    pub fn steps(&self, current: impl Fn(ConfigFile) -> Option<Vec<u8>>) -> Vec<PublishStep> {
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
        let mut steps: Vec<PublishStep> = Vec::new();
        for (file, text) in planned {
            let earlier = steps.iter().rfind(|step| step.file == file);
            let there = earlier.map_or_else(|| is_there(file, &text), |step| step.text == text);
            if !there {
                steps.push(PublishStep { file, text });
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
    publish_for(lock, merged, None)
}

/// As [`publish`], where it is known who reads functions.yml: while secret values stand in it, as
/// few others as possible.
///
/// # Errors
/// As [`publish`].
pub fn publish_for(
    lock: &Lock,
    merged: &Merged,
    reader: Option<Reader>,
) -> Result<Publication, Error> {
    let folder = lock.folder();
    remove_leftovers(folder)?;
    let mut current = BTreeMap::new();
    for file in ConfigFile::GENERATED.into_iter().chain([ConfigFile::State]) {
        current.insert(file, load_bytes(folder, file)?);
    }
    let steps = merged.steps(|file| current.get(&file).cloned().flatten());
    let mut publication = Publication::default();
    let narrow = if merged.has_secrets() { secret_mode(folder, reader)? } else { READABLE };
    let mode = |file| if file == ConfigFile::Functions { narrow } else { READABLE };
    for step in &steps {
        replace(folder, step.file.name(), step.text.as_bytes(), mode(step.file))?;
        if !publication.written.contains(&step.file) {
            publication.written.push(step.file);
        }
    }
    let functions = ConfigFile::Functions;
    if narrow != READABLE && !publication.written.contains(&functions) {
        let found = folder.metadata(functions.name())?;
        let is_wider = found.is_some_and(|found| found.permissions().mode() & 0o777 != narrow);
        if let Some(Some(content)) = current.get(&functions).filter(|_| is_wider) {
            replace(folder, functions.name(), content, narrow)?;
        }
    }
    publication.unchanged =
        current.into_keys().filter(|file| !publication.written.contains(file)).collect();
    Ok(publication)
}

/// Writes what a run generated into a folder of its own, such as `.<brand>/<env>/config/`;
/// functions.yml gets a mode of its own when it is written.
///
/// # Errors
/// [`Error::Io`] when a file cannot be replaced.
pub fn write_generated(
    folder: impl Into<Folder>,
    config: &ConfigSet,
    functions_mode: u32,
) -> Result<Publication, Error> {
    let folder = &folder.into().readable();
    folder.make()?;
    let mut publication = Publication::default();
    for file in ConfigFile::GENERATED {
        let text = config.text(file).expect("a file of the set");
        if load_bytes(folder, file)?.as_deref() == Some(text.as_bytes()) {
            publication.unchanged.push(file);
        } else {
            let mode = if file == ConfigFile::Functions { functions_mode } else { READABLE };
            replace(folder, file.name(), text.as_bytes(), mode)?;
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
/// another user: who reads them could lose them (docs/contracts/platform.md#configuration-files).
pub fn check_writable(folder: impl Into<Folder>) -> Result<(), Error> {
    let folder = folder.into();
    let probe = folder.nearest()?.temporary(".check-")?;
    let path = probe.path();
    let own = fs::metadata(&path).map_err(Error::io("look at", path))?.uid();
    let mut owners = Vec::new();
    for file in ConfigFile::GENERATED.into_iter().chain([ConfigFile::State]) {
        let found = folder.metadata(file.name())?;
        owners.extend(found.map(|found| (found.uid(), folder.path().join(file.name()))));
    }
    if folder.exists()? {
        let opened = folder.open_folder()?.metadata();
        let found = opened.map_err(Error::io("look at", folder.path()))?;
        owners.push((found.uid(), folder.path()));
    }
    check_owners(own, owners)
}

/// Fails when a file belongs to another user: only root can give the replaced file back to its
/// owner.
fn check_owners(own: u32, owners: Vec<(u32, PathBuf)>) -> Result<(), Error> {
    let other = owners.into_iter().find(|(owner, _)| own != 0 && *owner != own);
    other.map_or(Ok(()), |(owner, path)| Err(Error::Owner { owner, own, path }))
}

/// The time that a file gets when it is replaced: now, or the whole second after the previous
/// file's, whichever is later. Readers look at whole seconds only.
pub fn next_mtime(previous: Option<SystemTime>, now: SystemTime) -> SystemTime {
    let Some(previous) = previous else { return now };
    let seconds = previous.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    now.max(UNIX_EPOCH + Duration::from_secs(seconds + 1))
}

/// The mode of a file that every reader of a folder may read.
pub const READABLE: u32 = 0o644;

/// Replaces one file as a whole, or makes it: a reader sees the old content or the new one, whose
/// time is [`next_mtime`]. With mode 0640 it has the group of its folder. The new file has the owner of the old one, else of its folder, where this
/// process may give files away; nobody but that owner can read it before it has its `mode`.
///
/// # Errors
/// [`Error::Io`]: the file is as it was.
pub fn replace(folder: &Folder, name: &str, content: &[u8], mode: u32) -> Result<(), Error> {
    folder.make()?;
    let found = folder.metadata(name)?;
    let previous = found.as_ref().and_then(|found| found.modified().ok());
    let owner = match found {
        Some(found) => found,
        None => folder.open_folder()?.metadata().map_err(Error::io("look at", folder.path()))?,
    };
    let group = if mode == OF_GROUP {
        let of_folder = folder.open_folder()?.metadata();
        Some(of_folder.map_err(Error::io("look at", folder.path()))?.gid())
    } else {
        None
    };
    folder.replace(name, |file| {
        keep_owner(file, &owner)?;
        if let Some(group) = group {
            unix::fchown(&*file, None, Some(group))?;
        }
        file.write_all(content)?;
        file.set_permissions(Permissions::from_mode(mode))?;
        file.set_modified(next_mtime(previous, SystemTime::now()))?;
        file.sync_all()
    })?;
    Ok(folder.sync()?)
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
fn remove_leftovers(folder: &Folder) -> Result<(), Error> {
    let files = || ConfigFile::GENERATED.into_iter().chain([ConfigFile::State]);
    for entry in folder.entries()? {
        if files().any(|file| is_temporary(&entry.name, file.name(), entry.kind)) {
            folder.remove_file(&entry.name)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Owner, PublishedConfig, Remedy, Section};

    #[test]
    fn another_owner_is_told_unless_root_can_give_back() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("functions.yml");
        fs::write(&file, "functions: {}\n").unwrap();
        let own = fs::metadata(&file).unwrap().uid();
        let check = |uid| check_owners(uid, vec![(own, file.clone())]);
        check(own).unwrap();
        check(0).unwrap();
        let error = check(own + 1).unwrap_err();
        assert!(error.to_string().contains(&format!("belongs to user {own}")), "{error}");
        assert!(
            matches!(error.remedy(), Some(Remedy::Advice(text)) if text.contains("chown")),
            "{error}"
        );
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
        write_generated(dir.path(), &ConfigSet::default(), READABLE).unwrap();
        let owner = |name: &str| {
            let metadata = fs::metadata(dir.path().join(name)).unwrap();
            (metadata.uid(), metadata.gid())
        };
        replace(&dir.path().into(), "functions.yml", b"functions: {}\n# new\n", READABLE).unwrap();
        assert_eq!(owner("functions.yml"), (1000, 1001));
        assert_eq!(owner("routing.yml"), (1002, 1003));
    }

    #[test]
    fn secrets_that_go_are_not_kept() {
        let owner = Owner::new("shop", "template.yaml");
        let mut published = PublishedConfig::default();
        published.config.functions.functions.insert("f".into(), <_>::default());
        published.state.owners.add(Section::Function, "f", owner.clone());
        published.state.secrets.entry("f".into()).or_default().insert("TOKEN".into());
        let gone = crate::remove_owner(&published, &owner);
        assert!(gone.has_secrets() && !gone.keeps_secrets());
        let others = crate::remove_owner(&published, &Owner::new("else", "template.yaml"));
        assert!(others.keeps_secrets());
    }
}
