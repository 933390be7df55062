//! Decides which owners keep, gain and lose each entry.
//!
//! The one place that knows the rules of ownership; knows nothing of files.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Adopted, Change, ChangeKind, Conflict, EntryKey, Error, Owner, Owners, OwnershipState,
    RunOwners, Section, standing,
};

/// Books of one merge.
pub(crate) struct Ledger<'a> {
    /// Owners of what is published.
    before: &'a Owners,
    /// Owners of what the run has.
    wanted: &'a Owners,
    run: &'a RunOwners,
    /// Owners without an application whose entries the run takes as its own.
    inherited: BTreeSet<Owner>,
    /// Earlier names of the run's own templates: what they have is the run's.
    renamed: BTreeSet<Owner>,
    result: MergeResult,
    conflicts: Vec<Conflict>,
}

/// The result of a merge, over all sections.
#[derive(Default)]
pub(crate) struct MergeResult {
    pub(crate) owners: Owners,
    pub(crate) changes: Vec<Change>,
    pub(crate) adopted: Vec<Adopted>,
    /// Kept entries without an owner.
    pub(crate) unowned: Vec<EntryKey>,
    /// Kept entries of templates of the run, from before applications were recorded.
    pub(crate) left: Vec<(EntryKey, Owner)>,
}

/// What a merge does with a published entry.
enum EntryDecision {
    /// The run's entry takes its place.
    Replaced,
    /// It stays, and the run is one of its owners.
    Shared,
    /// It stays with the owners that are not the run's.
    Kept,
    Removed,
}

impl<'a> Ledger<'a> {
    pub(crate) fn new(
        state: &'a OwnershipState,
        wanted: &'a Owners,
        run: &'a RunOwners,
    ) -> Result<Self, Error> {
        let inherited = standing::inherited(state, wanted, run)?;
        let (before, renamed) = (&state.owners, run.renamed(state));
        let (result, conflicts) = (MergeResult::default(), Vec::new());
        Ok(Self { before, wanted, run, inherited, renamed, result, conflicts })
    }

    /// The entries of a section after the run: those kept in their order, then the run's.
    pub(crate) fn settle<T: PartialEq + Clone>(
        &mut self,
        section: Section,
        old: Vec<(String, T)>,
        new: Vec<(String, T)>,
    ) -> Vec<(String, T)> {
        let mut wanted: BTreeMap<String, T> = new.into_iter().collect();
        let mut result = Vec::with_capacity(old.len() + wanted.len());
        let mut seen: BTreeMap<String, T> = BTreeMap::new();
        for (key, entry) in old {
            let first = !seen.contains_key(&key);
            match self.fate(section, &key, &entry, wanted.get(&key), first) {
                EntryDecision::Removed if first => self.change(section, &key, ChangeKind::Removed),
                EntryDecision::Removed | EntryDecision::Replaced => {}
                EntryDecision::Shared => {
                    wanted.remove(&key);
                    self.own(section, &key, self.wanted.of(section, &key));
                    result.push((key.clone(), entry.clone()));
                }
                EntryDecision::Kept => {
                    self.keep(section, &key);
                    result.push((key.clone(), entry.clone()));
                }
            }
            seen.entry(key).or_insert(entry);
        }
        for (key, entry) in wanted {
            match seen.get(&key) {
                None => self.change(section, &key, ChangeKind::Added),
                Some(before) if *before != entry => self.change(section, &key, ChangeKind::Changed),
                Some(_) => {}
            }
            self.own(section, &key, self.wanted.of(section, &key));
            result.push((key, entry));
        }
        result
    }

    /// Returns the result, or an error when two owners claim the same entry.
    pub(crate) fn close(mut self) -> Result<MergeResult, Error> {
        if self.conflicts.is_empty() {
            self.release();
            return Ok(self.result);
        }
        // An image has its function's name, and one of both says enough.
        let all: BTreeSet<EntryKey> =
            self.conflicts.iter().map(|conflict| conflict.entry.clone()).collect();
        let is_told = |entry: &EntryKey| {
            entry.section == Section::Image
                && all.contains(&EntryKey::new(Section::Function, &entry.key))
        };
        self.conflicts.retain(|conflict| !is_told(&conflict.entry));
        Err(Error::Conflict(self.conflicts))
    }

    /// Takes from an owner whose last functions and routes were taken over the resources that the
    /// run has too: nobody publishes under its name any more.
    fn release(&mut self) {
        let from = self.result.adopted.iter().filter(|adopted| !may_share(adopted.entry.section));
        let from: BTreeSet<Owner> = from.filter_map(|adopted| adopted.from.clone()).collect();
        let remaining = self.result.owners.iter();
        let remaining = remaining.filter(|(entry, _)| !may_share(entry.section));
        let alive: BTreeSet<Owner> = remaining.map(|(_, owner)| owner.clone()).collect();
        for owner in from.difference(&alive).filter(|owner| !self.run.owners.contains(*owner)) {
            let all = self.result.owners.iter();
            let entries = all.filter(|(entry, of)| *of == owner && may_share(entry.section));
            let entries = entries.map(|(entry, _)| entry);
            let shared: Vec<EntryKey> = entries
                .filter(|entry| !self.wanted.of(entry.section, &entry.key).is_empty())
                .collect();
            for entry in shared {
                self.result.owners.drop(&entry, owner);
                self.result.adopted.push(Adopted { entry, from: Some(owner.clone()) });
            }
        }
    }

