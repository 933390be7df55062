//! `esb.lock`: which images a project was built on, by digest, which packages were installed, and
//! the application's name where nothing but its folder says it.
//!
//! Owns the file in the project root, its form, and what the three ways of using it mean. What a
//! run does not need stays as it is: other runs read other templates of the same project. Refuses
//! to resolve anything.

mod pins;
#[cfg(test)]
mod schema;

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use esb_config::READABLE;
use esb_model::{FormatHead, FormatVersions, Platform};
use esb_oci::{Digest, Folder};
use serde::{Deserialize, Serialize};

use self::pins::{NewPins, PackageLayer};
pub(crate) use self::pins::{PinPurpose, PinnedImage};
use crate::{
    Remedy,
    error::{Error, Kind},
};

/// The file's name.
pub const NAME: &str = esb_model::LOCK_FILE;

/// The form of the file (docs/contracts/formats.md#files-of-a-project). The first one had no
/// application; the newest is written once something is added.
const VERSIONS: FormatVersions = FormatVersions::up_to(2);

/// The most bytes that are read.
const MAX_BYTES: u64 = 8 * 1024 * 1024;

const HEAD: &str = "# Pinned by esb, to be committed: what images are built on and hold.\n\n";

/// How a run uses the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LockUse {
    /// What is pinned is used, what is missing is added.
    #[default]
    Add,
    /// Everything that the run needs is resolved anew (`--update-lock`).
    Update,
    /// Nothing may be missing (`--locked`).
    Locked,
}

/// The kind of a pinned image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pinned {
    /// Named by `FROM`.
    Base,
    /// Synced into the internal registry.
    External,
}

/// The packages that some requirements led to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Packages {
    /// The file's path in the project.
    pub(crate) requirements: String,
    pub(crate) runtime: String,
    pub(crate) platform: String,
    /// Of what the requirements said.
    #[cfg_attr(test, schemars(with = "schema::DigestText"))]
    pub(crate) asked: Digest,
    /// `name==version`, sorted.
    pub(crate) versions: Vec<String>,
    /// What they are in an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) layer: Option<PackageLayer>,
}

impl Packages {
    fn is_for(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

/// A pin of one image for one platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pin {
    /// The platform's own manifest.
    pub(crate) digest: Digest,
    /// The index that the reference stood for, when it was one.
    pub(crate) index: Option<Digest>,
}

/// The lock file as one run reads and extends it. Several steps use it at once.
#[derive(Debug)]
pub struct LockFile {
    /// The project's.
    folder: Folder,
    usage: LockUse,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    content: Content,
    /// What this run resolved, in the order of its doing.
    added: Vec<(Pinned, String, Platform, Pin)>,
    installed: Vec<Packages>,
    /// The application's name, when this run gives it one.
    named: Option<String>,
    /// The id that distinguishes the project from others, when this run sets it first.
    project: Option<String>,
    /// What spares later runs some work.
    found: NewPins,
    /// What `--locked` misses.
    missing: Vec<String>,
}

/// The file's form.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Content {
    version: u32,
    /// The application's name, where nothing but the project's folder says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    application: Option<String>,
    /// The id that distinguishes the project from others whose application has the same name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    project: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    base: Vec<ReferencePin>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    image: Vec<ReferencePin>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    dependencies: Vec<Packages>,
    #[serde(default, rename = "own-base", skip_serializing_if = "Vec::is_empty")]
    own_base: Vec<PinnedImage>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    built: Vec<PinnedImage>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct ReferencePin {
    reference: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<schema::DigestText>"))]
    index: Option<Digest>,
    #[cfg_attr(test, schemars(with = "BTreeMap<String, schema::DigestText>"))]
    platforms: BTreeMap<String, Digest>,
}

impl Content {
    fn of(&self, kind: Pinned) -> &Vec<ReferencePin> {
        match kind {
            Pinned::Base => &self.base,
            Pinned::External => &self.image,
        }
    }

    fn entry(&self, kind: Pinned, reference: &str) -> Option<&ReferencePin> {
        self.of(kind).iter().find(|entry| entry.reference == reference)
    }

