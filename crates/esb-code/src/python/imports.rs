//! Imports that fail when a handler's module is imported.

use std::collections::{BTreeSet, VecDeque};

use super::{
    resolve::{Finder, Found, absolute, parent},
    standard_library,
    summary::{Fault, Import},
};
use crate::{BaseModules, files::Origin};

/// The most modules of one function that are followed.
const MAX_MODULES: usize = 2000;

/// What an import would end in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failing {
    /// The path in the image, and the file on this machine.
    pub(crate) path: String,
    pub(crate) origin: Origin,
    pub(crate) why: Why,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Why {
    /// Nothing provides the module.
    Missing(String),
    /// Python cannot read the file.
    Fault(String),
    /// A relative import leaves the highest package.
    Relative,
    /// The module in this file lacks the name.
    Name { name: String, module: String },
}

/// A module to look at.
struct Visit {
    path: String,
    /// The package that its relative imports start from.
    package: String,
}

/// Walks the imports of a module that happen when it is imported.
struct Walk<'a> {
    finder: &'a Finder<'a>,
    /// What the base brings; without it, modules that are not here may be there.
    base: Option<&'a BaseModules>,
    queue: VecDeque<Visit>,
    seen: BTreeSet<String>,
    failing: Vec<Failing>,
}

/// The imports that fail when a module with this name is imported; none where modules are found in
/// a way that only running it tells.
pub(crate) fn failing(
    finder: &Finder<'_>,
    base: Option<&BaseModules>,
    module: &str,
) -> Vec<Failing> {
    let mut walk = Walk::new(finder, base, module);
    while let Some(visit) = walk.queue.pop_front() {
        if walk.visit(&visit).is_none() {
            return Vec::new();
        }
    }
    walk.failing
}

/// Whether a module with this name, or one that it imports, may give the module a name from
/// outside: `sys.modules["app"].handler = …`.
pub(super) fn may_give(finder: &Finder<'_>, module: &str, name: &str) -> bool {
    let mut walk = Walk::new(finder, None, module);
    while let Some(visit) = walk.queue.pop_front() {
        let Some(read) = finder.read(&visit.path) else { continue };
        let Some(summary) = &read.summary else { continue };
        if summary.given.any || summary.given.names.contains(name) {
            return true;
        }
        for import in summary.imports.iter().chain(&summary.stars) {
            walk.import(&visit.package, import);
        }
    }
    false
}

impl<'a> Walk<'a> {
    fn new(finder: &'a Finder<'a>, base: Option<&'a BaseModules>, module: &str) -> Self {
        let (queue, seen, failing) = Default::default();
        let mut walk = Walk { finder, base, queue, seen, failing };
        walk.follow(module, true);
        walk
    }

    /// `None` when it may change where modules are found.
    fn visit(&mut self, visit: &Visit) -> Option<()> {
        let Some(module) = self.finder.read(&visit.path) else { return Some(()) };
        let Some(summary) = &module.summary else { return Some(()) };
        let fail = |why, start, end| Failing {
            path: visit.path.clone(),
            origin: module.origin.clone(),
            why,
            start,
            end,
        };
        if let Some(Fault { message, start, end }) = &summary.fault {
            self.failing.push(fail(Why::Fault(message.clone()), *start, *end));
            return Some(());
        }
        if summary.moves_modules {
            return None;
        }
        for import in summary.imports.iter().chain(&summary.stars) {
            if let Some(why) = self.import(&visit.package, import) {
                self.failing.push(fail(why, import.start, import.end));
            }
        }
        Some(())
    }

    /// Follows an import; tells why it fails.
    fn import(&mut self, package: &str, import: &Import) -> Option<Why> {
        let Some(name) = absolute(package, import.level, &import.module) else {
            return Some(Why::Relative);
        };
        let top = name.split('.').next().unwrap_or(&name);
        if import.level == 0 && self.comes_with_python(top) {
            return None;
        }
        match self.finder.module(&name) {
            Found::Missing { found: 0 } => {
                return self.base.map(|_| Why::Missing(top.to_owned()));
            }
            Found::Missing { found } => {
                return self.base.and_then(|_| self.is_missing(&name, found)).map(Why::Missing);
            }
            found @ (Found::Source { .. } | Found::Namespace) => {
                self.follow(&name, false);
                for inner in &import.names {
                    self.follow(&format!("{name}.{inner}"), false);
                }
                return self.lacks(&name, &found, &import.names);
            }
            Found::Binary | Found::Unknown => {}
        }
        None
    }

    /// Whether a module is in the base or in Python itself. One of the code may have the same name:
    /// the import does not fail for that.
    fn comes_with_python(&self, module: &str) -> bool {
        standard_library::has(self.finder.version, module)
            || self.base.is_some_and(|base| base.has(module))
    }

    /// The first name that a module of the code has not, and that is no module in it.
    fn lacks(&self, module: &str, found: &Found, names: &[String]) -> Option<Why> {
        let Found::Source { path, folder } = found else { return None };
        if !self.is_own(path) {
            return None;
        }
        let package = if folder.is_some() { module } else { parent(module) };
        let is_lacking = |name: &&String| {
            !name.starts_with("__")
                && self.finder.defines(path, package, name) == Some(false)
                && matches!(self.finder.module(&format!("{module}.{name}")), Found::Missing { .. })
        };
        let name = names.iter().find(is_lacking)?.clone();
        let module = self.finder.files.origin(path)?.name;
        Some(Why::Name { name, module })
    }

    /// What is missing of a name of which only so many parts were found.
    fn is_missing(&self, name: &str, found: usize) -> Option<String> {
        // Installed packages make modules in ways of their own.
        let parts: Vec<&str> = name.split('.').take(found).collect();
        match self.finder.module(&parts.join(".")) {
            Found::Source { path, .. } if self.is_own(&path) => Some(name.to_owned()),
            _ => None,
        }
    }

    /// Looks at a module later, and at the packages that it lies in.
    fn follow(&mut self, module: &str, is_handler: bool) {
        let ends = module.match_indices('.').map(|(at, _)| at).chain([module.len()]);
        for end in ends {
            let name = &module[..end];
            let Found::Source { path, folder } = self.finder.module(name) else { continue };
            if self.seen.len() >= MAX_MODULES
                || !(is_handler || self.is_own(&path))
                || !self.seen.insert(path.clone())
            {
                continue;
            }
            let package = if folder.is_some() { name } else { parent(name) };
            self.queue.push_back(Visit { path, package: package.to_owned() });
        }
    }

    /// Whether a file is code of the user's own: not installed, and not beside packages that
    /// somebody installed into the same folder.
    fn is_own(&self, path: &str) -> bool {
        !self.finder.files.is_installed(path) && !self.finder.is_beside_packages(path)
    }
}
