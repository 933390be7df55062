//! Checks whether a run belongs to the project that published under the same name before.
//!
//! Owns three judgements. A run that shares no function with what its owner published is another
//! application of the same name: its removals would be another one's losses. The same is a run that
//! would remove what another project published under that name, as far as projects are recorded.
//! The last run of the same project on the same machine speaks against the first. And a template that published before applications were recorded is the run's when path and a
//! function's name agree.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    EntryKey, Error, NameCollision, Owner, Owners, OwnershipState, Section,
    error::OtherProjectEntry,
};

/// The owners that a run publishes for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunOwners {
    /// The run's templates, as [`crate::Rendered::state`] names them: an entry of theirs that the
    /// run no longer has is removed.
    pub owners: BTreeSet<Owner>,
    /// Whether the run takes over entries of others that it has too.
    pub adopt: bool,
    /// An id that distinguishes the run's project from others whose application has the same name.
    pub project: Option<String>,
    /// Names of applications that other projects may have without meaning it.
    pub common_names: BTreeSet<String>,
    /// The owners under which the last run of the same project, on the same machine and for the same
    /// environment, published: an application keeps what it has when its name changes, or all of
    /// its functions' names do.
    pub former: BTreeSet<Owner>,
}

impl RunOwners {
    /// A run of these templates that takes nothing over.
    pub fn new(owners: impl IntoIterator<Item = Owner>) -> Self {
        Self { owners: owners.into_iter().collect(), ..Self::default() }
    }
}

impl RunOwners {
    /// Whether other projects may publish under this owner's name.
    fn is_common(&self, owner: &Owner) -> bool {
        owner.application().is_some_and(|name| self.common_names.contains(name))
    }

    /// Whether everything of an owner was published by the run's own project, as far as that is
    /// recorded, and the last run published as that owner.
    fn published_as(&self, owner: &Owner, before: &OwnershipState) -> bool {
        let recorded = before.recorded_projects();
        let of_owner = before.owners.iter().filter(|(_, of)| *of == owner);
        self.former.contains(owner)
            && of_owner
                .filter_map(|(entry, _)| recorded.get(&entry))
                .all(|project| self.project.as_ref() == Some(project))
    }

    /// The earlier names of the run's own templates.
    pub(crate) fn renamed(&self, before: &OwnershipState) -> BTreeSet<Owner> {
        let is_own = |owner: &&Owner| {
            !self.owners.contains(*owner)
                && self.owners.iter().any(|own| own.template() == owner.template())
                && self.published_as(owner, before)
        };
        self.former.iter().filter(is_own).cloned().collect()
    }
}

/// Entries of other projects that have the same application's name, and what a merge does with them.
#[derive(Default)]
pub(crate) struct ForeignFunctions {
    /// The project that published each entry last, after the run.
    pub(crate) projects: BTreeMap<EntryKey, String>,
    /// Entries that are the run's now and were another project's.
    pub(crate) replaced: Vec<EntryKey>,
}

