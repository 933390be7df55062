//! Entries of `esb.lock` for images and layers that an engine or a package manager made, so that
//! other machines need not make them again.
//!
//! They are shortcuts: when one is missing, or was made for other inputs, the work is done again
//! and the run does not fail. A registry's annotations are no substitute, because whoever may push
//! can write them.

use esb_model::Platform;
use esb_oci::Digest;
use serde::{Deserialize, Serialize};

#[cfg(test)]
use super::schema;
use super::{Content, LockFile, LockUse, Packages};

/// The kind of an image that `esb` built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PinPurpose {
    /// Functions are built on it: the base that it is made of need not be read.
    Base,
    /// An engine runs steps for it.
    Steps,
}

/// An image of ours, as one environment builds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct PinnedImage {
    /// `repository:tag`.
    image: String,
    platform: String,
    environment: String,
    /// Of what it was made of.
    #[cfg_attr(test, schemars(with = "schema::DigestText"))]
    fingerprint: Digest,
    #[cfg_attr(test, schemars(with = "schema::DigestText"))]
    digest: Digest,
}

impl PinnedImage {
    pub(crate) fn new(
        image: String,
        platform: Platform,
        environment: &str,
        (fingerprint, digest): (Digest, Digest),
    ) -> Self {
        let (platform, environment) = (platform.to_string(), environment.to_owned());
        Self { image, platform, environment, fingerprint, digest }
    }

    fn place(&self) -> (&str, &str, &str) {
        (&self.image, &self.platform, &self.environment)
    }
}

/// The layer that holds installed packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct PackageLayer {
    /// Of all that is in it.
    #[cfg_attr(test, schemars(with = "schema::DigestText"))]
    key: Digest,
    /// Of its uncompressed content.
    #[cfg_attr(test, schemars(with = "schema::DigestText"))]
    diff_id: Digest,
}

/// New shortcuts that a run found.
#[derive(Debug, Default)]
pub(super) struct NewPins {
    images: Vec<(PinPurpose, PinnedImage)>,
    /// By the place of their requirements.
    layers: Vec<([String; 3], PackageLayer)>,
}

impl NewPins {
    pub(super) fn is_empty(&self) -> bool {
        self.images.is_empty() && self.layers.is_empty()
    }

    /// Puts all of it into the file's content, whatever the order in which it was found out.
    pub(super) fn put(&mut self, content: &mut Content) {
        for (made, image) in self.images.drain(..) {
            let images = content.made(made);
            images.retain(|known| known.place() != image.place());
            images.push(image);
            images.sort_by(|a, b| a.place().cmp(&b.place()));
        }
        self.layers.sort();
        self.layers.reverse();
        // Of several layers of one place the one with the lowest key comes last, and stays.
        for (place, layer) in self.layers.drain(..) {
            let entry =
                content.dependencies.iter_mut().find(|entry| entry.place() == parts(&place));
            if let Some(entry) = entry {
                entry.layer = Some(layer);
            }
        }
    }
}

fn parts([requirements, runtime, platform]: &[String; 3]) -> (&str, &str, &str) {
    (requirements, runtime, platform)
}

impl Content {
    fn made(&mut self, made: PinPurpose) -> &mut Vec<PinnedImage> {
        match made {
            PinPurpose::Base => &mut self.own_base,
            PinPurpose::Steps => &mut self.built,
        }
    }
}

impl LockFile {
    /// The fingerprint and digest that an image of ours is pinned with.
    pub(crate) fn made(
        &self,
        made: PinPurpose,
        (image, platform, environment): (&str, Platform, &str),
    ) -> Option<(Digest, Digest)> {
        let mut state = self.state();
        let place = (image, &*platform.to_string(), environment);
        let known = state.content.made(made).iter().find(|known| known.place() == place)?;
        let pin = (known.fingerprint, known.digest);
        (self.usage != LockUse::Update).then_some(pin)
    }

    /// Notes what an image of ours was made of and has become.
    pub(crate) fn found_made(&self, made: PinPurpose, image: PinnedImage) {
        let mut state = self.state();
        if self.usage != LockUse::Locked && !state.content.made(made).contains(&image) {
            state.found.images.push((made, image));
        }
    }

    /// Key and uncompressed digest of the layer that holds the packages of some requirements.
    pub(crate) fn layer_of(&self, place: &[String; 3]) -> Option<(Digest, Digest)> {
        let state = self.state();
        let mut entries = state.content.dependencies.iter();
        let layer = entries.find(|entry| entry.place() == parts(place))?.layer?;
        (self.usage != LockUse::Update).then_some((layer.key, layer.diff_id))
    }

    /// Notes which layer holds the packages of some requirements.
    pub(crate) fn found_layer(&self, place: [String; 3], (key, diff_id): (Digest, Digest)) {
        if self.usage != LockUse::Locked {
            self.state().found.layers.push((place, PackageLayer { key, diff_id }));
        }
    }
}

