//! External images of image functions.

use std::time::Duration;

use esb_model::{FunctionId, ImageOverrides, ImageRef, Platform};
use esb_oci::{Digest, Reference};
use esb_registry::PushReport;

/// The external image of one image function.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct External {
    /// The function.
    pub function: FunctionId,
    /// What it runs on.
    pub platform: Platform,
    /// As in the template.
    pub source: String,
    pub(crate) reference: Reference,
    /// The name in functions.yml.
    pub name: String,
    /// Where it goes; none when it lies in the internal registry already.
    pub target: Option<ImageRef>,
    /// Whether it gets the hooks when it is copied, which other tools cannot do.
    pub hooks: bool,
    /// What the template's `ImageConfig` replaces when it is copied.
    pub(crate) overrides: ImageOverrides,
    /// The variable that loads those hooks, and what its value has to begin with.
    pub(crate) hooks_loaded_by: Option<(String, String)>,
    /// What the target has or will have, once that is known.
    pub digest: Option<Digest>,
    /// What is planned for it, and later what was done.
    pub state: ExternalState,
}

impl External {
    /// Whether the platform gets another image than the source: one with hooks, or with settings of
    /// the template.
    pub(crate) fn is_changed(&self) -> bool {
        self.hooks || !self.overrides.is_empty()
    }
}

/// The state of the external image of a function.
#[derive(Debug, Clone, Default)]
pub enum ExternalState {
    /// Nobody asked.
    #[default]
    Unknown,
    /// The platform has it.
    Present,
    /// It will be copied: its bytes, and where it was found.
    Planned {
        /// Of its layers and its config.
        bytes: u64,
        /// Where it was found.
        from: String,
    },
    /// It was copied.
    Synced {
        /// What was sent.
        report: PushReport,
        /// How long it took.
        time: Duration,
    },
}
