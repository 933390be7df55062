//! What a source of `COPY` holds, looked up once for all builds that run at the same time.
//!
//! Owns that memory, which is empty as soon as no build or batch of builds runs: fifty functions
//! with one shared layer walk it once, and the next run walks it again. Refuses to remember
//! failures.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use esb_oci::Digest;

use crate::{context::Selected, filesystem::apply::describe};

/// What decides about the result of a look.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// The context's folder.
    pub(crate) folder: PathBuf,
    pub(crate) dockerignore: String,
    pub(crate) source: String,
    /// Remembered digests are good enough.
    pub(crate) trust: bool,
}

/// What a source holds.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) found: Vec<Selected>,
    /// Changes exactly when what was found does.
    pub(crate) key: Digest,
}

/// Of several who look at the same one works and the others wait.
type Cell = Arc<Mutex<Option<Arc<Look>>>>;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Looks(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    running: usize,
    found: HashMap<Key, Cell>,
    /// Contexts' folders without links, by how they are named.
    folders: HashMap<PathBuf, PathBuf>,
}

impl Looks {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells that a build or a batch runs, until the result is dropped.
    pub(crate) fn running(&self) -> Running<'_> {
        self.state().running += 1;
        Running(self)
    }

    /// A folder without the links on the way to it.
    pub(crate) fn folder(&self, path: &Path) -> io::Result<PathBuf> {
        if let Some(folder) = self.state().folders.get(path) {
            return Ok(folder.clone());
        }
        let folder = path.canonicalize()?;
        self.state().folders.insert(path.to_owned(), folder.clone());
        Ok(folder)
    }

    /// What was found by a build that still runs or ran beside this one; else looks. Somebody who
    /// looks already is waited for.
    pub(crate) fn find<E>(
        &self,
        key: Key,
        look: impl FnOnce() -> Result<Vec<Selected>, E>,
    ) -> Result<Arc<Look>, E> {
        let cell = Arc::clone(self.state().found.entry(key).or_default());
        let mut cell = cell.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(look) = &*cell {
            return Ok(Arc::clone(look));
        }
        let found = look()?;
        let key = describe(&found);
        Ok(Arc::clone(cell.insert(Arc::new(Look { found, key }))))
    }
}

/// See [`Looks::running`].
#[derive(Debug)]
pub(crate) struct Running<'a>(&'a Looks);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.running -= 1;
        if state.running == 0 {
            state.found.clear();
            state.folders.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_lasts_as_long_as_builds_overlap() {
        let looks = Looks::default();
        let key = Key {
            folder: "f".into(),
            dockerignore: String::new(),
            source: "s".to_owned(),
            trust: true,
        };
        let found = |name: &str| {
            let name = name.to_owned();
            vec![Selected { name, is_folder: false, items: Vec::new() }]
        };
        let look = |result: Result<Vec<Selected>, ()>| {
            looks.find(key.clone(), || result).map(|look| look.found[0].name.clone())
        };
        let first = looks.running();
        assert_eq!(look(Err(())), Err(()));
        assert_eq!(look(Ok(found("one"))), Ok("one".to_owned()), "failures are not kept");
        let second = looks.running();
        drop(first);
        assert_eq!(look(Ok(found("two"))), Ok("one".to_owned()));
        drop(second);
        assert_eq!(look(Ok(found("three"))), Ok("three".to_owned()));
    }
}
