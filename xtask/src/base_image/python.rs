//! The Python versions, and where each comes from.
//!
//! Owns what differs from version to version. Refuses versions that AWS has and this stand-in has
//! no interpreter for.

use std::path::PathBuf;

use esb_test::Missing;

use crate::python::installations;

/// A Python version that a stand-in can be made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Version {
    #[value(name = "3.11")]
    Python311,
    #[value(name = "3.12")]
    Python312,
    #[value(name = "3.13")]
    Python313,
}

impl Version {
    /// `3.13`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Python311 => "3.11",
            Self::Python312 => "3.12",
            Self::Python313 => "3.13",
        }
    }

    /// The Debian suite of the root file system.
    pub(super) fn suite(self) -> &'static str {
        match self {
            Self::Python311 | Self::Python312 => "bookworm",
            Self::Python313 => "trixie",
        }
    }

    /// Debian's packages in the root file system, beside the smallest set.
    pub(super) fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Python311 | Self::Python313 => &["python3", "ca-certificates", "tzdata"],
            // What a copied interpreter links.
            Self::Python312 => &[
                "ca-certificates",
                "libbz2-1.0",
                "libexpat1",
                "libffi8",
                "liblzma5",
                "libncursesw6",
                "libreadline8",
                "libsqlite3-0",
                "libssl3",
                "libuuid1",
                "tzdata",
            ],
        }
    }

    /// The folder of an interpreter of this machine that goes into the image, for a version that
    /// Debian does not have.
    pub(super) fn copied_interpreter(self) -> Result<Option<PathBuf>, Missing> {
        if self != Self::Python312 {
            return Ok(None);
        }
        let name = self.name();
        let found = installations(name).into_iter().find(|prefix| {
            prefix.join(format!("bin/python{name}")).is_file()
                && prefix.join(format!("lib/python{name}/os.py")).is_file()
        });
        found.map(Some).ok_or_else(|| {
            Missing::new(
                format!("Python {name}"),
                format!("Debian has none; install one, as with `pyenv install {name}`"),
            )
        })
    }
}
