//! The exit codes, and which one each kind of error gets.

use esb_deploy::{Error, Kind};

use crate::documents::FindingFields;

/// How a run ends; the numbers are a contract (`docs/reference/exit-codes.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Success = 0,
    Input = 1,
    Usage = 2,
    Build = 3,
    Remote = 4,
    Locked = 5,
    Invoke = 6,
    Difference = 7,
    Changes = 8,
    Local = 9,
    Interrupted = 130,
}

impl Exit {
    /// All codes that a run can end with, in order, with their meaning.
    pub(crate) const ALL: [(Self, &str); 11] = [
        (Self::Success, "success"),
        (
            Self::Input,
            "the input is wrong: template, parameters, missing code, or a policy such as \
             `--image-prewarm=off`; or a question was answered with no",
        ),
        (Self::Usage, "the command line is wrong"),
        (Self::Build, "a build failed"),
        (Self::Remote, "a registry or engine is unreachable, refused, or broken"),
        (Self::Locked, "another run holds the lock"),
        (Self::Invoke, "the invoked function failed"),
        (
            Self::Difference,
            "a check found a difference (`--locked`, `esb image verify`, `esb cache verify`)",
        ),
        (Self::Changes, "`--dry-run --detailed-exitcode`: there are changes"),
        (Self::Local, "the local disk or store failed"),
        (Self::Interrupted, "interrupted: Ctrl-C, SIGTERM, SIGHUP or SIGQUIT"),
    ];
}

impl From<Kind> for Exit {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Usage => Self::Usage,
            Kind::Build => Self::Build,
            Kind::Remote => Self::Remote,
            Kind::Locked => Self::Locked,
            Kind::Difference => Self::Difference,
            Kind::Local => Self::Local,
            _ => Self::Input,
        }
    }
}

/// The error of a command.
#[derive(Debug)]
pub(crate) struct CliError {
    pub(crate) exit: Exit,
    /// None where everything that has to be said was said.
    pub(crate) error: Option<Box<Error>>,
    /// What was found in the templates, as JSON has it; people have seen it by then.
    pub(crate) findings: Vec<FindingFields>,
    /// Whether the result on stdout contains the error, so that JSON stays one document.
    pub(crate) is_told: bool,
}

impl CliError {
    /// An end whose words are out already.
    pub(crate) fn silent(exit: Exit) -> Self {
        Self { exit, error: None, findings: Vec::new(), is_told: false }
    }

    /// An error that the document on stdout has.
    pub(crate) fn told(error: Error) -> Self {
        Self { is_told: true, ..error.into() }
    }

    /// An error that ends the command with a code of its own.
    pub(crate) fn with_exit(exit: Exit, error: Error) -> Self {
        Self { exit, ..error.into() }
    }
}

impl From<Error> for CliError {
    fn from(error: Error) -> Self {
        let exit = error.kind.into();
        Self { exit, error: Some(Box::new(error)), findings: Vec::new(), is_told: false }
    }
}

/// Errors of the stages end the command as the same error of a deploy does.
macro_rules! of_stages {
    ($($error:ty),*) => {$(
        impl From<$error> for CliError {
            fn from(error: $error) -> Self {
                Error::from(error).into()
            }
        }
    )*};
}

of_stages!(esb_image::Error, esb_oci::StoreError, esb_oci::FolderError, esb_oci::LayoutError);
