//! Findings that several modules give, and the nearest known name for suggestions.

use std::path::Path;

use esb_model::{Finding, Severity, Span};

use crate::{codes, content::plain};

/// A real path that no Dockerfile can name.
pub(crate) fn unusable_path(path: &Path, what: &str, span: Span) -> Finding {
    let message =
        format!("the path of the {what}, `{}`, cannot be written in a Dockerfile", plain(path));
    Finding::new(Severity::Error, codes::UNUSABLE_PATH, span, message)
        .help("rename it: line breaks, control characters and broken encodings are not possible")
}

/// The known name that is nearest to a wrong one, when it is near enough to be meant.
pub(crate) fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    if name.len() > 40 {
        return None;
    }
    let lower = name.to_ascii_lowercase();
    let with_distance = known.into_iter().map(|known| (distance(&lower, known), known));
    let (distance, nearest) = with_distance.min_by_key(|(distance, _)| *distance)?;
    (distance <= name.len().div_ceil(3).min(3)).then_some(nearest)
}

/// Insertions, deletions, replacements and swapped neighbours from one text to the other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 0..a.len() {
        let mut row = vec![i + 1];
        for j in 0..b.len() {
            let replaced = rows[i][j] + usize::from(a[i] != b[j]);
            let mut cost = replaced.min(row[j] + 1).min(rows[i][j + 1] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                cost = cost.min(rows[i - 1][j - 1] + 1);
            }
            row.push(cost);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names() {
        let known = ["python3.12", "python3.13", "nodejs20.x"];
        let check = |name: &str, expected: Option<&str>| {
            assert_eq!(nearest(name, known), expected, "{name:?}");
        };
        check("pyhton3.12", Some("python3.12"));
        check("python-3.13", Some("python3.13"));
        check("Node.js20.x", Some("nodejs20.x"));
        check("cobol85", None);
        assert_eq!(nearest("scr", ["lib", "src"]), Some("src"));
        assert_eq!(nearest("app", ["lib", "src"]), None);
        check("", None);
        check(&"x".repeat(1000), None);
    }
}
