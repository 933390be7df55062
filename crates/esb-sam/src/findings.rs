//! Collects findings: none twice, and no more than a limit.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    hash::Hasher,
};

use esb_model::{Cause, Finding, FindingCode, Severity, SourceId, Span};

use crate::{
    codes,
    suggest::{self, Budget},
};

/// All findings of a run so far.
#[derive(Debug)]
pub(crate) struct Findings {
    list: Vec<Finding>,
    /// Where each thing that was said is in the list.
    seen: HashMap<(FindingCode, Option<Span>, u64), usize>,
    /// What was said once for the whole run.
    once: HashSet<(FindingCode, u64)>,
    /// Places about which something was said.
    places: BTreeSet<(SourceId, usize)>,
    /// Places whose value depends on a parameter that has none.
    unset: BTreeSet<(SourceId, usize)>,
    limit: usize,
    left_out: usize,
    suggestions: Budget,
}

impl Findings {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            list: Vec::new(),
            seen: HashMap::new(),
            once: HashSet::new(),
            places: BTreeSet::new(),
            unset: BTreeSet::new(),
            limit,
            left_out: 0,
            suggestions: Budget::default(),
        }
    }

    /// Keeps a finding. Of several that say the same about one place the weightiest stays.
    pub(crate) fn push(&mut self, mut finding: Finding) {
        let is_unset = || finding.span.is_some_and(|span| self.is_unset(span));
        finding.cause = match finding.code {
            codes::UNRESOLVED_VALUE | codes::UNDECIDED_CONDITION | codes::FOR_EACH
                if is_unset() =>
            {
                Some(Cause::MissingParameter)
            }
            code => cause(code),
        };
        // Errors always find room, so that a flood of warnings cannot hide them.
        let room = finding.severity == Severity::Error && self.list.len() < 2 * self.limit;
        let key = (finding.code, finding.span, hash(&finding.message));
        if let Some(&said) = self.seen.get(&key) {
            self.list[said].severity = self.list[said].severity.max(finding.severity);
        } else if self.list.len() >= self.limit && !room {
            self.left_out += 1;
        } else {
            self.seen.insert(key, self.list.len());
            self.places.extend(finding.span.map(|span| (span.source, span.start)));
            self.list.push(finding);
        }
    }

    /// Keeps a finding unless its message was said before, at any place.
    pub(crate) fn push_once(&mut self, finding: Finding) {
        if self.once.insert((finding.code, hash(&finding.message))) {
            self.push(finding);
        }
    }

    /// Keeps a finding about a wrong name, with the nearest of the right ones.
    pub(crate) fn push_wrong<'a>(
        &mut self,
        finding: Finding,
        wrong: &str,
        names: impl IntoIterator<Item = &'a str>,
    ) {
        let meant = self.nearest(wrong, names);
        self.push(match meant {
            Some(name) => finding.help(suggest::help(name)),
            None => finding,
        });
    }

    /// The nearest of some names to a wrong one.
    pub(crate) fn nearest<'a>(
        &mut self,
        wrong: &str,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Option<&'a str> {
        if self.list.len() >= 2 * self.limit {
            return None;
        }
        suggest::nearest(&mut self.suggestions, wrong, names)
    }

    /// Whether something was said about this place or a part of it.
    pub(crate) fn mentions(&self, span: Span) -> bool {
        has_place(&self.places, span)
    }

    /// Notes that the value at a place depends on a parameter that has none.
    pub(crate) fn unset(&mut self, span: Span) {
        self.unset.insert((span.source, span.start));
    }

    /// Whether the value at a place depends on a parameter that has none.
    pub(crate) fn is_unset(&self, span: Span) -> bool {
        has_place(&self.unset, span)
    }

    pub(crate) fn warn(&mut self, code: FindingCode, span: Span, message: impl Into<String>) {
        self.push(Finding::new(Severity::Warning, code, span, message));
    }

    pub(crate) fn error(&mut self, code: FindingCode, span: Span, message: impl Into<String>) {
        self.push(Finding::new(Severity::Error, code, span, message));
    }

    /// All findings in the order of their places; those without a place come first.
    pub(crate) fn finish(mut self) -> Vec<Finding> {
        if self.left_out > 0 {
            let message = format!("{} more findings are left out", self.left_out);
            self.list.push(Finding::new(Severity::Note, codes::LIMIT, None, message));
        }
        self.list.sort_by_key(|finding| finding.span.map(|span| (span.source, span.start)));
        self.list
    }
}

