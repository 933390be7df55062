//! The levels of findings: what flags, comments and settings make of them.
//!
//! A flag takes precedence over a comment, a comment over the settings. An error that leaves the
//! application unknown stays an error whatever they say.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use esb_model::{Finding, FindingCode, Severity, Span};
use esb_sam::Allowance;

/// What is made of the findings of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// They are not shown.
    Allow,
    Warn,
    /// They are errors.
    Deny,
}

impl Level {
    /// The level of a name in settings.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "allow" => Some(Self::Allow),
            "warn" => Some(Self::Warn),
            "deny" => Some(Self::Deny),
            _ => None,
        }
    }
}

/// A code of a finding, with what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CodeEntry {
    pub code: FindingCode,
    pub meaning: &'static str,
    /// Whether its errors stay errors whatever is allowed: what is built would not be known.
    pub is_fixed: bool,
}

/// The codes of all findings, sorted.
pub fn codes() -> &'static [CodeEntry] {
    static CODES: LazyLock<Vec<CodeEntry>> = LazyLock::new(|| {
        let tables = [
            (esb_code::codes::CODES, esb_code::codes::FIXED),
            (esb_sam::codes::CODES, esb_sam::codes::FIXED),
            (esb_dockerfile::codes::CODES, esb_dockerfile::codes::FIXED),
            (esb_config::codes::CODES, esb_config::codes::FIXED),
        ];
        let mut codes = Vec::new();
        for (table, fixed) in tables {
            codes.extend(table.iter().map(|(code, meaning)| CodeEntry {
                code: *code,
                meaning: meaning.trim(),
                is_fixed: fixed.contains(code),
            }));
        }
        codes.sort_unstable();
        codes.dedup();
        codes
    });
    &CODES
}

/// The entry of a code.
pub fn code(name: &str) -> Option<&'static CodeEntry> {
    codes().iter().find(|entry| entry.code.0 == name)
}

/// The code that is meant by a name that is none: the one whose end it is, else the nearest.
pub fn nearest_code(name: &str) -> Option<&'static str> {
    let lower = name.to_lowercase().replace('_', "-");
    let ends = |entry: &&CodeEntry| entry.code.0.ends_with(&format!("::{lower}"));
    if let Some(entry) = codes().iter().find(ends) {
        return Some(entry.code.0);
    }
    // Of a name without its stage, only the end is compared.
    let parts = lower.split("::").count();
    let end = |code: &'static str| {
        let from = code.rsplit("::").take(parts).map(str::len).sum::<usize>() + 2 * (parts - 1);
        &code[code.len().saturating_sub(from)..]
    };
    let distance = |entry: &&CodeEntry| strsim::levenshtein(&lower, end(entry.code.0));
    let nearest = codes().iter().min_by_key(distance)?;
    (distance(&nearest) <= 3 && lower.len() > 3).then_some(nearest.code.0)
}

/// The levels that a run gives to findings.
#[derive(Debug, Clone, Default)]
pub struct Levels {
    /// The levels of the settings, by code.
    pub settings: BTreeMap<String, Level>,
    /// The codes that this run allows.
    pub allowed: BTreeSet<String>,
}

impl Levels {
    /// Gives findings their final severities, and removes those that are allowed.
    pub(crate) fn apply(&self, findings: &mut Vec<Finding>, allowances: &[Allowance]) {
        findings.retain_mut(|finding| {
            let is_error = finding.severity == Severity::Error;
            if is_error && code(finding.code.0).is_some_and(|entry| entry.is_fixed) {
                return true;
            }
            match self.level(finding, allowances) {
                Some(Level::Allow) => return false,
                Some(Level::Warn) => finding.severity = Severity::Warning,
                Some(Level::Deny) => finding.severity = Severity::Error,
                None => {}
            }
            true
        });
    }

    fn level(&self, finding: &Finding, allowances: &[Allowance]) -> Option<Level> {
        let code = finding.code.0;
        let is_here = |span: Span, allowance: &Allowance| {
            let applies = allowance.applies;
            span.source == applies.source && (applies.start..applies.end).contains(&span.start)
        };
        let by_comment = |span| {
            allowances.iter().any(|allowance| allowance.code == code && is_here(span, allowance))
        };
        // What lies in a file of code is about the function in the template, too.
        let of_code = code.starts_with("esb::code::");
        let related = finding.related.iter().filter(|_| of_code).map(|(span, _)| *span);
        if self.allowed.contains(code) || finding.span.into_iter().chain(related).any(by_comment) {
            return Some(Level::Allow);
        }
        self.settings.get(code).copied()
    }
}

/// Whether a comment in the line of a place, or alone in the line above, allows a code there.
pub(crate) fn allowed_in_code(text: &str, start: usize, code: FindingCode) -> bool {
    let before = text.get(..start).unwrap_or_default();
    let line = text.lines().nth(before.matches('\n').count()).unwrap_or_default();
    let above = before.lines().rev().nth(usize::from(!before.ends_with('\n')));
    let above = above.map(str::trim_start).filter(|line| line.starts_with(['#', '/']));
    [Some(line), above].into_iter().flatten().any(|line| {
        let words = line.split_once("esb: allow ").map(|(_, codes)| codes);
        let mut words = words.unwrap_or_default().split([' ', ',']);
        words.any(|word| word == code.0)
    })
}

/// Warnings about comments that allow what does not exist.
pub(crate) fn unknown(allowances: &[Allowance]) -> impl Iterator<Item = Finding> {
    allowances.iter().filter(|allowance| code(&allowance.code).is_none()).map(|allowance| {
        let message = format!("there is no finding `{}`", allowance.code.escape_debug());
        let unknown = esb_sam::codes::UNKNOWN_CODE;
        let finding = Finding::new(Severity::Warning, unknown, allowance.span, message);
        match nearest_code(&allowance.code) {
            Some(code) => finding.help(format!("did you mean `{code}`?")),
            None => finding,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_that_is_meant() {
        let check = |name: &str, expected| assert_eq!(nearest_code(name), expected, "{name}");
        check("sam::event", Some("esb::sam::event"));
        check("event", Some("esb::sam::event"));
        check("esb::sam::evnt", Some("esb::sam::event"));
        check("ESB::SAM::EVENT", Some("esb::sam::event"));
        check("unresolved-reff", Some("esb::sam::unresolved-ref"));
        check("esb::platform::nothing-like-it", None);
        check("", None);
        check("x", None);
    }

    #[test]
    fn a_comment_in_a_file_of_code() {
        let code = FindingCode("esb::code::missing-import");
        let check = |text: &str, expected: bool| {
            let start = text.find("nowhere").unwrap();
            assert_eq!(allowed_in_code(text, start, code), expected, "{text}");
        };
        check("import nowhere  # esb: allow esb::code::missing-import\n", true);
        check("import a\n# esb: allow esb::code::missing-import\nimport nowhere\n", true);
        check("    // esb: allow x, esb::code::missing-import\n    import nowhere", true);
        check("# esb: allow esb::code::missing-import\nimport a\nimport nowhere\n", false);
        check("import a # esb: allow esb::code::missing-import\nimport nowhere\n", false);
        check("import nowhere # esb: allow esb::code::missing\n", false);
        check("import nowhere", false);
    }
}
