//! Collects exports until no build runs, then reads all images from the engine in one stream.
//!
//! Owns which images share a stream: an engine that is asked for one image gives all of its base
//! with it, and one that is asked for many gives each layer once. Knows nothing of builds.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use esb_oci::{ContentStore, Image};
use tokio::{runtime::Handle, sync::oneshot};

use super::DockerEngine;
use crate::{Error, daemon::archive::ExportOptions};

/// Images of one stream. An engine keeps a copy of all of them while it sends.
const TOGETHER: usize = 64;

/// Takes images out of an engine. Clones share what they wait for.
#[derive(Debug, Clone)]
pub(super) struct Exports {
    engine: DockerEngine,
    store: ContentStore,
    state: Arc<Mutex<ExportQueue>>,
}

#[derive(Debug, Default)]
struct ExportQueue {
    running: usize,
    waiting: Vec<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    id: String,
    options: ExportOptions,
    answer: oneshot::Sender<Result<Image, Error>>,
}

impl Exports {
    pub(super) fn new(engine: DockerEngine, store: ContentStore) -> Self {
        Self { engine, store, state: Arc::default() }
    }

    /// Tells that a build runs, which others wait for.
    pub(super) fn running(&self) -> BuildInProgress {
        self.state().running += 1;
        BuildInProgress { exports: self.clone(), runtime: Handle::current() }
    }

    fn state(&self) -> MutexGuard<'_, ExportQueue> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn take(self, mut waiting: Vec<Waiting>) {
        // Who asked may be gone.
        waiting.retain(|one| !one.answer.is_closed());
        while !waiting.is_empty() {
            let epoch = waiting[0].options.epoch();
            let same = |one: &mut Waiting| one.options.epoch() == epoch;
            let together: Vec<Waiting> = waiting.extract_if(.., same).collect();
            let wanted = |one: &Waiting| (one.id.clone(), one.options.clone());
            let all = together.iter().map(wanted).collect();
            if together.len() > 1
                && let Ok(images) = self.engine.export_all(&self.store, all).await
            {
                for (one, image) in together.into_iter().zip(images) {
                    let _gone = one.answer.send(Ok(image));
                }
                continue;
            }
            // One alone; or what is wrong with one of several, which is for that one to hear.
            for one in together {
                let image = self.engine.export_all(&self.store, vec![wanted(&one)]).await;
                let _gone = one.answer.send(image.map(|mut images| images.remove(0)));
            }
        }
    }
}

/// A build that runs, until this is dropped.
#[derive(Debug)]
pub(super) struct BuildInProgress {
    exports: Exports,
    runtime: Handle,
}

impl BuildInProgress {
    /// Ends the build with an image of the engine, and waits for it.
    pub(super) async fn export(self, id: String, options: ExportOptions) -> Result<Image, Error> {
        let (answer, image) = oneshot::channel();
        let subject = id.clone();
        self.exports.state().waiting.push(Waiting { id, options, answer });
        drop(self);
        image.await.unwrap_or_else(|_| {
            let reason = "the work was given up".to_owned();
            Err(Error::Engine { action: "export", subject, reason })
        })
    }
}

impl Drop for BuildInProgress {
    fn drop(&mut self) {
        let together = {
            let mut state = self.exports.state();
            state.running -= 1;
            if state.running > 0 && state.waiting.len() < TOGETHER {
                return;
            }
            std::mem::take(&mut state.waiting)
        };
        if !together.is_empty() {
            self.runtime.spawn(self.exports.clone().take(together));
        }
    }
}
