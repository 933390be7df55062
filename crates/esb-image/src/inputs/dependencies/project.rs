//! `pyproject.toml`, alone or with its `uv.lock`, in the form of requirements.
//!
//! Owns where `[tool.uv.sources]` says that packages come from, and which files a lock stands for.
//! Refuses to resolve: what a lock comes to, its own tool says.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{
    entry::{self, FileLine, RequirementEntry, Source},
    requirements::{NO_LINE, read, wrong},
};
use crate::Error;

/// The dependencies that a project declares.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Project {
    /// `pyproject.toml`, and the lock.
    pub(crate) texts: Vec<Vec<u8>>,
    pub(crate) is_locked: bool,
    pub(crate) entries: Vec<RequirementEntry>,
    pub(crate) overrides: Vec<RequirementEntry>,
    /// Packages that come from one index, by the index's name.
    pub(crate) indexes: BTreeMap<String, String>,
    /// Packages of this machine that the lock names.
    pub(crate) local: Vec<PathBuf>,
}

impl Project {
    /// Of a `pyproject.toml`, or of a lock that has one beside it.
    pub(crate) fn read(image: &str, path: &Path) -> Result<Self, Error> {
        let document = path.with_file_name("pyproject.toml");
        let bytes = read(image, &document)?;
        let text = text(&document, &bytes)?;
        let table = parse(&document, &text)?;
        let folder = path.parent().unwrap_or(Path::new("/"));
        let mut project = Self { texts: vec![bytes], ..Self::default() };
        let reading = Reading { file: &document, folder, text: &text };
        reading.dependencies(&table, &mut project)?;
        if document != path {
            project.is_locked = true;
            let bytes = read(image, path)?;
            let text = self::text(path, &bytes)?;
            let table = parse(path, &text)?;
            project.local = local_packages(&table).map(|place| folder.join(place)).collect();
            for line in locked(&table) {
                let source = Source::Index(line);
                let place = FileLine { file: path.to_owned(), line: 1 };
                project.entries.push(RequirementEntry::new(place, true, source));
            }
            project.texts.push(bytes);
        }
        Ok(project)
    }
}

struct Reading<'a> {
    file: &'a Path,
    folder: &'a Path,
    text: &'a str,
}

impl Reading<'_> {
    fn place(&self, word: &str) -> FileLine {
        let line = self.text.lines().position(|line| line.contains(word));
        FileLine { file: self.file.to_owned(), line: line.unwrap_or(0) + 1 }
    }

    fn dependencies(&self, table: &toml::Table, project: &mut Project) -> Result<(), Error> {
        let section = table.get("project").and_then(toml::Value::as_table);
        let dynamic = section.and_then(|section| section.get("dynamic")?.as_array());
        if dynamic.into_iter().flatten().any(|name| name.as_str() == Some("dependencies")) {
            let reason = "its dependencies are known only to its own build";
            return Err(wrong(self.place("dynamic"), reason));
        }
        let uv = table.get("tool").and_then(|tool| tool.get("uv"));
        let sources = uv.and_then(|uv| uv.get("sources")?.as_table());
        for line in strings(section.and_then(|section| section.get("dependencies"))) {
            let name =
                line.split(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c))).next();
            let name = name.unwrap_or_default();
            let own = |(known, _): &(&String, &toml::Value)| normal(known) == normal(name);
            let source = sources.into_iter().flatten().find(own).map(|(_, source)| source);
            let each = match source {
                Some(toml::Value::Array(each)) => each.iter().map(Some).collect(),
                one => vec![one],
            };
            for source in each {
                let source = self.source(line, name, source, &mut project.indexes)?;
                project.entries.push(RequirementEntry::new(self.place(line), false, source));
            }
        }
        for (key, is_constraint) in
            [("constraint-dependencies", true), ("override-dependencies", false)]
        {
            for line in strings(uv.and_then(|uv| uv.get(key))) {
                let entry =
                    RequirementEntry::new(self.place(line), is_constraint, self.plain(line)?);
                let list =
                    if is_constraint { &mut project.entries } else { &mut project.overrides };
                list.push(entry);
            }
        }
        Ok(())
    }

    fn plain(&self, line: &str) -> Result<Source, Error> {
        let find = |path: &str| Some(self.folder.join(path)).filter(|path| path.exists());
        if line.contains(" -") || line.contains("${") || line.chars().any(char::is_control) {
            return Err(wrong(self.place(line), "a dependency has no options and no variables"));
        }
        let source = entry::source(line, &find);
        let source = source.map_err(|reason| wrong(self.place(line), reason))?;
        if !RequirementEntry::new(self.place(line), false, source.clone()).is_rendered_whole() {
            return Err(wrong(self.place(line), NO_LINE));
        }
        Ok(source)
    }

    /// A dependency from where `[tool.uv.sources]` has it.
    fn source(
        &self,
        line: &str,
        name: &str,
        source: Option<&toml::Value>,
        indexes: &mut BTreeMap<String, String>,
    ) -> Result<Source, Error> {
        let Some(source) = source else { return self.plain(line) };
        let text = |key: &str| source.get(key).and_then(toml::Value::as_str);
        let (before, marker) = line.split_once(';').unwrap_or((line, ""));
        let marker = match (marker.trim(), text("marker")) {
            ("", None) => String::new(),
            ("", Some(own)) => format!(" ; {own}"),
            (marker, None) => format!(" ; {marker}"),
            (marker, Some(own)) => format!(" ; ({marker}) and ({own})"),
        };
        let extras = before.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
        let name_and_extras = match extras {
            Some((extras, _)) => format!("{name}[{extras}]"),
            None => name.to_owned(),
        };
        let fragment = text("subdirectory").map(|folder| format!("#subdirectory={folder}"));
        let fragment = fragment.unwrap_or_default();
        let address = if let Some(path) = text("path") {
            path.to_owned()
        } else if let Some(url) = text("url") {
            format!("{url}{fragment}")
        } else if let Some(git) = text("git") {
            let at = ["rev", "tag", "branch"].iter().find_map(|key| text(key));
            let at = at.map(|at| format!("@{at}")).unwrap_or_default();
            format!("git+{git}{at}{fragment}")
        } else if let Some(index) = text("index") {
            indexes.insert(name.to_owned(), index.to_owned());
            return self.plain(&format!("{}{marker}", before.trim()));
        } else {
            let reason = "it comes from the workspace; `uv lock` writes where that is";
            return Err(wrong(self.place(line), reason));
        };
        self.plain(&format!("{name_and_extras} @ {address}{marker}"))
    }
}

