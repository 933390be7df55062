//! Describes in words how an entry changed.
//!
//! Names settings and shows numbers and references. Of an environment variable it shows the new
//! value where neither its origin nor its name nor its form says that it may be secret, and never
//! the old one, whose origin is not known; of an input it shows nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Change, ChangeKind, EntryKey, Section,
    functions::{Environment, FunctionEntry, FunctionsFile},
    secrecy,
    text::Text,
    value::Value,
};

/// Lists what differs between two states of a function; schedules are entries of their own.
pub(crate) fn of_function(
    old: &FunctionEntry,
    new: &FunctionEntry,
    is_secret: &dyn Fn(&str) -> bool,
) -> Vec<String> {
    let mut words = Vec::new();
    let image =
        |entry: &FunctionEntry| entry.image.as_ref().map(|image| image.template().to_owned());
    if old.image != new.image {
        words.push(match (image(old), image(new)) {
            (Some(old), Some(new)) => of_references(&old, &new),
            (old, new) => step("image", old, new),
        });
    }
    let number = |value: Option<i64>| value.map(|value| value.to_string());
    for (name, old, new) in [
        ("timeout", old.timeout, new.timeout),
        ("memory_size", old.memory_size, new.memory_size),
        ("max_capacity", old.scaling.max_capacity, new.scaling.max_capacity),
        ("min_capacity", old.scaling.min_capacity, new.scaling.min_capacity),
    ] {
        if old != new {
            words.push(step(name, number(old), number(new)));
        }
    }
    words.extend(of_environment(&old.environment, &new.environment, is_secret));
    let mut rest = (old.scaling.clone(), new.scaling.clone());
    for scaling in [&mut rest.0, &mut rest.1] {
        (scaling.max_capacity, scaling.min_capacity) = (None, None);
    }
    if rest.0 != rest.1 {
        words.push("scaling".to_owned());
    }
    if old.extra != new.extra {
        words.push("other keys".to_owned());
    }
    words
}

/// Another reference; of one with the same name, its tag or digest.
fn of_references(old: &str, new: &str) -> String {
    let split = |reference: &str| {
        let path = reference.rfind('/').map_or(0, |slash| slash + 1);
        path + reference[path..].find(['@', ':']).unwrap_or(reference.len() - path)
    };
    let (old, old_tag) = old.split_at(split(old));
    let (new, new_tag) = new.split_at(split(new));
    if old == new && !old_tag.is_empty() && !new_tag.is_empty() {
        let tags = [old_tag, new_tag].map(|tag| tag.trim_start_matches([':', '@']));
        return format!("image {} → {}", tags[0], tags[1]);
    }
    format!("image {old}{old_tag} → {new}{new_tag}")
}

fn step(name: &str, old: Option<String>, new: Option<String>) -> String {
    let or_none = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
    format!("{name} {} → {}", or_none(old), or_none(new))
}

/// Variables by name, with the new value of those that are no secret.
fn of_environment(
    old: &Environment,
    new: &Environment,
    is_secret: &dyn Fn(&str) -> bool,
) -> Vec<String> {
    let names: BTreeSet<&String> = old.0.keys().chain(new.0.keys()).collect();
    let value = |name: &String| {
        let value = new.0.get(name).filter(|_| !is_secret(name))?;
        secrecy::shown(name, &value.as_literal()?)
    };
    let word = |name: &&String| match (old.0.get(*name), new.0.get(*name)) {
        (Some(_), None) => Some(format!("env {name} removed")),
        (old, new) if old != new => {
            let verb = if old.is_none() { "added" } else { "changed" };
            let value = value(name).map(|value| format!(": {value}"));
            Some(format!("env {name} {verb}{}", value.unwrap_or_default()))
        }
        _ => None,
    };
    names.iter().filter_map(word).collect()
}

/// The keys at which two items of resources.yml differ.
pub(crate) fn of_item(old: &Value, new: &Value) -> Vec<String> {
    let (Value::Map(old), Value::Map(new)) = (old, new) else { return Vec::new() };
    let map = |fields: &[(String, Value)]| -> BTreeMap<String, Value> {
        fields.iter().cloned().collect()
    };
    let (old, new) = (map(old), map(new));
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    keys.into_iter().filter(|key| old.get(*key) != new.get(*key)).cloned().collect()
}

