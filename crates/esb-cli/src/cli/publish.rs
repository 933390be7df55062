//! Flags for what a deploy does beside writing configuration.

use clap::Args;
use esb_deploy::Pull;

use super::choices::{PULLS, parser};

/// How the platform's engine gets images.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct PullArgs {
    /// Let the engine of the project's Gateway pull what is newly published, in docker mode, so that
    /// the first call need not wait for it
    #[arg(long, value_parser = parser(PULLS), default_value = "all")]
    pub(crate) pull: Pull,
}
