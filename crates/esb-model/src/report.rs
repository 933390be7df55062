//! Progress events that libraries send to a [`Reporter`], which shows or logs them.
//!
//! Libraries know no terminal: they call a [`Reporter`], and a program decides what is shown.

use std::{fmt, time::Duration};

/// The kind of work that is reported on an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Activity {
    /// An image is built.
    Build,
    /// The steps of a Dockerfile are run by a container engine; progress counts steps.
    BuildSteps,
    /// A build context is sent to a container engine.
    Context,
    /// The layers of a base image are read, to know its files.
    Index,
    /// The packages that a function depends on are installed.
    Install,
    /// An image is loaded into a container engine.
    Load,
    /// A container engine pulls an image.
    Pull,
    /// A container engine pulls a base image, before it builds on it.
    PullBase,
    /// An image is pushed to a registry.
    Push,
    /// An image is copied from one registry to another.
    Sync,
    /// A blob is sent to a registry; the subject is its repository and digest.
    Upload,
}

impl Activity {
    /// The word that people and programs read for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::BuildSteps => "build steps",
            Self::Context => "context",
            Self::Index => "index",
            Self::Install => "install",
            Self::Load => "load",
            Self::Pull | Self::PullBase => "pull",
            Self::Push => "push",
            Self::Sync => "sync",
            Self::Upload => "upload",
        }
    }
}

impl fmt::Display for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The role of an image in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ImageRole {
    /// Others are built on it.
    Base,
    /// It is a function's.
    Function,
}

/// The change that a run made to an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ImageChange {
    /// It was built, and brought to where it goes.
    Built,
    /// It was built earlier, and brought to where it goes.
    Pushed,
    /// None: it was already where it goes.
    UpToDate,
}

/// One image that is where it has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageDone<'a> {
    /// Its repository, without the registry.
    pub name: &'a str,
    /// What it is for.
    pub role: ImageRole,
    /// What was done.
    pub change: ImageChange,
    /// Why it was built, or was not.
    pub reason: &'a str,
    /// The number of bytes that were sent.
    pub bytes: u64,
    /// How long it took.
    pub time: Duration,
}

/// A progress event or message for a person or a log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Work on an item began; items are told apart by `subject` (an image, a blob, a file). A
    /// [`Event::Finished`] or [`Event::Failed`] of the same item follows, see [`ActivityGuard`].
    Started { subject: &'a str, action: Activity },
    /// `done` of `total` units, of bytes unless the action says otherwise.
    Progress { subject: &'a str, action: Activity, done: u64, total: Option<u64> },
    /// Work on an item succeeded; `detail` says more, when there is something to say.
    Finished { subject: &'a str, action: Activity, detail: &'a str },
    /// Work on an item ended without success. The reason is in the error that the call returns.
    Failed { subject: &'a str, action: Activity },
    /// An image is where it has to be. All work on it has ended by then.
    Image(ImageDone<'a>),
    /// One line of output of a program that was started.
    Output { subject: &'a str, line: &'a str },
    /// A decision and its reason.
    Decided { subject: &'a str, decision: &'a str },
    /// Something that a person wants to know unless only results are wanted.
    Note { text: &'a str },
    /// Something that may be wrong.
    Warning { text: &'a str },
}

/// Receives [`Event`]s; may be called from several threads.
pub trait Reporter: Send + Sync {
    /// Called once for each event, in the order in which they happen to one item.
    fn event(&self, event: &Event<'_>);
}

/// A [`Reporter`] that ignores every event.
#[derive(Debug, Clone, Copy, Default)]
pub struct NullReporter;

impl Reporter for NullReporter {
    fn event(&self, _: &Event<'_>) {}
}

/// Reports that work began, and on every path that it ended.
///
/// A guard that is dropped before [`ActivityGuard::finish`], by an error or because nobody waits
/// for the work any more, reports [`Event::Failed`].
#[must_use = "dropping it reports that the work failed"]
pub struct ActivityGuard<'a> {
    reporter: &'a dyn Reporter,
    subject: &'a str,
    action: Activity,
    is_finished: bool,
}

impl<'a> ActivityGuard<'a> {
    /// Reports that work on `subject` begins.
    pub fn start(reporter: &'a dyn Reporter, subject: &'a str, action: Activity) -> Self {
        reporter.event(&Event::Started { subject, action });
        Self { reporter, subject, action, is_finished: false }
    }

    /// Reports that the work succeeded.
    pub fn finish(mut self, detail: &str) {
        let (subject, action) = (self.subject, self.action);
        self.is_finished = true;
        self.reporter.event(&Event::Finished { subject, action, detail });
    }
}

impl Drop for ActivityGuard<'_> {
    fn drop(&mut self) {
        if !self.is_finished {
            self.reporter.event(&Event::Failed { subject: self.subject, action: self.action });
        }
    }
}

impl fmt::Debug for ActivityGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subject, action, is_finished, .. } = self;
        f.debug_struct("ActivityGuard")
            .field("subject", subject)
            .field("action", action)
            .field("is_finished", is_finished)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Recorder(Mutex<Vec<String>>);

    impl Reporter for Recorder {
        fn event(&self, event: &Event<'_>) {
            self.0.lock().unwrap().push(format!("{event:?}"));
        }
    }

    #[test]
    fn what_began_ends_once() {
        let recorder = Recorder::default();
        let work = |fails: bool| -> Result<(), ()> {
            let guard = ActivityGuard::start(&recorder, "app", Activity::Push);
            (!fails).then_some(()).ok_or(())?;
            guard.finish("pushed");
            Ok(())
        };
        work(false).unwrap();
        work(true).unwrap_err();
        let started = r#"Started { subject: "app", action: Push }"#;
        let finished = r#"Finished { subject: "app", action: Push, detail: "pushed" }"#;
        let failed = r#"Failed { subject: "app", action: Push }"#;
        assert_eq!(*recorder.0.lock().unwrap(), [started, finished, started, failed]);
    }
}