/// Looks at the projects that published what the run replaces and removes. `is_changed` tells
/// whether an entry of the run differs from what is published.
///
/// # Errors
/// [`Error::OtherProject`] when the run would remove what another project published.
pub(crate) fn of_other_projects(
    before: &OwnershipState,
    after: &Owners,
    wanted: &Owners,
    run: &RunOwners,
    is_changed: impl Fn(&EntryKey) -> bool,
) -> Result<ForeignFunctions, Error> {
    let has = |owners: &Owners, entry: &EntryKey| !owners.of(entry.section, &entry.key).is_empty();
    let is_other = |project: &String| run.project.as_ref() != Some(project);
    let recorded = before.recorded_projects();
    let of_functions = projects_of_functions(before, &recorded, is_other);
    let mut others = ForeignFunctions::default();
    let mut lost = Vec::new();
    let published = before.owners.iter().map(|(entry, _)| entry).filter(is_recorded);
    for entry in published.collect::<BTreeSet<_>>() {
        let owners = before.owners.of(entry.section, &entry.key);
        let common = owners.iter().find(|own| run.owners.contains(*own) && run.is_common(own));
        let known = recorded.get(&entry);
        // Earlier versions recorded those of functions alone.
        let by_owner = || common.and_then(|owner| of_functions.get(owner).copied());
        let project = known.or_else(|| by_owner().filter(|_| entry.section != Section::Function));
        if let Some((owner, project)) = common.zip(project)
            && is_other(project)
            && !run.adopt
        {
            if !has(after, &entry) {
                lost.push(OtherProjectEntry {
                    entry: entry.clone(),
                    owner: owner.clone(),
                    published_by: project.clone(),
                    project: run.project.clone(),
                });
            } else if has(wanted, &entry) && is_changed(&entry) {
                others.replaced.push(entry.clone());
            }
        }
        if let Some(project) = known.filter(|_| has(after, &entry)) {
            others.projects.insert(entry, project.clone());
        }
    }
    if !lost.is_empty() {
        return Err(Error::OtherProject(lost));
    }
    for (entry, owner) in wanted.iter().filter(|(entry, _)| is_recorded(entry)) {
        if !run.is_common(owner) {
            others.projects.remove(&entry);
        } else if let Some(project) = &run.project
            && (run.adopt || is_changed(&entry) || !others.projects.contains_key(&entry))
        {
            others.projects.insert(entry, project.clone());
        }
    }
    Ok(others)
}

/// Whether it is recorded which project published an entry: images and schedules go with their
/// functions.
fn is_recorded(entry: &EntryKey) -> bool {
    !matches!(entry.section, Section::Image | Section::Schedule)
}

/// Another project that published a function of each owner last.
fn projects_of_functions<'a>(
    before: &'a OwnershipState,
    recorded: &'a BTreeMap<EntryKey, String>,
    is_other: impl Fn(&String) -> bool,
) -> BTreeMap<&'a Owner, &'a String> {
    let functions = recorded.iter().filter(|(entry, _)| entry.section == Section::Function);
    let others = functions.filter(|(_, project)| is_other(project));
    let owned = others.flat_map(|(entry, project)| {
        let owners = before.owners.of(entry.section, &entry.key);
        owners.iter().map(move |owner| (owner, project))
    });
    owned.collect()
}

/// The owners without an application whose entries the run may take as its own.
///
/// # Errors
/// [`Error::NameCollision`] when the run is another application than what it is called, unless it
/// takes over on purpose.
pub(crate) fn inherited(
    state: &OwnershipState,
    wanted: &Owners,
    run: &RunOwners,
) -> Result<BTreeSet<Owner>, Error> {
    let before = &state.owners;
    let mut inherited = BTreeSet::new();
    let mut collisions = Vec::new();
    for owner in run.owners.iter().filter(|owner| owner.application().is_some()) {
        let own = Comparison::new(before, owner, wanted, owner);
        let earlier = Owner::without_application(owner.template());
        let old = Comparison::new(before, &earlier, wanted, owner);
        if old.shares() {
            inherited.insert(earlier);
        }
        if run.adopt || run.published_as(owner, state) {
            continue;
        }
        let stranger = if own.is_published() {
            Some(own).filter(|own| !own.shares())
        } else {
            Some(old).filter(|old| old.is_published() && !old.shares())
        };
        collisions.extend(stranger.map(|stranger| stranger.into_collision(owner)));
    }
    if collisions.is_empty() { Ok(inherited) } else { Err(Error::NameCollision(collisions)) }
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

    fn into_collision(self, run: &Owner) -> NameCollision {
        NameCollision {
            published_by: self.owner,
            published: self.published.into_iter().collect(),
            run: run.clone(),
            wanted: self.wanted.into_iter().collect(),
        }
    }
}
