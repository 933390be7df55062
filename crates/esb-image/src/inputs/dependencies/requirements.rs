//! Requirements files: all that an installation depends on.
//!
//! Owns finding the files that a requirements file includes, and the form in which a tool gets
//! them: files of ours, in which nothing turns a build on. Refuses to resolve: that is the tool's
//! work.

mod key;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use esb_oci::Digest;

pub(crate) use self::key::describe_links;
use super::{
    address::secrets_of,
    entry::{self, FileLine, RequirementEntry, Source},
    lines::{self, Name, Parsed},
    project::Project,
    wheelhouse,
};
use crate::{Error, error::io_error};

/// Constraints too: `--no-binary` in them overrules what the command line says.
const REMOTE_LIST: &str = "a list at a web address, which can ask for builds";

pub(crate) const NO_LINE: &str = "it holds an option, a variable that is not set, or a character \
    that no requirement has";
const NO_WORD: &str = "the value of an option is one word without blanks, quotes, backslashes and \
    variables that are not set";

/// The most files, and the most bytes of each.
const MAX_FILES: usize = 100;
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Reads requirements files; holds the settings for it.
pub(crate) struct Reader<'a> {
    pub(crate) image: &'a str,
    /// The project root: the last place where a path is looked for.
    pub(crate) root: &'a Path,
    pub(crate) variable: &'a dyn Fn(&str) -> Option<String>,
    /// Files of constraints and of overrides that the environment names.
    pub(crate) constraints: &'a [String],
    pub(crate) overrides: &'a [String],
}

/// A requirements file with those that it includes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Requirements {
    path: PathBuf,
    /// Contents of files, in the order in which they are read.
    texts: Vec<Vec<u8>>,
    /// Lines that variables changed.
    changed: Vec<String>,
    pub(crate) entries: Vec<RequirementEntry>,
    pub(crate) overrides: Vec<RequirementEntry>,
    /// Lists at web addresses, and whether they are constraints.
    lists: Vec<(bool, String)>,
    pub(crate) options: Options,
    /// Why something has to be built, and where that is said.
    build: Option<(FileLine, String)>,
    /// Names of variables that are left to the tool.
    pub(crate) variables: BTreeSet<String>,
    pub(crate) project: Option<Project>,
    /// What packages of this machine hold, set by [`Requirements::set_contents`].
    contents: Vec<Digest>,
}

/// The options on the line of one requirement.
#[derive(Debug, Default)]
struct LineOptions {
    files: Vec<(PathBuf, FileKind)>,
    hashes: Vec<String>,
    build: Vec<(&'static str, String)>,
    /// What has to be built for them.
    builds: Option<&'static str>,
}

/// Whether the value of an option may be a single word only.
fn takes_one_word(name: Name, value: &str) -> bool {
    match name {
        Name::FindLinks | Name::Requirement | Name::Constraint => path_of(value).is_none(),
        Name::IndexUrl | Name::ExtraIndexUrl | Name::TrustedHost | Name::Hash => true,
        Name::Format(name) => name != "prefer-binary",
        _ => false,
    }
}

/// Options that hold for all packages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Options {
    index: Option<String>,
    extra: Vec<String>,
    links: Vec<Links>,
    no_index: bool,
    trusted: Vec<String>,
    /// `no-binary` and the like, with values, in their order.
    formats: Vec<(&'static str, String)>,
    pub(crate) pre: bool,
    pub(crate) require_hashes: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Links {
    Address(String),
    Folder(PathBuf),
}

/// The files that a tool gets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Files {
    /// Addresses, which may hold passwords.
    pub(crate) options: String,
    pub(crate) requirements: String,
    pub(crate) constraints: String,
    pub(crate) overrides: String,
}

/// A kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum FileKind {
    Requirements,
    Constraints,
    Overrides,
}

