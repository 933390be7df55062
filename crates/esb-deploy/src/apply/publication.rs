//! How far a run has come with publishing, for whoever interrupts it.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

/// How far a run has come with publishing. Clones tell of the same run.
#[derive(Debug, Clone, Default)]
pub struct Publication(Arc<AtomicU8>);

/// A part of publishing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublicationStep {
    /// The published configuration is as it was.
    Before,
    /// Its files are being written.
    Writing,
    /// All are written; workers may still be replaced.
    Written,
}

impl Publication {
    /// The step that the run is at.
    pub fn step(&self) -> PublicationStep {
        match self.0.load(Ordering::SeqCst) {
            0 => PublicationStep::Before,
            1 => PublicationStep::Writing,
            _ => PublicationStep::Written,
        }
    }

    pub(crate) fn begin(&self) {
        self.0.store(1, Ordering::SeqCst);
    }

    pub(crate) fn end(&self) {
        self.0.store(2, Ordering::SeqCst);
    }
}
