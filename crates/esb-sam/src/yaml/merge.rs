//! Completes a map: reports repeated keys and applies YAML's merge keys.

use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

use super::node::{MapEntry, Node, NodeKind, NodePlace};

/// A key that was written twice, with both places.
#[derive(Debug)]
pub(super) struct Duplicate {
    pub(super) key: Rc<str>,
    pub(super) first: NodePlace,
    pub(super) last: NodePlace,
}

/// Below this size a scan is faster than a table.
const SMALL: usize = 12;

/// Drops all but the last value of a repeated key; the key stays where it stood first.
pub(super) fn last_wins(entries: Vec<MapEntry>, duplicates: &mut Vec<Duplicate>) -> Vec<MapEntry> {
    if entries.len() <= SMALL {
        let repeated = |at: usize| entries[..at].iter().any(|entry| entry.key == entries[at].key);
        if !(1..entries.len()).any(repeated) {
            return entries;
        }
    }
    let mut positions: HashMap<Rc<str>, usize> = HashMap::with_capacity(entries.len());
    let mut kept: Vec<MapEntry> = Vec::with_capacity(entries.len());
    for entry in entries {
        if let Some(&at) = positions.get(&entry.key) {
            let first = kept[at].place;
            duplicates.push(Duplicate { key: entry.key.clone(), first, last: entry.place });
            kept[at] = entry;
        } else {
            positions.insert(entry.key.clone(), kept.len());
            kept.push(entry);
        }
    }
    kept
}

/// The maps that a merge key's value names, nearest first; `None` when it is something else.
pub(super) fn merge_sources(value: &Rc<Node>) -> Option<Vec<Rc<Node>>> {
    match &value.kind {
        NodeKind::Map(_) => Some(vec![value.clone()]),
        NodeKind::Seq(items) if items.iter().all(|item| item.entries().is_some()) => {
            Some(items.to_vec())
        }
        _ => None,
    }
}

/// Adds the entries of merged maps that are not there yet.
pub(super) fn merge(entries: Vec<MapEntry>, sources: &[Rc<Node>]) -> Vec<MapEntry> {
    let mut known: HashSet<Rc<str>> = entries.iter().map(|entry| entry.key.clone()).collect();
    let mut merged = entries;
    for entry in sources.iter().filter_map(|source| source.entries()).flatten() {
        if known.insert(entry.key.clone()) {
            merged.push(entry.clone());
        }
    }
    merged
}
