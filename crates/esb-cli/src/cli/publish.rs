//! What a deploy does beside writing configuration.

use clap::{Args, ValueEnum};

/// How the platform's engine gets images.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct PullArgs {
    /// Let the engine of the project's Gateway pull what is newly published, in docker mode, so that
    /// the first call need not wait for it
    #[arg(long, value_enum, default_value_t = Pull::All)]
    pub(crate) pull: Pull,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Pull {
    #[default]
    All,
    Off,
}
