//! The document of a command that failed.

use esb_deploy::Error;
use serde::Serialize;

use super::FindingFields;
use crate::{exit_code::Exit, hints};

/// What stdout gets instead of a result when a command fails, also for a wrong command line.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ErrorDocument {
    pub(crate) error: ErrorFields,
    /// What was found in the templates.
    pub(crate) findings: Vec<FindingFields>,
}

/// An error.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ErrorFields {
    /// A stable name, such as `IMAGE_PULL_FAILED` or `template`.
    pub(crate) code: String,
    /// The exit code that the error leads to.
    pub(crate) exit: u8,
    /// What failed.
    pub(crate) message: String,
    /// Why, the nearest cause first.
    pub(crate) causes: Vec<String>,
    /// Causes side by side, such as the places that were tried.
    pub(crate) list: Vec<String>,
    /// What to do.
    pub(crate) hint: Option<String>,
    /// Output of a program that explains the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) log: Option<String>,
    /// The errors that this one sums up.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) parts: Vec<ErrorFields>,
}

impl From<&Error> for ErrorFields {
    fn from(error: &Error) -> Self {
        Self {
            code: error.code.clone(),
            exit: Exit::from(error.kind) as u8,
            message: error.message.clone(),
            causes: error.causes.clone(),
            list: error.list.clone(),
            hint: error.hint.as_ref().map(|hint| hints::of_error(hint).into_owned()),
            log: error.log.clone(),
            parts: error.parts.iter().map(Self::from).collect(),
        }
    }
}
