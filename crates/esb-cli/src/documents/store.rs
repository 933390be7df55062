//! The results of `esb cache`.

use serde::Serialize;

/// The result of `esb cache`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct CacheDocument {
    /// The folder of the content store.
    pub(crate) path: String,
    pub(crate) bytes: u64,
    pub(crate) contents: Vec<Content>,
}

/// What the store holds of one kind.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Content {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<String>,
    pub(crate) count: usize,
    pub(crate) bytes: u64,
}

/// The result of `esb cache gc`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct CollectedDocument {
    /// The folder of the content store.
    pub(crate) path: String,
    /// What was removed.
    pub(crate) removed: Content,
    /// What is left.
    pub(crate) bytes: u64,
}

/// The result of `esb cache verify`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct VerifiedCacheDocument {
    /// The folder of the content store.
    pub(crate) path: String,
    pub(crate) checked: Vec<CheckedKind>,
    /// What is not what it should be.
    pub(crate) damaged: Vec<DamagedEntry>,
    /// Whether what is damaged was removed; false with `--dry-run`.
    pub(crate) removed: bool,
}

/// How many entries of a kind were read.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct CheckedKind {
    pub(crate) kind: String,
    pub(crate) count: usize,
}

/// Something in the store that is damaged.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct DamagedEntry {
    /// `blob`, `records`, `packages` or `file`.
    pub(crate) kind: &'static str,
    pub(crate) path: String,
}
