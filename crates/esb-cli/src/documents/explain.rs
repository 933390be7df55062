//! What `esb explain` prints.

use serde::Serialize;

/// The result of `esb explain`: all codes, or the explanation of the one that is named.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
pub(crate) enum ExplainDocument {
    /// Without a code: all of them.
    Codes {
        /// The codes of findings, sorted.
        codes: Vec<ExplainedCode>,
    },
    /// With one.
    Code {
        #[serde(flatten)]
        code: ExplainedCode,
        /// Cause, example and fix, as Markdown.
        text: &'static str,
    },
}

/// A code of findings.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ExplainedCode {
    /// The code, such as `esb::sam::event`.
    pub(crate) code: &'static str,
    /// The severities that its findings have: `error`, `warning`, `note`.
    pub(crate) severities: Vec<&'static str>,
    /// Whether its errors cannot be allowed.
    pub(crate) fixed: bool,
    /// What it means, in a sentence.
    pub(crate) meaning: &'static str,
}
