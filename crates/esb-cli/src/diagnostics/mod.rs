//! Shows findings: which of them, in which order, and how many there are.

mod render;

use std::{cmp::Reverse, fmt};

use esb_model::{Finding, Place, Severity, Source, SourceMap, Span};

use crate::{
    documents::{FindingFields, ProgressEvent},
    hints,
    printer::{Printer, ProgressStyle},
};

/// How many errors and warnings there are; what is told once counts once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) errors: usize,
    pub(crate) warnings: usize,
}

/// Prints findings from a severity on, errors last, so that they stand above the prompt.
pub(crate) fn print(
    findings: &[Finding],
    sources: &SourceMap,
    lowest: Severity,
    printer: Printer,
) -> Counts {
    let mut counts = Counts::default();
    let mut told = told_once(findings);
    told.sort_by_key(|told| told.finding.severity);
    for told in told {
        match told.finding.severity {
            Severity::Error => counts.errors += 1,
            Severity::Warning => counts.warnings += 1,
            Severity::Note => {}
        }
        if told.finding.severity < lowest {
            continue;
        }
        if printer.progress == ProgressStyle::Json {
            let finding = FindingFields::new(told.finding, sources);
            printer.event(&ProgressEvent::Finding { finding: &finding });
        } else {
            let text = render::finding(told.finding, &told.again, sources, printer);
            printer.err_as_it_is(&format!("{text}\n"));
        }
    }
    counts
}

/// The first character of a span and what is behind the last: without line breaks at the end, which
/// a block of YAML includes, for the line after them may be behind the end of the file.
pub(crate) fn range(source: &Source, span: Span) -> (Place, Place) {
    let text = source.text.get(span.start..span.end).unwrap_or_default();
    let end = span.start + text.trim_end_matches(['\n', '\r', ' ']).len();
    (source.place(span.start), source.place(end))
}

/// Sorts findings by file and place; those without a place come first.
pub(crate) fn sorted(findings: &[Finding]) -> Vec<&Finding> {
    let mut sorted: Vec<&Finding> = findings.iter().collect();
    sorted.sort_by_key(|finding| (finding.span, Reverse(finding.severity)));
    sorted.dedup();
    sorted
}

/// A finding, and the further places of which the same is to be said.
struct Told<'a> {
    finding: &'a Finding,
    again: Vec<Span>,
}

/// The findings by place; those that say the same are one.
fn told_once(findings: &[Finding]) -> Vec<Told<'_>> {
    let mut list: Vec<Told<'_>> = Vec::new();
    let mut known = std::collections::HashMap::new();
    for finding in sorted(findings) {
        let help = finding.help.as_ref().map(hints::of_finding);
        let said = (finding.severity, finding.code, &finding.message, help);
        let at = *known.entry(said).or_insert(list.len());
        match list.get_mut(at) {
            Some(told) => told.again.extend(finding.span),
            None => list.push(Told { finding, again: Vec::new() }),
        }
    }
    list
}

impl Counts {
    /// Whether there is nothing to count.
    pub(crate) fn is_empty(self) -> bool {
        self == Self::default()
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |n: usize, what: &str| match n {
            0 => None,
            1 => Some(format!("1 {what}")),
            n => Some(format!("{n} {what}s")),
        };
        let parts = [count(self.errors, "error"), count(self.warnings, "warning")];
        f.write_str(&parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}
