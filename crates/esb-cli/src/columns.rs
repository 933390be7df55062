//! Cuts and pads text for the columns of a terminal.
//!
//! Counts columns, not characters: wide characters take two. Text is expected without control
//! characters, as `escape` gives it.

use unicode_width::UnicodeWidthChar as _;

pub(crate) use crate::wrap::columns as width;

/// The text, with `…` for its middle where it takes more than so many columns.
pub(crate) fn cut_middle(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let Some(rest) = columns.checked_sub(1) else { return String::new() };
    let start = fitting(text.chars(), rest.div_ceil(2));
    let end = fitting(text.chars().rev(), rest / 2);
    let end: String = end.chars().rev().collect();
    format!("{start}…{end}")
}

/// The first characters that fit.
fn fitting(characters: impl Iterator<Item = char>, columns: usize) -> String {
    let mut left = columns;
    let fits = |c: &char| {
        let width = c.width().unwrap_or(0);
        let fits = width <= left;
        left = left.saturating_sub(width);
        fits
    };
    characters.take_while(fits).collect()
}

/// The text with spaces up to so many columns.
pub(crate) fn pad(text: &str, columns: usize) -> String {
    let spaces = columns.saturating_sub(width(text));
    [text, &" ".repeat(spaces)].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_what_is_too_wide_is_cut() {
        let check = |text: &str, columns: usize, expected: &str| {
            let cut = cut_middle(text, columns);
            assert_eq!(cut, expected);
            assert!(width(&cut) <= columns);
        };
        check("esb-hello", 9, "esb-hello");
        check("esb-hello-world", 9, "esb-…orld");
        check("esb-hello", 1, "…");
        check("esb-hello", 0, "");
        check("注文履歴の一覧", 14, "注文履歴の一覧");
        check("注文履歴の一覧", 9, "注文…一覧");
        check("注文履歴の一覧", 8, "注文…覧");
    }
}
