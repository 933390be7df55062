//! "Did you mean …": the nearest of the names that would have been right.

/// The candidate that differs least, when it is near enough to be meant.
pub(crate) fn nearest<'a>(
    wrong: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    const LONGEST: usize = 64; // the work is quadratic in the length of a name
    const MOST: usize = 2_000;
    let length = wrong.chars().count();
    if length > LONGEST {
        return None;
    }
    let allowed = match length {
        0..=2 => 1,
        3..=5 => 2,
        _ => 3,
    };
    candidates
        .into_iter()
        .take(MOST)
        .filter(|candidate| {
            *candidate != wrong && candidate.chars().count().abs_diff(length) <= allowed
        })
        .map(|candidate| (distance(wrong, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// The help text that [`nearest`] gives.
pub(crate) fn help<'a>(
    wrong: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    nearest(wrong, candidates).map(|name| format!("did you mean {}?", crate::findings::quote(name)))
}

/// Levenshtein's distance; letters that differ only in case cost nothing.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let same = x.eq_ignore_ascii_case(y);
            let next = (diagonal + usize::from(!same)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], next);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn finds_what_was_meant() {
        for (wrong, expected) in [
            ("Tabel", Some("Table")),
            ("table", Some("Table")),
            ("HelloFuncton", Some("HelloFunction")),
            ("Zebra", None),
            ("Table", None), // the name itself is no suggestion
        ] {
            assert_eq!(nearest(wrong, ["Table", "HelloFunction"]), expected, "{wrong}");
        }
        assert_eq!(nearest(&"x".repeat(10_000), ["x"]), None);
    }
}
