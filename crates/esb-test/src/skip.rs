//! Reports tests that could not run here, and why.
//!
//! A check is skipped for want of a part ([`Missing`]). Tests say so with [`skip`] or [`or_skip`];
//! runs of many checks collect it in [`Skips`].

use std::{
    fmt,
    io::{self, Write as _},
    thread,
};

use crate::Error;

/// The part, or `None` when this machine cannot have it: the running test is skipped, see [`skip`].
///
/// # Panics
/// When the part failed for another reason, and with `CI=true` also when it is missing.
pub fn or_skip<T>(part: Result<T, impl Into<Error>>) -> Option<T> {
    match part.map_err(Into::into) {
        Ok(part) => Some(part),
        Err(Error::Missing(missing)) => {
            skip(thread::current().name().unwrap_or("a test"), &missing);
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// Says on standard error that a check does not run: directly, for the test harness shows only what
/// failing tests print.
///
/// # Panics
/// With `CI=true` in the environment: there every check has to run.
pub fn skip(check: &str, reason: &impl fmt::Display) {
    let is_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(!is_ci, "{check}: {reason}");
    // Nobody reads a standard error that is closed.
    let _unread = writeln!(io::stderr(), "skipped {check}: {reason}");
}

/// A part that this machine does not have and cannot get.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no {what} here: {why}")]
pub struct Missing {
    /// The part, as a noun: `Docker engine`.
    pub what: String,
    /// What stands in the way, and what would help, as one sentence without a period.
    pub why: String,
}

impl Missing {
    /// A missing part and its reason.
    pub fn new(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into() }
    }
}

/// One check that did not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skip {
    /// The check's name.
    pub name: String,
    /// Why it did not run.
    pub reason: Missing,
}

/// The checks that did not run, in the order in which they were given up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Skips {
    list: Vec<Skip>,
}

impl Skips {
    /// Notes that the check `name` did not run for want of `reason`.
    pub fn add(&mut self, name: impl Into<String>, reason: &Missing) {
        self.list.push(Skip { name: name.into(), reason: reason.clone() });
    }

    /// Whether everything ran.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many checks did not run.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// The skips, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Skip> {
        self.list.iter()
    }
}

impl Extend<Skip> for Skips {
    fn extend<T: IntoIterator<Item = Skip>>(&mut self, skips: T) {
        self.list.extend(skips);
    }
}

impl IntoIterator for Skips {
    type Item = Skip;
    type IntoIter = std::vec::IntoIter<Skip>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}

/// One line for each skip: `skipped NAME: no WHAT here: WHY`.
impl fmt::Display for Skips {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Skip { name, reason } in &self.list {
            writeln!(f, "skipped {name}: {reason}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skips_say_what_and_why() {
        let mut skips = Skips::default();
        assert!(skips.is_empty());
        skips.add("a pull", &Missing::new("registry", "`docker-registry` needs root"));
        skips.add("a load", &Missing::new("Docker engine", "this is not Debian"));
        assert_eq!(skips.len(), 2);
        assert_eq!(
            skips.to_string(),
            "skipped a pull: no registry here: `docker-registry` needs root\n\
             skipped a load: no Docker engine here: this is not Debian\n"
        );
    }

    #[test]
    fn only_a_missing_part_skips() {
        let missing =
            || Err::<(), _>(Missing::new("part for this test", "it was never meant to be"));
        let skipped = std::panic::catch_unwind(|| or_skip(missing()));
        let is_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
        assert_eq!(skipped.ok(), (!is_ci).then_some(None), "a skip is a failure with `CI=true`");
        assert_eq!(or_skip(Ok::<_, Error>(1)), Some(1));
        let silent = || Error::Silent { program: "p".into(), seconds: 1, log: String::new() };
        std::panic::catch_unwind(|| or_skip(Err::<(), _>(silent()))).unwrap_err();
    }
}
