//! Errors of requests to registries, with what the user can do about each.
//!
//! Owns the crate's one error type, its codes, kinds and remedies.

use std::{fmt::Write as _, path::PathBuf, sync::Arc};

use esb_oci::{
    BlobError, CredentialError, Digest, InvalidImage, InvalidReference, LayoutError, Redactor,
};

use crate::{Access, Attempted, Denial, ServerMessage, refusal};

/// A place where an image was not found, with the reason.
#[derive(Debug)]
pub struct TriedPlace {
    /// A registry's repository or a layout's folder.
    pub place: String,
    pub error: Error,
}

impl TriedPlace {
    /// Why the image was not found there, without the names that a list of places has anyway.
    pub fn reason(&self) -> String {
        match &self.error {
            Error::NotFound { message, .. } => with_message("not found", message),
            Error::Unauthorized { message, denial, .. } => with_message(denial.reason(), message),
            Error::Unreachable { source, .. } => {
                format!("no connection: {}", innermost(&**source))
            }
            Error::Layout { source, .. } => chain(source),
            error => chain(error),
        }
    }
}

fn with_message(what: &str, message: &ServerMessage) -> String {
    format!("{what}{}", message.after_colon())
}

/// An error with its causes.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    // A chain is short; the limit is for a foreign error that names itself.
    for _ in 0..8 {
        let Some(inner) = cause else { break };
        let _ = write!(text, ": {inner}");
        cause = inner.source();
    }
    text
}

/// The cause of all causes.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    for _ in 0..8 {
        let Some(inner) = innermost.source() else { break };
        innermost = inner;
    }
    innermost.to_string()
}

/// A step of pulling, pushing, copying or verifying failed.
///
/// Messages are lowercase fragments that name their own step and leave the cause to `source()`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error(transparent)]
    Reference(#[from] InvalidReference),
    #[error("`{}` is not a mirror: {reason}", crate::mirror::shown(text).escape_debug())]
    Mirror { text: String, reason: &'static str },
    #[error("the registry settings are not usable: {reason}")]
    Settings {
        reason: &'static str,
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    #[error("could not read credentials from `{}`", path.display())]
    CredentialFile {
        path: PathBuf,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("could not read the certificates of a registry in `{}`", path.display())]
    CertificateFile {
        path: PathBuf,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("could not {attempted}")]
    Credentials {
        attempted: Box<Attempted>,
        #[source]
        source: Arc<CredentialError>,
    },
    #[error("`{}` {denial}: could not {attempted}{}", attempted.registry, message.after_colon())]
    Unauthorized {
        attempted: Box<Attempted>,
        message: ServerMessage,
        denial: Denial,
        /// Whether we have credentials and did not send them, because the connection is plain HTTP.
        withheld: bool,
    },
    #[error("`{}` is not there{}", attempted.subject, message.after_colon())]
    NotFound { attempted: Box<Attempted>, message: ServerMessage },
    #[error("{}", refusal::refused(attempted, *status, message))]
    Refused { attempted: Box<Attempted>, status: u16, message: ServerMessage },
    /// The registry has the tag already, and does not let it be moved.
    #[error(
        "`{}` holds the tag `{}` immutable: {message}",
        attempted.registry, attempted.subject
    )]
    Immutable { attempted: Box<Attempted>, message: ServerMessage },
    #[error("could not {attempted}: the registry's answer is not usable: {reason}")]
    Answer { attempted: Box<Attempted>, reason: String },
    #[error("could not {attempted}: the connection to `{}` failed", attempted.registry)]
    Unreachable {
        attempted: Box<Attempted>,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("could not {attempted}: reading the content to send failed")]
    Source {
        attempted: Box<Attempted>,
        #[source]
        source: BlobError,
    },
    #[error("`{subject}` is `{actual}`, not `{expected}`")]
    DigestMismatch { subject: String, expected: Digest, actual: Digest },
    #[error("`{}` accepted `{}`, and does not have it", attempted.registry, attempted.subject)]
    NotKept { attempted: Box<Attempted>, digest: Digest },
    #[error("`{reference}` has no image for {platform}; it has {available}")]
    Platform { reference: String, platform: String, available: String },
    #[error("`{reference}` is an image of the old format (schema 1), which is not supported")]
    Schema1 { reference: String },
    #[error(
        "`{reference}` is not a container image: its media type is `{}`{}",
        media_type.escape_debug(),
        if media_type == "text/html" { "; what answered is no registry" } else { "" }
    )]
    NotAnImage { reference: String, media_type: String },
    #[error("`{reference}` is damaged")]
    Document {
        reference: String,
        #[source]
        source: InvalidImage,
    },
    #[error("could not read `{reference}` from its layout")]
    Layout {
        reference: String,
        #[source]
        source: LayoutError,
    },
    #[error("it lacks `{digest}`")]
    NotStored { digest: Digest },
    #[error("{}{}", refusal::unresolved(reference, tried), list(tried, *offline))]
    Unresolved { reference: String, tried: Vec<TriedPlace>, offline: bool },
}