impl Packages {
    pub(super) fn place(&self) -> (&str, &str, &str) {
        (&self.requirements, &self.runtime, &self.platform)
    }

    /// Whether two entries say the same of what was installed.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let layer = other.layer;
        Self { layer, ..self.clone() } == *other
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{super::NAME, *};

    fn digest(text: &str) -> Digest {
        Digest::of(text.as_bytes())
    }

    fn image(name: &str, environment: &str, content: &str) -> PinnedImage {
        let pin = (digest(content), digest(&format!("image of {content}")));
        PinnedImage::new(format!("{name}:latest"), Platform::default(), environment, pin)
    }

    fn packages(version: &str) -> Packages {
        Packages {
            requirements: "f/requirements.txt".to_owned(),
            runtime: "python3.12".to_owned(),
            platform: "linux/amd64".to_owned(),
            asked: digest("six"),
            versions: vec![format!("six=={version}")],
            layer: None,
        }
    }

    fn place() -> [String; 3] {
        ["f/requirements.txt", "python3.12", "linux/amd64"].map(str::to_owned)
    }

    #[test]
    fn an_image_has_one_entry_that_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let text = || fs::read_to_string(folder.path().join(NAME)).unwrap();
        let open = |usage| LockFile::open(folder.path(), usage).unwrap();
        let named = ("base:latest", Platform::default(), "dev");
        let lock = open(LockUse::Add);
        lock.found_made(PinPurpose::Base, image("base", "prod", "p"));
        lock.found_made(PinPurpose::Base, image("base", "dev", "d"));
        lock.found_made(PinPurpose::Steps, image("base", "dev", "s"));
        lock.write().unwrap();
        let first = text();
        assert!(first.contains("[[own-base]]") && first.contains("[[built]]"), "{first}");
        assert!(first.contains("version = 2\n"), "{first}");

        // The same is not written again, in whatever order it is found.
        let lock = open(LockUse::Add);
        lock.found_made(PinPurpose::Base, image("base", "dev", "d"));
        lock.found_made(PinPurpose::Steps, image("base", "dev", "s"));
        lock.write().unwrap();
        assert_eq!(text(), first);
        assert_eq!(lock.made(PinPurpose::Base, named).unwrap().0, digest("d"));
        assert_eq!(lock.made(PinPurpose::Steps, named).unwrap().0, digest("s"));
        assert_eq!(open(LockUse::Update).made(PinPurpose::Base, named), None);

        let locked = open(LockUse::Locked);
        locked.found_made(PinPurpose::Base, image("base", "dev", "other"));
        locked.check().unwrap();
        locked.write().unwrap();
        assert_eq!(text(), first, "a shortcut that is outdated is no reason to fail");

        let lock = open(LockUse::Add);
        lock.found_made(PinPurpose::Base, image("base", "dev", "other"));
        lock.write().unwrap();
        assert_eq!(open(LockUse::Add).made(PinPurpose::Base, named).unwrap().0, digest("other"));
        assert_eq!(text().matches("[[own-base]]").count(), 2);
    }

    #[test]
    fn a_layer_stands_with_its_requirements() {
        let folder = tempfile::tempdir().unwrap();
        let text = || fs::read_to_string(folder.path().join(NAME)).unwrap();
        let open = || LockFile::open(folder.path(), LockUse::Add).unwrap();
        let lock = open();
        lock.found_packages(packages("1"));
        let mut pins = [(digest("a"), digest("x")), (digest("b"), digest("y"))];
        lock.found_layer(place(), pins[0]);
        lock.found_layer(place(), pins[1]);
        lock.write().unwrap();
        pins.sort();
        assert_eq!(lock.layer_of(&place()), Some(pins[0]));
        let first = text();

        let lock = open();
        lock.found_packages(packages("1"));
        pins.iter().rev().for_each(|pin| lock.found_layer(place(), *pin));
        lock.write().unwrap();
        assert_eq!(text(), first, "the same packages keep their layer");

        let lock = open();
        lock.found_packages(packages("2"));
        lock.write().unwrap();
        assert_eq!(open().layer_of(&place()), None, "of other packages it says nothing");
        lock.found_layer(["other".to_owned(), String::new(), String::new()], pins[0]);
        lock.write().unwrap();
    }

    #[test]
    fn a_project_that_cannot_be_written_builds_all_the_same() {
        // Nobody makes a folder there.
        let lock = LockFile::open(std::path::Path::new("/proc/none"), LockUse::Add).unwrap();
        lock.found_made(PinPurpose::Base, image("base", "dev", "d"));
        lock.write().unwrap();
        lock.found_packages(packages("1"));
        lock.write().unwrap_err();
    }
}
