//! What helps against an error of this crate.

/// What helps against an error. The caller words it, because only it knows its own flags.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remedy {
    /// The blob is fetched once where there is a network, or comes from an OCI layout that has it.
    FetchBlob,
    /// A store that belongs to another user is trusted, or another folder is named.
    TrustStore,
    /// Another folder is named for the store, or else what the text says is done.
    OtherStore(Option<&'static str>),
    /// In words that name no setting of the caller.
    Advice(String),
}
