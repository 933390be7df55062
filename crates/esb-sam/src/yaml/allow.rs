//! Comments that allow findings: `# esb: allow esb::sam::event`.

use esb_model::{SourceId, Span};
use granit_parser::{Event, Parser};

use crate::Allowance;

/// What a comment starts with that allows findings, with or without a blank between.
const MARKS: [&str; 2] = ["esb: allow", "esb:allow"];

/// The findings that comments of a text allow, each with the lines to which it applies: the entry
/// that follows, or the one at whose first line the comment stands.
pub(crate) fn allowances(source: SourceId, text: &str) -> Vec<Allowance> {
    // Comments are looked for once more, only where there may be one.
    if !MARKS.iter().any(|mark| text.contains(mark)) {
        return Vec::new();
    }
    let options = granit_parser::options! { emit_comments: true };
    let events = Parser::new_from_str_with_options(text, options).map_while(Result::ok);
    let comments = events.filter_map(|(event, span)| match event {
        Event::Comment(..) => span.byte_range(),
        _ => None,
    });
    comments.flat_map(|range| codes(source, text, range.start, range.end)).collect()
}

fn codes(source: SourceId, text: &str, start: usize, end: usize) -> Vec<Allowance> {
    let Some(comment) = text.get(start..end) else { return Vec::new() };
    let comment = comment.trim_start_matches(['#', ' ', '\t']);
    let Some(listed) = MARKS.iter().find_map(|mark| comment.strip_prefix(mark)) else {
        return Vec::new();
    };
    let Some(applies) = entry(text, start) else { return Vec::new() };
    let offset = end - listed.len();
    let words = listed.split([',', ' ', '\t', '\r']).filter(|word| !word.is_empty());
    words
        .map(|code| {
            // Both are parts of one text.
            let at = offset + (code.as_ptr() as usize - listed.as_ptr() as usize);
            Allowance {
                code: code.to_owned(),
                span: Span { source, start: at, end: at + code.len() },
                applies: Span { source, start: applies.0, end: applies.1 },
            }
        })
        .collect()
}

/// The lines of the entry that a comment is about.
fn entry(text: &str, comment: usize) -> Option<(usize, usize)> {
    let line_start = text[..comment].rfind('\n').map_or(0, |at| at + 1);
    let is_alone = text[line_start..comment].trim().is_empty();
    let mut lines = Vec::new();
    let mut at = line_start;
    for line in text[line_start..].split_inclusive('\n') {
        lines.push((at, line));
        at += line.len();
    }
    let is_empty = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
    let indent = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let first = lines.iter().skip(usize::from(is_alone)).position(|(_, line)| !is_empty(line))?;
    let first = first + usize::from(is_alone);
    let (start, line) = lines[first];
    let own = indent(line);
    // A list may stand at the indentation of its key.
    let opens = line.split(" #").next().unwrap_or(line).trim_end().ends_with(':');
    let is_inside = |line: &str| {
        is_empty(line)
            || indent(line) > own
            || (opens && indent(line) == own && line[own..].starts_with("- "))
    };
    let below = lines[first + 1..].iter().take_while(|(_, line)| is_inside(line));
    // Comments at the end belong to what follows.
    let last = below.filter(|(_, line)| !is_empty(line)).last();
    let (last_start, last_line) = last.copied().unwrap_or((start, line));
    Some((start, last_start + last_line.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, &str)]) {
        let source = esb_model::SourceMap::default().add("t", text);
        let found = allowances(source, text);
        let found: Vec<(&str, &str)> = found
            .iter()
            .map(|found| {
                assert_eq!(text[found.span.start..found.span.end], found.code);
                (&*found.code, &text[found.applies.start..found.applies.end])
            })
            .collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn a_comment_is_about_the_entry_that_follows_or_on_whose_line_it_is() {
        check("#esb:allow a\nA: 1\n", &[("a", "A: 1\n")]);
        check(
            "# esb: allow a\nA:\n  B: 1\n\n  C: 2\n# x\nD: 3\n",
            &[("a", "A:\n  B: 1\n\n  C: 2\n")],
        );
        check(
            "A:\n  B: 1 # esb: allow a, b\n  C: 2\n",
            &[("a", "  B: 1 # esb: allow a, b\n"), ("b", "  B: 1 # esb: allow a, b\n")],
        );
        check("A: # esb: allow a\n- 1\n- 2\nB: 3\n", &[("a", "A: # esb: allow a\n- 1\n- 2\n")]);
        check(
            "A:\n  # esb: allow a\n  - B: 1\n    C: 2\n  - D: 3\n",
            &[("a", "  - B: 1\n    C: 2\n")],
        );
        check("A: |\n  # esb: allow a\nB: '# esb: allow b'\n", &[]);
        check("A: 1\n# esb: allow a\n", &[]);
        check("#esb: allow a\r\nA: 1\r\n", &[("a", "A: 1\r\n")]);
    }
}
