//! What each finding means, with an example and what to do: the texts of `esb explain` and of
//! `docs/reference/findings.md`.

use std::{fmt::Write as _, sync::LazyLock};

use esb_deploy::levels::{CodeEntry, codes};

/// The texts, by stage: a section of Markdown for each code.
const TEXTS: [&str; 4] = [
    include_str!("code.md"),
    include_str!("platform.md"),
    include_str!("recipe.md"),
    include_str!("sam.md"),
];

/// What there is to say about a code.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Explanation {
    pub(crate) entry: &'static CodeEntry,
    /// The severities that its findings have, such as `error, warning`.
    pub(crate) severity: &'static str,
    /// Markdown: cause, example and fix.
    pub(crate) text: &'static str,
}

/// All explanations, sorted by code.
pub(crate) fn all() -> &'static [Explanation] {
    static ALL: LazyLock<Vec<Explanation>> = LazyLock::new(|| {
        let sections: Vec<(&str, &str)> = TEXTS.iter().flat_map(|text| sections(text)).collect();
        let explain = |entry: &'static CodeEntry| {
            let (_, body) = sections.iter().find(|(code, _)| *code == entry.code.0)?;
            let (severity, text) = body.split_once('\n')?;
            Some(Explanation { entry, severity, text: text.trim() })
        };
        codes().iter().filter_map(explain).collect()
    });
    &ALL
}

/// The explanation of a code, or of the end of one that no other code has.
pub(crate) fn of(code: &str) -> Option<&'static Explanation> {
    let exact = all().iter().find(|explanation| explanation.entry.code.0 == code);
    exact.or_else(|| match ending(code).as_slice() {
        [one] => Some(*one),
        _ => None,
    })
}

/// The explanations of codes that end alike: `route` or `sam::route`.
pub(crate) fn ending(end: &str) -> Vec<&'static Explanation> {
    let end = format!("::{}", end.to_lowercase().replace('_', "-"));
    all().iter().filter(|explanation| explanation.entry.code.0.ends_with(&end)).collect()
}

/// The explanations of codes that have a word in them.
pub(crate) fn containing(word: &str) -> Vec<&'static Explanation> {
    let word = word.to_lowercase();
    let is_part = |explanation: &&Explanation| {
        explanation.entry.code.0.split([':', '-']).any(|part| part == word)
    };
    all().iter().filter(is_part).collect()
}

/// Each code of a text with what stands below it.
fn sections(text: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let sections = text.split("## esb::").skip(1);
    sections.filter_map(|section| {
        let (_, body) = section.split_once('\n')?;
        // The code with its `esb::`, which lies before the section.
        let start = section.as_ptr() as usize - text.as_ptr() as usize - "esb::".len();
        text[start..].split_once('\n').map(|(code, _)| (code, body))
    })
}

/// The reference page.
pub(crate) fn page() -> String {
    let mut text = "# Findings\n\nMade from the code by `cargo xtask generate`. `esb explain CODE` \
                    prints the same.\n\nThe level of a finding can be changed: in `esb.toml` for the \
                    project, with `--allow CODE`\nfor one run, and in the template with a comment \
                    before an entry or at the end of its first line.\nA \
                    finding about a file of code (`esb::code::…`) is allowed by a comment above its \
                    function, too,\nand by one at the end of its line or alone in the line \
                    above.\nA flag takes precedence over a \
                    comment, a comment over `esb.toml`.\n\n```toml\n[findings]\n\"esb::sam::event\" \
                    = \"allow\" # or \"warn\" or \"deny\"\n```\n\n```yaml\nResources:\n  # esb: allow \
                    esb::platform::trigger\n  Hello:\n    Type: AWS::Serverless::Function\n```\n\nErrors \
                    of codes marked `fixed` stay errors, because without what they miss it is not \
                    known\nwhat is to be built.\n\n| code | severity | level | meaning |\n|---|---|---|---|\n"
        .to_owned();
    for Explanation { entry: CodeEntry { code, meaning, is_fixed }, severity, .. } in all() {
        let level = if *is_fixed { "fixed" } else { "" };
        let anchor = code.0.replace("::", "");
        let _ = writeln!(text, "| [`{code}`](#{anchor}) | {severity} | {level} | {meaning} |");
    }
    for explanation in all() {
        let _ = write!(text, "\n## {}\n\n{}\n", explanation.entry.code, explanation.text);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_one_text_and_every_text_a_code() {
        let of_codes: Vec<&str> = codes().iter().map(|entry| entry.code.0).collect();
        let mut of_texts: Vec<&str> =
            TEXTS.iter().flat_map(|text| sections(text)).map(|(code, _)| code).collect();
        of_texts.sort_unstable();
        assert_eq!(of_texts, of_codes);
    }

    #[test]
    fn every_text_says_its_severities_and_what_to_do() {
        for explanation in all() {
            let code = explanation.entry.code;
            for severity in explanation.severity.split(", ") {
                assert!(["error", "warning", "note"].contains(&severity), "{code}: {severity}");
            }
            assert!(explanation.text.matches("```").count() % 2 == 0, "{code}");
            assert!(explanation.text.len() > 60, "{code}");
            let is_pair =
                explanation.text.contains("Wrong:") == explanation.text.contains("Right:");
            assert!(is_pair, "{code}: one example alone");
        }
    }
}