impl Requirements {
    pub(crate) fn read(reader: &Reader<'_>, path: &Path) -> Result<Self, Error> {
        let path = std::path::absolute(path).map_err(io_error("find", path))?;
        let name = path.file_name().and_then(|name| name.to_str());
        let mut found = Self { path: path.clone(), ..Self::default() };
        let mut open = Vec::new();
        if name == Some("uv.lock") || name == Some("pyproject.toml") {
            let project = Project::read(reader.image, &path)?;
            found.texts.extend(project.texts.iter().cloned());
            found.entries.extend(project.entries.iter().cloned());
            found.overrides.extend(project.overrides.iter().cloned());
            found.project = Some(project);
        } else {
            open.push((path, FileKind::Requirements, None));
        }
        let mut seen = BTreeSet::new();
        let mut add = |found: &mut Self, mut open: Vec<(PathBuf, FileKind, Option<FileLine>)>| {
            while let Some((path, kind, from)) = open.pop() {
                if !seen.insert((path.clone(), kind)) {
                    continue;
                }
                if seen.len() > MAX_FILES {
                    let place = from.unwrap_or(FileLine { file: path, line: 1 });
                    return Err(wrong(place, format!("it includes more than {MAX_FILES} files")));
                }
                open.extend(found.add(reader, &path, kind, from)?);
            }
            Ok::<_, Error>(())
        };
        add(&mut found, open)?;
        let mut given = Vec::new();
        for (list, kind) in
            [(reader.overrides, FileKind::Overrides), (reader.constraints, FileKind::Constraints)]
        {
            for value in list {
                let place = FileLine { file: found.path.clone(), line: 1 };
                if let Some(path) = path_of(value) {
                    given.push((path.into(), kind, None));
                    continue;
                }
                if !lines::is_word(value) {
                    return Err(wrong(place, NO_WORD));
                }
                let what = format!("the environment adds {REMOTE_LIST}");
                found.build.get_or_insert((place, what));
                found.lists.push((true, value.clone()));
            }
        }
        add(&mut found, given)?;
        found.note_builds();
        Ok(found)
    }

    /// The same with the packages that a lock's own tool says it comes to.
    pub(crate) fn with_export(&self, reader: &Reader<'_>, text: &str) -> Result<Self, Error> {
        let mut found = Self { texts: self.texts.clone(), ..Self::default() };
        found.contents.clone_from(&self.contents);
        found.path.clone_from(&self.path);
        found.project.clone_from(&self.project);
        found.options.clone_from(&self.options);
        found.lists.clone_from(&self.lists);
        found.variables.clone_from(&self.variables);
        // What the environment says holds for a lock too; what the project says is in it.
        let document = self.path.with_file_name("pyproject.toml");
        let is_given =
            |entry: &&RequirementEntry| ![&document, &self.path].contains(&&entry.place.file);
        found.entries.extend(self.entries.iter().filter(is_given).cloned());
        found.overrides.extend(self.overrides.iter().filter(is_given).cloned());
        for line in lines::logical(text) {
            let place = FileLine { file: self.path.clone(), line: line.number };
            found.line(reader, &place, FileKind::Requirements, &line.text)?;
        }
        for entry in &mut found.entries {
            entry.place.line = self.line_of(entry).unwrap_or(entry.place.line);
        }
        found.note_builds();
        Ok(found)
    }

    /// Where a lock speaks of a package.
    fn line_of(&self, entry: &RequirementEntry) -> Option<usize> {
        let text = String::from_utf8_lossy(self.texts.last()?).into_owned();
        let what = match &entry.source {
            Source::Local(local) => {
                let folder = self.path.parent()?;
                format!("\"{}\"", local.path.strip_prefix(folder).ok()?.display())
            }
            Source::Remote(address) => {
                let (_, address) = address.split_once("://")?;
                address.split(['@', '#', ' ', ';']).next()?.to_owned()
            }
            _ => return None,
        };
        Some(text.lines().position(|line| line.contains(&what))? + 1)
    }

