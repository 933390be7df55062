//! Breaks text into lines that fit a terminal.

use unicode_width::UnicodeWidthStr as _;

/// The columns that a text takes; East Asian characters take two.
pub(crate) fn columns(text: &str) -> usize {
    text.width()
}

/// The lines of a text: `first` columns for the first line, `rest` for each further one. Breaks at
/// spaces only, so that a path or a reference that is longer stays in one piece.
pub(crate) fn wrap(text: &str, first: usize, rest: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        for word in paragraph.split(' ') {
            let room = if lines.is_empty() { first } else { rest };
            if !line.is_empty() && columns(&line) + 1 + columns(word) > room {
                lines.push(std::mem::take(&mut line));
            } else if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn breaks_at_spaces_and_keeps_long_words() {
        let check = |text: &str, first, rest, expected: &[&str]| {
            assert_eq!(wrap(text, first, rest), expected, "{text}");
        };
        check("one two three", 7, 5, &["one two", "three"]);
        check("one two three", 3, 9, &["one", "two three"]);
        check("a-very-long-word b", 4, 4, &["a-very-long-word", "b"]);
        check("日本 語です x", 7, 7, &["日本", "語です", "x"]);
        check("a\n\nb c", 9, 9, &["a", "", "b c"]);
        check("", 9, 9, &[""]);
    }
}
