//! External images of image functions: where they come from, and their way into the internal
//! registry (docs/contracts/platform.md#external-images).

use std::{collections::BTreeMap, time::Duration};

use esb_model::{EnvValue, FunctionId, ImageRef, Package, Platform, PublishTarget};
use esb_oci::{Digest, Reference};
use esb_registry::{CopyScope, Internal, PushReport, Step, SyncItem, SyncPlan};
use futures_util::{StreamExt as _, stream};

use super::{
    Order,
    composed::{Composed, in_engine, of_engine, push, with_hooks},
    images::push_reference,
    run::Run,
    target::Target,
};
use crate::{
    access,
    cli::Prewarm,
    exit::{Exit, Failure},
    load::Loaded,
    lockfile::{LockFile, Pin, Pinned},
};

/// An image function and its image.
#[derive(Debug, Clone)]
pub(crate) struct External {
    pub(crate) function: FunctionId,
    pub(crate) platform: Platform,
    /// As in the template.
    pub(crate) source: String,
    pub(super) reference: Reference,
    /// The name in functions.yml.
    pub(crate) name: String,
    /// Where it goes; none when it lies in the internal registry already.
    pub(crate) target: Option<ImageRef>,
    /// It gets the hooks on its way: no tool can bring it there but this one.
    pub(crate) hooks: bool,
    /// The variable that loads those hooks, and what its value has to begin with.
    pub(super) hooks_loaded_by: Option<(String, String)>,
    /// What the target has or will have, once that is known.
    pub(crate) digest: Option<Digest>,
    /// What is planned for it, and later what was done.
    pub(crate) state: State,
}

/// How far the image of a function is.
#[derive(Debug, Clone, Default)]
pub(crate) enum State {
    /// Nobody asked.
    #[default]
    Unknown,
    /// The platform has it.
    Present,
    /// It will be copied: its bytes, and where it was found.
    Planned {
        bytes: u64,
        from: String,
    },
    Synced {
        report: PushReport,
        time: Duration,
    },
}

/// External images and what will be done for them.
#[derive(Default)]
pub(crate) struct Externals {
    pub(crate) images: Vec<External>,
    plan: Option<SyncPlan>,
    /// What is no plain copy.
    composed: Vec<Composed>,
    all_platforms: bool,
}

/// Finds all external images, and what forbids their sync, before any work.
pub(crate) fn find(
    run: &Run,
    loaded: &Loaded,
    target: &Target,
    order: &Order<'_>,
) -> Result<Externals, Failure> {
    let mut images = Vec::new();
    for function in &loaded.app.functions {
        let Package::Image(package) = &function.package else { continue };
        let name = function.effective_name();
        let source = match &package.uri {
            None => continue, // built from its own Dockerfile
            Some(EnvValue::Known(uri)) => uri.clone(),
            Some(EnvValue::Secret(uri)) => uri.reveal().clone(),
            Some(EnvValue::Symbolic(symbolic)) => {
                let text = format!("the image of `{name}` is `{symbolic}`, which only AWS knows");
                return Err(Failure::new(Exit::Input, "image-uri", text)
                    .hint("give the parameters that it depends on with `--parameter`"));
            }
        };
        let reference: Reference = source.parse().map_err(|error| {
            Failure::of(Exit::Input, "image-uri", &error)
                .during(format!("the image of `{name}` cannot be used"))
        })?;
        let Some(registry) = &target.registry else {
            let text =
                format!("`{name}` is an image function, and there is no registry to sync to");
            return Err(Failure::new(Exit::Input, "registry", text)
                .hint("name the internal registry with `--registry HOST[:PORT]`"));
        };
        let (name, target) = match esb_registry::internal_reference(&reference, registry) {
            Internal::Own(name) => (name, None),
            Internal::Copy(target) => (target.runtime(), Some(target)),
        };
        let architecture = run.platform.map_or(function.architecture(), |own| own.architecture);
        let platform = Platform { architecture };
        if order.publishes() {
            run.lock.need(Pinned::External, &source, platform);
        }
        images.push(External {
            function: function.id.clone(),
            platform,
            source,
            reference,
            name,
            target,
            hooks: order.deploy.is_some_and(|deploy| deploy.sync.image_hooks),
            hooks_loaded_by: None,
            digest: None,
            state: State::default(),
        });
    }
    if order.publishes()
        && order.prewarm() == Prewarm::Off
        && let Some(external) = images.iter().find(|external| external.target.is_some())
    {
        let text = format!(
            "`--image-prewarm=off`, but `{}` needs the external image `{}`",
            external.function.logical_id, external.source
        );
        return Err(Failure::new(Exit::Input, "prewarm", text)
            .hint("leave the flag out, so that the image is synced into the internal registry"));
    }
    let all_platforms = order.deploy.is_some_and(|deploy| deploy.sync.all_platforms);
    Ok(Externals { images, all_platforms, ..Externals::default() })
}

