//! Progress messages of a task.
//!
//! Owns the terminal: every line that a task prints goes through here. Refuses to decide anything.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the one place that prints")]

use std::{
    cell::RefCell,
    error::Error,
    time::{Duration, Instant},
};

thread_local! {
    /// The lines that this thread holds back.
    static HELD: RefCell<Option<String>> = const { RefCell::new(None) };
}

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

/// Prints one line, now or with the others that this thread holds back.
pub(crate) fn say(line: &str) {
    HELD.with_borrow_mut(|held| match held {
        Some(lines) => {
            lines.push_str(line);
            lines.push('\n');
        }
        None => println!("{line}"),
    });
}

/// Does the work, and prints what this thread says of it in one piece at its end.
pub(crate) fn together<T>(work: impl FnOnce() -> T) -> T {
    struct Printed;
    impl Drop for Printed {
        fn drop(&mut self) {
            print!("{}", HELD.take().unwrap_or_default());
        }
    }
    HELD.set(Some(String::new()));
    let _printed = Printed;
    work()
}

/// Whether this thread holds back what it says.
pub(crate) fn holds_back() -> bool {
    HELD.with_borrow(Option::is_some)
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
