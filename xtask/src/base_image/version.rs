//! The versions of Python and Java, and where each comes from.
//!
//! Owns what differs from version to version. Refuses versions that AWS has and this stand-in has
//! no interpreter or JVM for.

use std::path::PathBuf;

use esb_test::Missing;

use crate::python::installations;

/// A language that has stand-ins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Language {
    Python,
    Java,
}

impl Language {
    /// As AWS's repository and our folders call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Java => "java",
        }
    }

    /// The version unless one is given.
    pub(super) fn newest(self) -> Version {
        match self {
            Self::Python => Version::Python313,
            Self::Java => Version::Java21,
        }
    }
}

/// A version that a stand-in can be made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Version {
    #[value(name = "3.11")]
    Python311,
    #[value(name = "3.12")]
    Python312,
    #[value(name = "3.13")]
    Python313,
    #[value(name = "21")]
    Java21,
}

impl Version {
    pub(crate) fn language(self) -> Language {
        if self == Self::Java21 { Language::Java } else { Language::Python }
    }

    /// `3.13`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Python311 => "3.11",
            Self::Python312 => "3.12",
            Self::Python313 => "3.13",
            Self::Java21 => "21",
        }
    }

    /// The Debian suite of the root file system.
    pub(super) fn suite(self) -> &'static str {
        match self {
            Self::Python311 | Self::Python312 => "bookworm",
            Self::Python313 | Self::Java21 => "trixie",
        }
    }

    /// Debian's packages in the root file system, beside the smallest set.
    pub(super) fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Python311 | Self::Python313 => &["python3", "ca-certificates", "tzdata"],
            Self::Java21 => &["openjdk-21-jre-headless", "ca-certificates", "tzdata"],
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