fn has_place(places: &BTreeSet<(SourceId, usize)>, span: Span) -> bool {
    places.range((span.source, span.start)..=(span.source, span.end)).next().is_some()
}

/// The fault behind a code, where the stages after this one notice it too.
fn cause(code: FindingCode) -> Option<Cause> {
    match code {
        codes::CODE_NOT_LOCAL => Some(Cause::ContentElsewhere),
        codes::LAYER => Some(Cause::PublishedLayer),
        codes::SCHEDULE => Some(Cause::ScheduleExpression),
        codes::MISSING_PROPERTY => Some(Cause::MissingProperty),
        codes::UNKNOWN_RUNTIME => Some(Cause::UnknownRuntime),
        codes::UNRESOLVED_VALUE | codes::UNRESOLVED_REF | codes::UNKNOWN_INTRINSIC => {
            Some(Cause::UnknownValue)
        }
        _ => None,
    }
}

/// FNV-1a: stable, cheap for short texts, and good enough to tell messages of one place apart.
pub(crate) struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes
            .iter()
            .fold(self.0, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

fn hash(text: &str) -> u64 {
    let mut hasher = Fnv::default();
    hasher.write(text.as_bytes());
    hasher.finish()
}

/// The way around a circle, from a name back to it: the last of those that are open, outermost
/// first, depends on the name again.
pub(crate) fn circle(open: &[impl AsRef<str>], name: &str) -> String {
    /// The names that are shown.
    const MOST: usize = 20;
    let from = open.iter().position(|open| open.as_ref() == name).unwrap_or(0);
    let names = open[from..].iter().map(AsRef::as_ref).chain([name]);
    let mut way: Vec<String> = names.take(MOST + 1).map(quote).collect();
    if way.len() > MOST {
        way.truncate(MOST);
        way.push("…".to_owned());
    }
    way.join(" → ")
}

/// Untrusted text for a message: escaped, in backticks, and cut when it is long.
pub(crate) fn quote(text: &str) -> String {
    const LONGEST: usize = 80;
    let mut quoted = String::from("`");
    for (count, c) in text.chars().enumerate() {
        if count == LONGEST {
            quoted.push('…');
            break;
        }
        // Only what would move a terminal or break the line is escaped: `"` and `'` stay.
        if c.is_control()
            || ('\u{200b}'..='\u{200f}').contains(&c)
            || ('\u{202a}'..='\u{202e}').contains(&c)
        {
            quoted.extend(c.escape_debug());
        } else {
            quoted.push(c);
        }
    }
    quoted.push('`');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_each_thing_once_and_counts_the_rest() {
        let mut findings = Findings::new(2);
        let span = esb_model::SourceMap::default().add("t", "text");
        let at = |start| Span { source: span, start, end: start };
        findings.warn(codes::LAYER, at(4), "b");
        findings.warn(codes::LAYER, at(4), "b");
        findings.warn(codes::LAYER, at(1), "a");
        findings.warn(codes::LAYER, at(9), "too many");
        findings.error(codes::LAYER, at(0), "an error still fits");
        let messages: Vec<_> = findings.finish().into_iter().map(|f| f.message).collect();
        assert_eq!(messages, ["1 more findings are left out", "an error still fits", "a", "b"]);
    }

    #[test]
    fn circles_show_their_way() {
        assert_eq!(circle(&["X", "A", "B"], "A"), "`A` → `B` → `A`");
        assert_eq!(circle(&["A"], "A"), "`A` → `A`");
        let long: Vec<String> = (0..100).map(|n| n.to_string()).collect();
        assert!(circle(&long, "0").ends_with("`19` → …"));
    }

    #[test]
    fn quotes_escape_and_cut() {
        assert_eq!(quote("a\u{1b}[31mb\"é"), "`a\\u{1b}[31mb\"é`");
        assert_eq!(quote(&"x".repeat(100)).chars().count(), 83);
    }
}
