//! What a run does when it finds damage in the content store: it tells, and works again without
//! what is damaged.

use std::collections::BTreeSet;

use esb_model::Reporter;
use esb_oci::{ContentStore, Damage};

use crate::deployment::Deployment;

/// Damage that a run found.
#[derive(Debug, Default)]
pub(crate) struct FoundDamage(BTreeSet<Damage>);

impl FoundDamage {
    /// Tells what was found since this was asked last. Whether work that failed is to be done
    /// again: what was damaged is gone. What comes back damaged is not tried again: the disk breaks
    /// what is written to it, or nothing can be removed from the store.
    pub(crate) fn is_removed(&mut self, run: &Deployment) -> bool {
        let found = tell(&run.connections.store, &*run.reporter);
        let is_read = |damage: &Damage| matches!(damage, Damage::Blob { .. });
        let is_removed = found.iter().any(is_read) && found.is_disjoint(&self.0);
        self.0.extend(found);
        is_removed
    }
}

/// Warns of what was found damaged in a store and was not told yet.
pub(crate) fn tell(store: &ContentStore, reporter: &dyn Reporter) -> BTreeSet<Damage> {
    let found: BTreeSet<Damage> = store.take_damage().into_iter().collect();
    for damage in &found {
        let remade = match damage {
            Damage::Blob { .. } => "it is made or fetched again",
            Damage::Packages { .. } => "they are installed again",
            Damage::File { .. } => "it is made again",
            _ => "what they stood for is made again",
        };
        let text = format!("{damage}; {remade}");
        reporter.event(&esb_model::Event::Warning { text: &text });
    }
    found
}