fn strings(list: Option<&toml::Value>) -> impl Iterator<Item = &str> {
    list.and_then(toml::Value::as_array).into_iter().flatten().filter_map(toml::Value::as_str)
}

fn normal(name: &str) -> String {
    name.to_ascii_lowercase().replace(['_', '.'], "-")
}

fn text(path: &Path, bytes: &[u8]) -> Result<String, Error> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = String::from_utf8(bytes.to_vec());
    text.map_err(|_| wrong(FileLine { file: path.to_owned(), line: 1 }, "it is not UTF-8"))
}

fn parse(path: &Path, text: &str) -> Result<toml::Table, Error> {
    toml::from_str::<toml::Table>(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        wrong(FileLine { file: path.to_owned(), line }, error.message().escape_debug().to_string())
    })
}

/// The packages of a `uv.lock`.
fn packages(table: &toml::Table) -> impl Iterator<Item = &toml::Value> {
    table.get("package").and_then(toml::Value::as_array).into_iter().flatten()
}

/// Where a lock has packages of this machine beside the project itself.
fn local_packages(table: &toml::Table) -> impl Iterator<Item = &str> {
    packages(table).filter_map(|package| {
        let source = package.get("source")?;
        let mut kinds = ["path", "directory", "editable", "virtual"].into_iter();
        kinds.find_map(|kind| source.get(kind)?.as_str()).filter(|place| *place != ".")
    })
}

/// `name==version` for each package that a lock has in one version: for a tool that cannot read it.
fn locked(table: &toml::Table) -> Vec<String> {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in packages(table) {
        let text = |key: &str| package.get(key).and_then(toml::Value::as_str);
        let registry = package.get("source").is_some_and(|source| source.get("registry").is_some());
        if let (Some(name), Some(version), true) = (text("name"), text("version"), registry) {
            versions.entry(name).or_default().push(version);
        }
    }
    let pinned = versions.iter().filter_map(|(name, versions)| match versions[..] {
        [version] => Some(format!("{name}=={version}")),
        _ => None, // which of them depends on where it is installed
    });
    let fits = |c: char| c.is_ascii_alphanumeric() || "=._-+!".contains(c);
    pinned.filter(|line| !line.starts_with('-') && line.chars().all(fits)).collect()
}
