//! Says in words what happened when a registry refused, or an image could not be read: the headline
//! of an error.
//!
//! Owns the meaning of statuses, and of the texts with which registries say that a tag may not move.

use crate::{Attempted, Error, RequestAction, ServerMessage, error::TriedPlace};

/// What registries say when a tag is there already and may not be moved, in lower case: ECR, Google
/// and Quay say that it is immutable, Harbor that it is configured so, Artifactory that the right
/// to overwrite is missing, Nexus that assets are not updated, Azure that the operation is disallowed
/// (it is locked), GitLab that the tag is protected.
const IMMUTABLE: [&str; 9] = [
    "immutable",
    "cannot be overwritten",
    "cannot be overwrite",
    "imagetagalreadyexists",
    "permissions to delete/overwrite",
    "does not allow updating",
    "operation is disallowed on this registry, repository or image",
    "protected tag",
    "tag is protected",
];

/// Whether a registry refused to move a tag.
pub(crate) fn is_immutable(attempted: &Attempted, message: &ServerMessage) -> bool {
    let is_tag =
        attempted.action == RequestAction::WriteManifest && !attempted.subject.contains('@');
    is_tag && message.mentions(&IMMUTABLE)
}

/// What a status says of a registry, in words that follow its name.
pub(crate) fn meaning(status: u16, attempted: &Attempted) -> Option<&'static str> {
    let is_upload = matches!(
        attempted.action,
        RequestAction::UploadBlob | RequestAction::WriteManifest | RequestAction::OpenUpload
    );
    Some(match status {
        413 if is_upload => "or a proxy before it takes nothing of this size",
        429 => "limits how often it is asked",
        507 => "has no space left",
        _ => return None,
    })
}

/// The headline of a refusal: what happened, what was tried, and the registry's words.
pub(crate) fn refused(attempted: &Attempted, status: u16, message: &ServerMessage) -> String {
    let said = if message.is_empty() { String::new() } else { format!(", {message}") };
    let tried = format!("could not {attempted}: status {status}{said}");
    match meaning(status, attempted) {
        Some(meaning) => format!("`{}` {meaning}: {tried}", attempted.registry),
        None => tried,
    }
}

/// The headline of an image that could not be had from any of the places that were tried.
pub(crate) fn unresolved(reference: &str, tried: &[TriedPlace]) -> String {
    let absent = || format!("`{reference}` was not found");
    let Some(TriedPlace { error, .. }) =
        tried.iter().find(|tried| tried.error.is_more_than_absence())
    else {
        return absent();
    };
    let why = match error {
        Error::Unauthorized { attempted, denial, .. } => {
            format!("`{}` {denial}", attempted.registry)
        }
        Error::Credentials { attempted, .. } => {
            format!("there are no usable credentials for `{}`", attempted.registry)
        }
        Error::Refused { attempted, status, .. } => match meaning(*status, attempted) {
            Some(meaning) => format!("`{}` {meaning}", attempted.registry),
            None => format!("`{}` answered with status {status}", attempted.registry),
        },
        Error::Answer { attempted, .. } => {
            format!("the answer of `{}` is not usable", attempted.registry)
        }
        Error::Unreachable { attempted, .. } => {
            format!("`{}` could not be reached", attempted.registry)
        }
        Error::Platform { platform, .. } => format!("there is no image for {platform}"),
        Error::Schema1 { .. } => "it has an old format".to_owned(),
        Error::NotAnImage { .. } => "it is not a container image".to_owned(),
        Error::Document { .. } => "it is damaged".to_owned(),
        Error::DigestMismatch { .. } => "it has another digest".to_owned(),
        Error::Source { .. } => "a part of it could not be read".to_owned(),
        Error::Layout { .. } => "its layout could not be read".to_owned(),
        _ => return absent(),
    };
    format!("could not read `{reference}`: {why}")
}
