//! Where a release is made, of which sources, and what lies in it at the end.

use std::{collections::BTreeSet, fmt::Write as _, fs, path::PathBuf};

use esb_oci::Digest;

use crate::{
    checks::Outcome,
    command::{command, output, root, target},
    folders,
    steps::say,
};

/// One making of a release: its sources and folders, and what every file says of itself.
#[derive(Debug)]
pub(super) struct Release {
    pub(super) version: &'static str,
    /// The commit that it is made of.
    pub(super) commit: String,
    /// Seconds since 1970 of all files: the time of that commit.
    pub(super) epoch: u64,
    /// The root of the sources.
    pub(super) source: PathBuf,
    /// Where cargo compiles.
    pub(super) compiled: PathBuf,
    /// For what is needed on the way.
    pub(super) work: PathBuf,
    /// What is published.
    pub(super) folder: PathBuf,
}

impl Release {
    /// Of the project's own folder, with nothing made yet.
    pub(super) fn start() -> Outcome<Self> {
        let git = |arguments: &[&str]| {
            let said = output(command("git").args(arguments));
            said.map(|text| text.trim().to_owned())
        };
        let time = git(&["log", "-1", "--format=%ct"])?;
        let release = Self {
            version: env!("CARGO_PKG_VERSION"),
            commit: git(&["rev-parse", "--short=12", "HEAD"])?,
            epoch: time.parse().map_err(|_| "the last commit has no time")?,
            source: root(),
            compiled: target(),
            work: target().join("dist/work"),
            folder: target().join("dist/files"),
        };
        release.empty()?;
        Ok(release)
    }

    /// Of the same sources, in folders of other names.
    pub(super) fn again(&self) -> Outcome<Self> {
        let again = target().join("dist/again");
        let release = Self {
            version: self.version,
            commit: self.commit.clone(),
            epoch: self.epoch,
            source: again.join("sources/of another name"),
            compiled: again.join("target"),
            work: again.join("work"),
            folder: again.join("files"),
        };
        release.empty()?;
        copy_sources(&release.source)?;
        Ok(release)
    }

    fn empty(&self) -> Outcome {
        for folder in [&self.work, &self.folder] {
            folders::empty(folder)?;
        }
        Ok(())
    }

    /// Where a file of the release lies.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The names of the files.
    fn names(&self) -> Outcome<BTreeSet<String>> {
        let names = fs::read_dir(&self.folder)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        names.collect()
    }

    /// Whether the same files hold the same bytes.
    pub(super) fn compare(&self, other: &Self) -> Outcome {
        let mut names = self.names()?;
        names.extend(other.names()?);
        let differs = |name: &String| {
            let read = |release: &Self| fs::read(release.file(name)).ok();
            read(self) != read(other)
        };
        let differ: Vec<String> = names.into_iter().filter(differs).collect();
        if differ.is_empty() {
            return Ok(());
        }
        let (one, other) = (self.folder.display(), other.folder.display());
        Err(format!("in {one} and {other} these differ: {}", differ.join(", ")).into())
    }

    /// Writes `SHA256SUMS`.
    pub(super) fn sums(&self) -> Outcome {
        let mut lines = String::new();
        for name in self.names()? {
            let _ = writeln!(lines, "{}  {name}", sum(&fs::read(self.file(&name))?));
        }
        Ok(fs::write(self.file("SHA256SUMS"), lines)?)
    }

    /// Prints each file with its size and its sum.
    pub(super) fn list(&self) -> Outcome {
        let mut table = "\n| file | MB | SHA-256 |\n|---|---:|---|\n".to_owned();
        for name in self.names()? {
            let bytes = fs::read(self.file(&name))?;
            let _ = writeln!(table, "| {name} | {} | {} |", megabytes(bytes.len()), sum(&bytes));
        }
        say(&table);
        Ok(())
    }
}

fn sum(bytes: &[u8]) -> String {
    Digest::of(bytes).to_string().trim_start_matches("sha256:").to_owned()
}

/// For people.
pub(super) fn megabytes(bytes: usize) -> String {
    let tenths = bytes.div_ceil(100_000);
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// Copies the files that git knows, as they are now.
fn copy_sources(folder: &std::path::Path) -> Outcome {
    folders::empty(folder)?;
    let names = output(command("git").args(["ls-files", "-z"]))?;
    for name in names.split('\0').filter(|name| !name.is_empty()) {
        let (from, to) = (root().join(name), folder.join(name));
        let Ok(kind) = from.symlink_metadata() else { continue };
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&from)?, &to)?;
        } else {
            fs::copy(&from, &to)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(folder: PathBuf) -> Release {
        let [source, compiled, work] = Default::default();
        let commit = String::new();
        Release { version: "1", commit, epoch: 0, source, compiled, work, folder }
    }

    #[test]
    fn a_file_of_one_release_alone_or_with_other_bytes_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let both = ["one", "other"].map(|name| release(dir.path().join(name)));
        for (release, text) in both.iter().zip(["x", "y"]) {
            fs::create_dir(&release.folder).unwrap();
            fs::write(release.file("same"), "same").unwrap();
            fs::write(release.file("text"), text).unwrap();
        }
        fs::write(both[1].file("more"), "").unwrap();
        let said = format!("{:?}", both[0].compare(&both[1]));
        assert!(said.contains("these differ: more, text"), "{said}");
        assert!(both[0].compare(&both[0]).is_ok());
    }

    #[test]
    fn sizes_are_rounded_up() {
        assert_eq!([0, 1, 100_000, 16_000_001].map(megabytes), ["0.0", "0.1", "0.1", "16.1"]);
    }
}