fn list(tried: &[TriedPlace], offline: bool) -> String {
    let reasons = reasons(tried, offline);
    if reasons.is_empty() { String::new() } else { format!(": {}", reasons.join("; ")) }
}

/// A line for each place that was tried.
fn reasons(tried: &[TriedPlace], offline: bool) -> Vec<String> {
    let mut lines: Vec<String> =
        tried.iter().map(|tried| format!("{}: {}", tried.place, tried.reason())).collect();
    if offline {
        lines.push("no registry is asked while offline".to_owned());
    }
    lines
}

/// The cause of an [`Error`], from which a program can choose its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// A reference, a flag, a file of settings.
    Input,
    /// Credentials, or the rights that go with them.
    Auth,
    /// The image does not exist where it was looked for.
    NotFound,
    /// No registry answers.
    Unreachable,
    /// A registry answers and does not do what was asked.
    Refused,
    /// Bytes or a tag are not what was promised.
    Digest,
    /// The local disk.
    Local,
}

impl Error {
    /// The message without its list, and a line for each place that was tried, where there are
    /// several causes.
    pub fn parts(&self) -> Option<(String, Vec<String>)> {
        let Self::Unresolved { reference, tried, offline } = self else { return None };
        Some((refusal::unresolved(reference, tried), reasons(tried, *offline)))
    }

