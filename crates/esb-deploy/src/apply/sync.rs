//! Copies the external images of image functions into the internal registry
//! (docs/contracts/platform.md#external-images).

use std::collections::BTreeMap;

use esb_model::PublishTarget;
use esb_oci::Reference;
use esb_registry::{CopyScope, SyncItem, SyncPlan, SyncStep};
use futures_util::{StreamExt as _, stream};

use crate::{
    apply::derived::{DerivedImage, changed, in_engine, of_engine, push},
    deployment::Deployment,
    error::{Error, none_synced, not_synced},
    external::{External, ExternalState},
    image_names::push_reference,
    lockfile::{LockFile, Pin, Pinned},
};

/// External images and what will be done for them.
#[derive(Debug, Default)]
pub(crate) struct Externals {
    pub(crate) images: Vec<External>,
    plan: Option<SyncPlan>,
    /// What is no plain copy.
    derived: Vec<DerivedImage>,
    all_platforms: bool,
}

impl Externals {
    pub(crate) fn new(images: Vec<External>, all_platforms: bool) -> Self {
        Self { images, all_platforms, ..Self::default() }
    }

    /// The images to sync, each with its functions.
    fn items(&self, lock: &LockFile) -> Result<BTreeMap<SyncItem, Vec<usize>>, Error> {
        let mut by_target: BTreeMap<&Reference, (Reference, Vec<usize>)> = BTreeMap::new();
        for (at, external) in self.images.iter().enumerate() {
            let Some(target) = external.target.as_ref().filter(|_| !external.is_changed()) else {
                continue;
            };
            let target = push_reference(target)?;
            by_target.entry(&external.reference).or_insert((target, Vec::new())).1.push(at);
        }
        let item = |(source, (target, functions)): (&Reference, (Reference, Vec<usize>))| {
            let platform = self.images[functions[0]].platform;
            // One name cannot be two images: functions of two platforms share an index.
            let mixed = functions.iter().any(|at| self.images[*at].platform != platform);
            let whole = self.all_platforms || mixed;
            let scope = if whole { CopyScope::Whole } else { CopyScope::Platform(platform) };
            let text = &self.images[functions[0]].source;
            let (manifest, index) = match source.digest() {
                Some(_) => (None, None),
                None => lock.pins(Pinned::External, text, platform),
            };
            let expected = if whole { index } else { manifest };
            let pin = expected.or(index);
            let source = pin.map_or_else(|| source.clone(), |digest| source.with_digest(digest));
            (SyncItem { source, target, scope, expected }, functions)
        };
        Ok(by_target.into_iter().map(item).collect())
    }

    /// Plans the copy of every image, and reports together all that cannot be read. Nothing is
    /// written.
    pub(crate) async fn preflight(
        &mut self,
        run: &Deployment,
        registry: Option<&PublishTarget>,
    ) -> Result<(), Error> {
        let items = self.items(&run.learned.lock)?;
        let mut total = items.len();
        let plan = run.connections.client.plan_sync(
            items.keys().cloned().collect(),
            run.jobs(),
            &run.learned.journal,
        );
        let planned = plan.await.images;
        let (mut images, mut broken) = (Vec::new(), Vec::new());
        for (image, functions) in planned.into_iter().zip(items.values()) {
            match &image.step {
                Ok(step) => {
                    for at in functions {
                        let external = &mut self.images[*at];
                        external.digest = Some(step.digest());
                        if external.reference.digest().is_none()
                            && matches!(image.item.scope, CopyScope::Platform(_))
                        {
                            let (name, digest) = (&external.source, step.digest());
                            let known = run.learned.lock.index(Pinned::External, name, digest);
                            let pin = Pin { digest, index: step.index().or(known) };
                            run.learned.lock.found(Pinned::External, name, external.platform, pin);
                        }
                        external.state = match step {
                            SyncStep::Present { .. } => ExternalState::Present,
                            SyncStep::Copy(copy) => ExternalState::Planned {
                                bytes: copy.bytes,
                                from: copy.from.clone(),
                            },
                        };
                    }
                }
                Err(error) => {
                    let external = &self.images[functions[0]];
                    // Only what it was read from can be replaced by the engine.
                    let id = if error.is_absence() { in_engine(run, external).await } else { None };
                    let Some(id) = id else {
                        broken.push(not_synced(&external.source, error));
                        continue;
                    };
                    let (functions, push) = (functions.clone(), image.item.target.clone());
                    match of_engine(run, &mut self.images, functions, push, id).await {
                        Ok(derived) => self.derived.push(derived),
                        Err(failure) => broken.push(failure),
                    }
                    continue;
                }
            }
            images.push(image);
        }
        self.plan = Some(SyncPlan { images });
        if let Some(registry) = registry {
            let is_own =
                |external: &&mut External| external.target.is_none() && !external.is_changed();
            let looked: Vec<_> = stream::iter(self.images.iter_mut().filter(is_own))
                .map(|external| look(run, registry, external))
                .buffered(run.jobs())
                .collect()
                .await;
            total += looked.len();
            broken.extend(looked.into_iter().flatten());
            let (derived, failures) = changed(run, registry, &mut self.images).await;
            total += derived.len() + failures.len();
            self.derived.extend(derived);
            broken.extend(failures);
        }
        none_synced(broken, total).map_or(Ok(()), Err)
    }

    /// Copies what the preflight found to be missing.
    pub(crate) async fn copy(&mut self, run: &Deployment) -> Result<(), Error> {
        let Some(plan) = self.plan.take() else { return Ok(()) };
        let total = plan.images.len() + self.derived.len();
        let session = run.learned.session.noting(run.learned.journal.clone());
        let synced =
            run.connections.client.sync(plan, run.jobs(), false, &session, &run.events()).await;
        let items = self.items(&run.learned.lock)?;
        let derived = std::mem::take(&mut self.derived);
        let mut done = derived.len();
        let mut failures = push(run, derived, &session, &mut self.images).await;
        done -= failures.len();
        for image in synced.images {
            // By its target: what the plan found may be pinned by now.
            let item = items.iter().find(|(item, _)| item.target == image.item.target);
            let functions = item.map(|(_, functions)| functions.as_slice()).unwrap_or_default();
            match image.report {
                Some(Ok(report)) => {
                    done += 1;
                    for at in functions {
                        let external = &mut self.images[*at];
                        external.digest = report.digest;
                        external.state =
                            ExternalState::Synced { report: report.clone(), time: image.time };
                    }
                }
                Some(Err(error)) => {
                    let source = functions.first().map(|at| self.images[*at].source.clone());
                    let source = source.unwrap_or_else(|| image.item.source.to_string());
                    failures.push(not_synced(&source, &error));
                }
                None => {}
            }
        }
        let summary =
            |count| format!("{count} of {total} images could not be synced, {done} could");
        Error::all(failures, summary).map_or(Ok(()), Err)?;
        run.learned.lock.write()
    }
}

/// Finds an image of the internal registry itself.
async fn look(
    run: &Deployment,
    registry: &PublishTarget,
    external: &mut External,
) -> Option<Error> {
    let here = external.reference.moved_to(registry.push_host(), None);
    match run.connections.client.resolve(&here, external.platform).await {
        Ok(found) => {
            external.digest = Some(found.digest);
            external.state = ExternalState::Present;
            None
        }
        Err(error) => Some(Error::from(&error).during(format!(
            "the image `{}` of `{}` is not in the internal registry",
            external.source, external.function.logical_id
        ))),
    }
}
