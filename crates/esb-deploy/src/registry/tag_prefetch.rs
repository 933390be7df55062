//! Starts HEAD requests for the last run's tags while templates are parsed.
//!
//! Most images are what the last run of the same settings pushed, and one that is unchanged needs
//! no other request. What a registry does not answer here is requested again when it is needed.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use esb_model::PublishTarget;
use esb_oci::{ContentStore, Digest, Manifest};
use esb_registry::{Client, KnownTag, PushSession, Repository};
use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use tokio::{
    runtime::Handle,
    sync::{OnceCell, oneshot},
};

use super::pushed_tags;
use crate::{
    error::Error,
    image_names::{Target, push_reference},
    made_image::MadeImage,
};

/// The record's kind in the content store: the names under which a run pushed, by its settings.
const RECORD: &str = "pushed-names-2";

/// The record of what a run pushed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct PushRecord {
    /// Whether the registry wanted no authentication: then all questions can be asked at once.
    is_open: bool,
    names: Vec<Pushed>,
}

/// The name of an image in the registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Pushed {
    registry: String,
    repository: String,
    /// The tag that every run moves.
    tag: String,
    /// Whether the image has a tag of its content too, which is the one that is asked for.
    has_content_tag: bool,
}

impl Pushed {
    fn at(&self) -> Repository {
        Repository { registry: self.registry.clone(), repository: self.repository.clone() }
    }
}

/// Whether a tag still leads to what was pushed last.
#[derive(Debug)]
struct Question {
    tag: String,
    digest: Digest,
    asked: Mutex<Option<oneshot::Receiver<bool>>>,
    /// Whether there was an answer.
    answered: OnceCell<bool>,
}

impl Question {
    async fn answered(&self) -> bool {
        let wait = async || {
            let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner).take();
            match asked {
                Some(asked) => asked.await.unwrap_or(false),
                None => false,
            }
        };
        *self.answered.get_or_init(wait).await
    }
}

/// The registry's answer about one image.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PrefetchResult {
    /// Whether the registry answered.
    answered: bool,
    /// What was pushed last, where it is still there.
    there: Option<Digest>,
}

/// The requests of a run that are under way.
#[derive(Debug)]
pub(crate) struct TagPrefetch {
    client: Client,
    store: ContentStore,
    session: PushSession,
    /// By repository and plain tag.
    questions: Mutex<HashMap<(String, String), Arc<Question>>>,
    last: Mutex<PushRecord>,
}

/// The names that runs of the same settings push: runs with other settings push other images.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PushedNames(Digest);

impl PushedNames {
    /// Makes a key of the folder of generated files, the registry with the tag, and the templates.
    pub(crate) fn new(
        generated: &Path,
        (registry, tag): (&PublishTarget, &str),
        templates: &[&PathBuf],
    ) -> Self {
        let place = registry.image("", tag).push();
        let text = format!("{}\n{place}\n{templates:?}", generated.display());
        Self(Digest::of(text.as_bytes()))
    }
}

impl TagPrefetch {
    pub(crate) fn new(client: Client, store: ContentStore, session: PushSession) -> Self {
        let (questions, last) = (Mutex::default(), Mutex::default());
        Self { client, store, session, questions, last }
    }