/// The schedules of all functions: the function, the rate, the input.
pub(crate) fn schedules(
    file: &FunctionsFile,
) -> impl Iterator<Item = (&String, String, Option<&Text>)> {
    file.functions.iter().flat_map(|(name, entry)| {
        let schedules = entry.events.iter().filter_map(|event| event.schedule.as_ref());
        schedules.map(move |schedule| {
            let rate = schedule.rate.as_ref().map(|rate| rate.resolve(|_| None));
            (name, rate.unwrap_or_default(), schedule.input.as_ref())
        })
    })
}

/// Names a schedule of a function.
pub(crate) fn schedule_entry(function: &str, rate: &str) -> EntryKey {
    EntryKey::new(Section::Schedule, format!("{function} {rate}"))
}

/// How often there is a schedule of a function, a rate and an input.
type ScheduleCounts<'a> = BTreeMap<(&'a String, String, Option<&'a Text>), usize>;

/// Schedules that come and go; one with another rate or input is another one.
pub(crate) fn of_schedules(old: &FunctionsFile, new: &FunctionsFile) -> Vec<Change> {
    let all = |file| {
        let mut counts = ScheduleCounts::new();
        for schedule in schedules(file) {
            *counts.entry(schedule).or_default() += 1;
        }
        counts
    };
    let (before, after) = (all(old), all(new));
    let mut changes = Vec::new();
    let mut missing = |from: &ScheduleCounts<'_>, to: &ScheduleCounts<'_>, kind| {
        for (key @ (name, rate, _), count) in from {
            for _ in to.get(key).copied().unwrap_or(0)..*count {
                let entry = schedule_entry(name, rate);
                changes.push(Change { entry, kind, details: Vec::new(), route: None });
            }
        }
    };
    missing(&before, &after, ChangeKind::Removed);
    missing(&after, &before, ChangeKind::Added);
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::{FunctionEvent, ScheduleEntry};

    #[test]
    fn a_function_is_compared_without_its_secrets() {
        let environment = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter().map(|(name, value)| ((*name).into(), Text::literal(value)));
            Environment(pairs.collect())
        };
        let old = FunctionEntry {
            image: Some(Text::literal("r/a:1")),
            timeout: Some(3),
            environment: environment(&[("GONE", "s3cret"), ("SAME", "x"), ("OTHER", "s3cret")]),
            ..FunctionEntry::default()
        };
        let new = FunctionEntry {
            image: Some(Text::literal("r/a:2")),
            timeout: Some(5),
            environment: environment(&[("NEW", "s3cret"), ("SAME", "x"), ("OTHER", "s4cret")]),
            ..FunctionEntry::default()
        };
        let expected = [
            "image 1 → 2",
            "timeout 3 → 5",
            "env GONE removed",
            "env NEW added: `s3cret`",
            "env OTHER changed",
        ];
        let is_secret = |name: &str| name == "OTHER";
        assert_eq!(of_function(&old, &new, &is_secret), expected);
        assert_eq!(of_function(&new, &new, &is_secret), Vec::<String>::new());
    }

    #[test]
    fn schedules_come_and_go() {
        let file = |rates: &[&str]| {
            let event = |rate: &&str| FunctionEvent {
                schedule: Some(ScheduleEntry {
                    rate: Some(Text::literal(rate)),
                    ..ScheduleEntry::default()
                }),
                ..FunctionEvent::default()
            };
            let entry = FunctionEntry {
                events: rates.iter().map(event).collect(),
                ..FunctionEntry::default()
            };
            FunctionsFile {
                functions: [("f".to_owned(), entry)].into(),
                ..FunctionsFile::default()
            }
        };
        let old = file(&["rate(1 day)", "rate(1 day)", "rate(2 days)"]);
        let changes = of_schedules(&old, &file(&["rate(1 day)", "rate(3 days)"]));
        let words: Vec<String> =
            changes.iter().map(|change| format!("{:?} {}", change.kind, change.entry)).collect();
        let expected = [
            "Removed schedule `f rate(1 day)`",
            "Removed schedule `f rate(2 days)`",
            "Added schedule `f rate(3 days)`",
        ];
        assert_eq!(words, expected);
        assert_eq!(of_schedules(&old, &old), []);
    }
}
