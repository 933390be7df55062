//! Checks values of parameters against the constraints that a template declares for them.
//!
//! CloudFormation refuses a value that breaks a constraint, so it is an error. A default that is
//! empty or not of the form that is asked for waits for a value: reading the template is possible
//! without one, deploying it is not.
//! Patterns are matched in time linear in the value, so that no pattern can hang a run; those that
//! need more (look-around, back references) are reported and not checked.

use std::collections::HashSet;

use esb_model::{Finding, Severity, Span};
use regex_lite::{Regex, RegexBuilder};

use crate::{
    codes,
    evaluator::Run,
    findings::quote,
    parameter::{Parameter, ParameterOrigin, is_list, scalar_text},
    value::{Text, Value},
    yaml::{MapEntry, Node},
};

/// Values of one parameter that are reported; more say nothing new.
const MOST_BROKEN: usize = 5;
/// Bytes of a pattern, and of the program that it becomes.
const PATTERN_BYTES: usize = 2 << 10;
const PROGRAM_BYTES: usize = 256 << 10;

/// Checks a parameter's value; `place` is where the value stands.
pub(crate) fn check(
    run: &mut Run<'_>,
    parameter: &Parameter,
    body: &Node,
    value: &Value,
    place: Span,
) {
    let values = match value {
        Value::List(items) => &**items,
        other => std::slice::from_ref(other),
    };
    let mut constraints = Constraints::read(run, parameter, body);
    constraints.allow_list(value);
    let mut reported = 0;
    for value in values {
        let Value::Text(text) = value else { continue };
        for (words, entry) in constraints.broken(run, text) {
            // A default such as `your-bucket` that breaks the form asks for a value.
            let is_form = entry.is_some_and(|entry| {
                matches!(&*entry.key, "AllowedPattern" | "MinLength" | "MaxLength")
            });
            let asks_for_value =
                parameter.origin == ParameterOrigin::Default && (is_form || text.text.is_empty());
            let is_open = asks_for_value && !run.options.strict;
            let severity = if is_open { Severity::Warning } else { Severity::Error };
            let (value, name) = (quote(text.shown()), quote(&parameter.name));
            let message = format!("the value {value} of parameter {name} {words}");
            let mut finding = Finding::new(severity, codes::PARAMETER_CONSTRAINT, place, message);
            if let Some(entry) = entry {
                finding = finding.related(entry.place.span(), "required here");
            }
            if let Some(help) = &constraints.help {
                finding = finding.help(&**help);
            }
            run.findings.push(finding);
            reported += 1;
            if reported == MOST_BROKEN {
                return;
            }
        }
    }
}

