//! The lines of `--progress json`.

use serde::Serialize;

use super::{ErrorFields, FindingFields};

/// An event of `--progress json`: one line on stderr.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ProgressLine<'a> {
    /// When it happened, in UTC, as in `2026-01-31T12:00:00.250Z`.
    pub(crate) time: String,
    #[serde(flatten)]
    pub(crate) event: &'a ProgressEvent<'a>,
}

/// What happened. `kind` is the kind of work, such as `build`, `push` or `sync`; `subject` is the
/// image, blob or file that it is about.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum ProgressEvent<'a> {
    /// Work began. `finished` or `failed` of the same kind and subject follows.
    Started { kind: &'a str, subject: &'a str },
    /// Work goes on.
    Progress {
        kind: &'a str,
        subject: &'a str,
        /// What is done, where bytes are counted.
        bytes: Option<u64>,
        /// All there is to do, where it is known.
        total_bytes: Option<u64>,
        /// What is done, where steps are counted.
        steps: Option<u64>,
        total_steps: Option<u64>,
    },
    /// Work succeeded.
    Finished {
        kind: &'a str,
        subject: &'a str,
        /// What was moved, where bytes were counted.
        bytes: Option<u64>,
        detail: &'a str,
    },
    /// Work ended without success; an `error` says why.
    Failed { kind: &'a str, subject: &'a str, bytes: Option<u64> },
    /// What became of an image.
    Image {
        /// `base` or `function`.
        kind: &'a str,
        subject: &'a str,
        /// `built`, `pushed` or `up to date`.
        change: &'a str,
        reason: &'a str,
        /// What was sent.
        bytes: u64,
        seconds: f64,
    },
    /// A line of output of a program.
    Output { subject: &'a str, line: &'a str },
    /// A decision and its reason.
    Decided { subject: &'a str, decision: &'a str },
    /// Something worth knowing.
    Note { text: &'a str },
    /// Something that may be wrong.
    Warning { text: &'a str },
    /// Something about a template.
    Finding { finding: &'a FindingFields },
    /// The command failed.
    Error { error: &'a ErrorFields },
    /// The last line of every command.
    End {
        /// The exit code.
        exit: u8,
        seconds: f64,
    },
}
