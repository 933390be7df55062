//! Flags for workers that run old code.

use clap::Args;

#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct WorkerArgs {
    /// Leave workers of changed functions alone, idle ones too
    #[arg(long)]
    pub(crate) keep_workers: bool,
    /// Restart the Gateway where workers cannot be replaced one by one: in containerd mode, or
    /// when their addresses cannot be held; and when a `max_capacity` changed
    #[arg(long, conflicts_with = "keep_workers")]
    pub(crate) restart_gateway: bool,
}
