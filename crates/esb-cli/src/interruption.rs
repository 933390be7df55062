//! What a command leaves when a signal ends it.
//!
//! Signals are the process's, and so is this: a command says what it would leave from here on, and
//! whoever waits for signals asks.

use std::sync::{Mutex, PoisonError};

type Left = Box<dyn Fn() -> &'static str + Send>;

static LEFT: Mutex<Option<Left>> = Mutex::new(None);

/// Says what an interrupted command leaves from here on.
pub(crate) fn leaves(text: &'static str) {
    leaves_as(move || text);
}

/// The same, where it changes while the command works.
pub(crate) fn leaves_as(left: impl Fn() -> &'static str + Send + 'static) {
    *LEFT.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(left));
}

/// The message of a command that is interrupted now.
pub(crate) fn message() -> String {
    match &*LEFT.lock().unwrap_or_else(PoisonError::into_inner) {
        Some(left) => format!("interrupted; {}", left()),
        None => "interrupted".to_owned(),
    }
}
