//! The side file `state.json`: who owns what is published, and which digests were meant.
//!
//! An owner is the path of a template relative to its project's root (contracts, 10.11). What has
//! no owner was written by a person or by the earlier tool.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::functions::Defaults;

/// The kinds of entries that templates own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Section {
    Function,
    Route,
    Table,
    Bucket,
    Layer,
    /// An entry of image-import.json.
    Image,
    /// A schedule of a function: told in changes, owned by its function.
    Schedule,
}

/// Names an entry of the published files.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryKey {
    pub section: Section,
    /// The name; for a route see [`crate::RouteEntry::key`].
    pub key: String,
}

/// Entries and the template of each.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Owners(BTreeMap<Section, BTreeMap<String, String>>);

/// The whole side file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Counts changes of this file's form.
    pub version: u32,
    #[serde(default)]
    pub owners: Owners,
    /// The manifest digest behind each function's `image`.
    #[serde(default)]
    pub digests: BTreeMap<String, String>,
    /// The part of functions.yml's `defaults` that came from us: only that may change.
    #[serde(default)]
    pub defaults: Defaults,
}

/// The form of the side file that this program writes, and the newest that it reads.
pub(crate) const STATE_VERSION: u32 = 1;

impl Default for State {
    fn default() -> Self {
        Self {
            version: STATE_VERSION,
            owners: Owners::default(),
            digests: BTreeMap::new(),
            defaults: Defaults::default(),
        }
    }
}

impl State {
    /// The text of the file.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("strings and maps are JSON");
        text.push('\n');
        text
    }
}

impl Owners {
    /// The template that an entry came from.
    pub fn get(&self, section: Section, key: &str) -> Option<&str> {
        self.0.get(&section)?.get(key).map(String::as_str)
    }

    /// Records the template of an entry.
    pub fn insert(&mut self, section: Section, key: impl Into<String>, owner: impl Into<String>) {
        self.0.entry(section).or_default().insert(key.into(), owner.into());
    }

    /// All entries with their owners, by section and key.
    pub fn iter(&self) -> impl Iterator<Item = (EntryKey, &str)> {
        self.0.iter().flat_map(|(section, entries)| {
            entries.iter().map(|(key, owner)| {
                (EntryKey { section: *section, key: key.clone() }, owner.as_str())
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
    /// What a person calls an entry of it.
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
        let mut state = State { defaults: own_defaults("eu-west-1"), ..State::default() };
        state.owners.insert(Section::Route, "GET /a", "template.yaml");
        state.owners.insert(Section::Function, "f", "b/template.yaml");
        state.digests.insert("f".into(), "sha256:00".into());
        assert_eq!(serde_json::from_str::<State>(&state.to_json()).unwrap(), state);
        assert_eq!(state.owners.get(Section::Route, "GET /a"), Some("template.yaml"));
        let all: Vec<String> = state.owners.iter().map(|(key, _)| key.to_string()).collect();
        assert_eq!(all, ["function `f`", "route `GET /a`"]);
    }
}
