//! Flags for the installation of packages.

use clap::Args;

/// What may run on this machine for the packages of a project.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct PackageArgs {
    /// Build packages that have no wheel on this machine, which runs what they bring
    ///
    /// Without it they are built by a step in the Docker engine or on the BuildKit fleet. What is
    /// compiled here may not run in the image. Needs uv.
    #[arg(long)]
    pub(crate) allow_host_builds: bool,
    /// Never fetch uv: when it is neither on PATH nor in the store, pip installs
    #[arg(long)]
    pub(crate) no_uv_install: bool,
}
