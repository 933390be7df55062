//! Questions that are asked before their answers are needed.
//!
//! Owns the guess which they will be: most images are what the last run of the same settings
//! pushed, so the registry is asked for those while templates and files are still being looked at.
//! An image that is unchanged needs no other request. Refuses to judge: what a registry does not
//! answer here is asked again by whoever needs it. Refuses to know where tags lead: that is
//! [`super::pushed`].

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use esb_model::PublishTarget;
use esb_oci::{Digest, Manifest};
use esb_registry::{KnownTag, Repository};
use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use tokio::sync::{OnceCell, oneshot};

use super::{Order, bases::Made, images::push_reference, pushed, run::Run, target::Target};
use crate::exit::Failure;

/// The record's kind in the content store: the names under which a run pushed, by its settings.
const RECORD: &str = "pushed-names-2";

/// What a run pushed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Last {
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

/// What became of a question.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settled {
    /// Whether the registry answered.
    answered: bool,
    /// What was pushed last, where it is still there.
    there: Option<Digest>,
}

impl Settled {
    /// The digest and manifest of what was pushed last, where it is still there.
    pub(crate) fn last(self, run: &Run) -> Option<(Digest, Vec<u8>)> {
        let digest = self.there?;
        Some((digest, run.store.document(digest)?))
    }

    /// Tells the session which blobs of another image than `digest` lie in the repository.
    pub(crate) fn tell(self, run: &Run, at: &Repository, digest: Digest) {
        if self.there != Some(digest)
            && let Some((there, bytes)) = self.last(run)
            && let Ok(manifest) = serde_json::from_slice::<Manifest>(&bytes)
        {
            run.session.manifest_seen(at, there, &manifest);
        }
    }
}

/// The questions of a run that are under way.
#[derive(Debug, Default)]
pub(crate) struct Early {
    /// By repository and plain tag.
    questions: Mutex<HashMap<(String, String), Arc<Question>>>,
    last: Mutex<Last>,
}

impl Early {
    /// Asks whether the registry still has what the last run pushed.
    pub(crate) fn ask(run: &Run, order: &Order<'_>) {
        let build = order.build;
        let pushes = build.to.is_empty() || build.to.iter().any(|to| to == "registry");
        if !pushes || build.plan.dry_run {
            return;
        }
        let registry = run.registry.configured.as_ref().unwrap_or(&run.registry.default);
        let last: Last = run.store.record(RECORD, key(run, registry)).unwrap_or_default();
        let mut asks = Vec::new();
        for pushed in &last.names {
            let (at, plain) = (pushed.at(), pushed.tag.clone());
            let Some(digest) = pushed::last(run, &at, &plain) else { continue };
            let tag = if pushed.has_content_tag {
                run.session.tag_recorded(&at, &plain, digest);
                Target::content_tag(&plain, digest)
            } else {
                plain.clone()
            };
            let (answer, asked) = oneshot::channel();
            let asked = Mutex::new(Some(asked));
            let named = (at.repository.clone(), plain);
            let question = Question { tag: tag.clone(), digest, asked, answered: OnceCell::new() };
            run.early.questions().insert(named, Arc::new(question));
            asks.push((at, tag, answer));
        }
        let (client, session, jobs) = (run.client.clone(), run.session.clone(), run.jobs);
        let is_open = last.is_open;
        // In the order in which the answers will be needed.
        tokio::spawn(stream::iter(asks).for_each_concurrent(jobs, move |(at, tag, answer)| {
            let (client, session) = (client.clone(), session.clone());
            async move {
                let answered = client.ping_at(&at, &tag, is_open, &session).await;
                let _nobody_waits = answer.send(answered);
            }
        }));
        *run.early.last() = last;
    }

    /// Waits for the answer about an image, and tells whether there was one; none where nobody has
    /// asked.
    pub(crate) async fn settle(run: &Run, at: &Repository, plain: &str) -> Option<Settled> {
        let named = (at.repository.clone(), plain.to_owned());
        let question = run.early.questions().get(&named).cloned()?;
        let answered = question.answered().await;
        let Question { tag, digest, .. } = &*question;
        let there = answered && run.session.tag(at, tag) == KnownTag::Confirmed(*digest);
        Some(Settled { answered, there: there.then_some(*digest) })
    }

    /// Whether the registry answers; none where nobody has asked.
    pub(crate) async fn is_answered(run: &Run) -> Option<bool> {
        let first = run.early.last().names.first().cloned()?;
        Self::settle(run, &first.at(), &first.tag).await.map(|settled| settled.answered)
    }

    /// Remembers under which names this run pushed.
    pub(crate) fn remember(run: &Run, target: &Target, made: &Made) -> Result<(), Failure> {
        let Some(registry) = &target.registry else { return Ok(()) };
        let mut names = Vec::with_capacity(made.images.len());
        // Bases first: functions are looked at when theirs is settled.
        let (functions, bases): (Vec<_>, Vec<_>) =
            made.images.iter().partition(|image| image.is_function());
        for image in bases.into_iter().chain(functions) {
            let tag = image.tag.clone();
            let reference = push_reference(&registry.image(&image.repository, &tag))?;
            let Repository { registry, repository } = esb_registry::repository(&reference);
            let has_content_tag = image.is_function();
            names.push(Pushed { registry, repository, tag, has_content_tag });
        }
        // What is there for several platforms has one name.
        names.dedup();
        let is_open = names.iter().all(|name| run.client.is_open(&name.registry));
        let last = Last { is_open, names };
        if *run.early.last() != last {
            run.store.set_record(RECORD, key(run, registry), &last)?;
        }
        Ok(())
    }

    fn questions(&self) -> MutexGuard<'_, HashMap<(String, String), Arc<Question>>> {
        self.questions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs with other settings push other images.
fn key(run: &Run, registry: &PublishTarget) -> Digest {
    let place = registry.image("", &run.tag).push();
    let templates: Vec<_> = run.project.templates.iter().map(|file| &file.path).collect();
    let text = format!("{}\n{place}\n{templates:?}", run.project.generated().display());
    Digest::of(text.as_bytes())
}
