//! Groups of flags that several commands take.

use std::path::PathBuf;

use clap::Args;
use esb_deploy::Prewarm;

use super::choices::{PREWARMS, parser};

/// Templates that are named without a flag.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct TemplatePaths {
    /// Template or its folder: the same as --template
    #[arg(id = "paths", value_name = "TEMPLATE")]
    pub(crate) templates: Vec<PathBuf>,
}

/// Which templates are read, and with which values.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Template")]
pub(crate) struct TemplateArgs {
    /// Template or its folder; repeatable [default: the nearest one]
    #[arg(short, long = "template", alias = "template-file", value_name = "PATH")]
    pub(crate) templates: Vec<PathBuf>,
    /// Value of a template parameter; repeatable
    ///
    /// A secret does not belong on a command line, which other users of the machine can read: give
    /// it as `KEY=@FILE`, which reads the value from a file, or in the variable ESB_PARAM_KEY.
    ///
    /// `TEMPLATE:KEY=VALUE` is for one of several templates.
    ///
    /// Values come from, the strongest first: this option, --parameters-file, ESB_PARAM_KEY,
    /// `parameter_overrides` of samconfig.toml beside the template or in the project root (of the
    /// environment, then of `default`; sections deploy, build, global), the template's Default.
    #[arg(long = "parameter", value_name = "KEY=VALUE")]
    pub(crate) parameters: Vec<String>,
    /// Values of template parameters, as SAM CLI takes them
    #[arg(long, value_name = "KEY=VALUE", num_args = 1.., hide = true)]
    pub(crate) parameter_overrides: Vec<String>,
    /// File with parameter values, in the shapes of CloudFormation's command line (JSON or YAML);
    /// repeatable
    #[arg(long, value_name = "FILE")]
    pub(crate) parameters_file: Vec<PathBuf>,
    /// Values for environment variables that AWS would compute: JSON in SAM CLI's shape
    #[arg(long, value_name = "FILE")]
    pub(crate) env_vars: Option<PathBuf>,
    /// Region of `AWS::Region` and ARNs [default: AWS_REGION, then us-east-1]
    #[arg(long, value_name = "NAME")]
    pub(crate) region: Option<String>,
    /// Variable that functions.yml holds as `${NAME}`, so that the Gateway fills it in and no
    /// secret is written; repeatable
    #[arg(long, value_name = "FUNCTION.NAME")]
    pub(crate) secret_env: Vec<String>,
    /// Finding that is not shown, by its code; repeatable (`esb explain` lists the codes)
    #[arg(long, value_name = "CODE", value_parser = crate::commands::explain::parse_code)]
    pub(crate) allow: Vec<String>,
    /// Local code for a function whose code is in S3; repeatable
    #[arg(long, value_name = "FUNCTION=PATH")]
    pub(crate) code: Vec<String>,
}

/// Where a project's configuration is published.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct PlaceArgs {
    /// Where a Gateway reads the configuration [default: CONFIG_DIR, then the project's Gateway
    /// container]
    #[arg(long, value_name = "DIR|container:NAME|none")]
    pub(crate) config_to: Option<String>,
    /// Compose project [default: brand and environment, as in esb-dev]
    #[arg(short, long, value_name = "NAME")]
    pub(crate) project: Option<String>,
}

/// What a run does about entries of others.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct AdoptArgs {
    /// Take over published entries of another application or template that this run has too
    #[arg(long)]
    pub(crate) adopt: bool,
}

/// How external images of image functions are synced.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct SyncArgs {
    /// Copy external images of image functions into the internal registry
    #[arg(long, value_parser = parser(PREWARMS), default_value = "all")]
    pub(crate) image_prewarm: Prewarm,
    /// Copy external images with all of their platforms
    #[arg(long)]
    pub(crate) all_platforms: bool,
    /// Add the platform's hooks to external images, as a layer of their own
    #[arg(long, conflicts_with = "all_platforms")]
    pub(crate) image_hooks: bool,
}

/// Which BuildKit daemons build.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Images")]
pub(crate) struct FleetArgs {
    /// BuildKit daemon that builds what needs a process: tcp://HOST:PORT or unix:///PATH; repeatable
    /// (BUILDKIT_HOST)
    #[arg(long, value_name = "ADDR")]
    pub(crate) buildkit: Vec<String>,
    /// Folder of ca.pem, cert.pem and key.pem, for mutual TLS with the daemons
    #[arg(long, value_name = "DIR")]
    pub(crate) buildkit_tls: Option<PathBuf>,
    /// Name in the daemons' certificates [default: the host of each address]
    #[arg(long, value_name = "NAME", requires = "buildkit_tls")]
    pub(crate) buildkit_server_name: Option<String>,
    /// Address of the registry for the daemons, when it differs from the one this machine pushes to
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(crate) buildkit_registry: Option<String>,
}

/// How registries are reached.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Registries")]
pub(crate) struct AccessArgs {
    /// Registry that may be reached over plain HTTP; repeatable
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(crate) registry_insecure: Vec<String>,
    /// Registry that gets credentials over plain HTTP as well; repeatable
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(crate) insecure_credentials: Vec<String>,
    /// Further root certificates in PEM
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Reach nothing: use only what the store, esb.lock and mirrors of kind `oci:` hold, with the
    /// wheels that `esb image fetch` put beside them
    #[arg(long)]
    pub(crate) offline: bool,
    /// Where images of HOST are really fetched; repeatable (ESB_MIRRORS)
    #[arg(long, value_name = "HOST=HOST[:PORT][/PREFIX]|HOST=oci:DIR")]
    pub(crate) mirror: Vec<String>,
}

/// Whether work is only planned, and what is asked before it.
#[derive(Debug, Clone, Copy, Default, Args)]
#[command(next_help_heading = "Images")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct PlanArgs {
    /// Show what would be done and why, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// With --dry-run: end with 8 when there is something to do
    #[arg(long, requires = "dry_run")]
    pub(crate) detailed_exitcode: bool,
    /// Do not ask for confirmation (ESB_YES)
    #[arg(long, short_alias = 'y')]
    pub(crate) yes: bool,
    /// Ask for everything that has a default, too
    #[arg(long, conflicts_with = "no_input")]
    pub(crate) ask: bool,
    /// Do not remember what is answered on the terminal
    #[arg(long)]
    pub(crate) no_save_defaults: bool,
}

/// How esb.lock is used.
#[derive(Debug, Clone, Copy, Default, Args)]
#[command(next_help_heading = "Images")]
pub(crate) struct LockArgs {
    /// Resolve base and external images anew, and pin what they are now in esb.lock
    #[arg(long, conflicts_with = "locked")]
    pub(crate) update_lock: bool,
    /// Fail when esb.lock would change
    #[arg(long)]
    pub(crate) locked: bool,
}