    /// The same without what would be reached: packages come from folders of wheels.
    pub(crate) fn offline(&self, folders: &[PathBuf]) -> Self {
        let mut found = self.clone();
        let Options { index, extra, links, no_index, trusted, .. } = &mut found.options;
        (*index, *no_index) = (None, true);
        extra.clear();
        trusted.clear();
        links.retain(|links| matches!(links, Links::Folder(_)));
        links.extend(folders.iter().cloned().map(Links::Folder));
        found.lists.clear();
        for entry in found.entries.iter_mut().chain(&mut found.overrides) {
            if let Source::Wheel(text) = &entry.source
                && let Some(file) = wheelhouse::file_of(text)
                && let Some(path) = wheelhouse::find(folders, &file)
                && let Some(source) = entry::at_path(text, path)
            {
                entry.source = source;
            }
        }
        found
    }

    /// The same for a tool that is given other lines than these.
    pub(crate) fn without_hashes(&self) -> Self {
        let mut found = self.clone();
        found.options.require_hashes = false;
        found
    }

    fn note_builds(&mut self) {
        let of_entry =
            |entry: &RequirementEntry| Some((entry.place.clone(), entry.builds()?.to_owned()));
        let found = self.entries.iter().chain(&self.overrides).find_map(of_entry);
        self.build = self.build.take().or(found);
    }

    /// Reads one file, and says which others it names.
    fn add(
        &mut self,
        reader: &Reader<'_>,
        path: &Path,
        kind: FileKind,
        from: Option<FileLine>,
    ) -> Result<Vec<(PathBuf, FileKind, Option<FileLine>)>, Error> {
        let bytes = read(reader.image, path).map_err(|error| match (error, from) {
            (Error::MissingSource { .. }, Some(place)) => {
                wrong(place, format!("there is no `{}`", entry::shown(&path.to_string_lossy())))
            }
            (error, _) => error,
        })?;
        let at = |line| FileLine { file: path.to_owned(), line };
        let text = lines::decode(&bytes).map_err(|reason| wrong(at(1), reason))?;
        self.texts.push(bytes);
        let mut named = Vec::new();
        for line in lines::logical(&text) {
            // A tab parts words as a blank does.
            let text = line.text.replace('\t', " ");
            let before = self.variables.len();
            let expanded = lines::expand(&text, reader.variable, &mut self.variables)
                .map_err(|reason| wrong(at(line.number), reason))?;
            if expanded != text && self.variables.len() == before {
                self.changed.push(expanded.clone());
            }
            named.extend(self.line(reader, &at(line.number), kind, &expanded)?);
        }
        Ok(named)
    }

    /// Notes a file that a line includes, or a list at a web address.
    fn include(
        &mut self,
        found: &mut LineOptions,
        folder: &Path,
        kind: FileKind,
        is_constraint: bool,
        value: String,
    ) {
        if let Some(path) = path_of(&value) {
            let is_list_of_constraints = is_constraint && kind != FileKind::Overrides;
            let kind = if is_list_of_constraints { FileKind::Constraints } else { kind };
            found.files.push((folder.join(path), kind));
        } else {
            found.builds = Some(REMOTE_LIST);
            self.lists.push((is_constraint, value));
        }
    }

