//! The JSON documents that programs read, a type for each.
//!
//! The schemas in `docs/reference/schemas` are made from these types; their comments are the
//! schemas' descriptions. A field may be added. One that is removed or that changes its meaning is a
//! new number in `schema`.

mod configuration;
mod error;
mod explain;
mod finding;
mod functions;
mod images;
mod progress;
mod run;
#[cfg(test)]
mod schemas;
mod store;

use serde::Serialize;

pub(crate) use self::{
    configuration::{
        EntriesDocument, Entry, RemovedOwnerDocument, Setting, SettingValue, SettingsDocument,
    },
    error::{ErrorDocument, ErrorFields},
    explain::{ExplainDocument, ExplainedCode},
    finding::FindingFields,
    functions::{InitDocument, InvokeDocument, InvokeFailure, LogsDocument},
    images::{
        EngineOrRegistry, FetchDocument, FetchedImage, HeldImage, ImagesDocument, ImportDocument,
        ImportedImage, PruneDocument, VerifiedImage, VerifyDocument,
    },
    progress::{ProgressEvent, ProgressLine},
    run::{
        Adopted, Change, Configuration, MadeImage, Owner, PlanDocument, PlannedImage, Region,
        Restart, RunDocument, RunOwner,
    },
    store::{
        CacheDocument, CheckedKind, CollectedDocument, Content, DamagedEntry, VerifiedCacheDocument,
    },
};

/// The version of all documents' shapes.
const SCHEMA: u32 = 1;

/// What `--format json` prints.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Versioned<T> {
    /// The version of the document's shape.
    schema: u32,
    #[serde(flatten)]
    document: T,
}

impl<T> Versioned<T> {
    pub(crate) fn new(document: T) -> Self {
        Self { schema: SCHEMA, document }
    }
}

/// The result of `esb validate`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ValidateDocument {
    /// Whether nothing was found that ends the command with 1.
    pub(crate) valid: bool,
    /// Everything that was found, by file and place.
    pub(crate) findings: Vec<FindingFields>,
}

/// The result of `esb version`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct VersionDocument {
    /// The version of the program.
    pub(crate) version: &'static str,
    /// The commit of its sources; null when it was built without git.
    pub(crate) commit: Option<&'static str>,
    /// The target that it was compiled for, such as `x86_64-unknown-linux-musl`.
    pub(crate) target: &'static str,
}
