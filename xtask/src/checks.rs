//! Named checks with their times, their failures and their skips.
//!
//! Owns the policy that a skip is a failure where `CI` is set. Prints through `steps`.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use esb_test::{Missing, Skips};

use crate::steps::say;

/// Why a check did not succeed.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It could not run for want of a part.
    Missing(Missing),
    /// It ran, and something is wrong.
    Failed(String),
}

/// What a check comes to.
pub(crate) type Outcome<T = ()> = Result<T, Trouble>;

impl From<Missing> for Trouble {
    fn from(missing: Missing) -> Self {
        Self::Missing(missing)
    }
}

impl From<String> for Trouble {
    fn from(text: String) -> Self {
        Self::Failed(text)
    }
}

impl From<&str> for Trouble {
    fn from(text: &str) -> Self {
        Self::Failed(text.to_owned())
    }
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<esb_test::Error> for Trouble {
    fn from(error: esb_test::Error) -> Self {
        match error {
            esb_test::Error::Missing(missing) => Self::Missing(missing),
            error => Self::Failed(chain(&error)),
        }
    }
}

/// An error with its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// A check that failed.
#[derive(Debug)]
struct Failure {
    name: String,
    reason: String,
    /// The command that runs it alone.
    alone: Option<String>,
}

/// Checks that ran, in order.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    /// The command that runs checks by their names, where there is one.
    alone: Option<&'static str>,
    /// Only checks run whose names hold this.
    only: Option<Arc<str>>,
    times: Vec<(String, Duration, &'static str)>,
    passed: usize,
    failed: Vec<Failure>,
    skips: Skips,
}

impl Checks {
    /// Checks of which a command runs each by its name, and all of them without one: the option is
    /// `--only`.
    pub(crate) fn of_command(command: &'static str, only: Option<&str>) -> Self {
        Self { alone: Some(command), only: only.map(Arc::from), ..Self::default() }
    }

    /// No checks yet, with the same selection.
    pub(crate) fn beside(&self) -> Self {
        Self { alone: self.alone, only: self.only.clone(), ..Self::default() }
    }

    /// Whether one of these checks is to run.
    pub(crate) fn wants<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> bool {
        let only = self.only.as_deref();
        only.is_none_or(|only| names.into_iter().any(|name| name.contains(only)))
    }

    /// Runs a check if it is wanted, prints how it went, and gives what it made when it succeeded.
    pub(crate) fn run<T>(&mut self, name: &str, check: impl FnOnce() -> Outcome<T>) -> Option<T> {
        if self.wants([name]) { self.prepare(name, check) } else { None }
    }

    /// As [`Checks::run`], but wanted or not: other checks cannot do without what it makes.
    pub(crate) fn prepare<T>(
        &mut self,
        name: &str,
        check: impl FnOnce() -> Outcome<T>,
    ) -> Option<T> {
        let start = Instant::now();
        let watch = crate::limit::of_check(name);
        let outcome = check();
        drop(watch);
        self.note(name, start.elapsed(), outcome)
    }

    /// Notes the outcome of a check that ran elsewhere.
    pub(crate) fn note<T>(&mut self, name: &str, time: Duration, outcome: Outcome<T>) -> Option<T> {
        let (word, made) = match outcome {
            Ok(made) => {
                self.passed += 1;
                ("ok", Some(made))
            }
            Err(Trouble::Missing(missing)) => {
                self.skips.add(name, &missing);
                say(&format!("  {missing}"));
                ("skipped", None)
            }
            Err(Trouble::Failed(reason)) => {
                say(&format!("  {}", reason.replace('\n', "\n  ")));
                let alone = self.alone.map(|command| format!("{command} --only \"{name}\""));
                self.failed.push(Failure { name: name.to_owned(), reason, alone });
                ("FAILED", None)
            }
        };
        say(&format!("{word:>8} {:7.1} s  {name}", time.as_secs_f64()));
        self.times.push((name.to_owned(), time, word));
        made
    }

    /// Takes over the checks that ran elsewhere, in their order.
    pub(crate) fn take(&mut self, other: Self) {
        self.times.extend(other.times);
        self.passed += other.passed;
        self.failed.extend(other.failed);
        self.skips.extend(other.skips);
    }

    /// The names of the checks so far.
    #[cfg(test)]
    pub(crate) fn names(&self) -> Vec<&str> {
        self.times.iter().map(|(name, ..)| name.as_str()).collect()
    }

    /// Prints the table of times and the closing line; whether the run counts as passed.
    pub(crate) fn finish(mut self, what: &str) -> bool {
        if let Some(only) = self.only.take()
            && !self.times.iter().any(|(name, ..)| name.contains(&*only))
        {
            let reason = format!("no step has `{only}` in its name");
            self.failed.push(Failure { name: "--only".to_owned(), reason, alone: None });
        }
        say(&format!("\n{what}\n\n| step | minutes | |\n|---|---:|---|"));
        for (name, time, word) in &self.times {
            say(&format!("| {name} | {:.2} | {word} |", time.as_secs_f64() / 60.0));
        }
        if !self.skips.is_empty() {
            say(self.skips.to_string().trim_end());
        }
        for Failure { name, reason, alone } in &self.failed {
            say(&format!("failed {name}: {}", reason.lines().next().unwrap_or_default()));
            if let Some(command) = alone {
                say(&format!("  alone: {command}"));
            }
        }
        let strict = std::env::var_os("CI").is_some_and(|ci| !ci.is_empty());
        if strict && !self.skips.is_empty() {
            say("CI is set: a skip is a failure");
        }
        say(&format!(
            "{} passed, {} failed, {} skipped",
            self.passed,
            self.failed.len(),
            self.skips.len()
        ));
        self.failed.is_empty() && (self.skips.is_empty() || !strict)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_wanted_runs_and_what_it_needs() {
        let mut checks = Checks::of_command("task", Some("two"));
        assert_eq!(checks.prepare("needed", || Ok(1)), Some(1));
        assert_eq!(checks.run::<()>("one", || unreachable!("it is not wanted")), None);
        let mut lane = checks.beside();
        assert_eq!(lane.run("one, two", || Ok(2)), Some(2));
        assert!(lane.wants(["one", "two"]) && !lane.wants(["one"]));
        checks.take(lane);
        assert_eq!(checks.names(), ["needed", "one, two"]);
        assert!(checks.finish("task"));
    }

    #[test]
    fn a_selection_of_nothing_fails() {
        let mut checks = Checks::of_command("task", Some("tow"));
        checks.run("two", || Ok(()));
        assert!(!checks.finish("task"));
    }
}
