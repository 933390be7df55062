//! Faults of quoted text, of block text, and of values that need quotes.

use super::{Fault, Told, lines::Lines};
use crate::findings::quote;

impl Fault<'_> {
    pub(super) fn unclosed_quote(&self) -> Told {
        let start = self.quote_start();
        let c = self.text[start..].chars().next().unwrap_or('"');
        Told::new("this quote is never closed", (start, start + 1))
            .help(format!("close it with `{c}`"))
    }

    /// Text after a closing quote. The quote may have been opened on an earlier line, and be the
    /// one that was to open another text.
    pub(super) fn after_quote(&self) -> Told {
        let end = self.text[..self.at].trim_end().len();
        let close = end.saturating_sub(1);
        let c = self.text[close..].chars().next().unwrap_or('"');
        let open = self.text[..close].rfind(c).unwrap_or(close);
        let lines = Lines::new(self.text);
        if lines.at(open).start != lines.at(close).start {
            return Told::new("this quote is not closed on its line", (open, open + 1))
                .related((close, close + 1), "the next quote is here")
                .help(format!("close it with `{c}`"));
        }
        let token = (self.at, self.token_end(self.at));
        let text = quote(&self.text[open..=close]);
        if self.text[..open].trim_end().ends_with(['{', '[', ',']) {
            let end = close + 1;
            return Told::new(format!("expected `:` or `,` after {text}"), (end, end));
        }
        if self.is_json() {
            let end = close + 1;
            return Told::new(format!("expected `,` after {text}"), (end, end));
        }
        let message =
            format!("unexpected {} after quoted text", quote(&self.text[token.0..token.1]));
        Told::new(message, token)
            .related((open, close + 1), "this text ends at its quote")
            .help("put all of it into the quotes")
    }

    pub(super) fn escape(&self) -> Told {
        let start = self.quote_start();
        let rest = &self.text[start..];
        let known = |c: char| "0abtn\tvfre \"/\\N_LPxuU\n\r".contains(c);
        let mut chars = rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            let Some((_, next)) = (c == '\\').then(|| chars.next()).flatten() else { continue };
            let digits = match next {
                'x' => 2,
                'u' => 4,
                'U' => 8,
                _ => 0,
            };
            let from = at + 1 + next.len_utf8();
            let found = rest[from..].chars().take(digits).take_while(char::is_ascii_hexdigit);
            if known(next) && (found.count() < digits || matches!(next, 'u' | 'U')) && digits > 0 {
                let end = start + from;
                return Told::new(
                    format!(
                        "`\\{}` needs {digits} hexadecimal digits of a character",
                        next.escape_debug()
                    ),
                    (start + at, end),
                );
            }
            if !known(next) {
                return Told::new(
                    format!("`\\{}` is not an escape of YAML", next.escape_debug()),
                    (start + at, start + from),
                )
                .help(format!(
                    "write `\\\\{}`, or put the text in single quotes",
                    next.escape_debug()
                ));
            }
        }
        Told::new("this text has an escape that YAML does not know", (start, start + 1))
    }

    /// A value that starts with a character that means something else in YAML.
    pub(super) fn must_be_quoted(&self) -> Told {
        let lines = Lines::new(self.text);
        let line = lines.at(self.at);
        let end = line.content().1.max(self.at);
        let value = &self.text[self.at..end];
        let c = self.text[self.at..].chars().next().unwrap_or(' ');
        let message = match c {
            '*' if value.len() > 1 => format!("there is no anchor for the alias {}", quote(value)),
            _ => format!("a value cannot start with {} unless it is quoted", quote(&c.to_string())),
        };
        let end = end.max(self.at + c.len_utf8()).min(self.text.len());
        Told::new(message, (self.at, end)).help(format!(
            "to use it as text, write {}",
            quote(&format!("'{}'", value.replace('\'', "''")))
        ))
    }

    /// Text on the line of `|` or `>`.
    pub(super) fn block_header(&self) -> Told {
        let lines = Lines::new(self.text);
        let end = lines.at(self.at).content().1.max(self.at);
        Told::new("text after `|` or `>` must start on the next line", (self.at, end))
    }

    /// Where the quoted text starts: where the parser stopped, or before it.
    fn quote_start(&self) -> usize {
        if self.text[self.at..].starts_with(['"', '\'']) {
            return self.at;
        }
        self.text[..self.at].rfind(['"', '\'']).unwrap_or(self.at.min(self.text.len()))
    }
}
