//! Escapes untrusted text for a terminal and for JSON.

use std::{borrow::Cow, fmt::Write as _};

/// Shows control characters (but for line feeds and tabs) and direction overrides as escapes.
pub(crate) fn terminal(text: &str) -> Cow<'_, str> {
    if !text.contains(is_dangerous) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_dangerous(c) { safe.extend(c.escape_unicode()) } else { safe.push(c) }
    }
    Cow::Owned(safe)
}

/// The same for a JSON document, whose value stays what it is.
pub(crate) fn json(document: &str) -> Cow<'_, str> {
    // Most documents are plain ASCII, and JSON has escaped ASCII's own control characters.
    if document.bytes().all(|byte| byte < 0x7F) || !document.contains(is_dangerous) {
        return Cow::Borrowed(document);
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
        let value = "ä\u{7f}\u{9b}\u{202E}\u{1b}\"\\";
        let document = serde_json::to_string_pretty(&[value]).unwrap();
        let safe = super::json(&document);
        assert_eq!(safe, "[\n  \"ä\\u007f\\u009b\\u202e\\u001b\\\"\\\\\"\n]");
        assert_eq!(serde_json::from_str::<[String; 1]>(&safe).unwrap(), [value]);
    }
}