    /// The cause of the error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Reference(_)
            | Self::Mirror { .. }
            | Self::Settings { .. }
            | Self::CredentialFile { .. }
            | Self::CertificateFile { .. }
            | Self::Platform { .. }
            | Self::Schema1 { .. }
            | Self::NotAnImage { .. } => ErrorKind::Input,
            Self::Credentials { .. } | Self::Unauthorized { .. } => ErrorKind::Auth,
            Self::NotFound { .. }
            | Self::NotStored { .. }
            | Self::Source { source: BlobError::Missing { .. }, .. } => ErrorKind::NotFound,
            Self::Refused { .. }
            | Self::Answer { .. }
            | Self::Immutable { .. }
            | Self::NotKept { .. } => ErrorKind::Refused,
            Self::DigestMismatch { .. }
            | Self::Document { .. }
            | Self::Source { source: BlobError::Mismatch { .. }, .. } => ErrorKind::Digest,
            Self::Source { source: BlobError::Read { source, .. }, .. } if source.is::<Self>() => {
                // A registry's own refusal, on the way through a stream.
                source.downcast_ref::<Self>().map_or(ErrorKind::Unreachable, Self::kind)
            }
            Self::Source { source, .. } if is_local(source) => ErrorKind::Local,
            Self::Unreachable { .. } | Self::Source { .. } => ErrorKind::Unreachable,
            Self::Layout { source, .. } => match source {
                LayoutError::NotFound { .. } | LayoutError::NoPlatform { .. } => {
                    ErrorKind::NotFound
                }
                LayoutError::Invalid(_) | LayoutError::Blob(BlobError::Mismatch { .. }) => {
                    ErrorKind::Digest
                }
                _ => ErrorKind::Local,
            },
            Self::Unresolved { tried, .. } => {
                let kinds: Vec<ErrorKind> = tried.iter().map(|tried| tried.error.kind()).collect();
                // The first reason that is more than "not here" tells what has to change.
                kinds
                    .into_iter()
                    .find(|kind| *kind != ErrorKind::NotFound)
                    .unwrap_or(ErrorKind::NotFound)
            }
        }
    }

    /// The same without credentials in what it quotes of a document.
    pub(crate) fn redacted(self, redactor: &Redactor) -> Self {
        match self {
            Self::Platform { reference, platform, available } => {
                Self::Platform { reference, platform, available: redactor.hide(&available) }
            }
            Self::NotAnImage { reference, media_type } => {
                Self::NotAnImage { reference, media_type: redactor.hide(&media_type) }
            }
            Self::Document { reference, source: InvalidImage::Json { what, source } } => {
                let source = serde::de::Error::custom(redactor.hide(&source.to_string()));
                Self::Document { reference, source: InvalidImage::Json { what, source } }
            }
            Self::Document { reference, source: InvalidImage::NotAManifest { media_type } } => {
                let media_type = redactor.hide(&media_type);
                Self::Document { reference, source: InvalidImage::NotAManifest { media_type } }
            }
            other => other,
        }
    }

    /// The code that prefixes errors of syncing (docs/contracts/command-line.md#streams).
    pub fn code(&self) -> Option<&'static str> {
        let of = |access| match access {
            Access::Pull => "IMAGE_PULL_FAILED",
            Access::Push => "IMAGE_PUSH_FAILED",
        };
        match self {
            _ if self.kind() == ErrorKind::Auth => Some("IMAGE_AUTH_FAILED"),
            _ if self.kind() == ErrorKind::Digest => Some("IMAGE_DIGEST_MISMATCH"),
            Self::NotFound { attempted, .. }
            | Self::Refused { attempted, .. }
            | Self::Answer { attempted, .. }
            | Self::Unreachable { attempted, .. } => Some(of(attempted.access)),
            Self::NotKept { .. } | Self::Immutable { .. } => Some(of(Access::Push)),
            Self::Source { source, .. } if is_local(source) => Some(of(Access::Push)),
            Self::Source { .. }
            | Self::Platform { .. }
            | Self::Schema1 { .. }
            | Self::NotAnImage { .. }
            | Self::Layout { .. }
            | Self::NotStored { .. }
            | Self::Unresolved { .. } => Some(of(Access::Pull)),
            _ => None,
        }
    }

    /// Whether the image was found in none of its places because they do not have it, deny access,
    /// or do not answer: it may still exist elsewhere.
    pub fn is_absence(&self) -> bool {
        let absent =
            matches!(self.kind(), ErrorKind::NotFound | ErrorKind::Unreachable | ErrorKind::Auth);
        absent && matches!(self, Self::Unresolved { .. })
    }

    /// Whether the error says more than that something is not there.
    pub(crate) fn is_more_than_absence(&self) -> bool {
        self.kind() != ErrorKind::NotFound
    }

    /// Whether the error says more than that nobody answers: somebody refused, or speaks otherwise
    /// than was expected.
    pub fn is_telling(&self) -> bool {
        match self {
            Self::Unreachable { source, .. } => is_hopeless(&**source),
            _ => true,
        }
    }

    /// Whether the hint says what to do with the place that was tried, not to try another.
    fn is_precise(&self) -> bool {
        match self {
            Self::Unreachable { source, .. } => is_hopeless(&**source),
            error => matches!(error.kind(), ErrorKind::Auth | ErrorKind::Input),
        }
    }

    /// What the user can do about it, when that is known.
    pub fn remedy(&self) -> Option<Remedy> {
        Some(match self {
            Self::Mirror { .. } => Remedy::WriteMirror,
            Self::Unauthorized { attempted, withheld: true, .. } => Remedy::Advice(format!(
                "credentials are not sent over plain HTTP; let `{}` use TLS",
                attempted.registry
            )),
            Self::Unauthorized { attempted, .. } | Self::Credentials { attempted, .. } => {
                Remedy::Advice(format!("run `docker login {}`", attempted.registry))
            }
            Self::Unreachable { attempted, source } => {
                let registry = attempted.registry.clone();
                match attempted.access {
                    _ if speaks_plain_http(&**source) => Remedy::AllowPlainHttp { registry },
                    _ if distrusts(&**source) => Remedy::GiveCertificate { registry },
                    Access::Push => Remedy::StartRegistry { registry },
                    Access::Pull => Remedy::GiveCopy { host: registry },
                }
            }
            Self::Immutable { .. } => Remedy::KeepTags,
            Self::Refused { status: 413, attempted, .. } if attempted.access == Access::Push => {
                Remedy::Advice(format!(
                    "raise the limit for the size of a request's body at `{}` and at what stands \
                     before it, such as `client_max_body_size` of nginx",
                    attempted.registry
                ))
            }
            Self::Refused { status: 429, attempted, .. } => Remedy::Advice(format!(
                "wait, or log in: `docker login {}` raises the limit of some registries",
                attempted.registry
            )),
            Self::Refused { status: 507, attempted, .. } => Remedy::Advice(format!(
                "free space in the storage of `{}`, or raise its quota",
                attempted.registry
            )),
            Self::NotKept { attempted, .. } => Remedy::Advice(format!(
                "check the storage of `{}` and what stands before it, such as a proxy or a cache; \
                 nothing refers to the image yet",
                attempted.registry
            )),
            Self::Document { source: InvalidImage::DiffIds { .. }, .. } => {
                Remedy::Advice("build and push the image again, or name another".into())
            }
            Self::Schema1 { .. } => {
                Remedy::Advice("push the image again with a current tool".into())
            }
            Self::Source { source, .. } => match source.remedy()? {
                esb_oci::Remedy::Advice(advice) => Remedy::Advice(advice),
                _ => Remedy::FetchBlob,
            },
            Self::Unresolved { reference, tried, offline } => {
                let limited = |error: &&Error| matches!(error, Self::Refused { status: 429, .. });
                let precise = tried
                    .iter()
                    .map(|tried| &tried.error)
                    .find(|error| error.is_precise() || limited(error));
                let host = reference.split('/').next().unwrap_or_default().to_owned();
                let copy = if *offline {
                    Remedy::GoOnlineOrGiveCopy { host }
                } else {
                    Remedy::GiveCopy { host }
                };
                precise.and_then(Self::remedy).unwrap_or(copy)
            }
            _ => return None,
        })
    }
}

