//! Makes an image from its prepared inputs.
//!
//! Owns the order: apply the steps, make layers, config and manifest; and what is remembered of them.

use std::{collections::BTreeMap, sync::Arc};

use esb_oci::Image;

use super::{Inner, Prepared, job::Job, report};
use crate::{
    Action, BuildReport, Error, Pins,
    dockerfile::Fault,
    filesystem::{
        apply::{Applied, AppliedSteps, StepApplier},
        base_contents::Bases,
        base_index::{BaseIndex, compact},
        node::Changes,
    },
    image::{
        assemble::{self, ImageContents},
        layer::{LayerBlob, LayerError, LayerRequest},
    },
};

/// An image that was put together and is not written yet.
pub(super) struct AssembledImage {
    pub(super) image: Image,
    /// What lies in it, when others are built on it.
    pub(super) index: Option<Arc<BaseIndex>>,
    pub(super) pins: Pins,
}

impl Inner {
    pub(super) fn make(
        &self,
        job: &Job,
        prepared: &Prepared,
        applied: &AppliedSteps,
    ) -> Result<BuildReport, Error> {
        let Prepared { plan, sources, parts, .. } = prepared;
        let reason = self.why(job, plan, sources, parts);
        let layer_request = layer_request(job, prepared);
        let layer = |changes: &Changes| self.layers.make(changes, layer_request).map(Some);
        let assembled = self.assemble(job, prepared, applied, layer)?;
        let assembled = assembled.expect("each layer is made");
        self.remember(job, prepared, &assembled)?;
        for (part, key) in parts.each() {
            self.listings.keep(key, || job.listing(part, plan, sources));
        }
        Ok(report(assembled.image, Action::Built, reason, assembled.pins))
    }

    /// The file system of the image, as far as `bases` were read.
    pub(super) fn apply_steps(
        &self,
        job: &Job,
        prepared: &Prepared,
        bases: &Bases,
    ) -> Result<Applied, Error> {
        let Prepared { plan, sources, .. } = prepared;
        let applier = StepApplier::new(&self.store, self.settings.unpack, bases);
        applier.apply_all(plan, sources).map_err(|fault| match fault {
            Fault::Problem(problem) => job.problem(problem),
            Fault::Error(error) => *error,
        })
    }

    /// The image of layers that are made, or found, one for each step that changed something;
    /// `None` when one is not found.
    pub(super) fn assemble(
        &self,
        job: &Job,
        prepared: &Prepared,
        applied: &AppliedSteps,
        layer: impl Fn(&Changes) -> Result<Option<LayerBlob>, LayerError>,
    ) -> Result<Option<AssembledImage>, Error> {
        let target = prepared.plan.target();
        let mut steps: Vec<(String, Option<LayerBlob>)> = Vec::new();
        let mut pins = Pins::default();
        for (step, changes) in target.steps.iter().zip(&applied.changes) {
            if changes.is_empty() {
                steps.push((job.shown(step), None));
                continue;
            }
            let Some(made) = layer(changes).map_err(|error| job.layer_error(error))? else {
                return Ok(None);
            };
            if job.brings_packages(step) {
                pins.packages = Some((made.layer.key, made.layer.diff_id));
            }
            steps.push((job.shown(step), Some(made)));
        }
        let index = job.index_of(applied);
        let mut annotations = BTreeMap::new();
        if let Some(text) = index.as_deref().and_then(compact::encode) {
            annotations.insert(job.names.base_index.clone(), text);
        }
        let (base, config, epoch) = (job.base(target), prepared.config.clone(), job.epoch);
        let key = prepared.parts.key();
        let parts = ImageContents { base, config, steps, epoch, names: &job.names, annotations };
        let image = assemble::assemble(parts, &self.store, key)?;
        pins.image = Some((key, image.digest()));
        Ok(Some(AssembledImage { image, index, pins }))
    }

    /// Writes what there is of an image beside its layers, and remembers it.
    pub(super) fn remember(
        &self,
        job: &Job,
        prepared: &Prepared,
        assembled: &AssembledImage,
    ) -> Result<(), Error> {
        assemble::remember(&assembled.image, &self.store, job.memory(prepared.parts.key()))?;
        if let Some(index) = &assembled.index {
            self.keep_index(&assembled.image, index)?;
        }
        Ok(job.last_parts(&self.store).write(&prepared.parts)?)
    }
}

/// What a build's layers are made for.
pub(super) fn layer_request<'a>(job: &'a Job, prepared: &'a Prepared) -> LayerRequest<'a> {
    let (epoch, trust) = (job.epoch, job.trust);
    LayerRequest { epoch, trust, earlier: &prepared.earlier, pins: &job.pins }
}
