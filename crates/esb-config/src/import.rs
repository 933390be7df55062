//! image-import.json: which external images the internal registry needs
//! (docs/contracts/platform.md#image-importjson).

use esb_model::{FormatHead, FormatVersions};
use serde::{Deserialize, Serialize};

#[cfg(test)]
use crate::schemas::files;

/// The form of the file (docs/contracts/formats.md#published-files).
const VERSIONS: FormatVersions = FormatVersions::up_to(1);

/// The whole file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ImageImportFile {
    /// The form of the file.
    #[cfg_attr(test, schemars(extend("const" = VERSIONS.newest().to_string())))]
    pub version: String,
    /// `HOST[:PORT]` that the operator's machine pushes to; empty where a build named no registry.
    #[serde(default)]
    pub push_target: String,
    /// Sorted by function name.
    #[serde(default)]
    pub images: Vec<ImportEntry>,
}

/// One external image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ImportEntry {
    #[cfg_attr(test, schemars(length(min = 1)))]
    pub function_name: String,
    /// As in the template.
    #[cfg_attr(test, schemars(length(min = 1)))]
    pub image_source: String,
    /// Where the runtime finds it: always `name:tag`, for scripts `docker tag` to it.
    #[cfg_attr(test, schemars(regex(pattern = files::TAGGED), extend("not" = files::several_lines())))]
    pub image_ref: String,
    /// What the source's tag stood for when it was copied; absent where it was not, as by a build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(regex(pattern = files::DIGEST), extend("not" = files::several_lines())))]
    pub digest: Option<String>,
}

/// A number in quotes.
struct QuotedNumber(u32);

impl<'de> Deserialize<'de> for QuotedNumber {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = |_| {
            let text = text.escape_debug();
            serde::de::Error::custom(format_args!(
                "the version is `{text}`, and has to be a number in quotes"
            ))
        };
        text.parse().map(Self).map_err(wrong)
    }
}

impl Default for ImageImportFile {
    fn default() -> Self {
        Self {
            version: VERSIONS.newest().to_string(),
            push_target: String::new(),
            images: Vec::new(),
        }
    }
}

impl ImageImportFile {
    /// Reads the text of a file; its version first, for another one may have anything else.
    ///
    /// # Errors
    /// [`esb_model::UnsupportedVersion`] when the file has another version; and when the text is no
    /// such file.
    pub fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let FormatHead { version: QuotedNumber(version) } = serde_json::from_str(text)?;
        VERSIONS.check(version)?;
        Ok(serde_json::from_str(text)?)
    }

    /// The text of the file.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("strings and lists are JSON");
        text.push('\n');
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes() {
        let text = r#"{
  "version": "1",
  "push_target": "127.0.0.1:5010",
  "images": [
    {
      "function_name": "f",
      "image_source": "ghcr.io/a/b:1",
      "image_ref": "registry:5010/ghcr.io/a/b:1"
    }
  ]
}
"#;
        let file: ImageImportFile = serde_json::from_str(text).unwrap();
        assert_eq!(file.to_json(), text);
        assert!(ImageImportFile::default().to_json().contains("\"images\": []"));
    }
}
