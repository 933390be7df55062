//! The Python versions, and where each comes from.
//!
//! Owns what differs from version to version. Refuses versions that AWS has and this stand-in has
//! no interpreter for.

use esb_test::Missing;
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

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
        let found = candidates(name).into_iter().find(|prefix| {
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

/// Folders that may hold an interpreter of that version, newest first of each kind.
fn candidates(version: &str) -> Vec<PathBuf> {
    let home = env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let pyenv = env::var_os("PYENV_ROOT").map_or_else(|| home.join(".pyenv"), PathBuf::from);
    let mut found = starting_with(&pyenv.join("versions"), &format!("{version}."));
    let uv = home.join(".local/share/uv/python");
    found.extend(starting_with(&uv, &format!("cpython-{version}.")));
    let asked = Command::new(format!("python{version}"))
        .args(["-c", "import sys; print(sys.base_prefix)"])
        .stdin(Stdio::null())
        .output();
    if let Ok(output) = asked
        && output.status.success()
    {
        let prefix = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
        // A whole system cannot be copied.
        if prefix != Path::new("/usr") {
            found.push(prefix);
        }
    }
    found
}

fn starting_with(folder: &Path, start: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(start))
        .map(|entry| entry.path())
        .collect();
    found.sort_by_key(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let digits = |c: char| !c.is_ascii_digit();
        let numbers: Vec<u32> = name.split(digits).filter_map(|part| part.parse().ok()).collect();
        std::cmp::Reverse(numbers)
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_patch_version_comes_first() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["3.12.9", "3.12.10", "3.11.1", "3.12.2"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let found = starting_with(dir.path(), "3.12.");
        let names: Vec<_> = found.iter().map(|path| path.file_name().unwrap()).collect();
        assert_eq!(names, ["3.12.10", "3.12.9", "3.12.2"]);
    }
}