    fn set(&mut self, kind: Pinned, reference: &str, platform: Platform, pin: Pin) {
        let entries = match kind {
            Pinned::Base => &mut self.base,
            Pinned::External => &mut self.image,
        };
        let at = entries.iter().position(|entry| entry.reference == reference);
        let at = at.unwrap_or_else(|| {
            let reference = reference.to_owned();
            entries.push(ReferencePin { reference, index: pin.index, platforms: BTreeMap::new() });
            entries.len() - 1
        });
        let entry = &mut entries[at];
        if entry.index != pin.index {
            // Platforms of another index are another version of the image.
            entry.index = pin.index;
            entry.platforms.clear();
        }
        entry.platforms.insert(platform.to_string(), pin.digest);
        entries.sort_by(|a, b| a.reference.cmp(&b.reference));
    }
}

impl LockFile {
    /// Reads the file of a project, if there is one.
    pub fn open(folder: impl Into<Folder>, usage: LockUse) -> Result<Self, Error> {
        let folder = folder.into();
        let content = read(&folder)?;
        let state = State { content: content.unwrap_or_default(), ..State::default() };
        Ok(Self { folder, usage, state: Mutex::new(state) })
    }

    /// The application's name, where an earlier run gave it one.
    pub fn application(&self) -> Option<String> {
        self.state().content.application.clone()
    }

    /// Notes the application's name, which stays from now on. `--locked` does without.
    pub(crate) fn name_application(&self, name: &str) {
        let mut state = self.state();
        if state.content.application.is_none() {
            state.named = Some(name.to_owned());
        }
    }

    /// The id that distinguishes the project from others, when the file has it.
    pub(crate) fn project(&self) -> Option<String> {
        self.state().content.project.clone()
    }

    /// Records the id that distinguishes the project from others; it is never changed. `--locked`
    /// does without, and so does a project that is only read.
    pub(crate) fn name_project(&self, make: impl FnOnce() -> String) {
        let mut state = self.state();
        if state.content.project.is_none() {
            state.project = Some(make());
        }
    }

    /// The digest that stands for a reference: the platform's manifest, or the index in which it
    /// is found. None when it has to be resolved.
    pub(crate) fn pin(&self, kind: Pinned, reference: &str, platform: Platform) -> Option<Digest> {
        if self.usage == LockUse::Update {
            return None;
        }
        let state = self.state();
        let entry = state.content.entry(kind, reference)?;
        entry.platforms.get(&platform.to_string()).copied().or(entry.index)
    }

    /// The manifest of the platform and the index that stand for a reference, as far as they are
    /// pinned.
    pub(crate) fn pins(
        &self,
        kind: Pinned,
        reference: &str,
        platform: Platform,
    ) -> (Option<Digest>, Option<Digest>) {
        let state = self.state();
        let entry = state.content.entry(kind, reference).filter(|_| self.usage != LockUse::Update);
        let manifest = entry.and_then(|entry| entry.platforms.get(&platform.to_string()).copied());
        (manifest, entry.and_then(|entry| entry.index))
    }

    /// The index that a pinned manifest came from.
    pub(crate) fn index(&self, kind: Pinned, reference: &str, digest: Digest) -> Option<Digest> {
        let state = self.state();
        let entry = state.content.entry(kind, reference)?;
        entry.index.filter(|_| entry.platforms.values().any(|known| *known == digest))
    }

    /// Notes what a reference was found to be.
    pub(crate) fn found(&self, kind: Pinned, reference: &str, platform: Platform, pin: Pin) {
        let mut state = self.state();
        let entry = state.content.entry(kind, reference);
        let known = entry.and_then(|entry| entry.platforms.get(&platform.to_string())).copied();
        if self.usage != LockUse::Update && known == Some(pin.digest) {
            return;
        }
        let added = (kind, reference.to_owned(), platform, pin);
        if !state.added.contains(&added) {
            state.added.push(added);
        }
    }