impl Externals {
    /// The images to sync, each with its functions.
    fn items(&self, lock: &LockFile) -> Result<BTreeMap<SyncItem, Vec<usize>>, Failure> {
        let mut by_target: BTreeMap<&Reference, (Reference, Vec<usize>)> = BTreeMap::new();
        for (at, external) in self.images.iter().enumerate() {
            let Some(target) = external.target.as_ref().filter(|_| !external.hooks) else {
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

    /// Finds out what has to be done for every image, and reports all that cannot be had at once.
    /// Nothing is written.
    pub(crate) async fn preflight(
        &mut self,
        run: &Run,
        registry: Option<&PublishTarget>,
    ) -> Result<(), Failure> {
        let items = self.items(&run.lock)?;
        let mut total = items.len();
        let plan = run.client.plan_sync(items.keys().cloned().collect(), run.jobs, &run.journal);
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
                            let known = run.lock.index(Pinned::External, name, digest);
                            let pin = Pin { digest, index: step.index().or(known) };
                            run.lock.found(Pinned::External, name, external.platform, pin);
                        }
                        external.state = match step {
                            Step::Present { .. } => State::Present,
                            Step::Copy(copy) => {
                                State::Planned { bytes: copy.bytes, from: copy.from.clone() }
                            }
                        };
                    }
                }
                Err(error) => {
                    let external = &self.images[functions[0]];
                    // Only what it was read from can be replaced by the engine.
                    let id = if error.is_absence() { in_engine(run, external).await } else { None };
                    let Some(id) = id else {
                        broken.push(access::not_synced(&external.source, error));
                        continue;
                    };
                    let (functions, push) = (functions.clone(), image.item.target.clone());
                    match of_engine(run, &mut self.images, functions, push, id).await {
                        Ok(composed) => self.composed.push(composed),
                        Err(failure) => broken.push(failure),
                    }
                    continue;
                }
            }
            images.push(image);
        }
        self.plan = Some(SyncPlan { images });
        if let Some(registry) = registry
            && self.images.iter().any(|external| external.hooks)
        {
            let (composed, failures) = with_hooks(run, registry, &mut self.images).await;
            total += composed.len() + failures.len();
            self.composed.extend(composed);
            broken.extend(failures);
        } else if let Some(registry) = registry {
            let own = self.images.iter_mut().filter(|external| external.target.is_none());
            let looked: Vec<_> = stream::iter(own)
                .map(|external| look(run, registry, external))
                .buffered(run.jobs)
                .collect()
                .await;
            total += looked.len();
            broken.extend(looked.into_iter().flatten());
        }
        access::none_synced(broken, total).map_or(Ok(()), Err)
    }

    /// Copies what the preflight found to be missing.
    pub(crate) async fn copy(&mut self, run: &Run) -> Result<(), Failure> {
        let Some(plan) = self.plan.take() else { return Ok(()) };
        let total = plan.images.len() + self.composed.len();
        let session = run.session.noting(run.journal.clone());
        let synced = run.client.sync(plan, run.jobs, false, &session, &run.events()).await;
        let items = self.items(&run.lock)?;
        let composed = std::mem::take(&mut self.composed);
        let mut done = composed.len();
        let mut failures = push(run, composed, &session, &mut self.images).await;
        done -= failures.len();
        for image in synced.images {
            let functions = items.get(&image.item).map(Vec::as_slice).unwrap_or_default();
            match image.report {
                Some(Ok(report)) => {
                    done += 1;
                    for at in functions {
                        let external = &mut self.images[*at];
                        external.digest = report.digest;
                        external.state = State::Synced { report: report.clone(), time: image.time };
                    }
                }
                Some(Err(error)) => {
                    let source = functions.first().map_or("", |at| &*self.images[*at].source);
                    failures.push(access::not_synced(source, &error));
                }
                None => {}
            }
        }
        let summary =
            |count| format!("{count} of {total} images could not be synced, {done} could");
        Failure::all(failures, summary).map_or(Ok(()), Err)?;
        run.lock.write()
    }
}

/// Finds an image of the internal registry itself.
async fn look(run: &Run, registry: &PublishTarget, external: &mut External) -> Option<Failure> {
    let here = external.reference.moved_to(registry.push_host(), None);
    match run.client.resolve(&here, external.platform).await {
        Ok(found) => {
            external.digest = Some(found.digest);
            external.state = State::Present;
            None
        }
        Err(error) => Some(access::failure(&error).during(format!(
            "the image `{}` of `{}` is not in the internal registry",
            external.source, external.function.logical_id
        ))),
    }
}