    /// Takes a line in, and says which file it names.
    fn line(
        &mut self,
        reader: &Reader<'_>,
        place: &FileLine,
        kind: FileKind,
        text: &str,
    ) -> Result<Vec<(PathBuf, FileKind, Option<FileLine>)>, Error> {
        let Parsed { mut requirement, options } =
            lines::parse(text).map_err(|reason| wrong(place.clone(), reason))?;
        let folder = place.file.parent().unwrap_or(Path::new("/"));
        let first = self.path.parent().unwrap_or(Path::new("/")).to_owned();
        let find = |path: &str| {
            let folders = [folder, &*first, reader.root];
            folders.iter().map(|folder| folder.join(path)).find(|path| path.exists())
        };
        let mut found = LineOptions::default();
        for (name, value) in options {
            // The tool takes the line apart again.
            if takes_one_word(name, &value) && !lines::is_word(&value) {
                return Err(wrong(place.clone(), NO_WORD));
            }
            match name {
                Name::Requirement | Name::Constraint => {
                    let is_constraint = name == Name::Constraint || kind != FileKind::Requirements;
                    self.include(&mut found, folder, kind, is_constraint, value);
                }
                // A bare word is a folder here, and never a package of an index.
                Name::Editable if requirement.is_empty() => {
                    let is_word = !value.starts_with(['.', '/']) && !value.contains([':', '@']);
                    requirement = if is_word { format!("./{value}") } else { value };
                }
                Name::Editable | Name::Ignored => {}
                Name::Hash => found.hashes.push(value),
                Name::Build(name) => {
                    found.builds = Some("a build with settings");
                    found.build.push((name, value));
                }
                Name::Format(name) => {
                    if name == "no-binary" && value != ":none:" {
                        found.builds = Some("a package from its sources (`--no-binary`)");
                    }
                    self.options.formats.push((name, value));
                }
                Name::FindLinks => self.options.links.push(match path_of(&value) {
                    Some(path) => Links::Folder(find(&path).unwrap_or_else(|| folder.join(path))),
                    None => Links::Address(value),
                }),
                Name::IndexUrl => self.options.index = Some(value),
                Name::ExtraIndexUrl => self.options.extra.push(value),
                Name::NoIndex => self.options.no_index = true,
                Name::TrustedHost => self.options.trusted.push(value),
                Name::Pre => self.options.pre = true,
                Name::RequireHashes => self.options.require_hashes = true,
            }
        }
        let LineOptions { files, hashes, build, builds } = found;
        if let Some(what) = builds {
            self.build.get_or_insert((place.clone(), what.to_owned()));
        }
        if !requirement.is_empty() {
            let source = entry::source(&requirement, &find)
                .map_err(|reason| wrong(place.clone(), reason))?;
            let is_constraint = kind == FileKind::Constraints;
            let entry =
                RequirementEntry { place: place.clone(), is_constraint, source, hashes, build };
            if !entry.is_rendered_whole() {
                return Err(wrong(place.clone(), NO_LINE));
            }
            if kind == FileKind::Overrides {
                self.overrides.push(entry);
            } else {
                self.entries.push(entry);
            }
        }
        Ok(files.into_iter().map(|(path, kind)| (path, kind, Some(place.clone()))).collect())
    }

    /// Why something has to be built, and where that is said.
    pub(crate) fn build(&self) -> Option<&(FileLine, String)> {
        self.build.as_ref()
    }

    /// As if this were said in a line of some file.
    pub(crate) fn want_build(&mut self, file: &str, what: &str) {
        self.build.get_or_insert((FileLine { file: file.into(), line: 0 }, what.to_owned()));
    }

    /// Files and folders of this machine that are installed or built.
    pub(crate) fn local(&self) -> impl Iterator<Item = (&Path, &FileLine)> {
        self.entries.iter().chain(&self.overrides).filter_map(|entry| match &entry.source {
            Source::Local(local) => Some((&*local.path, &entry.place)),
            _ => None,
        })
    }

    /// Whether a repository has to be fetched with git.
    #[cfg(any(feature = "docker", feature = "buildkit"))]
    pub(crate) fn needs_git(&self) -> bool {
        let is_git = |entry: &RequirementEntry| matches!(&entry.source, Source::Remote(address) if address.contains("git+"));
        self.entries.iter().any(is_git)
    }

    /// Folders of archives that the files name.
    pub(crate) fn folders(&self) -> impl Iterator<Item = &Path> {
        self.options.links.iter().filter_map(|links| match links {
            Links::Folder(folder) => Some(&**folder),
            Links::Address(_) => None,
        })
    }

    pub(crate) fn set_contents(&mut self, contents: Vec<Digest>) {
        self.contents = contents;
    }

    /// Whether the same files may stand for other packages tomorrow, other than by newer versions.
    pub(crate) fn moves(&self) -> bool {
        !self.lists.is_empty()
            || self.entries.iter().chain(&self.overrides).any(RequirementEntry::moves)
    }

