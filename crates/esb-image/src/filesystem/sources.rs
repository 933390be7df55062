//! The files of the build context that each step copies.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use esb_oci::Digest;

use crate::{
    context::{
        listing::Files,
        scan_cache::{Scan, files_of},
    },
    dockerfile::interpret::{Plan, StepAction},
};

/// The files of the context that each step copies, by stage and position of the step; one list for
/// each source.
#[derive(Debug, Default)]
pub(crate) struct Sources(HashMap<(usize, usize), Vec<Arc<Scan>>>);

impl Sources {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn insert(&mut self, step: (usize, usize), found: Vec<Arc<Scan>>) {
        self.0.insert(step, found);
    }

    pub(super) fn get(&self, step: (usize, usize)) -> &[Arc<Scan>] {
        self.0.get(&step).map_or(&[], |found| &**found)
    }

    /// A key of what each source holds, by place and name.
    pub(crate) fn describe(&self, plan: &Plan) -> BTreeMap<String, Digest> {
        self.places(plan).map(|(place, _, found)| (place, found.key)).collect()
    }

    /// The files of each source, by place and name.
    pub(crate) fn files<'a>(
        &'a self,
        plan: &'a Plan,
    ) -> impl Iterator<Item = (String, impl FnOnce() -> Files + use<'a>)> {
        self.places(plan).map(|(place, name, found)| (place, move || files_of(name, &found.found)))
    }

    fn places<'a>(&'a self, plan: &'a Plan) -> impl Iterator<Item = (String, &'a str, &'a Scan)> {
        self.0.iter().flat_map(|((stage, number), found)| {
            let sources = match &plan.stages[stage].steps[*number].action {
                StepAction::Copy(copy) => &*copy.sources,
                StepAction::Nothing | StepAction::MakeFolder { .. } => &[],
            };
            sources.iter().zip(found).enumerate().map(move |(position, (name, found))| {
                (format!("{stage}.{number}.{position} {name}"), &**name, &**found)
            })
        })
    }
}