/// What helps against an [`Error`]. The caller words it, because only it knows its own flags.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remedy {
    /// Write the mirror as `HOST=HOST[:PORT][/PREFIX]` or `HOST=oci:DIR`.
    WriteMirror,
    /// Allow plain HTTP for the registry.
    AllowPlainHttp { registry: String },
    /// Give the certificate authority of the registry.
    GiveCertificate { registry: String },
    /// Start the registry, or name another.
    StartRegistry { registry: String },
    /// Name a mirror of the host that has a copy.
    GiveCopy { host: String },
    /// Run once where there is a network, or name a layout that has a copy.
    GoOnlineOrGiveCopy { host: String },
    /// The blob is fetched once where there is a network, or comes from a layout that has it.
    FetchBlob,
    /// Do not push tags that move; name images by what changes with their content.
    KeepTags,
    /// In words that name no setting of the caller.
    Advice(String),
}

/// Whether any text of a chain has one of the words.
fn mentions(error: &(dyn std::error::Error + 'static), words: &[&str]) -> bool {
    let mut cause = Some(error);
    for _ in 0..10 {
        let Some(error) = cause else { return false };
        let text = error.to_string();
        if words.iter().any(|word| text.contains(word)) {
            return true;
        }
        cause = error.source();
    }
    false
}

fn speaks_plain_http(error: &(dyn std::error::Error + 'static)) -> bool {
    mentions(error, &["received corrupt message", "InvalidContentType"])
}

pub(crate) fn distrusts(error: &(dyn std::error::Error + 'static)) -> bool {
    mentions(error, &["invalid peer certificate"])
}

/// Whether a blob's source failed on this machine: the disk, not a connection.
pub(crate) fn is_local(error: &BlobError) -> bool {
    match error {
        BlobError::Read { source, .. } => source.is::<std::io::Error>(),
        BlobError::Missing { .. } => false,
        _ => true,
    }
}

/// Whether a connection failed for a reason that another attempt will not take away.
pub(crate) fn is_hopeless(error: &(dyn std::error::Error + 'static)) -> bool {
    speaks_plain_http(error) || distrusts(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RequestAction;

    fn attempted(action: RequestAction, access: Access) -> Attempted {
        let (registry, subject) = ("r.example".to_owned(), "r.example/a:1".to_owned());
        Attempted { action, access, registry, subject, repository: "a".to_owned() }
    }

    #[test]
    fn codes_kinds_and_remedies() {
        let check = |error: Error, kind: ErrorKind, code: Option<&str>, remedy: Option<Remedy>| {
            assert_eq!((error.kind(), error.code()), (kind, code), "{error}");
            assert_eq!(error.remedy(), remedy, "{error}");
        };
        let advice = |text: &str| Some(Remedy::Advice(text.to_owned()));
        let login = advice("run `docker login r.example`");
        let message = ServerMessage::default;
        let pull = || Box::new(attempted(RequestAction::ReadManifest, Access::Pull));
        let push = || Box::new(attempted(RequestAction::UploadBlob, Access::Push));
        let digest = esb_oci::Digest::of(b"");
        let gone = BlobError::Missing { digest, place: "the content store".to_owned() };
        let gone = Error::Source { attempted: push(), source: gone };
        check(gone, ErrorKind::NotFound, Some("IMAGE_PULL_FAILED"), Some(Remedy::FetchBlob));
        let denied = |withheld| {
            let (message, denial) = (message(), Denial::Required);
            Error::Unauthorized { attempted: pull(), message, denial, withheld }
        };
        check(denied(false), ErrorKind::Auth, Some("IMAGE_AUTH_FAILED"), login.clone());
        let tls = advice("credentials are not sent over plain HTTP; let `r.example` use TLS");
        check(denied(true), ErrorKind::Auth, Some("IMAGE_AUTH_FAILED"), tls);
        let refused = Error::Refused { attempted: push(), status: 507, message: message() };
        let space = advice("free space in the storage of `r.example`, or raise its quota");
        check(refused, ErrorKind::Refused, Some("IMAGE_PUSH_FAILED"), space);
        let tried = vec![
            TriedPlace {
                place: "oci:x".to_owned(),
                error: Error::NotFound { attempted: pull(), message: message() },
            },
            TriedPlace { place: "r.example/a".to_owned(), error: denied(false) },
        ];
        let reference = "r.example/a:1".to_owned();
        let error = Error::Unresolved { reference: reference.clone(), tried, offline: false };
        let listed = "oci:x: not found; r.example/a: credentials required";
        assert!(error.to_string().contains(listed), "{error}");
        check(error, ErrorKind::Auth, Some("IMAGE_AUTH_FAILED"), login);
        let offline = Error::Unresolved { reference, tried: Vec::new(), offline: true };
        assert!(offline.to_string().ends_with("no registry is asked while offline"), "{offline}");
        let copy = Some(Remedy::GoOnlineOrGiveCopy { host: "r.example".to_owned() });
        check(offline, ErrorKind::NotFound, Some("IMAGE_PULL_FAILED"), copy);
    }
}
