//! Requirements files: what an installation depends on.
//!
//! Owns finding the files that a requirements file includes, and what a `pyproject.toml` with its
//! `uv.lock` comes to as requirements. Refuses to resolve: that is the tool's work.

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
    /// Files with their contents, in the order in which they are included.
    texts: Vec<(PathBuf, Vec<u8>)>,
    local: bool,
    project: Option<Project>,
}

/// What a `pyproject.toml` says in the form of requirements files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Project {
    pub(crate) requirements: String,
    /// The versions of a `uv.lock`, where it has one of a package.
    pub(crate) constraints: Option<String>,
}

impl Requirements {
    pub(crate) fn read(image: &str, path: &Path) -> Result<Self, Error> {
        let path = std::path::absolute(path).map_err(io_error("find", path))?;
        let name = path.file_name().and_then(|name| name.to_str());
        let lock = name == Some("uv.lock");
        if lock || name == Some("pyproject.toml") {
            return Self::of_project(image, path, lock);
        }
        let mut requirements =
            Self { path: path.clone(), texts: Vec::new(), local: false, project: None };
        let mut open = vec![path];
        let mut seen = std::collections::BTreeSet::new();
        while let Some(path) = open.pop() {
            if !seen.insert(path.clone()) || seen.len() > MAX_FILES {
                continue;
            }
            let text = read(image, &path)?;
            let folder = path.parent().unwrap_or(Path::new("/"));
            for line in String::from_utf8_lossy(&text).lines() {
                match included(line) {
                    Some(file) => open.push(folder.join(file)),
                    None => requirements.local |= is_local(line),
                }
            }
            requirements.texts.push((path, text));
        }
        Ok(requirements)
    }

    /// Of a `pyproject.toml`, which a lock has beside it.
    fn of_project(image: &str, path: PathBuf, lock: bool) -> Result<Self, Error> {
        let document = path.with_file_name("pyproject.toml");
        let parse = |path: &Path, bytes: &[u8]| {
            toml::from_str::<toml::Table>(&String::from_utf8_lossy(bytes)).map_err(|error| {
                let reason = error.message().escape_debug().to_string();
                Error::Dependencies { requirements: path.to_owned(), reason, hint: None }
            })
        };
        let text = read(image, &document)?;
        let table = parse(&document, &text)?;
        let mut requirements = String::new();
        for line in project_dependencies(&table) {
            requirements.push_str(line);
            requirements.push('\n');
        }
        let mut local = requirements.lines().any(is_local) || has_local_sources(&table);
        let mut texts = vec![(document, text)];
        let mut constraints = None;
        if lock {
            let text = read(image, &path)?;
            let table = parse(&path, &text)?;
            constraints = Some(locked(&table));
            local |= has_local_packages(&table);
            texts.push((path.clone(), text));
        }
        let project = Some(Project { requirements, constraints });
        Ok(Self { path, texts, local, project })
    }

    /// What a `pyproject.toml` comes to; none for requirements files.
    pub(crate) fn project(&self) -> Option<&Project> {
        self.project.as_ref()
    }

    /// The requirements files as files of one folder, the first one first, with what they include
    /// renamed. Packages of this machine are not taken along.
    pub(crate) fn flat(&self) -> Vec<(String, Vec<u8>)> {
        if let Some(Project { requirements, constraints }) = &self.project {
            let mut files = vec![("requirements-0.txt".to_owned(), Vec::new())];
            if let Some(constraints) = constraints {
                files[0].1.extend_from_slice(b"-c requirements-1.txt\n");
                files.push(("requirements-1.txt".to_owned(), constraints.clone().into_bytes()));
            }
            files[0].1.extend_from_slice(requirements.as_bytes());
            return files;
        }
        let name = |number: usize| format!("requirements-{number}.txt");
        let flat = self.texts.iter().enumerate().map(|(number, (path, text))| {
            let folder = path.parent().unwrap_or(Path::new("/"));
            let mut flat = String::new();
            for line in String::from_utf8_lossy(text).lines() {
                let file = included(line).map(|file| folder.join(file));
                let known = |file| self.texts.iter().position(|(path, _)| *path == file);
                match file.and_then(known) {
                    Some(number) => {
                        let line = line.trim_start();
                        let constraint = line.starts_with("-c") || line.starts_with("--c");
                        flat.push_str(if constraint { "-c " } else { "-r " });
                        flat.push_str(&name(number));
                    }
                    None => flat.push_str(line),
                }
                flat.push('\n');
            }
            (name(number), flat.into_bytes())
        });
        flat.collect()
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
        for (_, text) in &self.texts {
            key.bytes(text);
        }
        if self.local {
            // Two folders may hold different packages under one relative path.
            key.text(&self.path.to_string_lossy());
        }
    }
}

/// A whole file within the limit.
fn read(image: &str, path: &Path) -> Result<Vec<u8>, Error> {
    let metadata = fs::metadata(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Error::MissingSource { image: image.to_owned(), path: path.to_owned() }
        }
        _ => io_error("read", path)(error),
    })?;
    if metadata.len() > MAX_BYTES {
        let reason = std::io::Error::other(format!("it has more than {MAX_BYTES} bytes"));
        return Err(io_error("read", path)(reason));
    }
    fs::read(path).map_err(io_error("read", path))
}

