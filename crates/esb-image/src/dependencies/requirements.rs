//! Requirements files: what an installation depends on.
//!
//! Owns finding the files that a requirements file includes. Refuses to understand the
//! requirements themselves: that is the tool's work.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{Error, fingerprint::Fingerprint, unpack::io_error};

/// The most files, and the most bytes of each.
const MAX_FILES: usize = 100;
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// A requirements file with those that it includes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Requirements {
    path: PathBuf,
    /// Contents, in the order in which they are included.
    texts: Vec<Vec<u8>>,
    local: bool,
}

impl Requirements {
    pub(crate) fn read(image: &str, path: &Path) -> Result<Self, Error> {
        let path = std::path::absolute(path).map_err(io_error("find", path))?;
        let mut requirements = Self { path: path.clone(), texts: Vec::new(), local: false };
        let mut open = vec![path];
        let mut seen = std::collections::BTreeSet::new();
        while let Some(path) = open.pop() {
            if !seen.insert(path.clone()) || seen.len() > MAX_FILES {
                continue;
            }
            let metadata = fs::metadata(&path).map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => {
                    Error::MissingSource { image: image.to_owned(), path: path.clone() }
                }
                _ => io_error("read", &path)(error),
            })?;
            if metadata.len() > MAX_BYTES {
                let reason = std::io::Error::other(format!("it has more than {MAX_BYTES} bytes"));
                return Err(io_error("read", &path)(reason));
            }
            let text = fs::read(&path).map_err(io_error("read", &path))?;
            let folder = path.parent().unwrap_or(Path::new("/"));
            for line in String::from_utf8_lossy(&text).lines() {
                match included(line) {
                    Some(file) => open.push(folder.join(file)),
                    None => requirements.local |= is_local(line),
                }
            }
            requirements.texts.push(text);
        }
        Ok(requirements)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }

    /// Whether something is installed from this machine's files, which no key covers.
    pub(crate) fn is_local(&self) -> bool {
        self.local
    }

    pub(crate) fn describe(&self, key: &mut Fingerprint) {
        for text in &self.texts {
            key.bytes(text);
        }
        if self.local {
            // Two folders may hold different packages under one relative path.
            key.text(&self.path.to_string_lossy());
        }
    }
}

/// The file of `-r file`, `-rfile`, `--requirement=file` and the same for constraints.
fn included(line: &str) -> Option<&str> {
    let line = line.trim();
    let rest = ["--requirement", "--constraint", "-r", "-c"]
        .iter()
        .find_map(|option| line.strip_prefix(option))?;
    let file = rest.trim_start_matches(['=', ' ', '\t']);
    let file = file.split(" #").next().unwrap_or(file).trim();
    // A web address is the tool's business.
    (!file.is_empty() && !file.contains("://")).then_some(file)
}

fn is_local(line: &str) -> bool {
    let line = line.split(" #").next().unwrap_or(line).trim();
    let wheel = line.split([';', ' ']).next().is_some_and(|name| {
        !name.contains("://")
            && [".whl", ".tar.gz", ".zip"].iter().any(|suffix| name.ends_with(suffix))
    });
    let find = ["-f ", "--find-links"].iter().any(|option| line.starts_with(option))
        && !line.contains("://");
    line.starts_with(['.', '/'])
        || line.starts_with("-e")
        || line.starts_with("--editable")
        || line.contains("file:")
        || wheel
        || find
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn included_files_count() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        let key = || {
            let requirements = Requirements::read("i", &folder.path().join("r.txt")).unwrap();
            let mut key = Fingerprint::new("test");
            requirements.describe(&mut key);
            (key.finish(), requirements.is_local())
        };
        write("r.txt", "six==1\n-r other.txt # why\n-cc.txt\n");
        write("other.txt", "-r r.txt\nx");
        write("c.txt", "y");
        let first = key();
        assert!(!first.1);
        write("c.txt", "z");
        assert_ne!(key().0, first.0);
        write("c.txt", "y\n./package");
        assert!(key().1);
        fs::remove_file(folder.path().join("c.txt")).unwrap();
        let error = Requirements::read("i", &folder.path().join("r.txt")).unwrap_err();
        assert!(matches!(error, Error::MissingSource { .. }), "{error}");
    }

    #[test]
    fn what_is_local() {
        for line in ["./p", "/p", "-e git", "x @ file:///p", "a.whl", "p/a.tar.gz ; x", "-f wheels"]
        {
            assert!(is_local(line), "{line}");
        }
        for line in ["six", "x @ https://host/a.whl", "# ./p", "--index-url https://x", ""] {
            assert!(!is_local(line), "{line}");
        }
    }
}
