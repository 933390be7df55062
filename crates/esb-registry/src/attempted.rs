//! What a request was for, and why it was denied, as messages say it.

use std::fmt;

use esb_oci::Digest;

use crate::{Repository, registry::name};

/// The permission that a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    Pull,
    Push,
}

/// Why a registry denied access. Shown as words that follow its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Denial {
    /// It requires credentials, and there are none for it.
    Required,
    /// It does not accept the credentials.
    NotAccepted,
    /// It does not allow what was asked for, whoever asks.
    Forbidden,
}

impl Denial {
    /// The reason in a list of places.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Required => "credentials required",
            Self::NotAccepted => "credentials not accepted",
            Self::Forbidden => "access denied",
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Required => "requires credentials",
            Self::NotAccepted => "does not accept the credentials",
            Self::Forbidden => "denied access",
        })
    }
}

/// The purpose of a request, for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestAction {
    /// Nothing but an answer is wanted.
    Contact,
    CheckManifest,
    ReadManifest,
    WriteManifest,
    CheckBlob,
    ReadBlob,
    MountBlob,
    OpenUpload,
    UploadBlob,
    ListRepositories,
    ListTags,
    DeleteManifest,
}

/// A request as messages describe it: ``write `registry/repository:tag` ``.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempted {
    pub action: RequestAction,
    pub access: Access,
    /// Host and port, as the reference names them.
    pub registry: String,
    /// `registry/repository:tag`, or a blob and its repository.
    pub subject: String,
    /// Empty for a registry as a whole.
    pub(crate) repository: String,
}

impl Attempted {
    /// A request about a manifest; `target` is a tag or a digest.
    pub fn manifest(at: &Repository, target: &str, action: RequestAction, access: Access) -> Self {
        let mark = if target.contains(':') { '@' } else { ':' };
        Self::within(at, format!("{}{mark}{target}", name(at)), action, access)
    }

    /// A request about a blob.
    pub fn blob(at: &Repository, digest: Digest, action: RequestAction, access: Access) -> Self {
        Self::within(at, format!("{}@{digest}", name(at)), action, access)
    }

    /// A request about a repository as a whole.
    pub fn repository(at: &Repository, action: RequestAction, access: Access) -> Self {
        Self::within(at, name(at), action, access)
    }

    fn within(at: &Repository, subject: String, action: RequestAction, access: Access) -> Self {
        let (registry, repository) = (at.registry.clone(), at.repository.clone());
        Self { action, access, registry, subject, repository }
    }

    /// A request about a registry (`host[:port]`) as a whole.
    pub fn registry(registry: &str, action: RequestAction, access: Access) -> Self {
        let (registry, subject) = (registry.to_owned(), registry.to_owned());
        Self { action, access, registry, subject, repository: String::new() }
    }
}

impl fmt::Display for Attempted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.action {
            RequestAction::Contact => "reach",
            RequestAction::CheckManifest => "check",
            RequestAction::ReadManifest => "read",
            RequestAction::WriteManifest => "write",
            RequestAction::CheckBlob => "check blob",
            RequestAction::ReadBlob => "read blob",
            RequestAction::MountBlob => "mount blob",
            RequestAction::OpenUpload => "open an upload to",
            RequestAction::UploadBlob => "upload blob",
            RequestAction::ListRepositories => "list the repositories of",
            RequestAction::ListTags => "list the tags of",
            RequestAction::DeleteManifest => "delete",
        };
        write!(f, "{verb} `{}`", self.subject)
    }
}
