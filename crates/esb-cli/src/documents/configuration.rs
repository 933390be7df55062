//! The results of `esb config`.

use esb_config::Section;
use serde::Serialize;

use super::{Change, Owner};

/// The result of `esb config show`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct SettingsDocument {
    pub(crate) settings: Vec<Setting>,
}

/// A setting in effect.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    /// Null where the setting has no value.
    pub(crate) value: Option<SettingValue>,
    /// Where the value comes from: a flag, a variable, a file or `default`.
    pub(crate) origin: String,
}

/// The value of a setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
pub(crate) enum SettingValue {
    Bool(bool),
    Text(String),
    List(Vec<String>),
}

/// The result of `esb config ls`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct EntriesDocument {
    /// Where the configuration lies.
    pub(crate) place: String,
    pub(crate) entries: Vec<Entry>,
}

/// An entry of the published configuration.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Entry {
    /// The kind of entry, such as `function`, `route` or `schedule`.
    #[cfg_attr(test, schemars(with = "String"))]
    pub(crate) section: Section,
    pub(crate) key: String,
    /// The first owner, as `--owner` takes it; null when none is known.
    pub(crate) owner: Option<String>,
    /// The first owner's application.
    pub(crate) application: Option<String>,
    /// The first owner's template.
    pub(crate) template: Option<String>,
    /// All who published it.
    pub(crate) owners: Vec<Owner>,
}

/// The result of `esb config rm`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct RemovedOwnerDocument {
    /// Whether the entries were only looked for.
    pub(crate) dry_run: bool,
    /// The owner whose entries were removed, as `--owner` takes it.
    pub(crate) owner: String,
    pub(crate) application: Option<String>,
    pub(crate) template: String,
    pub(crate) changes: Vec<Change>,
}
