//! Faults of lists and maps in brackets.

use super::{Fault, Told, lines::Lines};
use crate::findings::quote;

impl Fault<'_> {
    pub(super) fn closes_nothing(&self) -> Told {
        let c = self.next_char();
        Told::new(format!("`{c}` closes nothing"), (self.at, self.at + c.len_utf8()))
            .label("no bracket is open here")
    }

    pub(super) fn unclosed_bracket(&self) -> Told {
        let at = self.bracket.unwrap_or(self.at);
        let (open, close) = bracket_pair(&self.text[at..]);
        Told::new(format!("this `{open}` is never closed"), (at, at + 1))
            .help(format!("close it with `{close}`"))
    }

    pub(super) fn mismatched(&self, open: char, close: char) -> Told {
        let wanted = if open == '[' { ']' } else { '}' };
        let is_here = self.text[self.at..].starts_with(open);
        let start = if is_here { self.at } else { self.bracket.unwrap_or(self.at) };
        let told = match closing(self.text, start) {
            Some(end) => Told::new(format!("`{open}` is closed by `{close}`"), (end, end + 1))
                .label(format!("expected `{wanted}`"))
                .related((start, start + 1), format!("`{open}` is opened here")),
            None => Told::new(format!("`{open}` is closed by `{close}`"), (start, start + 1)),
        };
        told.help(format!("close it with `{wanted}`"))
    }

    /// Something between brackets where a comma or the end must be.
    pub(super) fn in_brackets(&self) -> Told {
        let start = self.bracket.unwrap_or(self.at);
        let (open, close) = bracket_pair(&self.text[start..]);
        let lines = Lines::new(self.text);
        let (first, here) = (lines.at(start), lines.at(self.at));
        let is_below = here.start > first.start && here.indent <= first.indent;
        let is_key = here.start > first.start
            && !self.text.trim_start().starts_with('{')
            && here.value().is_some();
        if is_below || is_key {
            return Told::new(format!("this `{open}` is never closed"), (start, start + 1))
                .related(here.content(), "so this line is read as part of it")
                .help(format!("close it with `{close}`"));
        }
        if self.next_char() == ',' {
            return Told::new("a value is missing before this `,`", (self.at, self.at + 1));
        }
        let at = self.token_start();
        let previous = self.text[..at].trim_end().len();
        Told::new(format!("expected `,` or `{close}`"), (at, self.token_end(at)))
            .label("unexpected")
            .related((start, start + 1), format!("this `{open}` is still open"))
            .help(format!(
                "put a `,` after {}, or close the bracket before",
                quote(last_word(&self.text[..previous]))
            ))
    }
}

fn bracket_pair(text: &str) -> (char, char) {
    if text.starts_with('[') { ('[', ']') } else { ('{', '}') }
}

/// Where the bracket that is open at `start` is closed, by whatever closes it.
fn closing(text: &str, start: usize) -> Option<usize> {
    let mut depth = 0usize;
    let mut quoted = None;
    for (at, c) in text[start..].char_indices() {
        if let Some(open) = quoted {
            quoted = (open != c).then_some(open);
            continue;
        }
        match c {
            '"' | '\'' => quoted = Some(c),
            '[' | '{' => depth += 1,
            ']' | '}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(start + at);
                }
            }
            _ => {}
        }
    }
    None
}

fn last_word(text: &str) -> &str {
    text.rsplit(|c: char| c.is_whitespace() || ",{[".contains(c)).next().unwrap_or_default()
}
