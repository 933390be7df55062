//! The owner of a published entry: an application and one of its templates.
//!
//! Owns the rule for an application's name and the form of an owner in the side file. Knows nothing
//! of where the name comes from.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An application and the path of a template relative to its project's root
/// (docs/contracts/platform.md#merge-and-ownership).
///
/// Shown as `APPLICATION:PATH`. What was published before applications were recorded has none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(with = "Form"))]
pub struct Owner {
    application: Option<String>,
    template: String,
}

/// The longest name of an application, in characters: that of a stack in AWS.
const NAME_LIMIT: usize = 128;

/// Whether a text can name an application: not empty, at most 128 characters, no blanks at its
/// ends, and no character that is a colon, a slash or invisible.
pub fn is_application_name(name: &str) -> bool {
    !name.is_empty()
        && name.chars().count() <= NAME_LIMIT
        && name.trim() == name
        && !name.chars().any(is_refused)
}

/// Makes an application's name of a folder's: characters that a name may not have are replaced.
/// `None` when nothing is left of it.
pub fn application_of_folder(folder: &str) -> Option<String> {
    let name: String =
        folder.chars().map(|c| if is_refused(c) { '-' } else { c }).take(NAME_LIMIT).collect();
    let name = name.trim();
    is_application_name(name).then(|| name.to_owned())
}

fn is_refused(c: char) -> bool {
    matches!(c, ':' | '/' | '\\') || c.is_control()
}

impl Owner {
    /// A template of an application.
    pub fn new(application: impl Into<String>, template: impl Into<String>) -> Self {
        Self { application: Some(application.into()), template: template.into() }
    }

    /// An owner that was recorded before applications were, by its template alone.
    pub fn without_application(template: impl Into<String>) -> Self {
        Self { application: None, template: template.into() }
    }

    /// The application's name.
    pub fn application(&self) -> Option<&str> {
        self.application.as_deref()
    }

    /// The template's path relative to its project's root.
    pub fn template(&self) -> &str {
        &self.template
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(application) = &self.application {
            write!(f, "{}:", application.escape_debug())?;
        }
        write!(f, "{}", self.template.escape_debug())
    }
}

/// An owner in the side file; the form of version 1 is the template's path alone.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
enum Form {
    Path(String),
    Named { application: String, template: String },
}

impl Serialize for Owner {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let template = self.template.clone();
        let form = match self.application.clone() {
            Some(application) => Form::Named { application, template },
            None => Form::Path(template),
        };
        form.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Owner {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Form::deserialize(deserializer)? {
            Form::Path(template) => Self::without_application(template),
            Form::Named { application, template } => Self::new(application, template),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_applications() {
        let long = "a".repeat(128);
        for name in ["shop", "sam-app", "My Shop 2", "店", "a.b_c@d", &long] {
            assert!(is_application_name(name), "{name}");
            assert_eq!(application_of_folder(name).as_deref(), Some(name));
        }
        for name in ["", " ", "a:b", "a/b", "a\\b", " a", "a\n", "a\u{1b}b", &format!("{long}b")] {
            assert!(!is_application_name(name), "{name:?}");
        }
        assert_eq!(application_of_folder("a:b\u{1b}").as_deref(), Some("a-b-"));
        assert_eq!(application_of_folder(&format!("{long}b")), Some(long));
        assert_eq!(application_of_folder(" "), None);
    }
}