/// The constraints of one parameter.
struct Constraints<'n> {
    number: bool,
    allowed: Option<(HashSet<&'n str>, &'n MapEntry, String)>,
    bounds: Vec<(&'n MapEntry, f64, Bound)>,
    pattern: Option<(Regex, &'n MapEntry)>,
    help: Option<String>,
}

#[derive(Clone, Copy)]
enum Bound {
    Shortest,
    Longest,
    Least,
    Most,
}

impl<'n> Constraints<'n> {
    fn read(run: &mut Run<'_>, parameter: &'n Parameter, body: &'n Node) -> Self {
        let number = matches!(&*parameter.kind, "Number" | "List<Number>");
        let allowed = body.entry("AllowedValues").filter(|_| !parameter.allowed.is_empty());
        let allowed = allowed.map(|entry| {
            // A value may be given as it is written or as YAML reads it: `010` or `8`.
            let written = entry.value.items().unwrap_or_default().iter();
            let written = written.filter_map(|node| node.scalar()).map(|text| &**text);
            let read = parameter.allowed.iter().map(String::as_str);
            (written.chain(read).collect(), entry, listed(&parameter.allowed))
        });
        let bound = |(name, bound): (&str, Bound)| {
            let entry = body.entry(name)?;
            Some((entry, scalar_text(&entry.value)?.text.parse().ok()?, bound))
        };
        let bounds = if number {
            [("MinValue", Bound::Least), ("MaxValue", Bound::Most)]
        } else {
            [("MinLength", Bound::Shortest), ("MaxLength", Bound::Longest)]
        };
        let bounds = bounds.into_iter().filter(|_| number || !is_list(parameter));
        let pattern = body.entry("AllowedPattern").filter(|_| !number);
        let help = body.get("ConstraintDescription").and_then(scalar_text);
        Self {
            number,
            allowed,
            bounds: bounds.filter_map(bound).collect(),
            pattern: pattern.and_then(|entry| Some((compile(run, parameter, entry)?, entry))),
            help: help.map(|text| text.text.chars().take(200).collect()),
        }
    }

    /// A list may be allowed as a whole, as it is written: `one,two`.
    fn allow_list(&mut self, value: &Value) {
        let (Value::List(items), Some((allowed, ..))) = (value, &self.allowed) else { return };
        let text = |value: &Value| match value {
            Value::Text(text) => Some(text.text.clone()),
            _ => None,
        };
        let Some(items) = items.iter().map(text).collect::<Option<Vec<_>>>() else { return };
        let is_whole =
            |allowed: &&str| allowed.split(',').map(str::trim).eq(items.iter().map(|item| &**item));
        if allowed.iter().any(is_whole) {
            self.allowed = None;
        }
    }

    /// Describes each constraint that a value violates.
    fn broken(&self, run: &mut Run<'_>, text: &Text) -> Vec<(String, Option<&'n MapEntry>)> {
        let mut broken = Vec::new();
        if let Some((allowed, entry, listed)) = &self.allowed
            && !allowed.contains(&*text.text)
        {
            broken.push((format!("must be one of {listed}"), Some(*entry)));
        }
        let number = text.text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
        if self.number && number.is_none() {
            broken.push(("is not a number".to_owned(), None));
        }
        for (entry, limit, bound) in &self.bounds {
            let length = || f64::from(u32::try_from(text.text.chars().count()).unwrap_or(u32::MAX));
            let fits = match bound {
                Bound::Shortest => length() >= *limit,
                Bound::Longest => length() <= *limit,
                Bound::Least => number.is_none_or(|number| number >= *limit),
                Bound::Most => number.is_none_or(|number| number <= *limit),
            };
            if !fits {
                let words = match bound {
                    Bound::Shortest => format!("must have at least {limit} characters"),
                    Bound::Longest => format!("must have at most {limit} characters"),
                    Bound::Least => format!("must be at least {limit}"),
                    Bound::Most => format!("must be at most {limit}"),
                };
                broken.push((words, Some(*entry)));
            }
        }
        if let Some((pattern, entry)) = &self.pattern
            && run.pattern(text.text.len())
            && !pattern.is_match(&text.text)
        {
            let words = entry.value.scalar().map(|words| quote(words)).unwrap_or_default();
            broken.push((format!("does not match the pattern {words}"), Some(*entry)));
        }
        broken
    }
}

/// The pattern, made to match whole values; one that cannot be checked here gets a note.
fn compile(run: &mut Run<'_>, parameter: &Parameter, entry: &MapEntry) -> Option<Regex> {
    let pattern = scalar_text(&entry.value)?.text;
    let build = |pattern: &str| RegexBuilder::new(pattern).size_limit(PROGRAM_BYTES).build();
    let compiled = if pattern.len() > PATTERN_BYTES {
        Err("it is too long".to_owned())
    } else {
        // Alone first, so that `a)(b` is no pattern.
        let whole = || build(&format!(r"\A(?:{pattern})\z"));
        build(&pattern).and_then(|_| whole()).map_err(|error| error.to_string())
    };
    compiled
        .map_err(|cause| {
            let message = format!(
                "the pattern {} of parameter {} is not checked: {cause}",
                quote(&pattern),
                quote(&parameter.name)
            );
            let span = entry.value.span();
            let finding = Finding::new(Severity::Note, codes::PARAMETER_CONSTRAINT, span, message);
            run.findings.push(finding);
        })
        .ok()
}

fn listed(allowed: &[String]) -> String {
    const MOST: usize = 10;
    let mut words: Vec<_> = allowed.iter().take(MOST).map(|value| quote(value)).collect();
    if allowed.len() > MOST {
        words.push("…".to_owned());
    }
    words.join(", ")
}