    /// Judges one published entry, and keeps the books of who else has it.
    fn fate<T: PartialEq>(
        &mut self,
        section: Section,
        key: &str,
        entry: &T,
        wanted: Option<&T>,
        first: bool,
    ) -> EntryDecision {
        let owners = self.before.of(section, key);
        let is_other = |owner: &&Owner| !self.run.owners.contains(*owner);
        let others: BTreeSet<Owner> = owners.iter().filter(is_other).cloned().collect();
        let Some(wanted) = wanted else {
            let has_others = others.iter().any(|owner| !self.renamed.contains(owner));
            return if !owners.is_empty() && !has_others {
                EntryDecision::Removed
            } else {
                EntryDecision::Kept
            };
        };
        let entry_key = || EntryKey::new(section, key);
        if owners.is_empty() {
            if first {
                self.result.adopted.push(Adopted { entry: entry_key(), from: None });
            }
            return EntryDecision::Replaced;
        }
        let (inherited, others): (BTreeSet<Owner>, BTreeSet<Owner>) = others
            .into_iter()
            .partition(|owner| self.inherited.contains(owner) || self.renamed.contains(owner));
        if may_share(section) && (wanted == entry || is_only_listed(section)) && !others.is_empty()
        {
            self.own(section, key, &others);
            return EntryDecision::Shared;
        }
        if !self.run.adopt && !others.is_empty() {
            if first {
                self.conflict(entry_key(), &others);
            }
            return EntryDecision::Replaced;
        }
        if may_share(section) {
            // What the others need stays when the run lets go of it.
            self.own(section, key, &others);
        }
        for owner in inherited.into_iter().chain(others).filter(|_| first) {
            self.result.adopted.push(Adopted { entry: entry_key(), from: Some(owner) });
        }
        EntryDecision::Replaced
    }

    /// Keeps an entry that the run does not have.
    fn keep(&mut self, section: Section, key: &str) {
        let owners = self.before.of(section, key);
        let entry = EntryKey::new(section, key);
        if owners.is_empty() {
            self.result.unowned.push(entry);
            return;
        }
        let is_ours =
            |owner: &Owner| self.run.owners.contains(owner) || self.renamed.contains(owner);
        let others: Vec<&Owner> = owners.iter().filter(|owner| !is_ours(owner)).collect();
        let is_left = |owner: &&&Owner| {
            let mut run = self.run.owners.iter();
            owner.application().is_none() && run.any(|own| own.template() == owner.template())
        };
        let left = others.iter().find(is_left).map(|owner| (entry, Owner::clone(owner)));
        self.result.left.extend(left);
        for owner in others {
            self.result.owners.add(section, key, owner.clone());
        }
    }

    fn own(&mut self, section: Section, key: &str, owners: &BTreeSet<Owner>) {
        for owner in owners {
            self.result.owners.add(section, key, owner.clone());
        }
    }

    fn conflict(&mut self, entry: EntryKey, others: &BTreeSet<Owner>) {
        let wanted_by = self.wanted.of(entry.section, &entry.key).first();
        let pair = others.first().zip(wanted_by);
        self.conflicts.extend(pair.map(|(published_by, wanted_by)| Conflict {
            entry,
            published_by: published_by.clone(),
            wanted_by: wanted_by.clone(),
        }));
    }

    fn change(&mut self, section: Section, key: &str, kind: ChangeKind) {
        let is_removed = kind == ChangeKind::Removed;
        let details = if is_removed { what_stays(section) } else { Vec::new() };
        let entry = EntryKey::new(section, key);
        self.result.changes.push(Change { entry, kind, details, route: None });
    }
}

/// Whether several owners may have the same entry, as long as it is equal: both need the table.
fn may_share(section: Section) -> bool {
    matches!(section, Section::Table | Section::Bucket | Section::Layer)
}

/// Whether the value of an entry is not used by any reader; then the first owner's stays.
fn is_only_listed(section: Section) -> bool {
    section == Section::Layer
}

/// What the platform keeps of an entry that is removed: its Provisioner only creates.
fn what_stays(section: Section) -> Vec<String> {
    let text = match section {
        Section::Table => "its definition only; the database keeps the table and its data",
        Section::Bucket => "its definition only; the object store keeps the bucket and its objects",
        _ => return Vec::new(),
    };
    vec![text.to_owned()]
}
