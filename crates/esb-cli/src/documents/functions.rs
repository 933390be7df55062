//! The results of the commands about one function, and of `esb init`.

use serde::Serialize;
use serde_json::{Map, Value};

use super::ErrorFields;

/// The result of `esb invoke`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct InvokeDocument {
    /// The function's name in functions.yml.
    pub(crate) function: String,
    /// What the function answered: JSON, else text. Null when it did not answer.
    pub(crate) response: Option<Value>,
    /// Why the call failed; null when it did not.
    pub(crate) failure: Option<InvokeFailure>,
    /// The lines that the function wrote.
    pub(crate) log: Vec<String>,
    /// The error that ends the command, when the call failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<ErrorFields>,
}

/// Why a call failed.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct InvokeFailure {
    /// Such as `KeyError`, `Runtime.ExitError` or `Timeout`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) message: String,
    /// The traceback, a line each.
    pub(crate) trace: Vec<String>,
}

/// The result of `esb logs`; with `--follow`, each record is a line of its own.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct LogsDocument<'a> {
    /// The records as the log store has them, the oldest first.
    pub(crate) records: Vec<&'a Map<String, Value>>,
}

/// The result of `esb init`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct InitDocument {
    /// The file that was written: `esb.toml`, or with `--schema` its schema.
    pub(crate) file: String,
    /// The schema of `esb.toml`, which was written beside it.
    pub(crate) schema_file: String,
    /// The templates that were found.
    pub(crate) templates: Vec<String>,
    /// The commands to run next.
    pub(crate) next: Vec<String>,
    /// With `--dry-run`: what `file` would get. Nothing was written then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content: Option<String>,
}
