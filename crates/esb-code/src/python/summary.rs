//! What a run remembers of a Python file, instead of its tree.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use esb_oci::Digest;
use serde::{Deserialize, Serialize};

use super::{
    decode::{NotText, decode},
    nesting::is_shallow,
    read::read,
    version::Version,
};
use crate::{
    Cache, Remembered,
    files::{ImageFiles, Origin},
    identity,
};

/// The most bytes of a file that is read.
const MAX_BYTES: u64 = 1024 * 1024;

/// The form of what is kept; another one is not read.
const FORM: &str = "python-module-3";

/// What a module defines and imports.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Summary {
    /// The names that the module has once it was imported, sorted.
    pub(crate) names: Vec<Defined>,
    /// The modules of `from … import *`.
    pub(crate) stars: Vec<Import>,
    /// The names in `__all__`, where it is a plain list.
    pub(crate) public: Option<Vec<String>>,
    /// Whether `__all__` may have more names than those.
    pub(crate) exports_more: bool,
    /// Whether it may have names that nobody can see without running it.
    pub(crate) is_dynamic: bool,
    /// What it may give to other modules.
    pub(crate) given: Given,
    /// Whether it may change where modules are found.
    pub(crate) moves_modules: bool,
    /// Imports that certainly happen when it is imported, and fail it when they fail.
    pub(crate) imports: Vec<Import>,
    /// Why Python refuses it.
    pub(crate) fault: Option<Fault>,
}

/// A name of a module.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Defined {
    pub(crate) name: String,
    /// Whether it is a function that takes an event and a context.
    pub(crate) is_handler: bool,
}

/// The names that a module gives to what may be another one: `app.handler = …`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Given {
    pub(crate) names: BTreeSet<String>,
    /// Whether it may give any other name.
    pub(crate) any: bool,
}

/// `import module`, or `from module import names`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Import {
    pub(crate) module: String,
    /// How many dots stand before it.
    pub(crate) level: u32,
    /// After `from`; these may be modules too.
    pub(crate) names: Vec<String>,
    /// Where the module is named.
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// An error of syntax.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fault {
    pub(crate) message: String,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// A file and what is known of it.
#[derive(Debug)]
pub(crate) struct Module {
    pub(crate) origin: Origin,
    /// None when it is too large, too deep or in an encoding that is not known here.
    pub(crate) summary: Option<Summary>,
}

/// The text of a file, for a message about it.
pub(crate) fn text_of(files: &ImageFiles, path: &str) -> Option<String> {
    let bytes = files.read(path, MAX_BYTES)?;
    let text = decode(&bytes)?;
    Some(text.unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into_owned()))
}

/// The modules of a run, each read once.
pub(crate) struct Modules<'a> {
    cache: &'a dyn Cache,
    #[expect(clippy::type_complexity, reason = "a map of cells, used here alone")]
    read: Mutex<HashMap<(Origin, Version), Arc<OnceLock<Option<Arc<Module>>>>>>,
}

impl<'a> Modules<'a> {
    pub(crate) fn new(cache: &'a dyn Cache) -> Self {
        Self { cache, read: Mutex::default() }
    }

    /// The module in a file of an image; `None` when it cannot be read.
    pub(crate) fn get(
        &self,
        files: &ImageFiles,
        path: &str,
        version: Version,
    ) -> Option<Arc<Module>> {
        let origin = files.origin(path)?;
        let read = || {
            let inner = origin.inner.as_deref().unwrap_or_default();
            let purpose = format!("{FORM}\0{}\0{inner}", version.0);
            let key = origin.path.as_deref().and_then(|path| identity::of(path, &purpose));
            let module = |summary| Some(Arc::new(Module { origin: origin.clone(), summary }));
            if let Some(Remembered(summary)) = key.and_then(|key| self.cache.get(key)) {
                return module(summary);
            }
            let bytes = files.read(path, MAX_BYTES)?;
            let summary = Remembered(self.of_bytes(&bytes, version));
            if let Some(key) = key {
                self.cache.set(key, &summary);
            }
            module(summary.0)
        };
        if origin.path.is_none() {
            return read(); // texts of templates have no name of their own
        }
        let cell = {
            let mut known = self.read.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(known.entry((origin.clone(), version)).or_default())
        };
        cell.get_or_init(read).clone()
    }

    fn of_bytes(&self, bytes: &[u8], version: Version) -> Option<Summary> {
        match decode(bytes) {
            None => None,
            Some(Err(bad)) => {
                let (message, start) = match bad {
                    NotText::Byte(at) => {
                        let message =
                            "this is not UTF-8, and the first lines name no other encoding";
                        (message.to_owned(), at)
                    }
                    NotText::Nul(at) => {
                        ("this is a NUL byte, which no source may have".to_owned(), at)
                    }
                    NotText::Encoding(name) => {
                        (format!("Python knows no encoding `{}`", name.escape_debug()), 0)
                    }
                };
                let fault = Fault { message, start, end: start + 1 };
                Some(Summary { fault: Some(fault), ..Summary::default() })
            }
            Some(Ok(text)) => self.of_text(&text, version),
        }
    }

    fn of_text(&self, text: &str, version: Version) -> Option<Summary> {
        let key = Digest::of(format!("{FORM}\0{}\0{text}", version.0).as_bytes());
        if let Some(Remembered(summary)) = self.cache.get(key) {
            return summary;
        }
        let summary = Remembered(is_shallow(text).then(|| read(text, version)).flatten());
        self.cache.set(key, &summary);
        summary.0
    }
}

impl Summary {
    /// Whether the module has a name of its own.
    pub(crate) fn defines(&self, name: &str) -> bool {
        self.names.iter().any(|defined| defined.name == name)
    }

    /// Whether `from … import *` brings a name of it.
    pub(crate) fn exports(&self, name: &str) -> bool {
        match &self.public {
            _ if self.exports_more => true,
            Some(public) => public.iter().any(|public| public == name),
            None => !name.starts_with('_'),
        }
    }
}