    /// Whether `--locked` allows that an image is needed; everything that is missing is collected
    /// for [`LockFile::check`]. A reference with a digest of its own needs no pin.
    pub(crate) fn need(&self, kind: Pinned, reference: &str, platform: Platform) {
        if self.usage != LockUse::Locked || reference.contains('@') {
            return;
        }
        let mut state = self.state();
        let entry = state.content.entry(kind, reference);
        let known = entry.is_some_and(|entry| entry.platforms.contains_key(&platform.to_string()));
        if !known {
            state.missing.push(format!("`{reference}` for {platform} is not pinned"));
        }
    }

    /// Puts the pinned packages into `wanted`: those of the same requirements, word for word. Under
    /// `--locked` they have to be there.
    pub(crate) fn pin_packages(&self, wanted: &mut Packages) {
        if self.usage == LockUse::Update {
            return;
        }
        let mut state = self.state();
        let entry = state.content.dependencies.iter().find(|entry| entry.is_for(wanted));
        match entry {
            Some(entry) if entry.asked == wanted.asked => {
                wanted.versions.clone_from(&entry.versions);
            }
            _ if self.usage == LockUse::Locked => {
                let Packages { requirements, runtime, platform, .. } = &*wanted;
                let missing =
                    format!("the packages of `{requirements}` for {runtime} on {platform}");
                state.missing.push(format!("{missing} are not pinned"));
            }
            _ => {}
        }
    }

    /// Notes what was installed.
    pub(crate) fn found_packages(&self, found: Packages) {
        let mut state = self.state();
        if state.content.dependencies.iter().any(|known| known.is_same(&found)) {
            return;
        }
        if self.usage == LockUse::Locked {
            let requirements = &found.requirements;
            let missing = format!("`{requirements}` led to other packages than those pinned");
            state.missing.push(missing);
        } else if !state.installed.contains(&found) {
            state.installed.push(found);
        }
    }

    /// Ends the run when [`LockUse::Locked`] does not allow what it needs.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let state = self.state();
        if state.missing.is_empty() {
            return Ok(());
        }
        let mut failure =
            Error::new(Kind::Difference, "locked-file", format!("`{NAME}` would change"));
        failure.causes.clone_from(&state.missing);
        Err(failure.hint(Remedy::ChangeLockFile))
    }

