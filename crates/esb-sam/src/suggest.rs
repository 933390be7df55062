//! "Did you mean …": finds the valid name nearest to a misspelt one.

use std::cmp::Reverse;

use crate::findings::quote;

/// Names that are longer get no suggestion: the work is quadratic in the length of a name.
const LONGEST: usize = 64;

/// How many letters the suggestions of one run may compare.
///
/// A thousand mistakes among a thousand names would otherwise cost more than reading the template.
#[derive(Debug)]
pub(crate) struct Budget(usize);

impl Default for Budget {
    fn default() -> Self {
        Self(8_000_000)
    }
}

impl Budget {
    fn take(&mut self, work: usize) -> bool {
        let fits = self.0 >= work;
        self.0 = self.0.saturating_sub(work);
        fits
    }
}

/// The candidate that differs least, when it is near enough to be meant.
pub(crate) fn nearest<'a>(
    budget: &mut Budget,
    wrong: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let allowed = match wrong.chars().take(6).count() {
        0..=2 => 1,
        3..=5 => 2,
        _ => 3,
    };
    within(budget, allowed, wrong, candidates)
}

/// The candidate that differs least, and by so many letters at most; letters that differ only in
/// case cost nothing.
pub(crate) fn within<'a>(
    budget: &mut Budget,
    allowed: usize,
    wrong: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let letters: Vec<char> = wrong.chars().take(LONGEST + 1).collect();
    if letters.len() > LONGEST {
        return None;
    }
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        // A letter takes up to four bytes, so that this leaves out nothing that could be near.
        let possible = candidate != wrong
            && candidate.len() <= (letters.len() + allowed) * 4
            && candidate.len() + allowed >= letters.len();
        if !budget.take(1) {
            return None;
        }
        if !possible || candidate.chars().count().abs_diff(letters.len()) > allowed {
            continue;
        }
        if !budget.take(candidate.len() * letters.len()) {
            return None;
        }
        let found = (distance(candidate, &letters), candidate);
        if found.0 <= allowed && best.is_none_or(|best| is_better(found, best)) {
            best = Some(found);
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Whether a candidate with its distance comes before another one: of versions of one name that
/// are equally near the latest, else the first of the alphabet.
fn is_better(a: (usize, &str), b: (usize, &str)) -> bool {
    if a.0 != b.0 {
        return a.0 < b.0;
    }
    let letters = |name: &str| name.replace(|c: char| c.is_ascii_digit() || c == '.', "");
    let key = |name| (letters(name), Reverse(version(name)));
    (key(a.1), a.1) < (key(b.1), b.1)
}

fn version(name: &str) -> Vec<u32> {
    name.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

/// The help text that suggests a name.
pub(crate) fn help(name: &str) -> String {
    format!("did you mean {}?", quote(name))
}

/// Whether a name is another one with a mistake in typing: one letter, or two of a longer name.
/// Names that differ only in their digits are names of a series.
pub(crate) fn is_slip(wrong: &str, meant: &str) -> bool {
    let letters: Vec<char> = wrong.chars().take(LONGEST + 1).collect();
    let allowed = if letters.len() < 6 { 1 } else { 2 };
    let without_digits = |name: &str| name.replace(|c: char| c.is_ascii_digit(), "");
    let is_near = letters.len() <= LONGEST && meant.len() <= (letters.len() + allowed) * 4;
    is_near
        && distance(meant, &letters) <= allowed
        && (without_digits(wrong) != without_digits(meant))
}

/// Whether two names differ in one letter at most, or in two neighbours that changed places.
pub(crate) fn is_one_letter_away(wrong: &str, meant: &str) -> bool {
    let letters: Vec<char> = wrong.chars().take(LONGEST + 1).collect();
    letters.len() <= LONGEST && meant.len() <= 4 * LONGEST && distance(meant, &letters) <= 1
}

/// The edit distance with swapped neighbours as one mistake; letters that differ only in case cost
/// nothing.
fn distance(a: &str, b: &[char]) -> usize {
    let is_same = |x: char, y: char| x.eq_ignore_ascii_case(&y);
    let mut two_back: Vec<usize> = Vec::new();
    let mut previous: Vec<usize> = (0..=b.len()).collect();
    let mut before = None;
    for (i, x) in a.chars().enumerate() {
        let mut row = vec![i + 1];
        for (j, &y) in b.iter().enumerate() {
            let changed = previous[j] + usize::from(!is_same(x, y));
            let mut cost = changed.min(previous[j + 1] + 1).min(row[j] + 1);
            if let Some(before) = before
                && j > 0
                && is_same(x, b[j - 1])
                && is_same(before, y)
            {
                cost = cost.min(two_back[j - 1] + 1);
            }
            row.push(cost);
        }
        two_back = std::mem::replace(&mut previous, row);
        before = Some(x);
    }
    previous[b.len()]
}

#[cfg(test)]
mod tests {
    use super::{Budget, is_slip, nearest, within};

    #[test]
    fn finds_what_was_meant() {
        let mut budget = Budget::default();
        for (wrong, expected) in [
            ("Tabel", Some("Table")),
            ("table", Some("Table")),
            ("HelloFuncton", Some("HelloFunction")),
            ("Größ", Some("Größe")),
            ("Zebra", None),
            ("Table", None), // the name itself is no suggestion
        ] {
            let names = ["Table", "HelloFunction", "Größe"];
            assert_eq!(nearest(&mut budget, wrong, names), expected, "{wrong}");
        }
        assert_eq!(nearest(&mut budget, &"x".repeat(10_000), ["x"]), None);
    }

    #[test]
    fn tells_slips_from_other_names() {
        let mut budget = Budget::default();
        for (name, expected) in [
            ("AWS::S3::Bukcet", Some("AWS::S3::Bucket")),
            ("AWS::s3::bucket", Some("AWS::S3::Bucket")),
            ("AWS::S3::BucketPolicy", None),
            ("AWS::SQS::Queue", None),
        ] {
            let names = ["AWS::S3::Bucket", "AWS::SNS::Topic"];
            assert_eq!(within(&mut budget, 2, name, names), expected, "{name}");
        }
    }

    #[test]
    fn tells_mistakes_in_typing_from_other_names() {
        for (wrong, meant) in [
            ("Tabel", "Table"),
            ("table", "Table"),
            ("Stge", "Stage"),
            ("CommonLayr", "CommonLayer"),
        ] {
            assert!(is_slip(wrong, meant), "{wrong} {meant}");
        }
        for (other, name) in [("Egg", "Api"), ("Queue1", "Queue2"), ("Runtime", "Function")] {
            assert!(!is_slip(other, name), "{other} {name}");
        }
    }

    #[test]
    fn work_is_bounded() {
        let mut budget = Budget(100);
        assert_eq!(nearest(&mut budget, "Tabel", ["Table"]), Some("Table"));
        let names = vec!["Table"; 10];
        assert_eq!(nearest(&mut budget, "Tabel", names), None);
        assert_eq!(nearest(&mut budget, "Tabel", ["Table"]), None);
    }
}
