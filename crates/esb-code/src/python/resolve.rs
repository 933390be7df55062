//! Finds modules as Python's import does: packages, modules, compiled ones, namespace packages.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashMap},
    rc::Rc,
    sync::Arc,
};

use super::{
    summary::{Module, Modules},
    version::Version,
};
use crate::files::{ImageFiles, Kind};

/// What lies behind the name of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// A file with its code, and its folder when it is a package.
    Source { path: String, folder: Option<String> },
    /// Compiled code.
    Binary,
    /// Folders without code of their own.
    Namespace,
    /// Nothing; so many parts of the name were found.
    Missing { found: usize },
    /// Modules are found there in a way that only running it tells.
    Unknown,
}

/// What one part of a name leads to.
enum Part {
    Module(String),
    Package { init: String, folder: String },
    Binary,
    Namespace(Vec<String>),
}

/// Finds modules in the files of an image.
pub(super) struct Finder<'a> {
    pub(super) files: &'a ImageFiles,
    pub(super) version: Version,
    modules: &'a Modules<'a>,
    /// Where Python looks, in this order.
    folders: Vec<String>,
    listed: RefCell<HashMap<String, Rc<BTreeMap<String, Kind>>>>,
    /// The folders of parts of the image, and whether packages were installed there.
    installed: RefCell<HashMap<(usize, String), bool>>,
}

impl<'a> Finder<'a> {
    /// A finder with Lambda's own folders, before those of `PYTHONPATH`.
    pub(super) fn new(
        files: &'a ImageFiles,
        modules: &'a Modules<'a>,
        version: Version,
        more: &str,
    ) -> Self {
        let layers = format!("opt/python/{}", version.site_packages());
        let mut folders = vec!["var/task".to_owned(), layers, "opt/python".to_owned()];
        for folder in more.split(':').filter(|folder| !folder.is_empty()) {
            folders.push(match folder.strip_prefix('/') {
                Some(absolute) => absolute.trim_end_matches('/').to_owned(),
                None => format!("var/task/{}", folder.trim_start_matches("./").trim_matches('/')),
            });
        }
        let (listed, installed) = Default::default();
        Self { files, version, modules, folders, listed, installed }
    }

    /// What a module's dotted name leads to.
    pub(super) fn module(&self, name: &str) -> Found {
        let mut folders = self.folders.clone();
        let parts: Vec<&str> = name.split('.').collect();
        for (position, part) in parts.iter().enumerate() {
            let is_last = position + 1 == parts.len();
            match self.part(&folders, part) {
                None => return Found::Missing { found: position },
                Some(Part::Binary) if is_last => return Found::Binary,
                Some(Part::Binary) => return Found::Unknown,
                Some(Part::Module(path)) if is_last => return Found::Source { path, folder: None },
                Some(Part::Module(path)) => {
                    return if self.stays(&path) {
                        Found::Missing { found: position + 1 }
                    } else {
                        Found::Unknown
                    };
                }
                Some(Part::Package { init, folder }) if is_last => {
                    return Found::Source { path: init, folder: Some(folder) };
                }
                Some(Part::Package { init, folder }) => {
                    if !self.stays(&init) {
                        return Found::Unknown;
                    }
                    folders = vec![folder];
                }
                Some(Part::Namespace(_)) if is_last => return Found::Namespace,
                Some(Part::Namespace(portions)) => folders = portions,
            }
        }
        Found::Unknown
    }

    /// The module in a file.
    pub(super) fn read(&self, path: &str) -> Option<Arc<Module>> {
        self.modules.get(self.files, path, self.version)
    }

    /// The folder of the path that a file was found in.
    fn root_of(&self, path: &str) -> Option<&str> {
        let holds = |folder: &&String| {
            path.strip_prefix(&***folder).is_some_and(|rest| rest.starts_with('/'))
        };
        self.folders.iter().filter(holds).max_by_key(|folder| folder.len()).map(|found| &**found)
    }

    /// Whether a file lies beside packages that somebody installed into the same folder.
    pub(super) fn is_beside_packages(&self, path: &str) -> bool {
        let root = self.root_of(path).unwrap_or_default();
        let Some(part) = self.files.part_of(path) else { return false };
        let mut installed = self.installed.borrow_mut();
        let find = || self.files.has_distributions(part, root);
        *installed.entry((part, root.to_owned())).or_insert_with(find)
    }

    /// Whether a module leaves the places of others as they are.
    fn stays(&self, path: &str) -> bool {
        let module = self.read(path);
        let summary = module.as_ref().and_then(|module| module.summary.as_ref());
        summary.is_some_and(|summary| !summary.moves_modules && summary.fault.is_none())
    }

