//! The one function that makes untrusted text safe for a terminal.

use std::borrow::Cow;

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
    }
}
