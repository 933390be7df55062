//! Saves the answers of a run as defaults for the next questions: `config.yaml` in the brand's
//! folder, readable by its owner alone.
//!
//! Owns that file, and reads the one that the earlier CLI left there. Refuses to fail a run for
//! it, and to hold secrets: those are never asked for, and what the earlier CLI saved of them is
//! left out when the file is written again.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use esb_oci::Folder;
use serde::{Deserialize, Serialize};

use esb_deploy::Project;

/// The most bytes of the file that are read.
const LIMIT: u64 = 1024 * 1024;

/// The form that is written (docs/contracts/formats.md#files-of-a-project).
const VERSION: u32 = 2;

/// The form of the earlier CLI's file.
const EARLIER_VERSION: u32 = 1;

/// Values by the name of their parameter.
pub(crate) type Values = BTreeMap<String, String>;

/// The file.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Saved {
    version: u32,
    /// By the template's path relative to the project root.
    pub(crate) templates: BTreeMap<String, TemplateAnswers>,
}

/// The saved answers for one template.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct TemplateAnswers {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) environment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mode: Option<String>,
    /// By environment.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) parameters: BTreeMap<String, Values>,
}

/// The file of the earlier CLI, as far as it prefills something
/// (docs/contracts/platform.md#saved-answers).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Earlier {
    version: u32,
    /// By the template's absolute path.
    build_defaults: BTreeMap<PathBuf, EarlierTemplate>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct EarlierTemplate {
    env: Option<String>,
    mode: Option<String>,
    params: BTreeMap<String, serde_json::Value>,
}

impl Saved {
    /// Reads the saved answers of a project; empty when they cannot be read.
    pub(crate) fn read(folder: &Folder, root: &Path) -> Self {
        let text = folder.read(NAME, LIMIT).ok().flatten().unwrap_or_default();
        Self::parse(&String::from_utf8(text).unwrap_or_default(), root)
    }

    fn parse(text: &str, root: &Path) -> Self {
        match serde_saphyr::from_str::<Earlier>(text) {
            Ok(earlier) if earlier.version == EARLIER_VERSION => Self::converted(earlier, root),
            // What a newer release proposes may mean something else.
            Ok(Earlier { version: VERSION, .. }) => {
                serde_saphyr::from_str(text).unwrap_or_default()
            }
            _ => Self::default(),
        }
    }

    fn converted(earlier: Earlier, root: &Path) -> Self {
        let mut saved = Self::default();
        for (path, one) in earlier.build_defaults {
            let owner = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            let text = |value| match value {
                serde_json::Value::String(text) => text,
                other => other.to_string(),
            };
            let values: Values =
                one.params.into_iter().map(|(name, value)| (name, text(value))).collect();
            let environment = one.env.clone().unwrap_or_else(|| "default".to_owned());
            let parameters = BTreeMap::from([(environment, values)]);
            let of = TemplateAnswers { environment: one.env, mode: one.mode, parameters };
            saved.templates.insert(owner, of);
        }
        saved
    }

    /// Writes the file. Of what was read in the earlier form only the `known` names of parameters
    /// stay: whether another one is a secret is not known.
    ///
    /// # Errors
    /// When the folder or the file cannot be written, or a link is in the way.
    pub(crate) fn write(
        mut self,
        project: &Project,
        known: &BTreeMap<String, Vec<String>>,
    ) -> Result<(), esb_config::Error> {
        if self.version != VERSION {
            for (owner, template) in &mut self.templates {
                let known = known.get(owner);
                let keeps = |name: &String| known.is_some_and(|names| names.contains(name));
                template.parameters.values_mut().for_each(|all| all.retain(|name, _| keeps(name)));
            }
            self.version = VERSION;
        }
        let folder = project.folder().join(project.brand.folder_name());
        // JSON is YAML too.
        let text = serde_json::to_string_pretty(&self).expect("texts are JSON") + "\n";
        esb_config::replace(&folder, NAME, text.as_bytes(), PRIVATE)
    }
}

/// The file's name in the brand's folder.
const NAME: &str = "config.yaml";

/// Its mode: what was answered is its owner's affair.
const PRIVATE: u32 = 0o600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earlier_form_is_read() {
        let text = "version: 1\nrepo_path: /srv/shop\nprojects: {}\nbuild_defaults:\n  \
                    /srv/shop/api/template.yaml:\n    env: prod\n    mode: containerd\n    \
                    output_dir: .esb\n    params: {Stage: blue, Count: 3}\n\
                    recent_templates: [/srv/shop/api/template.yaml]\n";
        let saved = Saved::parse(text, Path::new("/srv/shop"));
        let of = &saved.templates["api/template.yaml"];
        assert_eq!(of.environment.as_deref(), Some("prod"));
        assert_eq!(of.mode.as_deref(), Some("containerd"));
        let expected = [("Count", "3"), ("Stage", "blue")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(of.parameters["prod"], Values::from(expected));
    }

    #[test]
    fn what_cannot_be_read_is_nothing() {
        let templates = "templates: {t.yaml: {environment: dev}}";
        let of = |version: &str| format!("{version}\n{templates}");
        assert_eq!(Saved::parse(&of("version: 2"), Path::new("/")).templates.len(), 1);
        let others = ["version: 3", "version: 0", "version: new", ""].map(of);
        let broken = ["", "[1, 2]", "version: [", "templates: 3", "version: 1\nbuild_defaults: 7"];
        for text in others.iter().map(|text| &**text).chain(broken) {
            assert_eq!(Saved::parse(text, Path::new("/")).templates, BTreeMap::new(), "{text}");
        }
    }
}
