//! "Did you mean …": the name that differs least from a wrong one.

/// Longer names get no suggestion: the work is quadratic.
const LONGEST: usize = 100;

/// The candidate that is near enough to be meant.
pub(crate) fn nearest<'a>(
    wrong: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let wrong = plain(wrong);
    let allowed = match wrong.chars().count() {
        0..=2 => 1,
        3..=5 => 2,
        6..=LONGEST => 3,
        _ => return None,
    };
    let distance = |candidate: &str| {
        (candidate.len() <= wrong.len() + 4 * allowed)
            .then(|| strsim::damerau_levenshtein(&wrong, &plain(candidate)))
    };
    let near = candidates.into_iter().filter_map(|name| Some((distance(name)?, name)));
    near.filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// A name as people confuse it: capitals, `-`, `_` and `/` make no difference.
fn plain(name: &str) -> String {
    name.to_lowercase().replace(['-', '/'], "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names() {
        let known = ["lambda_handler", "app", "src/app"];
        let check = |name: &str, expected: Option<&str>| {
            assert_eq!(nearest(name, known), expected, "{name}");
        };
        check("lambda_handlr", Some("lambda_handler"));
        check("lambdaHandler", Some("lambda_handler"));
        check("ap", Some("app"));
        check("src-app", Some("src/app"));
        check("zebra", None);
        check(&"x".repeat(500), None);
    }
}
