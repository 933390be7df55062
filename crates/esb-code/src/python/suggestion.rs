//! What the author of a wrong handler may have meant.

use super::{
    resolve::Finder,
    summary::{Defined, Summary},
};
use crate::{
    files::{Kind, is_of_tools},
    nearest::nearest,
};

/// How many folders and files of code are looked at, and how deep.
const MAX_ENTRIES: usize = 4000;
const MAX_DEPTH: usize = 5;

/// Functions that a message lists.
const SHOWN: usize = 3;

/// The modules in a function's code.
pub(super) struct Suggestions {
    /// With `/` between their parts, the shortest first.
    modules: Vec<String>,
}

impl Suggestions {
    /// All modules below a folder of the image.
    pub(super) fn of(finder: &Finder<'_>, root: &str) -> Self {
        let mut modules = Vec::new();
        let mut folders = vec![(String::new(), 0)];
        let mut entries = 0;
        while let Some((folder, depth)) = folders.pop() {
            let slash = if folder.is_empty() { "" } else { "/" };
            for (name, kind) in finder.files.list(&format!("{root}{slash}{folder}")) {
                entries += 1;
                if entries > MAX_ENTRIES {
                    break;
                }
                let path = format!("{folder}{slash}{name}");
                match kind {
                    Kind::Folder if depth < MAX_DEPTH && !is_of_tools(&name) && name != "tests" => {
                        folders.push((path, depth + 1));
                    }
                    Kind::Folder => {}
                    Kind::File => {
                        let module = path.strip_suffix("/__init__.py").or(path.strip_suffix(".py"));
                        modules.extend(module.map(str::to_owned));
                    }
                }
            }
        }
        modules.sort_by_key(|module| (module.matches('/').count(), module.clone()));
        Self { modules }
    }

    /// The handler that was meant by a module that is not there.
    pub(super) fn module(&self, finder: &Finder<'_>, written: &str, name: &str) -> Option<String> {
        let wanted = written.replace('.', "/");
        let last = |module: &str| module.rsplit('/').next().unwrap_or_default().to_owned();
        let names = || self.modules.iter().map(|module| &**module);
        let same_file = || names().filter(|module| last(module) == last(&wanted));
        let has_name = |module: &&str| {
            Self::summary(finder, module, |summary| summary.defines(name)).unwrap_or_default()
        };
        let module = same_file()
            .find(has_name)
            .or_else(|| nearest(&wanted, names()))
            .or_else(|| same_file().next())
            .or_else(|| {
                // A module of one part too many: `app.handler.handler`.
                let outer = wanted.rsplit_once('/').map(|(outer, _)| outer);
                names().find(|module| Some(*module) == outer).filter(has_name)
            })
            .or_else(|| {
                // What follows the last dot may be meant as a module: `app` of `app.handler.run`.
                let inner = format!("{wanted}/{name}");
                names().find(|module| *module == inner)
            })?;
        let function = Self::summary(finder, module, |summary| {
            let own = summary.defines(name).then(|| name.to_owned());
            own.or_else(|| Self::name(summary, name).map(str::to_owned))
        });
        let function = function.flatten().unwrap_or_else(|| name.to_owned());
        let uses_dots = written.contains('.') && !written.contains('/');
        let module = if uses_dots { module.replace('/', ".") } else { module.to_owned() };
        Some(format!("{module}.{function}"))
    }

    fn summary<T>(
        finder: &Finder<'_>,
        module: &str,
        look: impl FnOnce(&Summary) -> T,
    ) -> Option<T> {
        let file = format!("var/task/{module}.py");
        let init = format!("var/task/{module}/__init__.py");
        let path = if finder.files.is_file(&file) { file } else { init };
        Some(look(finder.read(&path)?.summary.as_ref()?))
    }

    /// The name of a module that was meant by another one.
    pub(super) fn name<'s>(summary: &'s Summary, wrong: &str) -> Option<&'s str> {
        let names = || summary.names.iter();
        let functions = || names().filter(|defined| defined.is_handler);
        let text = |defined: &'s Defined| &*defined.name;
        nearest(wrong, functions().map(text)).or_else(|| nearest(wrong, names().map(text))).or_else(
            || {
                // One function that takes an event and a context can be nothing else.
                let mut handlers = functions().filter(|defined| defined.name.contains("handler"));
                let only = handlers.next()?;
                handlers.next().is_none().then_some(&*only.name)
            },
        )
    }

    /// The functions of a module that could be handlers, for a message.
    pub(super) fn functions(summary: &Summary) -> Option<String> {
        let names = summary.names.iter().filter(|defined| defined.is_handler);
        let names: Vec<_> = names.map(|defined| format!("`{}`", defined.name)).collect();
        let more = if names.len() > SHOWN { ", …" } else { "" };
        let shown = &names[..names.len().min(SHOWN)];
        (!shown.is_empty()).then(|| shown.join(", ") + more)
    }
}
