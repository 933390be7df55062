//! Errors of starting a part or of requests to it.
//!
//! Owns the one error type of the crate. Refuses to decide what a failure means for a test.

use crate::Missing;
use std::{io, path::PathBuf};

/// The error of a part that could not be started or did not answer as expected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The machine does not have the part: a skip, when the caller's policy allows one.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// A file or folder of a part.
    #[error("could not {action} `{}`", path.display())]
    File {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// A program that could not be run at all.
    #[error("could not run `{program}`")]
    Run {
        program: String,
        #[source]
        source: io::Error,
    },
    /// A program that ran and said no.
    #[error("`{command}` ended with {status}: {stderr}")]
    Failed { command: String, status: String, stderr: String },
    /// A daemon that ended before it was of use.
    #[error("`{program}` ended with {status} before it answered; its log ends with: {log}")]
    Ended { program: String, status: String, log: String },
    /// A daemon that runs and does not answer.
    #[error("`{program}` did not answer within {seconds} s; its log ends with: {log}")]
    Silent { program: String, seconds: u64, log: String },
    /// A connection.
    #[error("could not {action} `{address}`")]
    Net {
        action: &'static str,
        address: String,
        #[source]
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }

    pub(crate) fn net(
        action: &'static str,
        address: impl Into<String>,
    ) -> impl FnOnce(io::Error) -> Self {
        let address = address.into();
        move |source| Self::Net { action, address, source }
    }
}
