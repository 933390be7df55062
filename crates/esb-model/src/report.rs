//! How libraries tell what goes on, without knowing a terminal.

/// Something happened that a person or a log may want to see.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Work on an item began; items are told apart by `subject` (an image, a blob, a file).
    Started { subject: &'a str, action: &'static str },
    /// `done` of `total` units, of bytes unless the action says otherwise.
    Progress { subject: &'a str, action: &'static str, done: u64, total: Option<u64> },
    /// Work on an item ended; `detail` says why, when there is something to say.
    Finished { subject: &'a str, action: &'static str, detail: &'a str },
    /// One line of a program that runs for us.
    Output { subject: &'a str, line: &'a str },
    /// A decision and its reason.
    Decided { subject: &'a str, decision: &'a str },
}

/// Receives [`Event`]s; may be called from several threads.
pub trait Reporter: Send + Sync {
    fn event(&self, event: &Event<'_>);
}

/// Hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NullReporter;

impl Reporter for NullReporter {
    fn event(&self, _: &Event<'_>) {}
}
