//! Whose an image is, and what published configuration names it.
//!
//! An image is this project's when a run in its folder brought it to where it is, or when its own
//! application has published it. Labels say neither: applications of one platform share them. Nor
//! does a digest: equal code makes the same image for everybody.

use std::collections::{BTreeMap, BTreeSet};

use esb_config::{Owner, PublishedConfig, Section};
use esb_deploy::history::MadeHere;
use esb_oci::Digest;

/// The owner of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ImageOwner {
    /// This project's, with the application and template of its function where they are known.
    Own(Option<String>),
    /// What another folder of this machine made, or another application published.
    Other { name: String, is_recorded: bool },
    /// Only its labels say that it is one of ours.
    Unknown,
}

impl ImageOwner {
    /// The text for a table.
    pub(super) fn words(&self) -> &str {
        match self {
            Self::Own(owner) => owner.as_deref().unwrap_or("this project"),
            Self::Other { name, .. } => name,
            Self::Unknown => "-",
        }
    }

    /// The owner, as far as it is known.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Own(owner) => owner.as_deref(),
            Self::Other { name, .. } => Some(name),
            Self::Unknown => None,
        }
    }

    /// Whether it may be removed when nothing uses it: a record says who made it.
    pub(super) fn is_recorded(&self) -> bool {
        matches!(self, Self::Own(_) | Self::Other { is_recorded: true, .. })
    }
}

/// Where an image lies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Location {
    Engine,
    Store,
    /// A registry and repository.
    Registry(String),
}

/// The images that records and published configuration name.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// What runs in this folder made, by where they brought it and each id.
    own: BTreeMap<(Location, String), Option<String>>,
    /// What runs in other folders made.
    others: BTreeMap<(Location, String), String>,
    /// The published names and digests, each with an owner of its entry.
    names: BTreeMap<String, Option<Owner>>,
    digests: BTreeMap<String, Option<Owner>>,
    /// The applications of this project.
    applications: BTreeSet<String>,
    /// Registries and repositories of what is this project's.
    repositories: BTreeSet<String>,
}

impl Known {
    pub(super) fn new(applications: BTreeSet<String>) -> Self {
        Self { applications, ..Self::default() }
    }

    /// Adds the images that runs in this folder made.
    pub(super) fn made_here(&mut self, made: Vec<MadeHere>) {
        for image in made {
            self.repositories.extend(image.pushed.clone());
            for id in ids(&image) {
                let owner = self.own.entry(id).or_default();
                if owner.is_none() {
                    owner.clone_from(&image.owner);
                }
            }
        }
    }

    /// Adds the images that runs in another folder made.
    pub(super) fn made_elsewhere(&mut self, folder: &str, made: Vec<MadeHere>) {
        for image in made {
            let name = match &image.owner {
                Some(owner) => format!("{owner} in {folder}"),
                None => folder.to_owned(),
            };
            for id in ids(&image) {
                self.others.entry(id).or_insert_with(|| name.clone());
            }
        }
    }

    /// Everything that is published, by any owner.
    pub(super) fn published(&mut self, published: &PublishedConfig) {
        for (function, entry) in &published.config.functions.functions {
            let owners = published.state.owners.of(Section::Function, function);
            let own = owners.iter().find(|owner| self.is_own(owner));
            let owner = own.or_else(|| owners.first()).cloned();
            if let Some(image) = &entry.image {
                let name = image.resolve(|_| None);
                if own.is_some() {
                    self.repositories.insert(repository(&name));
                }
                if let Some((_, digest)) = name.split_once('@') {
                    self.digests.entry(digest.to_owned()).or_insert_with(|| owner.clone());
                }
                self.names.entry(name).or_insert_with(|| owner.clone());
            }
            if let Some(digest) = published.state.digests.get(function) {
                self.digests.entry(digest.clone()).or_insert(owner);
            }
        }
    }

    fn is_own(&self, owner: &Owner) -> bool {
        owner.application().is_some_and(|name| self.applications.contains(name))
    }

    /// Finds the owner of an image that lies at one of these places, with these names and ids.
    pub(super) fn whose(&self, at: &[Location], names: &[String], ids: &[&str]) -> ImageOwner {
        let keys = || at.iter().flat_map(|at| ids.iter().map(|id| (at.clone(), (*id).to_owned())));
        if let Some(owner) = keys().find_map(|key| self.own.get(&key)) {
            return ImageOwner::Own(owner.clone());
        }
        let by_name = names.iter().filter_map(|name| self.names.get(name));
        let by_digest = ids.iter().filter_map(|id| self.digests.get(*id));
        let published: Vec<&Owner> = by_name.chain(by_digest).flatten().collect();
        if let Some(owner) = published.iter().find(|owner| self.is_own(owner)) {
            return ImageOwner::Own(Some(owner.to_string()));
        }
        if let Some(name) = keys().find_map(|key| self.others.get(&key)) {
            return ImageOwner::Other { name: name.clone(), is_recorded: true };
        }
        match published.first() {
            Some(owner) => ImageOwner::Other { name: owner.to_string(), is_recorded: false },
            None => ImageOwner::Unknown,
        }
    }

    /// Finds published entries that use one of these names and ids.
    pub(super) fn used(&self, names: &[String], ids: &[&str]) -> Option<String> {
        let is_used = names.iter().any(|name| self.has(name))
            || ids.iter().any(|id| self.digests.contains_key(*id));
        is_used.then(|| "functions.yml".to_owned())
    }

