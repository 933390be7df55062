//! The lines around a fault, as far as their indentation and their colons tell what they are.

use super::{Told, spaces};
use crate::findings::quote;

/// A text by its lines.
#[derive(Clone, Copy)]
pub(super) struct Lines<'t> {
    text: &'t str,
}

/// A line without its end.
#[derive(Clone, Copy)]
pub(super) struct Line<'t> {
    /// Its first byte in the text.
    pub(super) start: usize,
    pub(super) text: &'t str,
    /// Bytes of white space that it starts with.
    pub(super) indent: usize,
}

/// An indentation at which keys or list items stand above a line.
pub(super) struct Level<'t> {
    pub(super) indent: usize,
    pub(super) line: Line<'t>,
    pub(super) is_item: bool,
}

impl<'t> Lines<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text }
    }

    /// The line of a byte; that of the end when nothing stands there.
    pub(super) fn at(self, offset: usize) -> Line<'t> {
        let start = self.text[..offset].rfind('\n').map_or(0, |at| at + 1);
        let end = self.text[offset..].find('\n').map_or(self.text.len(), |at| offset + at);
        let text = self.text[start..end].trim_end_matches('\r');
        let indent = text.len() - text.trim_start_matches([' ', '\t']).len();
        Line { start, text, indent }
    }

    /// The nearest line above that has more than a comment.
    pub(super) fn before(self, line: &Line<'t>) -> Option<Line<'t>> {
        let mut start = line.start;
        while start > 0 {
            let above = self.at(start - 1);
            if !above.is_empty() {
                return Some(above);
            }
            start = above.start;
        }
        None
    }

    /// The nearest line below that has more than a comment.
    pub(super) fn after(self, line: &Line<'t>) -> Option<Line<'t>> {
        let mut end = line.start + line.text.len();
        while let Some(at) = self.text[end..].find('\n') {
            let below = self.at(end + at + 1);
            if !below.is_empty() {
                return Some(below);
            }
            end = below.start + below.text.len();
        }
        None
    }

    /// The indentations above a line, from the deepest on, as far as they are still open.
    pub(super) fn levels(self, line: &Line<'t>) -> Vec<Level<'t>> {
        /// Lines that are looked at.
        const MOST: usize = 10_000;
        let mut levels: Vec<Level<'t>> = Vec::new();
        let mut next = self.before(line);
        for _ in 0..MOST {
            let Some(line) = next else { break };
            let least = levels.last().map_or(usize::MAX, |level| level.indent);
            let mut own = line.own_levels();
            own.retain(|level| level.indent < least);
            levels.extend(own);
            if line.indent == 0 {
                break;
            }
            next = self.before(&line);
        }
        levels
    }

    /// The key above whose block of text (`|` or `>`) this line would go on with.
    pub(super) fn block_text(self, line: &Line<'t>) -> Option<Line<'t>> {
        let mut above = self.before(line)?;
        while above.indent >= line.indent {
            let is_header = above.value().is_some_and(|value| value.starts_with(['|', '>']));
            if is_header {
                return Some(above);
            }
            above = self.before(&above)?;
        }
        above.value().is_some_and(|value| value.starts_with(['|', '>'])).then_some(above)
    }
}

impl<'t> Line<'t> {
    fn is_empty(&self) -> bool {
        let content = &self.text[self.indent..];
        content.is_empty() || content.starts_with('#') || content == "---"
    }

    pub(super) fn is_item(&self) -> bool {
        let content = &self.text[self.indent..];
        content == "-" || content.starts_with("- ")
    }

    /// What stands on the line, without a comment after it, as a range of the whole text.
    pub(super) fn content(&self) -> (usize, usize) {
        let text = without_comment(self.text).trim_end();
        (self.start + self.indent.min(text.len()), self.start + text.len())
    }

    /// The key, or the first word where the line has none.
    pub(super) fn word(&self) -> &'t str {
        let content = self.text[self.indent..].trim_start_matches("- ").trim_start();
        let end = colon(content).or_else(|| content.find(char::is_whitespace));
        &content[..end.unwrap_or(content.len())]
    }

    /// What stands after the colon of the key; `None` for a line without a key.
    pub(super) fn value(&self) -> Option<&'t str> {
        let content = without_comment(self.text);
        colon(content).map(|at| content[at + 1..].trim())
    }

    /// The levels of a line, the deepest first: those of the list items that start on it, too.
    fn own_levels(&self) -> Vec<Level<'t>> {
        let mut levels = Vec::new();
        let mut indent = self.indent;
        let mut rest = &self.text[indent..];
        while let Some(inner) = rest.strip_prefix("- ") {
            levels.push(Level { indent, line: *self, is_item: true });
            let trimmed = inner.trim_start_matches(' ');
            indent += 2 + inner.len() - trimmed.len();
            rest = trimmed;
        }
        if rest == "-" {
            levels.push(Level { indent, line: *self, is_item: true });
        } else if colon(rest).is_some() {
            levels.push(Level { indent, line: *self, is_item: false });
        }
        levels.reverse();
        levels
    }
}

/// Where the colon of a key is.
fn colon(content: &str) -> Option<usize> {
    let quoted = content.chars().next().filter(|c| matches!(c, '"' | '\''));
    let from = quoted.and_then(|c| content[1..].find(c)).map_or(0, |at| at + 2);
    let found = content[from..].find(": ").map(|at| from + at);
    found.or_else(|| content.trim_end().ends_with(':').then(|| content.trim_end().len() - 1))
}

fn without_comment(text: &str) -> &str {
    if text.trim_start().starts_with('#') {
        return "";
    }
    text.find(" #").map_or(text, |at| &text[..at])
}

/// A key among list items, or the other way round.
pub(super) fn mixed(here: &Line<'_>, level: &Level<'_>) -> Told {
    let (message, label, help) = if level.is_item {
        (
            format!("{} is a key, but list items stand at this level", quote(here.word())),
            "a list item",
            format!("indent it by {} to put it into the item above", spaces(here.indent + 2)),
        )
    } else {
        (
            "a list item cannot be beside a key".to_owned(),
            "a key",
            "put the list below a key of its own, or remove the `-`".to_owned(),
        )
    };
    Told::new(message, here.content()).related(level.line.content(), label).help(help)
}

/// A line that has a key's place and no colon.
pub(super) fn missing_colon(line: &Line<'_>) -> Told {
    let content = line.content();
    let text = line.text[..content.1 - line.start].trim_start().trim_start_matches("- ");
    let end = (content.1, content.1);
    let told = |help: Option<String>, at| {
        let told = Told::new(format!("expected `:` after {}", quote(line.word())), at);
        match help {
            Some(help) => told.help(format!("write {}", quote(&help))),
            None => told,
        }
    };
    // `Key:value` and `Key value`
    if let Some(at) = text.find(':') {
        let place = content.1 - text.len() + at;
        let help = format!("{}: {}", &text[..at], &text[at + 1..]);
        return Told::new("expected a space after this `:`", (place, place + 1))
            .help(format!("write {}", quote(&help)));
    }
    match text.split_once(' ') {
        Some((key, value)) if key.chars().all(char::is_alphanumeric) => {
            let place = content.1 - text.len() + key.len();
            told(Some(format!("{key}: {}", value.trim_start())), (place, place))
        }
        _ => told(Some(format!("{text}:")), end),
    }
}
