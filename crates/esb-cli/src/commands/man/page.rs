//! The language of `man`, as every reader of it shows it: groff, mandoc and others.

use std::fmt::Write as _;

use crate::timestamp;

/// What the pages belong to, in their first lines.
const MANUAL: &str = "esb manual";

/// The time of the commit that this is built of, in seconds since 1970.
const TIME: Option<&str> = option_env!("ESB_TIME");

/// What an apostrophe is called, which the language writes otherwise than other characters.
const APOSTROPHE: &str = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '";

/// Lines are neither hyphenated nor stretched: both would change names that people copy.
const LAYOUT: &str = ".nh\n.ad l";

/// A manual page.
pub(crate) struct Page {
    /// The file's name, such as `esb-deploy.1`.
    pub(crate) name: String,
    /// The text in the language of `man`.
    pub(crate) text: String,
}

impl Page {
    /// A page of what the sections hold. They come from several calls: what each of them says for
    /// all is said once, and so are breaks of lines.
    pub(super) fn new(name: &str, section: char, sections: &str) -> Self {
        let source = concat!("esb ", env!("CARGO_PKG_VERSION"));
        let title = name.to_uppercase();
        let day = TIME.and_then(|time| time.parse().ok()).map(timestamp::day).unwrap_or_default();
        let mut text = format!(
            "{APOSTROPHE}\n.TH \"{title}\" \"{section}\" \"{day}\" \"{source}\" \
             \"{MANUAL}\"\n{LAYOUT}\n"
        );
        let (mut is_verbatim, mut lines) = (false, sections.lines().peekable());
        while let Some(line) = lines.next() {
            if APOSTROPHE.contains(line) && line.len() > 1 {
                continue;
            }
            // An empty line before a request is no text, and one break is enough.
            let is_followed = lines.peek().is_none_or(|next| next.starts_with('.'));
            if line.is_empty() && is_followed || line == ".br" && text.ends_with("\n.br\n") {
                continue;
            }
            match line {
                ".nf" => is_verbatim = true,
                ".fi" => is_verbatim = false,
                _ => {}
            }
            if line.starts_with('.') || is_verbatim {
                characters(line, &mut text);
            } else {
                with_code(line, &mut text);
            }
            text.push('\n');
        }
        Self { name: format!("{name}.{section}"), text }
    }
}

/// A line whose code is bold instead of between backticks.
fn with_code(line: &str, text: &mut String) {
    let mut parts = line.split('`');
    characters(parts.next().unwrap_or_default(), text);
    while let Some(code) = parts.next() {
        let Some(rest) = parts.next() else {
            text.push_str("\\(ga");
            characters(code, text);
            return;
        };
        text.push_str("\\fB");
        characters(code, text);
        text.push_str("\\fR");
        characters(rest, text);
    }
}

/// Characters by names where readers would show others: accents and quotes that are wider than
/// ASCII's, and everything that is not ASCII.
fn characters(line: &str, text: &mut String) {
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\\' if rest.next_if_eq(&'\\').is_some() => text.push_str("\\(rs"),
            // Part of what the language calls something.
            '\\' => {
                text.push(c);
                text.extend(rest.next());
            }
            '`' => text.push_str("\\(ga"),
            '^' => text.push_str("\\(ha"),
            '~' => text.push_str("\\(ti"),
            c if c.is_ascii() => text.push(c),
            c => {
                let _ = write!(text, "\\[u{:04X}]", u32::from(c));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_shown_and_copied_as_it_is() {
        let check = |line: &str, expected: &str| {
            let text = Page::new("a", '1', line).text;
            assert_eq!(text.split_once(".ad l\n").unwrap().1, expected.to_owned() + "\n");
        };
        check(
            "say `esb \\-\\-all`, then `~/x`.",
            "say \\fBesb \\-\\-all\\fR, then \\fB\\(ti/x\\fR.",
        );
        check("one ` alone ^ \\\\ é \\*(Aq", "one \\(ga alone \\(ha \\(rs \\[u00E9] \\*(Aq");
        check(".nf\n# `key`\n.fi\n`a`", ".nf\n# \\(gakey\\(ga\n.fi\n\\fBa\\fR");
    }
}