    /// Whether versions are resolved anew unless they are pinned.
    pub(crate) fn is_free(&self) -> bool {
        let locked = self.project.as_ref().is_some_and(|found| found.is_locked);
        let other =
            |entry: &RequirementEntry| matches!(entry.source, Source::Local(_)) || entry.moves();
        !locked && !self.moves() && !self.entries.iter().any(other)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The files for a tool; `at` says where it finds a path. Nothing in them asks for a build
    /// unless one is allowed.
    pub(crate) fn render(&self, at: &dyn Fn(&Path) -> String, may_build: bool) -> Files {
        let mut files = Files::default();
        let Options { index, extra, links, no_index, trusted, formats, .. } = &self.options;
        let mut option = |name: &str, value: &str| {
            files.options.extend(["--", name, " ", value, "\n"]);
        };
        if let Some(index) = index {
            option("index-url", index);
        }
        for address in extra {
            option("extra-index-url", address);
        }
        for host in trusted {
            option("trusted-host", host);
        }
        for links in links {
            match links {
                Links::Address(address) => option("find-links", address),
                // Whatever the folder is called, it is one word.
                Links::Folder(folder) => {
                    option("find-links", &format!("file://{}", entry::escaped(&at(folder))));
                }
            }
        }
        for (name, value) in formats.iter().filter(|_| may_build) {
            option(name, value);
        }
        if *no_index {
            files.options.push_str("--no-index\n");
        }
        if self.options.require_hashes {
            files.options.push_str("--require-hashes\n");
        }
        for (is_constraint, address) in &self.lists {
            let name = if *is_constraint { "-c" } else { "-r" };
            files.options.extend([name, " ", address, "\n"]);
        }
        let has_builds = self.entries.iter().any(|entry| entry.builds().is_some());
        let locked = self.project.as_ref().is_some_and(|project| project.is_locked);
        for entry in &self.entries {
            let mut line = entry.clone();
            if has_builds && locked {
                // With one hash, pip wants one of everything, and a folder has none.
                line.hashes.clear();
            }
            let text =
                if line.is_constraint { &mut files.constraints } else { &mut files.requirements };
            text.push_str(&line.render(at));
            for (name, value) in line.build.iter().filter(|_| may_build) {
                text.extend([" --", name, "='", &value.replace('\'', "'\"'\"'"), "'"]);
            }
            text.push('\n');
        }
        for entry in &self.overrides {
            files.overrides.push_str(&entry.render(at));
            files.overrides.push('\n');
        }
        files
    }

    /// Passwords and tokens in the files themselves, and addresses with them.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let of_entry = |entry: &'_ RequirementEntry| match &entry.source {
            Source::Wheel(text) | Source::Remote(text) => Some(text.clone()),
            _ => None,
        };
        let Options { index, extra, links, .. } = &self.options;
        let links = links.iter().filter_map(|links| match links {
            Links::Address(address) => Some(address.clone()),
            Links::Folder(_) => None,
        });
        let addresses = index.iter().chain(extra).cloned().chain(links);
        let addresses = addresses.chain(self.lists.iter().map(|(_, list)| list.clone()));
        let addresses = addresses.chain(self.entries.iter().filter_map(of_entry));
        addresses.flat_map(|address| secrets_of(&address)).collect()
    }
}

/// The path that a value is; `None` for a web address.
fn path_of(value: &str) -> Option<String> {
    match value.split_once(':') {
        Some(("file", path)) => {
            let path = path.strip_prefix("//localhost").unwrap_or(path);
            Some(entry::percent_decoded(path.strip_prefix("//").unwrap_or(path)))
        }
        _ => (!value.contains("://")).then(|| value.to_owned()),
    }
}

pub(crate) fn wrong(place: FileLine, reason: impl Into<String>) -> Error {
    Error::Requirement { file: place.file, line: place.line, reason: reason.into(), remedy: None }
}

/// A whole file within the limit.
pub(crate) fn read(image: &str, path: &Path) -> Result<Vec<u8>, Error> {
    esb_oci::read_file(path, MAX_BYTES).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Error::MissingSource { image: image.to_owned(), path: path.to_owned() }
        }
        _ => io_error("read", path)(error),
    })
}

#[cfg(test)]
mod tests;
