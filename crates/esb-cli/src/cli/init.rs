//! Flags of `esb init`.

use clap::Args;

/// What the new file says.
#[derive(Debug, Clone, Args)]
pub(crate) struct InitArgs {
    /// Print the file and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Write esb.schema.json alone: for an esb.toml that is there, and after an upgrade of esb
    #[arg(long)]
    pub(crate) schema: bool,
}
