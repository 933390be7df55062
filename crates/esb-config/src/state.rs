//! The side file `state.json`: the owner of each published entry, and the digest of each image.
//!
//! What has no owner was written by a person or by the earlier tool. Several owners have the same
//! resource, and it stays as long as one of them has it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use esb_model::{FormatHead, FormatVersions};
use serde::{Deserialize, Serialize};

use crate::{Owner, config::Cause, functions::Defaults};

/// The kinds of entries that templates own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Section {
    Function,
    Route,
    Table,
    Bucket,
    Layer,
    /// An entry of image-import.json.
    Image,
    /// A schedule of a function: shown in changes, owned by its function.
    Schedule,
}

/// Names an entry of the published files.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryKey {
    pub section: Section,
    /// The name; for a route see [`crate::RouteEntry::key`].
    pub key: String,
}

/// Entries and who has published each.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Owners(BTreeMap<Section, BTreeMap<String, Holders>>);

/// The owners of one entry: one alone in the file where there is no other.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Holders(BTreeSet<Owner>);

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
enum Stored {
    One(Owner),
    Several(BTreeSet<Owner>),
}

impl From<Stored> for Holders {
    fn from(stored: Stored) -> Self {
        Self(match stored {
            Stored::One(owner) => BTreeSet::from([owner]),
            Stored::Several(owners) => owners,
        })
    }
}

impl From<Holders> for Stored {
    fn from(Holders(mut owners): Holders) -> Self {
        match owners.pop_first() {
            Some(only) if owners.is_empty() => Self::One(only),
            first => {
                owners.extend(first);
                Self::Several(owners)
            }
        }
    }
}

static NOBODY: BTreeSet<Owner> = BTreeSet::new();

/// The whole side file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct OwnershipState {
    /// Counts changes of this file's form.
    #[cfg_attr(test, schemars(range(min = 1, max = STATE_VERSIONS.newest())))]
    pub version: u32,
    #[serde(default)]
    pub owners: Owners,
    /// The manifest digest behind each function's `image`.
    #[serde(default)]
    pub digests: BTreeMap<String, String>,
    /// The variables of each function whose values are secret and stand in functions.yml.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: Secrets,
    /// The project that published each function last, where an application's name alone does not
    /// say it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub projects: BTreeMap<String, String>,
    /// The same of routes and resources.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub projects_of_others: BTreeMap<Section, BTreeMap<String, String>>,
    /// The part of functions.yml's `defaults` that came from us: only that may change.
    #[serde(default)]
    pub defaults: Defaults,
}

/// Names of variables by function.
pub type Secrets = BTreeMap<String, BTreeSet<String>>;

/// The form of the side file (docs/contracts/formats.md#published-files). The first one knew no
/// applications.
const STATE_VERSIONS: FormatVersions = FormatVersions::up_to(2);

impl Default for OwnershipState {
    fn default() -> Self {
        Self {
            version: STATE_VERSIONS.newest(),
            owners: Owners::default(),
            digests: BTreeMap::new(),
            secrets: Secrets::new(),
            projects: BTreeMap::new(),
            projects_of_others: BTreeMap::new(),
            defaults: Defaults::default(),
        }
    }
}

impl OwnershipState {
    /// The project that published each entry last, as far as that is recorded.
    pub(crate) fn recorded_projects(&self) -> BTreeMap<EntryKey, String> {
        let others = self.projects_of_others.iter().map(|(section, projects)| (*section, projects));
        let all = std::iter::once((Section::Function, &self.projects)).chain(others);
        let entries = all.flat_map(|(section, projects)| {
            projects
                .iter()
                .map(move |(key, project)| (EntryKey::new(section, key), project.clone()))
        });
        entries.collect()
    }

    /// Records a project as the one that published an entry last.
    pub(crate) fn record_project(&mut self, entry: EntryKey, project: String) {
        let projects = match entry.section {
            Section::Function => &mut self.projects,
            section => self.projects_of_others.entry(section).or_default(),
        };
        projects.insert(entry.key, project);
    }

