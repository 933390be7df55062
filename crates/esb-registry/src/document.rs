//! Determines the media type of a manifest from its bytes.
//!
//! Its own `mediaType` counts, else the fields that it has.

use esb_oci::manifest::media_type;
use serde::{Deserialize, de::IgnoredAny};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Probe {
    schema_version: Option<u32>,
    media_type: Option<String>,
    manifests: Option<IgnoredAny>,
    config: Option<IgnoredAny>,
}

/// The media type of a manifest: its `mediaType`, else what its fields imply. `None` when they
/// imply nothing.
pub(crate) fn media_type(bytes: &[u8]) -> Option<String> {
    let probe: Probe = serde_json::from_slice(bytes).ok()?;
    match probe {
        Probe { media_type: Some(kind), .. } => Some(kind),
        Probe { schema_version: Some(1), .. } => Some(media_type::DOCKER_SCHEMA_1.to_owned()),
        Probe { manifests: Some(_), .. } => Some(media_type::OCI_INDEX.to_owned()),
        Probe { config: Some(_), .. } => Some(media_type::OCI_MANIFEST.to_owned()),
        Probe { .. } => None,
    }
}

/// Whether a media type is that of the format before schema 2.
pub(crate) fn is_schema_1(kind: &str) -> bool {
    matches!(kind, media_type::DOCKER_SCHEMA_1 | media_type::DOCKER_SCHEMA_1_SIGNED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_kinds_apart() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(media_type(text.as_bytes()).as_deref(), expected, "{text}");
        };
        check(r#"{"schemaVersion":2,"mediaType":"x/y","config":{}}"#, Some("x/y"));
        check(r#"{"schemaVersion":2,"config":{},"layers":[]}"#, Some(media_type::OCI_MANIFEST));
        check(r#"{"schemaVersion":2,"manifests":[]}"#, Some(media_type::OCI_INDEX));
        check(r#"{"schemaVersion":1,"fsLayers":[]}"#, Some(media_type::DOCKER_SCHEMA_1));
        check("{}", None);
        check("<html>", None);
    }
}
