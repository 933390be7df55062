//! Errors of making a stand-in.

use esb_test::Missing;
use std::{io, path::PathBuf};

/// A stand-in that could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The machine lacks something, and cannot get it.
    #[error(transparent)]
    Missing(#[from] Missing),
    #[error("could not {action} `{}`", path.display())]
    File {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("could not run `{program}`")]
    Run {
        program: String,
        #[source]
        source: io::Error,
    },
    #[error("`{program}` ended with {status}: {said}")]
    Failed { program: String, status: String, said: String },
    #[error("could not get the runtime client: {said}")]
    Maven { said: String },
    #[error("could not unpack `{}`", path.display())]
    Wheel {
        path: PathBuf,
        #[source]
        source: zip::result::ZipError,
    },
    #[error(transparent)]
    Part(#[from] esb_test::Error),
    #[error("the stand-in is not as AWS's image is: wanted {wanted}, got {got}")]
    Differs { wanted: String, got: String },
    #[error("the environment variable `SOURCE_DATE_EPOCH` is not a number of seconds")]
    Epoch,
}

impl Error {
    pub(super) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }
}