/// `[project] dependencies`.
fn project_dependencies(table: &toml::Table) -> impl Iterator<Item = &str> {
    let project = table.get("project").and_then(toml::Value::as_table);
    let list = project.and_then(|project| project.get("dependencies")?.as_array());
    list.into_iter().flatten().filter_map(toml::Value::as_str)
}

/// Whether uv is told to take a package from this machine.
fn has_local_sources(table: &toml::Table) -> bool {
    let uv = table.get("tool").and_then(|tool| tool.get("uv"));
    let sources = uv.and_then(|uv| uv.get("sources")?.as_table());
    let local =
        |source: &toml::Value| source.get("path").is_some() || source.get("workspace").is_some();
    sources.into_iter().flatten().any(|(_, source)| match source.as_array() {
        Some(several) => several.iter().any(local),
        None => local(source),
    })
}

/// The packages of a `uv.lock`.
fn packages(table: &toml::Table) -> impl Iterator<Item = &toml::Value> {
    table.get("package").and_then(toml::Value::as_array).into_iter().flatten()
}

/// Whether a lock has a package of this machine beside the project itself.
fn has_local_packages(table: &toml::Table) -> bool {
    packages(table).any(|package| {
        let source = package.get("source");
        let place = |kind: &str| source.and_then(|source| source.get(kind)?.as_str());
        ["path", "directory", "editable", "virtual"]
            .iter()
            .any(|kind| place(kind).is_some_and(|place| place != "."))
    })
}

/// `name==version` for each package that a lock has in one version.
fn locked(table: &toml::Table) -> String {
    let mut versions: std::collections::BTreeMap<&str, Vec<&str>> = <_>::default();
    for package in packages(table) {
        let text = |key: &str| package.get(key).and_then(toml::Value::as_str);
        let registry = package.get("source").is_some_and(|source| source.get("registry").is_some());
        if let (Some(name), Some(version), true) = (text("name"), text("version"), registry) {
            versions.entry(name).or_default().push(version);
        }
    }
    let pinned = versions.iter().filter_map(|(name, versions)| match versions[..] {
        [version] => Some(format!("{name}=={version}\n")),
        _ => None, // which of them depends on where it is installed
    });
    pinned.collect()
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
    fn files_are_flattened() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        fs::create_dir(folder.path().join("d")).unwrap();
        write("r.txt", "six==1\n  -r d/other.txt # why\n--constraint=c.txt\n-r https://x/r.txt\n");
        write("d/other.txt", "-c ../c.txt\nx");
        write("c.txt", "y");
        let requirements = Requirements::read("i", &folder.path().join("r.txt")).unwrap();
        let flat = requirements.flat();
        let text = |name: &str| {
            let file = flat.iter().find(|(known, _)| known == name).unwrap();
            String::from_utf8(file.1.clone()).unwrap()
        };
        let first = text("requirements-0.txt");
        let lines: Vec<_> = first.lines().collect();
        assert_eq!((lines[0], lines[3]), ("six==1", "-r https://x/r.txt"));
        let (other, limits) = (lines[1].strip_prefix("-r ").unwrap(), lines[2].strip_prefix("-c "));
        assert_eq!(text(limits.unwrap()), "y\n");
        assert!(text(other).ends_with("x\n"), "{flat:?}");
    }

    #[test]
    fn projects_and_locks() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        let read = |name: &str| Requirements::read("i", &folder.path().join(name));
        let project =
            "[project]\nname = 'app'\ndependencies = ['six>=1', \"x; python_version < '3'\"]\n";
        write("pyproject.toml", project);
        write(
            "uv.lock",
            "[[package]]\nname = 'app'\nversion = '0'\nsource = { virtual = '.' }\n\
             [[package]]\nname = 'six'\nversion = '1.17'\nsource = { registry = 'https://i' }\n\
             [[package]]\nname = 'y'\nversion = '1'\nsource = { registry = 'https://i' }\n\
             [[package]]\nname = 'y'\nversion = '2'\nsource = { registry = 'https://i' }\n",
        );
        let found = read("pyproject.toml").unwrap();
        let wanted = "six>=1\nx; python_version < '3'\n".to_owned();
        let expected = Project { requirements: wanted.clone(), constraints: None };
        assert_eq!(found.project(), Some(&expected));
        let locked = read("uv.lock").unwrap();
        let constraints = Some("six==1.17\n".to_owned());
        assert_eq!(locked.project(), Some(&Project { requirements: wanted, constraints }));
        assert!(!locked.is_local() && locked.texts.len() == 2);
        assert!(locked.flat()[0].1.starts_with(b"-c requirements-1.txt\nsix>=1\n"));

        write(
            "pyproject.toml",
            &format!("{project}[tool.uv.sources]\nsix = {{ path = '../six' }}\n"),
        );
        assert!(read("pyproject.toml").unwrap().is_local());
        write("pyproject.toml", "[project\n");
        let error = read("uv.lock").unwrap_err();
        assert!(matches!(error, Error::Dependencies { .. }), "{error}");
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
