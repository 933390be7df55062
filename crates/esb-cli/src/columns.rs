//! Fits text into the columns of a terminal: breaks lines, cuts names and pads cells.
//!
//! Counts columns, not characters: wide characters take two, and what only colours text takes none.
//! Otherwise text is expected without control characters, as `escape` gives it.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// The columns by which the further lines of a folded one are indented.
const HANGING: usize = 2;

/// The columns that a text takes.
pub(crate) fn width(text: &str) -> usize {
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().width();
    // What follows the code that sets a colour.
    let rest = parts.map(|part| part.split_once('m').map_or(part, |(_, rest)| rest).width());
    first + rest.sum::<usize>()
}

/// The text with each line that is too wide broken between words; its further lines stand below its
/// own indentation.
pub(crate) fn fold(text: &str, columns: Option<usize>) -> String {
    let Some(columns) = columns else { return text.to_owned() };
    let folded = |line: &str| {
        if width(line) <= columns {
            return line.to_owned();
        }
        let rest = line.trim_start_matches(' ');
        let indent = line.len() - rest.len();
        let room = columns.saturating_sub(indent);
        let lines = wrap(rest.trim_end(), room, room.saturating_sub(HANGING));
        let separator = format!("\n{}", " ".repeat(indent + HANGING));
        [" ".repeat(indent), lines.join(&separator)].concat()
    };
    text.split('\n').map(folded).collect::<Vec<_>>().join("\n")
}

/// The lines of a text: `first` columns for the first line, `rest` for each further one. Breaks
/// between words, so that a path, a reference or code in backticks stays in one piece, and between
/// the characters of a script that has no spaces.
pub(crate) fn wrap(text: &str, first: usize, rest: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        for (number, word) in words(paragraph, rest).into_iter().enumerate() {
            let room = |lines: &Vec<String>| if lines.is_empty() { first } else { rest };
            let fits = |line: &str, piece: &str, lines: &Vec<String>| {
                width(line) + width(piece) <= room(lines)
            };
            if number > 0 {
                line.push(' ');
            }
            let is_cut = word.chars().any(is_wide) && width(word) > rest;
            let pieces = if is_cut { pieces(word) } else { vec![word] };
            for piece in pieces {
                if !line.trim_end().is_empty() && !fits(&line, piece, &lines) {
                    lines.push(line.trim_end().to_owned());
                    line.clear();
                }
                line.push_str(piece);
            }
        }
        lines.push(line);
    }
    lines
}

/// The words of a line; code in backticks is one where a line can hold it.
fn words(line: &str, columns: usize) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        let space = rest.find(' ').unwrap_or(rest.len());
        let mut end = space;
        if rest[..space].matches('`').count() % 2 == 1 {
            let close = rest[space..].find('`').map(|at| space + at);
            let code = close.map(|at| rest[at..].find(' ').map_or(rest.len(), |space| at + space));
            end = code.filter(|end| width(&rest[..*end]) <= columns).unwrap_or(space);
        }
        words.push(&rest[..end]);
        match rest.get(end + 1..) {
            Some(next) => rest = next,
            None => return words,
        }
    }
}

fn is_wide(character: char) -> bool {
    character.width() == Some(2)
}

/// The parts of a word between which a line may end: beside wide characters.
fn pieces(word: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let pairs = word.char_indices().zip(word.chars().skip(1));
    for ((at, before), after) in pairs {
        if is_wide(before) || is_wide(after) {
            let end = at + before.len_utf8();
            pieces.push(&word[start..end]);
            start = end;
        }
    }
    pieces.push(&word[start..]);
    pieces
}

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
    fn lines_end_between_words() {
        let check = |text: &str, first, rest, expected: &[&str]| {
            assert_eq!(wrap(text, first, rest), expected, "{text}");
        };
        check("one two three", 7, 5, &["one two", "three"]);
        check("one two three", 3, 9, &["one", "two three"]);
        check("a-very-long-word b", 4, 4, &["a-very-long-word", "b"]);
        check("日本 語です x", 7, 7, &["日本", "語です", "x"]);
        check("x 日本語です y", 7, 5, &["x 日本", "語で", "す y"]);
        check("a\n\nb c", 9, 9, &["a", "", "b c"]);
        check("", 9, 9, &[""]);
        check("run `a b c` or `d e f g h i`", 9, 9, &["run", "`a b c`", "or `d e f", "g h i`"]);
        check("a ` b", 3, 3, &["a `", "b"]);
    }

    #[test]
    fn folded_lines_keep_their_indentation() {
        let check = |text: &str, columns, expected: &str| {
            assert_eq!(fold(text, columns), expected);
        };
        check("  one two\nthree", Some(6), "  one\n    two\nthree");
        check("one two", Some(7), "one two");
        check("one two", None, "one two");
        let red = "\u{1b}[31mone\u{1b}[0m two";
        check(red, Some(7), red);
        check(red, Some(6), "\u{1b}[31mone\u{1b}[0m\n  two");
    }

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
