//! Compares the output that a page shows with what a command wrote.
//!
//! A line of `…` stands for any number of lines, `…` within a line for any text. What differs from
//! run to run counts as the same: digests, times, sizes, and the width of columns.

/// The sign for what a page leaves out.
const LEFT_OUT: char = '…';
/// From so many digits on, a hexadecimal number is a digest.
const DIGEST: usize = 8;
/// Units of times and sizes.
const UNITS: [&str; 8] = ["s", "ms", "min", "B", "kB", "MB", "GB", "KB"];

/// The first shown line that `written` has not, if any.
pub(crate) fn first_missing<'a>(shown: &'a [String], written: &str) -> Option<&'a str> {
    if shown.is_empty() {
        return None;
    }
    let written: Vec<String> = written.lines().map(plain).filter(|line| !line.is_empty()).collect();
    let lines: Vec<(&str, String)> = shown
        .iter()
        .map(|line| (line.as_str(), plain(line)))
        .filter(|(_, line)| !line.is_empty())
        .collect();
    let mut furthest = 0;
    if fits(&lines, &written, 0, &mut furthest) {
        return None;
    }
    Some(lines.get(furthest).map_or("the end of the output", |(line, _)| *line))
}

/// Whether the lines are those that were written; `furthest` is the last line that was compared.
fn fits(shown: &[(&str, String)], written: &[String], at: usize, furthest: &mut usize) -> bool {
    *furthest = at.max(*furthest);
    let Some((_, line)) = shown.get(at) else { return written.is_empty() };
    if line.chars().eq([LEFT_OUT]) {
        return (0..=written.len()).any(|skip| fits(shown, &written[skip..], at + 1, furthest));
    }
    match written.split_first() {
        Some((first, rest)) => line_fits(line, first) && fits(shown, rest, at + 1, furthest),
        None => false,
    }
}

/// Whether a line is the shown one, whose `…` stand for any text.
fn line_fits(shown: &str, written: &str) -> bool {
    let mut parts = shown.split(LEFT_OUT);
    let Some(mut rest) = written.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    true
}

/// A line without what differs from run to run.
fn plain(line: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for word in line.split_whitespace() {
        let unit = word.trim_end_matches([')', ',', ']']);
        match words.last_mut() {
            Some(number)
                if UNITS.contains(&unit) && is_number(number.trim_start_matches(['(', '['])) =>
            {
                let open = number.len() - number.trim_start_matches(['(', '[']).len();
                number.truncate(open);
                number.push_str("SIZE");
                number.push_str(&word[unit.len()..]);
            }
            _ => words.push(without_digests(word)),
        }
    }
    words.join(" ")
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.parse::<f64>().is_ok()
}

/// A word whose digests are replaced.
fn without_digests(word: &str) -> String {
    let mut plain = String::new();
    let mut run = String::new();
    for c in word.chars().chain(['\n']) {
        if c.is_ascii_digit() || ('a'..='f').contains(&c) {
            run.push(c);
            continue;
        }
        let is_digest = run.len() >= DIGEST && !c.is_alphanumeric();
        plain.push_str(if is_digest { "DIGEST" } else { &run });
        run.clear();
        if c != '\n' {
            plain.push(c);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(shown: &str, written: &str) -> Option<String> {
        let shown: Vec<String> = shown.lines().map(str::to_owned).collect();
        first_missing(&shown, written).map(str::to_owned)
    }

    #[test]
    fn what_is_left_out_may_be_anything() {
        assert_eq!(missing("", "anything"), None);
        assert_eq!(missing("a\n…\nd", "a\nb\nc\nd\n"), None);
        assert_eq!(missing("…\nd", "d"), None);
        assert_eq!(missing("image …/esb-a:… is new", "image 127.0.0.1/esb-a:1 is new"), None);
        assert_eq!(missing("a\n…\nx\nd", "a\nb\nd\n").as_deref(), Some("x"));
        assert_eq!(missing("a", "a\nb").as_deref(), Some("the end of the output"));
        assert_eq!(missing("a\nb", "a").as_deref(), Some("b"));
        assert_eq!(missing("…b", "ab c").as_deref(), Some("…b"));
    }

    #[test]
    fn digests_times_sizes_and_widths_are_no_difference() {
        let shown = "127.0.0.1:5010/a:latest-051cf427b0be  4.0 kB  done in 17.0 s (0.1 s)";
        let written = "127.0.0.1:5010/a:latest-0000f427b0be 12 MB done in 3 s  (120 ms)";
        assert_eq!(missing(shown, written), None);
        assert!(missing("done in 3 s", "done in three s").is_some());
        assert!(missing("2 images", "3 images").is_some());
        assert!(missing("defaced", "decade").is_some());
    }
}