    /// Whether a name is published; one that is published by digest keeps all tags of its
    /// repository in an engine, which may know the image by another digest.
    pub(super) fn has(&self, name: &str) -> bool {
        let repository = repository(name);
        let by_digest =
            |other: &String| other.split_once('@').is_some_and(|(named, _)| named == repository);
        self.names.contains_key(name) || self.names.keys().any(by_digest)
    }

    /// The repositories of a registry that could hold this project's images.
    pub(super) fn repositories(&self, hosts: [&str; 2]) -> BTreeSet<String> {
        let below = |name: &String| {
            let of = |host: &str| name.strip_prefix(host)?.strip_prefix('/').map(str::to_owned);
            hosts.into_iter().find_map(of)
        };
        self.repositories.iter().filter_map(below).collect()
    }
}

/// A name without its tag and digest.
fn repository(name: &str) -> String {
    let name = name.split_once('@').map_or(name, |(name, _)| name);
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository.to_owned(),
        _ => name.to_owned(),
    }
}

/// Where runs brought an image, with each id by which an engine, a store or a registry may know it.
fn ids(image: &MadeHere) -> impl Iterator<Item = (Location, String)> + use<> {
    let ids: [Option<Digest>; 2] = [Some(image.digest), image.config];
    let pushed = image.pushed.clone().map(Location::Registry);
    // An engine pulls what was sent to a registry.
    let engine = (image.engine || pushed.is_some()).then_some(Location::Engine);
    let places = [Some(Location::Store), engine, pushed].into_iter().flatten();
    places.flat_map(move |place| {
        ids.into_iter().flatten().map(move |digest| (place.clone(), digest.to_string()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published(text: &str, owners: &[(&str, &str)]) -> PublishedConfig {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("functions.yml"), text).unwrap();
        let mut published = esb_config::read(esb_oci::Folder::new(folder.path())).unwrap();
        for (function, application) in owners {
            let owner = Owner::new(*application, "template.yaml");
            published.state.owners.add(Section::Function, *function, owner);
        }
        published
    }

    #[test]
    fn what_is_published_is_used() {
        let mut known = Known::default();
        known.published(&published(
            "functions:\n  a: {image: 'r:5010/esb-a:latest-1'}\n  b: {image: 'r:5010/esb-b@sha256:00'}\n",
            &[],
        ));
        let check = |name: &str, expected| assert_eq!(known.has(name), expected, "{name}");
        check("r:5010/esb-a:latest-1", true);
        check("r:5010/esb-a:latest-2", false);
        check("r:5010/esb-b:latest", true);
        check("other:5010/esb-b:latest", false);
        check("esb-a:latest-1", false);
        assert!(known.used(&[], &["sha256:00"]).is_some());
    }

    #[test]
    fn what_was_made_or_published_here_is_own() {
        let made = |text: &str, owner: Option<&str>| MadeHere {
            digest: Digest::of(text.as_bytes()),
            config: Some(Digest::of(format!("{text} config").as_bytes())),
            pushed: Some(format!("r:5010/esb-{text}")),
            engine: text == "old",
            owner: owner.map(str::to_owned),
        };
        let mut known = Known::new(["shop".to_owned()].into());
        known.made_here(vec![made("old", Some("shop:template.yaml")), made("base", None)]);
        known.made_here(vec![MadeHere { pushed: None, ..made("layout", None) }]);
        known.made_elsewhere("/srv/stock", vec![made("stock", Some("stock:template.yaml"))]);
        known.published(&published(
            "functions:\n  a: {image: 'r:5010/esb-a:1'}\n  b: {image: 'r:5010/esb-b:1'}\n",
            &[("a", "shop"), ("b", "stock")],
        ));
        let at = |place: Location, text: &str| {
            known.whose(&[place], &[], &[&Digest::of(text.as_bytes()).to_string()])
        };
        let of_id = |text: &str| at(Location::Store, text);
        assert_eq!(of_id("old"), ImageOwner::Own(Some("shop:template.yaml".to_owned())));
        assert_eq!(of_id("old config"), of_id("old"));
        assert_eq!(of_id("base"), ImageOwner::Own(None));
        assert_eq!(of_id("stock").words(), "stock:template.yaml in /srv/stock");
        assert!(of_id("stock").is_recorded());
        assert_eq!(of_id("other"), ImageOwner::Unknown);
        // Where nobody here brought it, it is somebody else's.
        let pushed = |name: &str| Location::Registry(format!("r:5010/{name}"));
        assert_eq!(at(pushed("esb-old"), "old"), of_id("old"));
        assert_eq!(at(pushed("esb-other"), "old"), ImageOwner::Unknown);
        assert_eq!(at(Location::Engine, "old config"), of_id("old"));
        assert_eq!(at(Location::Engine, "base"), ImageOwner::Own(None), "pulled from there");
        assert_eq!(of_id("layout"), ImageOwner::Own(None));
        assert_eq!(at(Location::Engine, "layout"), ImageOwner::Unknown);
        let of_name = |name: &str| known.whose(&[Location::Engine], &[name.to_owned()], &[]);
        assert_eq!(of_name("r:5010/esb-a:1").words(), "shop:template.yaml");
        assert!(!of_name("r:5010/esb-b:1").is_recorded());
        assert_eq!(of_name("r:5010/esb-a:2"), ImageOwner::Unknown, "only its name is alike");
        let of_registry = known.repositories(["r:5010", "127.0.0.1:5010"]);
        assert_eq!(of_registry.into_iter().collect::<Vec<_>>(), ["esb-a", "esb-base", "esb-old"]);
    }
}
