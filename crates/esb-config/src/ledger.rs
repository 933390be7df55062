//! Who keeps, gets and loses an entry.
//!
//! The one place that knows the rules of ownership; knows nothing of files.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Change, ChangeKind, Conflict, EntryKey, Error, Owners, Section};

/// Books of one merge.
pub(crate) struct Ledger<'a> {
    /// Owners of what is published.
    before: &'a Owners,
    /// Owners of what the run has.
    wanted: &'a Owners,
    /// The templates of the run.
    run: &'a BTreeSet<String>,
    settlement: Settlement,
    conflicts: Vec<Conflict>,
}

/// What a merge leads to, over all sections.
#[derive(Default)]
pub(crate) struct Settlement {
    pub(crate) owners: Owners,
    pub(crate) changes: Vec<Change>,
    /// Kept entries without an owner.
    pub(crate) unowned: Vec<EntryKey>,
}

impl<'a> Ledger<'a> {
    pub(crate) fn new(before: &'a Owners, wanted: &'a Owners, run: &'a BTreeSet<String>) -> Self {
        Self { before, wanted, run, settlement: Settlement::default(), conflicts: Vec::new() }
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
            let before = self.before;
            let owner = before.get(section, &key);
            let other = owner.filter(|owner| !self.run.contains(*owner));
            let shared = other.is_some() && may_share(section) && wanted.get(&key) == Some(&entry);
            if shared {
                wanted.remove(&key);
            }
            if wanted.contains_key(&key) {
                // Ours, nobody's, or a conflict; the run's entry comes below.
                if let Some(published_by) = other
                    && may_conflict(section)
                {
                    self.conflicts.push(Conflict {
                        entry: EntryKey::new(section, &key),
                        published_by: published_by.to_owned(),
                        wanted_by: self.wanted.get(section, &key).unwrap_or_default().to_owned(),
                    });
                }
            } else if owner.is_some() && other.is_none() {
                if !seen.contains_key(&key) {
                    self.change(section, &key, ChangeKind::Removed);
                }
            } else {
                match owner {
                    Some(owner) => self.settlement.owners.insert(section, &key, owner),
                    None => self.settlement.unowned.push(EntryKey::new(section, &key)),
                }
                result.push((key.clone(), entry.clone()));
            }
            seen.entry(key).or_insert(entry);
        }
        for (key, entry) in wanted {
            match seen.get(&key) {
                None => self.change(section, &key, ChangeKind::Added),
                Some(before) if *before != entry => self.change(section, &key, ChangeKind::Changed),
                Some(_) => {}
            }
            if let Some(owner) = self.wanted.get(section, &key) {
                self.settlement.owners.insert(section, &key, owner);
            }
            result.push((key, entry));
        }
        result
    }

    /// What it all leads to, unless two templates claim the same.
    pub(crate) fn close(self) -> Result<Settlement, Error> {
        if self.conflicts.is_empty() {
            Ok(self.settlement)
        } else {
            Err(Error::Conflict(self.conflicts))
        }
    }

    fn change(&mut self, section: Section, key: &str, kind: ChangeKind) {
        let entry = EntryKey::new(section, key);
        self.settlement.changes.push(Change { entry, kind, details: Vec::new() });
    }
}

/// Whether two templates may have the same entry, as long as it is equal: both need the table.
fn may_share(section: Section) -> bool {
    matches!(section, Section::Table | Section::Bucket)
}

/// Whether another template's entry stands in the way. Layers are listed and used by nobody;
/// images follow their functions.
fn may_conflict(section: Section) -> bool {
    !matches!(section, Section::Layer | Section::Image)
}
