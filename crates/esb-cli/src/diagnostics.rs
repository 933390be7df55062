//! Shows findings the way rustc shows its own: excerpt, place, label and help.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use esb_model::{Finding, Severity, SourceMap};

use crate::{escape, hints, printer::Printer};

/// Prints findings from a severity on, sorted by place, and a line that counts them.
pub(crate) fn print(findings: &[Finding], sources: &SourceMap, lowest: Severity, printer: Printer) {
    let renderer = if printer.color_err { Renderer::styled() } else { Renderer::plain() };
    let mut counts = [0usize; 3];
    for finding in sorted(findings) {
        counts[finding.severity as usize] += 1;
        if finding.severity < lowest {
            continue;
        }
        printer.err(&renderer.render(&report(finding, sources)));
    }
    let [_, warnings, errors] = counts;
    if errors + warnings > 0 {
        let count = |n: usize, what: &str| match n {
            0 => None,
            1 => Some(format!("1 {what}")),
            n => Some(format!("{n} {what}s")),
        };
        let parts = [count(errors, "error"), count(warnings, "warning")];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        printer.note(&parts.join(", "));
    }
}

/// Sorts findings by file and place; those without a place come first.
pub(crate) fn sorted(findings: &[Finding]) -> Vec<&Finding> {
    let mut sorted: Vec<&Finding> = findings.iter().collect();
    sorted.sort_by_key(|finding| (finding.span, std::cmp::Reverse(finding.severity)));
    sorted.dedup();
    sorted
}

fn report<'a>(finding: &'a Finding, sources: &'a SourceMap) -> Vec<Group<'a>> {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let title = level.primary_title(escape::terminal(&finding.message)).id(finding.code.0);
    let mut group = Group::with_title(title);
    let primary = finding.span.map(|span| (span, finding.label.as_deref()));
    let related = finding.related.iter().map(|(span, words)| (*span, Some(words.as_str())));
    let places: Vec<_> = primary.into_iter().chain(related).collect();
    let mut shown = Vec::new();
    for (span, _) in &places {
        if shown.contains(&span.source) {
            continue;
        }
        shown.push(span.source);
        let Some(source) = sources.get(span.source) else { continue };
        let own: Vec<_> = places
            .iter()
            .enumerate()
            .filter(|(_, (own, _))| own.source == span.source)
            .map(|(at, (own, words))| (at, clamp(&source.text, own.start, own.end), *words))
            .collect();
        // Only the lines that are shown: the whole text would be read for every finding.
        let first = own.iter().map(|(_, range, _)| range.start).min().unwrap_or_default();
        let last = own.iter().map(|(_, range, _)| range.end).max().unwrap_or_default();
        let start = source.text[..first].rfind('\n').map_or(0, |at| at + 1);
        let end = source.text[last..].find('\n').map_or(source.text.len(), |at| last + at);
        let mut snippet = Snippet::source(&source.text[start..end])
            .line_start(source.place(start).line)
            .path(escape::terminal(&source.name));
        for (at, range, words) in own {
            let primary = at == 0 && finding.span.is_some();
            let kind = if primary { AnnotationKind::Primary } else { AnnotationKind::Context };
            let range = range.start - start..range.end - start;
            let annotation = kind.span(range).label(words.map(escape::terminal));
            snippet = snippet.annotation(annotation);
        }
        group = group.element(snippet);
    }
    if let Some(help) = &finding.help {
        let help = hints::of_finding(help);
        group = group.element(Level::HELP.message(escape::terminal(&help).into_owned()));
    }
    vec![group]
}

/// A range that lies on character borders of the text, and on one line, so that a finding about a
/// whole section does not print it.
fn clamp(text: &str, start: usize, end: usize) -> std::ops::Range<usize> {
    let border = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = border(start);
    let end = border(end).max(start);
    let line_end = text[start..end].find('\n').map_or(end, |at| start + at);
    start..line_end
}
