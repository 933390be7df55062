//! Indentation that means one thing with wide tabs and another with narrow ones, which Python
//! refuses.

use ruff_python_ast::token::{TokenKind, Tokens};
use ruff_text_size::{Ranged as _, TextRange};

/// The first line whose indentation depends on how wide a tab is.
pub(super) fn inconsistent(text: &str, tokens: &Tokens) -> Option<TextRange> {
    let mut levels = vec![(0, 0)];
    let mut is_start = true;
    for token in tokens {
        match token.kind() {
            TokenKind::Newline => is_start = true,
            TokenKind::Comment
            | TokenKind::NonLogicalNewline
            | TokenKind::Indent
            | TokenKind::Dedent => {}
            _ if is_start => {
                is_start = false;
                let at = token.start().to_usize();
                let line = text[..at].rfind(['\n', '\r']).map_or(0, |end| end + 1);
                if !fits(&mut levels, widths(&text[line..at])) {
                    return Some(TextRange::new(u32::try_from(line).ok()?.into(), token.start()));
                }
            }
            _ => {}
        }
    }
    None
}

/// How wide an indentation is with tabs of eight, and with tabs of one.
fn widths(indentation: &str) -> (usize, usize) {
    let mut widths = (0, 0);
    for byte in indentation.bytes() {
        widths = match byte {
            b' ' => (widths.0 + 1, widths.1 + 1),
            b'\t' => ((widths.0 / 8 + 1) * 8, widths.1 + 1),
            _ => (0, 0),
        };
    }
    widths
}

/// Whether both widths say the same about where a line belongs.
fn fits(levels: &mut Vec<(usize, usize)>, (wide, narrow): (usize, usize)) -> bool {
    while levels.last().is_some_and(|level| level.0 > wide) {
        levels.pop();
    }
    let (last_wide, last_narrow) = levels.last().copied().unwrap_or_default();
    if wide == last_wide {
        return narrow == last_narrow;
    }
    levels.push((wide, narrow));
    narrow > last_narrow
}