    /// Whether a variable of a function has a secret value in functions.yml.
    pub(crate) fn is_secret(&self, function: &str, variable: &str) -> bool {
        self.secrets.get(function).is_some_and(|names| names.contains(variable))
    }

    /// Reads the text of a file; its version first, for another one may have anything else.
    pub(crate) fn parse(text: &str) -> Result<Self, Cause> {
        let FormatHead { version } = serde_json::from_str(text)?;
        STATE_VERSIONS.check(version)?;
        Ok(serde_json::from_str(text)?)
    }

    /// The text of the file.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("strings and maps are JSON");
        text.push('\n');
        text
    }
}

impl Owners {
    /// The owners of an entry; none for one that a person or the earlier tool wrote.
    pub fn of(&self, section: Section, key: &str) -> &BTreeSet<Owner> {
        let holders = self.0.get(&section).and_then(|entries| entries.get(key));
        holders.map_or(&NOBODY, |holders| &holders.0)
    }

    /// Records an owner of an entry beside those that it has.
    pub fn add(&mut self, section: Section, key: impl Into<String>, owner: Owner) {
        self.0.entry(section).or_default().entry(key.into()).or_default().0.insert(owner);
    }

    /// Takes one owner from an entry.
    pub(crate) fn drop(&mut self, entry: &EntryKey, owner: &Owner) {
        let holders = self.0.get_mut(&entry.section).and_then(|all| all.get_mut(&entry.key));
        if let Some(holders) = holders {
            holders.0.remove(owner);
        }
    }

    /// All entries with each of their owners, by section and key.
    pub fn iter(&self) -> impl Iterator<Item = (EntryKey, &Owner)> {
        self.0.iter().flat_map(|(section, entries)| {
            entries.iter().flat_map(|(key, holders)| {
                let entry = EntryKey { section: *section, key: key.clone() };
                holders.0.iter().map(move |owner| (entry.clone(), owner))
            })
        })
    }
}

impl EntryKey {
    /// An entry by its section and key.
    pub fn new(section: Section, key: impl Into<String>) -> Self {
        Self { section, key: key.into() }
    }
}

impl Section {
    /// The noun for an entry of this section, for messages.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Function => "function",
            Self::Route => "route",
            Self::Table => "table",
            Self::Bucket => "bucket",
            Self::Layer => "layer",
            Self::Image => "image of function",
            Self::Schedule => "schedule",
        }
    }
}

impl fmt::Display for EntryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`", self.section.noun(), self.key.escape_debug())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::own_defaults;

    #[test]
    fn survives_its_own_file() {
        let mut state =
            OwnershipState { defaults: own_defaults("eu-west-1"), ..OwnershipState::default() };
        state.owners.add(Section::Route, "GET /a", Owner::new("shop", "template.yaml"));
        state.owners.add(Section::Function, "f", Owner::without_application("b/template.yaml"));
        for application in ["shop", "stock"] {
            state.owners.add(Section::Table, "t", Owner::new(application, "template.yaml"));
        }
        state.digests.insert("f".into(), "sha256:00".into());
        assert_eq!(serde_json::from_str::<OwnershipState>(&state.to_json()).unwrap(), state);
        let words = |(entry, owner): (EntryKey, &Owner)| format!("{entry} {owner}");
        let all: Vec<String> = state.owners.iter().map(words).collect();
        let expected = [
            "function `f` b/template.yaml",
            "route `GET /a` shop:template.yaml",
            "table `t` shop:template.yaml",
            "table `t` stock:template.yaml",
        ];
        assert_eq!(all, expected);
    }

    #[test]
    fn the_first_form_has_no_applications() {
        let text = r#"{"version": 1, "owners": {"function": {"f": "template.yaml"}}}"#;
        let state: OwnershipState = serde_json::from_str(text).unwrap();
        let owners: Vec<&Owner> = state.owners.of(Section::Function, "f").iter().collect();
        assert_eq!(owners, [&Owner::without_application("template.yaml")]);
        assert!(state.owners.of(Section::Function, "g").is_empty());
        assert!(state.to_json().contains(r#""f": "template.yaml""#));
    }
}
