//! What a task tells the person who runs it.
//!
//! Owns the terminal: every line that a task prints goes through here. Refuses to decide anything.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the one place that prints")]

use std::{
    error::Error,
    time::{Duration, Instant},
};

/// The steps of one task, each printed with its seconds when it is done.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    done: Vec<(String, Duration)>,
}

impl Steps {
    /// Runs one step and prints how long it took.
    pub(crate) fn step<T, E>(
        &mut self,
        name: &str,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let start = Instant::now();
        let value = work()?;
        let took = start.elapsed();
        println!("{:7.1} s  {name}", took.as_secs_f64());
        self.done.push((name.to_owned(), took));
        Ok(value)
    }

    /// The time of all steps so far.
    pub(crate) fn total(&self) -> Duration {
        self.done.iter().map(|(_, took)| *took).sum()
    }
}

/// Prints one line.
pub(crate) fn say(line: &str) {
    println!("{line}");
}

/// Prints what is wrong.
pub(crate) fn wrong(text: &str) {
    eprintln!("error: {text}");
}

/// Prints a failure with its causes.
pub(crate) fn failed(error: &dyn Error) {
    eprintln!("error: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        eprintln!("  caused by: {error}");
        cause = error.source();
    }
}