    /// Writes what was found, when that changes the file. What another run added meanwhile stays.
    pub(crate) fn write(&self) -> Result<(), Error> {
        let mut state = self.state();
        let has_to_be =
            !state.added.is_empty() || !state.installed.is_empty() || state.named.is_some();
        let is_new = has_to_be || state.project.is_some() || !state.found.is_empty();
        if !is_new || self.usage == LockUse::Locked {
            return Ok(());
        }
        let old = read(&self.folder)?;
        let mut content = old.clone().unwrap_or_default();
        let named = state.named.take();
        content.application = content.application.or(named);
        let project = state.project.take();
        content.project = content.project.or(project);
        for (kind, reference, platform, pin) in std::mem::take(&mut state.added) {
            content.set(kind, &reference, platform, pin);
        }
        for found in std::mem::take(&mut state.installed) {
            content.dependencies.retain(|entry| !entry.is_for(&found));
            content.dependencies.push(found);
            content.dependencies.sort_by(|a, b| a.place().cmp(&b.place()));
        }
        state.found.put(&mut content);
        if old.as_ref() != Some(&content) {
            content.version = VERSIONS.newest();
            let text = toml::to_string_pretty(&content).expect("texts and numbers are TOML");
            let text = format!("{HEAD}{text}");
            match esb_config::replace(&self.folder, NAME, text.as_bytes(), READABLE) {
                // A project that is only read has to do without what spares work.
                Err(esb_config::Error::Io { .. }) if !has_to_be => {
                    content.project = old.and_then(|old| old.project);
                }
                written => written?,
            }
        }
        state.content = content;
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(folder: &Folder) -> Result<Option<Content>, Error> {
    let path = folder.path().join(NAME);
    let text = folder.read(NAME, MAX_BYTES).map_err(|error| {
        // Whatever it is, the file is the wrong one.
        Error { kind: Kind::Input, code: "lock-file".to_owned(), ..error.into() }
    })?;
    let Some(text) = text else { return Ok(None) };
    let failed = |error: &(dyn std::error::Error + 'static)| {
        Error::of(Kind::Input, "lock-file", error)
            .during(format!("could not understand `{}`", path.display()))
    };
    let text = esb_model::decode_text(text).map_err(|error| failed(&error))?;
    // A newer form may have anything beside its version.
    let FormatHead { version } = toml::from_str(&text).map_err(|error| failed(&error))?;
    VERSIONS.check(version).map_err(|version| Error::of_version(&path, version))?;
    toml::from_str(&text).map(Some).map_err(|error| failed(&error))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const PYTHON: &str = "public.ecr.aws/lambda/python:3.12";

    fn pin(text: &str, index: Option<&str>) -> Pin {
        let digest = |text: &str| Digest::of(text.as_bytes());
        Pin { digest: digest(text), index: index.map(digest) }
    }

    fn platform(name: &str) -> Platform {
        format!("linux/{name}").parse().unwrap()
    }

    #[test]
    fn pins_are_used_added_and_resolved_anew() {
        let folder = tempfile::tempdir().unwrap();
        let open = |usage| LockFile::open(folder.path(), usage).unwrap();
        let (amd, arm) = (platform("amd64"), platform("arm64"));
        let lock = open(LockUse::Add);
        assert_eq!(lock.pin(Pinned::Base, PYTHON, amd), None);
        lock.found(Pinned::Base, PYTHON, amd, pin("amd", Some("index")));
        lock.found(Pinned::External, "ghcr.io/a/b:1", amd, pin("b", None));
        lock.write().unwrap();
        let text = fs::read_to_string(folder.path().join(NAME)).unwrap();

        let lock = open(LockUse::Add);
        assert_eq!(lock.pin(Pinned::Base, PYTHON, amd), Some(pin("amd", None).digest));
        assert_eq!(lock.pin(Pinned::Base, PYTHON, arm), Some(pin("index", None).digest));
        assert_eq!(lock.pin(Pinned::External, PYTHON, amd), None);
        lock.found(Pinned::Base, PYTHON, amd, pin("amd", Some("index")));
        lock.write().unwrap();
        assert_eq!(fs::read_to_string(folder.path().join(NAME)).unwrap(), text);
        lock.found(Pinned::Base, PYTHON, arm, pin("arm", Some("index")));
        lock.write().unwrap();
        assert_eq!(
            open(LockUse::Add).pin(Pinned::Base, PYTHON, arm),
            Some(pin("arm", None).digest)
        );

        let lock = open(LockUse::Update);
        assert_eq!(lock.pin(Pinned::Base, PYTHON, amd), None);
        lock.found(Pinned::Base, PYTHON, amd, pin("amd2", Some("index2")));
        lock.write().unwrap();
        let lock = open(LockUse::Add);
        assert_eq!(lock.pin(Pinned::Base, PYTHON, arm), Some(pin("index2", None).digest));
        assert!(lock.pin(Pinned::External, "ghcr.io/a/b:1", amd).is_some(), "others stay");
    }

    #[test]
    fn locked_tells_everything_that_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let lock = LockFile::open(folder.path(), LockUse::Add).unwrap();
        lock.found(Pinned::Base, PYTHON, platform("amd64"), pin("amd", None));
        lock.write().unwrap();
        let lock = LockFile::open(folder.path(), LockUse::Locked).unwrap();
        lock.need(Pinned::Base, PYTHON, platform("amd64"));
        lock.check().unwrap();
        lock.need(Pinned::Base, PYTHON, platform("arm64"));
        lock.need(Pinned::External, "ghcr.io/a/b:1", platform("amd64"));
        let failure = lock.check().unwrap_err();
        assert_eq!(failure.kind, Kind::Difference);
        let causes = failure.causes.join("; ");
        assert!(causes.contains("python:3.12` for linux/arm64"), "{causes}");
        assert!(causes.contains("ghcr.io/a/b:1` for linux/amd64"), "{causes}");
    }

    #[test]
    fn packages_are_pinned_for_what_was_asked() {
        let folder = tempfile::tempdir().unwrap();
        let open = |usage| LockFile::open(folder.path(), usage).unwrap();
        let of = |asked: &str, packages: &[&str]| Packages {
            requirements: "a/requirements.txt".to_owned(),
            runtime: "python3.13".to_owned(),
            platform: "linux/amd64".to_owned(),
            asked: Digest::of(asked.as_bytes()),
            versions: packages.iter().map(|package| (*package).to_owned()).collect(),
            layer: None,
        };
        let pinned = |lock: &LockFile, asked: &str| {
            let mut wanted = of(asked, &[]);
            lock.pin_packages(&mut wanted);
            wanted.versions
        };
        let lock = open(LockUse::Add);
        assert!(pinned(&lock, "six").is_empty());
        lock.found_packages(of("six", &["six==1"]));
        lock.write().unwrap();
        let lock = open(LockUse::Locked);
        assert_eq!(pinned(&lock, "six"), ["six==1"]);
        lock.found_packages(of("six", &["six==1"]));
        lock.check().unwrap();
        assert!(pinned(&lock, "six>1").is_empty());
        assert_eq!(lock.check().unwrap_err().kind, Kind::Difference);
        let lock = open(LockUse::Locked);
        lock.found_packages(of("six", &["six==2"]));
        assert!(lock.check().is_err());
        let lock = open(LockUse::Update);
        assert!(pinned(&lock, "six").is_empty());
        lock.found_packages(of("six>1", &["six==2"]));
        lock.write().unwrap();
        let lock = open(LockUse::Add);
        assert_eq!(pinned(&lock, "six>1"), ["six==2"]);
        assert!(pinned(&lock, "six").is_empty(), "one entry for each place");
    }

    #[test]
    fn the_first_form_is_read_and_stays_until_something_is_added() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        let digest = pin("amd", None).digest;
        let first = format!(
            "version = 1\n\n[[base]]\nreference = \"{PYTHON}\"\n\n[base.platforms]\n\
             \"linux/amd64\" = \"{digest}\"\n"
        );
        fs::write(&path, &first).unwrap();
        let open = |usage| LockFile::open(folder.path(), usage).unwrap();
        let lock = open(LockUse::Update);
        assert_eq!(lock.application(), None);
        lock.found(Pinned::Base, PYTHON, platform("amd64"), pin("amd", None));
        lock.write().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), first, "nothing was added");

        let lock = open(LockUse::Locked);
        lock.name_application("shop");
        lock.check().unwrap();
        lock.write().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), first);

        let lock = open(LockUse::Add);
        lock.name_application("shop");
        lock.write().unwrap();
        let second = fs::read_to_string(&path).unwrap();
        assert!(second.contains("version = 2\napplication = \"shop\"\n"), "{second}");
        assert!(second.contains(&digest.to_string()), "{second}");
        let lock = open(LockUse::Add);
        assert_eq!(lock.application().as_deref(), Some("shop"));
        lock.name_application("other");
        lock.write().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), second);
    }

    #[test]
    fn a_file_that_is_not_understood_is_wrong_input() {
        let folder = tempfile::tempdir().unwrap();
        for text in [
            "version = 3\nnew = 1",
            "version = 0",
            "version = '2'",
            "[[base]]",
            "version = 1\nnew = 1",
            "version = 1\nbase = 3",
        ] {
            fs::write(folder.path().join(NAME), text).unwrap();
            let failure = LockFile::open(folder.path(), LockUse::Add).unwrap_err();
            assert_eq!(failure.kind, Kind::Input, "{text}");
            let is_version = ["version = 3\nnew = 1", "version = 0"].contains(&text);
            assert_eq!(failure.code == "format-version", is_version, "{text}: {failure}");
            assert!(failure.message.contains(NAME), "{failure}");
        }
    }
}
