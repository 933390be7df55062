//! One finding as rustc would show it: excerpt, place, label and help.

use std::{borrow::Cow, ops::Range};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use esb_model::{Finding, Severity, Source, SourceId, SourceMap, Span};

use crate::{
    columns::{width, wrap},
    escape, hints,
    printer::{Printer, Style},
    secrets,
};

/// Columns of an excerpt where the terminal's are not known.
const DEFAULT_COLUMNS: usize = 140;

/// Columns that an excerpt needs beside the marked text and its label: the bar, and what stands
/// for text that was cut off.
const MARGIN: usize = 16;

/// The text of a finding; `again` are further places of which the same is to be said.
pub(super) fn finding(
    finding: &Finding,
    again: &[Span],
    sources: &SourceMap,
    printer: Printer,
) -> String {
    let mut text = head(finding, printer);
    let mut group = Group::with_level(level(finding.severity));
    let primary = finding.span.map(|span| (span, finding.label.as_deref()));
    let related = finding.related.iter().map(|(span, words)| (*span, Some(words.as_str())));
    let places: Vec<Place<'_>> = primary.into_iter().chain(related).collect();
    let mut shown: Vec<SourceId> = Vec::new();
    let mut notes = Vec::new();
    for (span, _) in &places {
        let Some(source) = sources.get(span.source).filter(|_| !shown.contains(&span.source))
        else {
            continue;
        };
        shown.push(span.source);
        let of_source = places.iter().filter(|(place, _)| place.source == span.source);
        let of_source: Vec<Place<'_>> = of_source.copied().collect();
        group = group.element(excerpt(source, &of_source, finding.span, printer, &mut notes));
    }
    notes.extend(also(again, finding.span, sources));
    let lines = places.iter().filter_map(|(span, _)| sources.locate(*span));
    let digits = lines.map(|(_, place)| place.line.to_string().len()).max().unwrap_or_default();
    let fold = |text: &str, word: &str| {
        let room = printer.width_err.map(|all| all.saturating_sub(digits + word.len() + 5));
        fold(text, room).join("\n")
    };
    for note in notes {
        group = group.element(Level::NOTE.message(fold(&note, "note")));
    }
    if let Some(help) = &finding.help {
        group = group.element(Level::HELP.message(fold(&hints::of_finding(help), "help")));
    }
    if !group.is_empty() {
        let renderer = if printer.color_err { Renderer::styled() } else { Renderer::plain() };
        let renderer = renderer.term_width(printer.width_err.unwrap_or(DEFAULT_COLUMNS));
        text.push('\n');
        text.push_str(&renderer.render(&[group]));
    }
    text
}

/// A place of a finding with the text under it.
type Place<'a> = (Span, Option<&'a str>);

fn level(severity: Severity) -> Level<'static> {
    match severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    }
}

/// Severity, code and message. The renderer would indent further lines as far as the code is long.
fn head(finding: &Finding, printer: Printer) -> String {
    const INDENT: &str = "\n  ";
    let style = match finding.severity {
        Severity::Error => Style::Error,
        Severity::Warning => Style::Warning,
        Severity::Note => Style::Good,
    };
    let name = format!("{}[{}]", finding.severity, finding.code);
    let message = format!(": {}", finding.message);
    let message = escape::terminal(&message);
    let lines = match printer.width_err {
        Some(all) => wrap(&message, all.saturating_sub(name.len()), all.saturating_sub(2)),
        None => vec![message.into_owned()],
    };
    let message = printer.styled_err(&lines.join(INDENT), Style::Strong);
    printer.styled_err(&name, style) + &message
}

/// The lines of a text in so many columns, safe to print.
fn fold(text: &str, room: Option<usize>) -> Vec<String> {
    let text = escape::terminal(text);
    match room {
        Some(room) => wrap(&text, room, room),
        None => vec![text.into_owned()],
    }
}

/// The marked lines of one source. Labels for which the terminal is too narrow become notes.
fn excerpt<'a>(
    source: &'a Source,
    places: &[Place<'a>],
    primary: Option<Span>,
    printer: Printer,
    notes: &mut Vec<String>,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let ranges = places.iter().map(|(span, _)| clamp(&source.text, span.start, span.end));
    let ranges: Vec<Range<usize>> = ranges.collect();
    // Only the lines that are shown: the whole text would be read for every finding.
    let first = ranges.iter().map(|range| range.start).min().unwrap_or_default();
    let last = ranges.iter().map(|range| range.end).max().unwrap_or_default();
    let start = source.text[..first].rfind('\n').map_or(0, |at| at + 1);
    let end = source.text[last..].find('\n').map_or(source.text.len(), |at| last + at);
    let lines = source.text[start..end].lines().map(shown_columns);
    let longest = lines.max().unwrap_or_default();
    // As long as it was, so that places keep; the end of a line of Windows is not to be seen.
    let hidden = secrets::hide_in_place(&source.text[start..end]);
    let mut text: Cow<'_, str> = Cow::Owned(escape::excerpt(&hidden).into_owned());
    if text.contains('\r') {
        text = Cow::Owned((text + "\n").replace("\r\n", " \n"));
    }
    let mut snippet =
        Snippet::source(text).line_start(source.place(start).line).path(escape::line(&source.name));
    for ((span, words), range) in places.iter().zip(&ranges) {
        let kind =
            if Some(*span) == primary { AnnotationKind::Primary } else { AnnotationKind::Context };
        let is_short = |words: &&str| is_short(&source.text, range, words, longest, printer);
        let label: Option<Cow<'_, str>> = words.filter(is_short).map(escape::line);
        if let (Some(words), None) = (words, &label) {
            notes.push((*words).to_owned());
        }
        let range = range.start - start..range.end - start;
        snippet = snippet.annotation(kind.span(range).label(label));
    }
    snippet
}

