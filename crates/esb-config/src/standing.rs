//! Whether a run is who published under its name before.
//!
//! Owns two judgements, both made before anything is merged. A run that shares no function with
//! what its owner published is another application of the same name: its removals would be another
//! one's losses. And a template that published before applications were recorded is the run's when
//! path and a function's name agree.

use std::collections::BTreeSet;

use crate::{EntryKey, Error, Namesake, Owner, Owners, Section};

/// For whom a run acts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunOwners {
    /// The run's templates, as [`crate::Rendered::state`] names them: an entry of theirs that the
    /// run no longer has is removed.
    pub owners: BTreeSet<Owner>,
    /// Whether the run takes over entries of others that it has too.
    pub adopt: bool,
}

impl RunOwners {
    /// A run of these templates that takes nothing over.
    pub fn new(owners: impl IntoIterator<Item = Owner>) -> Self {
        Self { owners: owners.into_iter().collect(), adopt: false }
    }
}

/// The owners without an application whose entries the run may take as its own.
///
/// # Errors
/// [`Error::Namesakes`] when the run is another application than what it is called, unless it
/// takes over on purpose.
pub(crate) fn inherited(
    before: &Owners,
    wanted: &Owners,
    run: &RunOwners,
) -> Result<BTreeSet<Owner>, Error> {
    let mut inherited = BTreeSet::new();
    let mut namesakes = Vec::new();
    for owner in run.owners.iter().filter(|owner| owner.application().is_some()) {
        let own = Comparison::new(before, owner, wanted, owner);
        let earlier = Owner::without_application(owner.template());
        let old = Comparison::new(before, &earlier, wanted, owner);
        if old.shares() {
            inherited.insert(earlier);
        }
        if run.adopt {
            continue;
        }
        let stranger = if own.is_published() {
            Some(own).filter(|own| !own.shares())
        } else {
            Some(old).filter(|old| old.is_published() && !old.shares())
        };
        namesakes.extend(stranger.map(|stranger| stranger.into_namesake(owner)));
    }
    if namesakes.is_empty() { Ok(inherited) } else { Err(Error::Namesakes(namesakes)) }
}

/// What an owner published beside what the run has for the same application: functions, and where
/// no function was published, everything else.
struct Comparison {
    owner: Owner,
    published: BTreeSet<EntryKey>,
    wanted: BTreeSet<EntryKey>,
}

impl Comparison {
    fn new(before: &Owners, owner: &Owner, wanted: &Owners, of_run: &Owner) -> Self {
        let all = |owners: &Owners, fits: &dyn Fn(&Owner) -> bool| -> BTreeSet<EntryKey> {
            owners.iter().filter(|(_, owner)| fits(owner)).map(|(entry, _)| entry).collect()
        };
        let mut published = all(before, &|other| other == owner);
        // A function may have moved from one of the run's templates to another.
        let mut wanted = all(wanted, &|other| other.application() == of_run.application());
        let is_function = |entry: &EntryKey| entry.section == Section::Function;
        if published.iter().any(is_function) {
            published.retain(is_function);
            wanted.retain(is_function);
        }
        Self { owner: owner.clone(), published, wanted }
    }

    fn is_published(&self) -> bool {
        !self.published.is_empty()
    }

    fn shares(&self) -> bool {
        !self.published.is_disjoint(&self.wanted)
    }

    fn into_namesake(self, run: &Owner) -> Namesake {
        Namesake {
            published_by: self.owner,
            published: self.published.into_iter().collect(),
            run: run.clone(),
            wanted: self.wanted.into_iter().collect(),
        }
    }
}
