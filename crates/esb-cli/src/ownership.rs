//! Shows who publishes and what a run took over, as text and as JSON.

use std::collections::BTreeSet;

use esb_config::{EntryKey, Merged, Owner};
use esb_deploy::Deployment;

use crate::escape;

/// Entries that a line names.
const SHOWN: usize = 5;

/// A line for each application of a run.
pub(crate) fn application_lines(run: &Deployment) -> Vec<String> {
    let mut lines = Vec::new();
    for named in run.applications() {
        let line = format!("application: {} ({})", named.name, named.origin.words());
        let line = escape::line(&line).into_owned();
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}

/// What a run left, published by a template of its path before applications were recorded.
pub(crate) fn left(merged: Option<&Merged>) -> Vec<String> {
    let left = merged.map_or(&[][..], |merged| &merged.left).iter();
    left.map(|(entry, _)| entry.to_string()).collect()
}

/// A warning for each owner that entries are taken from, and one for what is left.
pub(crate) fn warnings(merged: &Merged, program: &str, is_planned: bool) -> Vec<String> {
    let mut from: Vec<(Option<&Owner>, Vec<&EntryKey>)> = Vec::new();
    for adopted in &merged.adopted {
        let owner = adopted.from.as_ref();
        match from.iter_mut().find(|(known, _)| *known == owner) {
            Some((_, entries)) => entries.push(&adopted.entry),
            None => from.push((owner, vec![&adopted.entry])),
        }
    }
    let verb = if is_planned { "would take over" } else { "took over" };
    // Who agrees to it sees all of it.
    let most = if is_planned { usize::MAX } else { SHOWN };
    let mut lines = Vec::new();
    for (owner, entries) in from {
        let whose = match owner {
            None => "what nobody is known to have published".to_owned(),
            Some(owner) if owner.application().is_none() => {
                format!("what `{owner}` published before applications were recorded")
            }
            Some(owner) => format!("what `{owner}` published"),
        };
        lines.push(format!("{verb} {whose}: {}", names(&entries, most)));
    }
    if !merged.replaced.is_empty() {
        let entries: Vec<&EntryKey> = merged.replaced.iter().collect();
        let verb = if is_planned { "would replace" } else { "replaced" };
        lines.push(format!(
            "{verb} what another project of the same name published last: {}; if both are one, \
             commit its esb.lock, else set `application = \"NAME\"` in esb.toml",
            names(&entries, most)
        ));
    }
    let owners: BTreeSet<&Owner> = merged.left.iter().map(|(_, owner)| owner).collect();
    for owner in owners {
        let entries = merged.left.iter().filter(|(_, of)| of == owner).map(|(entry, _)| entry);
        lines.push(format!(
            "kept what `{owner}` published before applications were recorded: {}; \
             `{program} config rm --owner ':{owner}'` removes it",
            names(&entries.collect::<Vec<_>>(), SHOWN)
        ));
    }
    lines
}

fn names(entries: &[&EntryKey], most: usize) -> String {
    let shown: Vec<String> = entries.iter().take(most).map(ToString::to_string).collect();
    match entries.len().saturating_sub(most) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