/// Whether a label fits beside its marks. Where a line is too long anyway, what is before the marks
/// may be cut off.
fn is_short(
    text: &str,
    range: &Range<usize>,
    label: &str,
    longest: usize,
    printer: Printer,
) -> bool {
    let Some(all) = printer.width_err else { return true };
    let start = text[..range.start].rfind('\n').map_or(0, |at| at + 1);
    let fits = |before: &str| shown_columns(before) + width(label) + MARGIN <= all;
    fits(&text[start..range.end]) || (longest + 4 > all && fits(&text[range.clone()]))
}

/// The columns of a line of an excerpt, in which a tab takes four.
fn shown_columns(line: &str) -> usize {
    width(line) + 3 * line.matches('\t').count()
}

/// The further places of a finding as one text, at most so many.
fn also(again: &[Span], first: Option<Span>, sources: &SourceMap) -> Option<String> {
    const MOST: usize = 4;
    let mut places = again.iter().filter_map(|span| {
        let (name, place) = sources.locate(*span)?;
        Some(match first {
            Some(first) if first.source == span.source => format!("{place}"),
            _ => format!("{name}:{place}"),
        })
    });
    let mut named: Vec<String> = places.by_ref().take(MOST).collect();
    let more = places.count();
    let last = if more > 0 { Some(format!("{more} more")) } else { named.pop() }?;
    Some(match named.len() {
        0 => format!("the same at {last}"),
        _ => format!("the same at {} and {last}", named.join(", ")),
    })
}

/// A range that lies on character borders of the text, and on one line, so that a finding about a
/// whole section does not print it.
fn clamp(text: &str, start: usize, end: usize) -> Range<usize> {
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

#[cfg(test)]
mod tests {
    use esb_model::FindingCode;

    use super::*;
    use crate::printer::ProgressStyle;

    fn printer(width_err: Option<usize>) -> Printer {
        Printer {
            json: false,
            quiet: false,
            verbose: 0,
            color_out: false,
            color_err: false,
            progress: ProgressStyle::None,
            width: None,
            width_err,
        }
    }

    /// A finding about the `marked` part of a text, with a label and a help that are long.
    fn shown(text: &str, marked: &str, width: Option<usize>) -> String {
        let mut sources = SourceMap::default();
        let source = sources.add("services/orders/template.yaml", text);
        let start = text.find(marked).unwrap();
        let span = Span { source, start, end: start + marked.len() };
        let again = Span { source, start: 0, end: 1 };
        let message =
            "the value of `Orders` is not what anybody who reads all of this would expect";
        let code = FindingCode("esb::sam::parameter-constraint");
        let finding = Finding::new(Severity::Warning, code, span, message)
            .label("is marked by a label that takes more than half of a line")
            .help("write something else, or leave it out altogether, which is the shorter way");
        super::finding(&finding, &[again], &sources, printer(width))
    }

    #[test]
    fn nothing_is_wider_than_the_terminal() {
        let long = "x".repeat(300);
        let texts = [
            "Resources:\n  Orders: {Type: AWS::S3::Bucket}\n".to_owned(),
            format!("Resources:\n  {long}: {{Orders: {long}}}\n"),
            format!("Resources:\n\t\t\tA: {long}\n\t\t\tOrders: 1\n"),
            "Resources:\n  注文を処理する関数の説明: \"日本語の長い説明文がここに続きます。\" # Orders 日本語日本語日本語\n"
                .to_owned(),
            "Resources: # 🚀🚀🚀🚀🚀🚀🚀🚀🚀🚀🚀🚀🚀🚀🚀🚀🚀🚀🚀🚀 Orders 🚀🚀🚀🚀🚀🚀🚀🚀🚀🚀🚀🚀🚀🚀\n".to_owned(),
        ];
        for text in texts {
            for all in [60, 100] {
                let shown = shown(&text, "Orders", Some(all));
                for line in shown.lines() {
                    assert!(width(line) <= all, "{all}: {line}\n{shown}");
                }
                assert!(shown.contains("Orders"), "{shown}");
            }
        }
    }

    #[test]
    fn the_caret_is_under_what_it_marks() {
        for text in
            ["A: Orders\n", "日本: Orders\n", "🚀🚀: Orders\n", "\tA: Orders\n", "é: Orders\r\n"]
        {
            let shown = shown(text, "Orders", None);
            let mut lines =
                shown.lines().skip_while(|line| !line.contains("Orders") || line.contains('['));
            let (excerpt, marks) = (lines.next().unwrap(), lines.next().unwrap());
            let column = |line: &str, part: &str| width(&line[..line.find(part).unwrap()]);
            assert_eq!(column(excerpt, "Orders"), column(marks, "^^^^^^"), "{shown}");
        }
    }

    #[test]
    fn a_message_is_folded_with_an_indent() {
        insta::assert_snapshot!(shown("A: Orders\n", "Orders", Some(60)), @"
        warning[esb::sam::parameter-constraint]: the value of
          `Orders` is not what anybody who reads all of this would
          expect
         --> services/orders/template.yaml:1:4
          |
        1 | A: Orders
          |    ^^^^^^
          |
          = note: is marked by a label that takes more than half of
                  a line
          = note: the same at 1:1
          = help: write something else, or leave it out altogether,
                  which is the shorter way
        ");
    }
}