    /// Asks whether the registry still has what the last run pushed, `jobs` tags at a time. Asks
    /// nothing outside of a tokio runtime, and nothing a second time.
    pub(crate) fn start(&self, names: PushedNames, jobs: usize) {
        let Ok(runtime) = Handle::try_current() else { return };
        if !self.questions().is_empty() {
            return;
        }
        let last: PushRecord = self.store.record(RECORD, names.0).unwrap_or_default();
        let mut asks = Vec::new();
        for pushed in &last.names {
            let (at, plain) = (pushed.at(), pushed.tag.clone());
            let Some(digest) = pushed_tags::last_image(&self.store, &at, &plain) else { continue };
            let tag = if pushed.has_content_tag {
                if let Some(led) = pushed_tags::last(&self.store, &at, &plain) {
                    self.session.tag_recorded(&at, &plain, led);
                }
                Target::content_tag(&plain, digest)
            } else {
                plain.clone()
            };
            let (sender, receiver) = oneshot::channel();
            let repository_and_tag = (at.repository.clone(), plain);
            let question = Question {
                tag: tag.clone(),
                digest,
                asked: Mutex::new(Some(receiver)),
                answered: OnceCell::new(),
            };
            self.questions().insert(repository_and_tag, Arc::new(question));
            asks.push((at, tag, sender));
        }
        let (client, session) = (self.client.clone(), self.session.clone());
        let is_open = last.is_open;
        // In the order in which the answers will be needed.
        runtime.spawn(stream::iter(asks).for_each_concurrent(jobs, move |(at, tag, answer)| {
            let (client, session) = (client.clone(), session.clone());
            async move {
                let answered = client.ping_at(&at, &tag, is_open, &session).await;
                let _nobody_waits = answer.send(answered);
            }
        }));
        *self.last() = last;
    }

    /// Waits for the answer about an image, and returns whether there was one; `None` when nobody
    /// has asked.
    pub(crate) async fn wait(&self, at: &Repository, plain: &str) -> Option<PrefetchResult> {
        let named = (at.repository.clone(), plain.to_owned());
        let question = self.questions().get(&named).cloned()?;
        let answered = question.answered().await;
        let Question { tag, digest, .. } = &*question;
        let there = answered && self.session.tag(at, tag) == KnownTag::Confirmed(*digest);
        Some(PrefetchResult { answered, there: there.then_some(*digest) })
    }

    /// The digest and manifest of what was pushed last, where it is still there.
    pub(crate) fn manifest(&self, found: PrefetchResult) -> Option<(Digest, Vec<u8>)> {
        let digest = found.there?;
        Some((digest, self.store.document(digest)?))
    }

    /// Tells the session which blobs of another image than `digest` lie in the repository.
    pub(crate) fn note_blobs(&self, found: PrefetchResult, at: &Repository, digest: Digest) {
        if found.there != Some(digest)
            && let Some((there, bytes)) = self.manifest(found)
            && let Ok(manifest) = serde_json::from_slice::<Manifest>(&bytes)
        {
            self.session.manifest_seen(at, there, &manifest);
        }
    }

    /// Whether the registry answers; none where nobody has asked.
    pub(crate) async fn is_answered(&self) -> Option<bool> {
        let first = self.last().names.first().cloned()?;
        self.wait(&first.at(), &first.tag).await.map(|found| found.answered)
    }

    /// Remembers under which names a run pushed.
    pub(crate) fn remember(
        &self,
        names: PushedNames,
        registry: &PublishTarget,
        images: &[MadeImage],
        moving_tag: bool,
    ) -> Result<(), Error> {
        let mut pushed = Vec::with_capacity(images.len());
        // Bases first: functions are looked at when theirs is known.
        let (functions, bases): (Vec<_>, Vec<_>) =
            images.iter().partition(|image| image.is_function());
        for image in bases.into_iter().chain(functions) {
            let tag = image.tag.clone();
            let reference = push_reference(&registry.image(&image.repository, &tag))?;
            let Repository { registry, repository } = esb_registry::repository(&reference);
            let has_content_tag = image.is_function() || !moving_tag;
            pushed.push(Pushed { registry, repository, tag, has_content_tag });
        }
        // What is there for several platforms has one name.
        pushed.dedup();
        let is_open = pushed.iter().all(|name| self.client.is_open(&name.registry));
        let last = PushRecord { is_open, names: pushed };
        if *self.last() != last {
            self.store.set_record(RECORD, names.0, &last)?;
        }
        Ok(())
    }

    fn questions(&self) -> MutexGuard<'_, HashMap<(String, String), Arc<Question>>> {
        self.questions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn last(&self) -> MutexGuard<'_, PushRecord> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