    fn part(&self, folders: &[String], name: &str) -> Option<Part> {
        if name.is_empty() || name.contains(['/', '\0']) {
            return None;
        }
        let mut portions = Vec::new();
        for folder in folders {
            let path = format!("{folder}/{name}");
            let kind = self.files.kind(&path);
            if kind == Some(Kind::Folder) {
                let init = format!("{path}/__init__.py");
                if self.has_binary(&path, "__init__", is_extension) {
                    return Some(Part::Binary);
                }
                if self.files.is_file(&init) {
                    return Some(Part::Package { init, folder: path });
                }
                if self.has_binary(&path, "__init__", |end| end == "pyc") {
                    return Some(Part::Binary);
                }
            }
            if self.has_binary(folder, name, is_extension) {
                return Some(Part::Binary);
            }
            let module = format!("{path}.py");
            if self.files.is_file(&module) {
                return Some(Part::Module(module));
            }
            if self.has_binary(folder, name, |end| end == "pyc") {
                return Some(Part::Binary);
            }
            if kind == Some(Kind::Folder) {
                portions.push(path);
            }
        }
        (!portions.is_empty()).then_some(Part::Namespace(portions))
    }

    /// Whether a folder has a compiled module of a name, with an ending of some kind.
    fn has_binary(&self, folder: &str, name: &str, is_ending: fn(&str) -> bool) -> bool {
        let is_it = |file: &str| {
            file.strip_prefix(name).and_then(|rest| rest.strip_prefix('.')).is_some_and(is_ending)
        };
        let list = self.list(folder);
        let after = list.range(name.to_owned()..).take_while(|(file, _)| file.starts_with(name));
        after.into_iter().any(|(file, kind)| *kind == Kind::File && is_it(file))
    }

    /// The entries of a folder.
    pub(super) fn list(&self, folder: &str) -> Rc<BTreeMap<String, Kind>> {
        let mut listed = self.listed.borrow_mut();
        if let Some(known) = listed.get(folder) {
            return Rc::clone(known);
        }
        let list = Rc::new(self.files.list(folder));
        listed.insert(folder.to_owned(), Rc::clone(&list));
        list
    }

    /// Whether a name comes from a module, its own or by `from … import *`; `None` when only
    /// running it would tell.
    pub(super) fn defines(&self, path: &str, package: &str, name: &str) -> Option<bool> {
        self.defines_within(path, package, name, &mut BTreeSet::new())
    }

    /// Whether a folder of a package has a module of a name, which becomes the package's attribute
    /// when something imports it.
    fn has_inner(&self, folder: &str, name: &str) -> bool {
        self.part(&[folder.to_owned()], name).is_some()
    }

    fn defines_within(
        &self,
        path: &str,
        package: &str,
        name: &str,
        asked: &mut BTreeSet<String>,
    ) -> Option<bool> {
        if !asked.insert(path.to_owned()) {
            return Some(false);
        }
        let module = self.read(path)?;
        let summary = module.summary.as_ref().filter(|found| found.fault.is_none())?;
        let inner = path.strip_suffix("/__init__.py");
        if summary.defines(name) || inner.is_some_and(|folder| self.has_inner(folder, name)) {
            return Some(true);
        }
        if summary.is_dynamic || asked.len() > 50 {
            return None;
        }
        for star in &summary.stars {
            let target = absolute(package, star.level, &star.module)?;
            let Found::Source { path, folder } = self.module(&target) else { return None };
            let package = if folder.is_some() { &*target } else { parent(&target) };
            let exports = self.read(&path)?.summary.as_ref()?.exports(name);
            if exports && self.defines_within(&path, package, name, asked)? {
                return Some(true);
            }
        }
        Some(false)
    }
}

/// `x.so`, `x.abi3.so`, `x.cpython-312-x86_64-linux-gnu.so`: found before a `x.py`.
fn is_extension(ending: &str) -> bool {
    ending.rsplit('.').next() == Some("so")
}

/// The package that a module's name lies in.
pub(super) fn parent(module: &str) -> &str {
    module.rsplit_once('.').map_or("", |(parent, _)| parent)
}

/// The full name of what a module of a package imports; `None` above the highest package.
pub(super) fn absolute(package: &str, level: u32, module: &str) -> Option<String> {
    if level == 0 {
        return Some(module.to_owned());
    }
    let mut package = package;
    for _ in 1..level {
        package = parent(package);
    }
    match (package, module) {
        ("", _) => None,
        (package, "") => Some(package.to_owned()),
        (package, module) => Some(format!("{package}.{module}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_imports() {
        assert_eq!(absolute("a.b", 0, "x.y").as_deref(), Some("x.y"));
        assert_eq!(absolute("a.b", 1, "x").as_deref(), Some("a.b.x"));
        assert_eq!(absolute("a.b", 1, "").as_deref(), Some("a.b"));
        assert_eq!(absolute("a.b", 2, "x").as_deref(), Some("a.x"));
        assert_eq!(absolute("a.b", 3, "x"), None);
        assert_eq!(absolute("", 1, "x"), None);
    }
}
