//! Makes untrusted text fit for a terminal and for JSON: without secrets, and escaped.

use std::{borrow::Cow, fmt::Write as _};

use crate::secrets;

/// Shows control characters (but for line feeds and tabs) and direction overrides as escapes: for
/// texts that may have several lines.
pub(crate) fn terminal(text: &str) -> Cow<'_, str> {
    let text = secrets::hide(text);
    if !text.contains(is_dangerous) {
        return text;
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_dangerous(c) { safe.extend(c.escape_unicode()) } else { safe.push(c) }
    }
    Cow::Owned(safe)
}

/// The same for a text that is one line, such as a name: one with a line feed would pass for two.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    let safe = terminal(text);
    if !safe.contains(['\n', '\t']) {
        return safe;
    }
    Cow::Owned(safe.replace('\n', "\\n").replace('\t', "\\t"))
}

/// An excerpt of a file, in which every character keeps its number of bytes: places in it are
/// counted in them. ASCII's control characters get pictures where excerpts are drawn.
pub(crate) fn excerpt(text: &str) -> Cow<'_, str> {
    let is_shown = |c: char| !is_dangerous(c) || c.is_ascii();
    if text.chars().all(is_shown) {
        return Cow::Borrowed(text);
    }
    let mark = |c: char| match c.len_utf8() {
        _ if is_shown(c) => c,
        2 => '\u{b7}',
        _ => char::REPLACEMENT_CHARACTER,
    };
    Cow::Owned(text.chars().map(mark).collect())
}

/// Text that is ready to be printed. Escapes what slipped through, all but our own colours.
pub(crate) fn printed(text: &str) -> Cow<'_, str> {
    let rest = without_colours(text);
    if !rest.contains(is_dangerous) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(start) = rest.find("\u{1b}[") {
        safe.push_str(&terminal(&rest[..start]));
        rest = &rest[start..];
        let colour = colour(rest).unwrap_or_default();
        if colour == 0 {
            safe.push_str(&terminal("\u{1b}"));
            rest = &rest[1..];
        } else {
            safe.push_str(&rest[..colour]);
            rest = &rest[colour..];
        }
    }
    safe.push_str(&terminal(rest));
    Cow::Owned(safe)
}

/// Shows what a program printed as a terminal would have: without colours, and of a line that was
/// written over only the last state. Everything else that moves the cursor becomes visible.
pub(crate) fn program(output: &str) -> Cow<'_, str> {
    let output = secrets::hide(output);
    if !output.contains(is_dangerous) {
        return output;
    }
    let mut shown = String::with_capacity(output.len());
    for (number, line) in output.split('\n').enumerate() {
        if number > 0 {
            shown.push('\n');
        }
        let line = line.trim_end_matches('\r');
        let last = line.rsplit('\r').next().unwrap_or(line);
        shown.push_str(&terminal(&without_colours(last)));
    }
    Cow::Owned(shown)
}

/// Leaves out what sets colours and emphasis.
fn without_colours(line: &str) -> Cow<'_, str> {
    if !line.contains("\u{1b}[") {
        return Cow::Borrowed(line);
    }
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(start) = rest.find("\u{1b}[") {
        plain.push_str(&rest[..start]);
        rest = &rest[start..];
        let colour = colour(rest);
        plain.push_str(if colour.is_some() { "" } else { "\u{1b}[" });
        rest = &rest[colour.unwrap_or("\u{1b}[".len())..];
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

/// The length of what a text starts with and what sets a colour: `ESC [`, numbers, `m`.
fn colour(text: &str) -> Option<usize> {
    let code = text.strip_prefix("\u{1b}[")?;
    let numbers = code.bytes().take_while(|b| b.is_ascii_digit() || matches!(b, b';' | b':'));
    let numbers = numbers.count();
    code[numbers..].starts_with('m').then_some(numbers + 3)
}

/// The same for a JSON document, whose value stays what it is.
pub(crate) fn json(document: &str) -> Cow<'_, str> {
    let document = secrets::hide_in_json(document);
    // Most documents are plain ASCII, and JSON has escaped ASCII's own control characters.
    if document.bytes().all(|byte| byte < 0x7F) || !document.contains(is_dangerous) {
        return document;
    }
    let mut safe = String::with_capacity(document.len() + 64);
    for c in document.chars() {
        if is_dangerous(c) {
            // None of them is beyond the sixteen bits of JSON's escape.
            let _ = write!(safe, "\\u{:04x}", u32::from(c));
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

fn is_dangerous(c: char) -> bool {
    c.is_control() && c != '\n' && c != '\t'
        || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{200E}' | '\u{200F}')
        // The Arabic mark of direction, separators of lines, and what marks annotations.
        || matches!(c, '\u{061C}' | '\u{2028}' | '\u{2029}' | '\u{FFF9}'..='\u{FFFB}')
}

#[cfg(test)]
mod tests {
    #[test]
    fn escapes_never_reach_the_terminal() {
        assert_eq!(
            super::terminal("a\u{1b}[31mb\r\n\u{202E}c\u{9b}"),
            "a\\u{1b}[31mb\\u{d}\n\\u{202e}c\\u{9b}"
        );
        assert_eq!(super::terminal("größe\t1"), "größe\t1");
    }

    #[test]
    fn a_line_stays_one() {
        assert_eq!(super::line("a\nb\tc\u{9b}\u{2028}"), "a\\nb\\tc\\u{9b}\\u{2028}");
        assert_eq!(super::line("größe"), "größe");
    }

    #[test]
    fn an_excerpt_keeps_its_places() {
        let text = "ä\u{9b}\u{61c}b\u{202e}\u{2028}\u{1b}\tc";
        let shown = super::excerpt(text);
        assert_eq!(shown, "ä··b\u{fffd}\u{fffd}\u{1b}\tc");
        assert_eq!(shown.len(), text.len());
    }

    #[test]
    fn colours_alone_are_printed() {
        let check = |text: &str, printed: &str| assert_eq!(super::printed(text), printed);
        check("\u{1b}[1;91merror\u{1b}[0m: a\n\tb", "\u{1b}[1;91merror\u{1b}[0m: a\n\tb");
        check("\u{1b}[1ma\u{1b}[2Jb\u{9b}c\u{1b}[0m", "\u{1b}[1ma\\u{1b}[2Jb\\u{9b}c\u{1b}[0m");
        check("\u{1b}[\u{1b}[0m\u{1b}]0;x\u{7}", "\\u{1b}[\u{1b}[0m\\u{1b}]0;x\\u{7}");
    }

    #[test]
    fn a_programs_output_is_shown_as_it_was() {
        let check = |output: &str, shown: &str| assert_eq!(super::program(output), shown);
        check("plain\n\ttext", "plain\n\ttext");
        check("\u{1b}[1;31merror\u{1b}[0m: no\r\nmore\r\n", "error: no\nmore\n");
        check("10 %\r50 %\r100 %\ndone", "100 %\ndone");
        check("a\u{1b}[2Ab\u{1b}]0;title\u{7}", "a\\u{1b}[2Ab\\u{1b}]0;title\\u{7}");
        check("\u{1b}[", "\\u{1b}[");
        check("a\u{202e}b", "a\\u{202e}b");
        let value = "ä\u{7f}\u{9b}\u{202E}\u{1b}\"\\";
        let document = serde_json::to_string_pretty(&[value]).unwrap();
        let safe = super::json(&document);
        assert_eq!(safe, "[\n  \"ä\\u007f\\u009b\\u202e\\u001b\\\"\\\\\"\n]");
        assert_eq!(serde_json::from_str::<[String; 1]>(&safe).unwrap(), [value]);
    }
}
