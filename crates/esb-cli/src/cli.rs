//! Command line arguments; their comments are the help texts.

#![expect(clippy::doc_markdown, reason = "help texts are shown as they are")]

pub(crate) mod choices;
mod groups;
pub(crate) mod help;
mod init;
mod invoke;
mod packages;
mod publish;
mod workers;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use esb_deploy::{BuilderChoice, ImageRefForm, Mode};

use self::choices::{BUILDERS, IMAGE_REFS, MODES, parser};

pub(crate) use self::{
    groups::{
        AccessArgs, AdoptArgs, FleetArgs, LockArgs, PlaceArgs, PlanArgs, SyncArgs, TemplateArgs,
        TemplatePaths,
    },
    init::InitArgs,
    invoke::{InvokeArgs, LogsArgs},
    packages::PackageArgs,
    publish::PullArgs,
    workers::WorkerArgs,
};

/// Turns AWS SAM templates into container images and runtime configuration.
#[derive(Debug, Parser)]
#[command(
    name = "esb",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// Project root [default: the nearest folder above the template with esb.toml or .git, else with
    /// esb.lock]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) project_dir: Option<PathBuf>,
    /// Environment the images and the configuration are for [default: default]
    #[arg(short, long, global = true, value_name = "NAME")]
    pub(crate) env: Option<String>,
    /// File with further environment variables [default: ./.env when present]
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) env_file: Option<PathBuf>,
    /// Brand that paths, image names and labels follow [default: esb]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) brand: Option<String>,
    /// What stdout gets. Only of `esb inspect`: `mermaid` (a diagram). Only of `esb validate`: `sarif`
    /// (a log of findings), `github` (annotations of a workflow), `gitlab` (a report of Code Quality)
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// How progress is shown on stderr
    #[arg(long, global = true, value_enum, default_value_t = Progress::Auto)]
    pub(crate) progress: Progress,
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    pub(crate) color: Color,
    /// Never ask, even on a terminal
    #[arg(long, global = true)]
    pub(crate) no_input: bool,
    /// Use a content store that belongs to another user, or that every user can write to
    /// (ESB_TRUST_STORE)
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) trust_store: bool,
    /// Only results, warnings and errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// More detail; repeat for more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
    Mermaid,
    Sarif,
    Github,
    Gitlab,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Progress {
    /// Bars on a terminal, plain lines elsewhere
    Auto,
    Plain,
    /// One JSON event a line
    Json,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Build images and publish them together with the runtime configuration
    ///
    /// Reads SAM templates, builds an image for each function, and merges functions, routes,
    /// schedules, tables and buckets into the configuration that a Gateway reads. What did not change
    /// is not made again, and what other applications published stays as it is.
    Deploy(Box<DeployArgs>),
    /// Build images and configuration without publishing the configuration
    ///
    /// Does what `esb deploy` does before it publishes; the configuration stays in the project, below
    /// `.esb`.
    Build(Box<BuildArgs>),
    /// Report everything that is wrong with a template
    ///
    /// Reads the template with the values of its parameters, and the code of its functions. Nothing is
    /// built.
    Validate(ValidateArgs),
    /// Print the application that a template describes
    ///
    /// Shows functions, routes, schedules, tables and buckets with the values that a deploy would use.
    Inspect(InspectArgs),
    /// Run one function's image with an event and print its response
    ///
    /// Runs the image of the last build in the container engine. The response goes to stdout, what the
    /// function logs to stderr.
    Invoke(InvokeArgs),
    /// Read what a function logged on the platform
    ///
    /// Asks the platform's log store, which keeps the records of functions that ran there.
    Logs(LogsArgs),
    /// Write an esb.toml with comments for the templates of this folder
    ///
    /// Looks for templates in this folder and below. Beside esb.toml it writes esb.schema.json, by
    /// which editors complete and check the file. An esb.toml that is there is left as it is.
    Init(InitArgs),
    /// Show what the content store holds, make it smaller, or verify it
    ///
    /// The store has what images are made of, for all projects of a user. Everything in it can be made
    /// or fetched again.
    Cache(CacheArgs),
    /// Effective settings, and who owns what is published
    ///
    /// Settings come from flags, environment variables and esb.toml. What is published is read where a
    /// Gateway reads it.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Images that exist already: this project's, and those of the outside world
    ///
    /// Images are held by the container engine, the content store and the platform's registry.
    #[command(subcommand)]
    Image(ImageCommand),
    /// Say what a finding means, with an example and what to do
    Explain {
        /// Such as esb::sam::event [default: a list of all codes]
        code: Option<String>,
    },
    /// Print the version
    Version,
    /// Print a shell completion script
    ///
    /// It completes flags and their values, and the names of environments, functions, owners and
    /// templates.
    ///
    /// The line that installs it in bash, in ~/.bashrc:
    ///
    /// source <(esb completions bash)
    ///
    /// In zsh, in ~/.zshrc after compinit:
    ///
    /// source <(esb completions zsh)
    ///
    /// In fish, in ~/.config/fish/config.fish:
    ///
    /// esb completions fish | source
    Completions {
        /// The shell that reads the script
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReferencePage {
    Commands,
    Variables,
    ExitCodes,
    Findings,
    EsbToml,
    /// The schema of `esb.toml`.
    EsbTomlSchema,
    Man,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ValidateArgs {
    #[command(flatten)]
    pub(crate) paths: TemplatePaths,
    #[command(flatten)]
    pub(crate) template: TemplateArgs,
    /// Findings that make the command fail
    #[arg(long, value_enum)]
    pub(crate) deny: Option<Deny>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Deny {
    Warnings,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct InspectArgs {
    #[command(flatten)]
    pub(crate) paths: TemplatePaths,
    #[command(flatten)]
    pub(crate) template: TemplateArgs,
}

impl Command {
    /// Takes templates that are named without a flag as those of `--template`.
    pub(crate) fn take_paths(&mut self) {
        let (paths, args) = match self {
            Self::Deploy(args) => (&mut args.build.paths, &mut args.build.template),
            Self::Build(args) => (&mut args.paths, &mut args.template),
            Self::Validate(args) => (&mut args.paths, &mut args.template),
            Self::Inspect(args) => (&mut args.paths, &mut args.template),
            Self::Image(ImageCommand::Fetch(args)) => (&mut args.paths, &mut args.template),
            _ => return,
        };
        args.templates.append(&mut paths.templates);
    }

    /// The template whose folder belongs to the project; none for commands without a project.
    pub(crate) fn template(&self) -> Option<&std::path::Path> {
        let args = match self {
            Self::Deploy(args) => &args.build.template,
            Self::Build(args) => &args.template,
            Self::Validate(args) => &args.template,
            Self::Inspect(args) => &args.template,
            Self::Invoke(args) => &args.template,
            Self::Logs(args) => {
                return Some(args.template.as_deref().unwrap_or(std::path::Path::new(".")));
            }
            Self::Init(_) | Self::Explain { .. } | Self::Version | Self::Completions { .. } => {
                return None;
            }
            _ => return Some(std::path::Path::new(".")),
        };
        Some(args.templates.first().map_or(std::path::Path::new("."), PathBuf::as_path))
    }
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print the settings in effect
    Show {
        /// Also where each one comes from
        #[arg(long)]
        origin: bool,
    },
    /// List what is published, with the application and template that own it
    Ls(PlaceArgs),
    /// Remove everything that one template of one application published
    Rm(RemoveArgs),
}

#[derive(Debug, Clone, Args)]
pub(crate) struct RemoveArgs {
    /// The owner as `esb config ls` shows it; without APPLICATION that of this project, and
    /// `:PATH` is what was published before applications were recorded
    #[arg(long, value_name = "[APPLICATION:]PATH")]
    pub(crate) owner: String,
    /// Only show what would be removed
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Remove without asking (ESB_YES)
    #[arg(long, short_alias = 'y', conflicts_with = "dry_run")]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum ImageCommand {
    /// List this project's images in engine, store and registry, and what uses each
    Ls(HeldArgs),
    /// Remove this project's images that nothing uses: no published functions.yml of any
    /// environment, no container
    ///
    /// Only what runs in this folder brought to an engine or a registry that did not have it is
    /// removed there. What another machine, or another user of the engine, deployed from the same
    /// code afterwards cannot be seen from here: mind that before `--in registry`, which a default
    /// run leaves alone.
    Prune(PruneArgs),
    /// Copy every image of an image-import.json into the internal registry
    Import(ImportArgs),
    /// Check that every image of the published functions.yml can be pulled
    Verify(VerifyArgs),
    /// Collect what a site without a network needs for a template, as a layout for `--mirror`
    Fetch(FetchArgs),
}

#[derive(Debug, Clone, Args)]
pub(crate) struct CacheArgs {
    #[command(subcommand)]
    pub(crate) command: Option<CacheCommand>,
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum CacheCommand {
    /// Remove what killed runs left, and what was used least recently
    Gc {
        /// What may stay, such as 500MB or 10GB [default: 20GB]
        #[arg(long, value_name = "N", value_parser = crate::commands::cache::size)]
        max_size: Option<u64>,
    },
    /// Read all of it, and remove what is damaged: the next run makes it again
    ///
    /// Blobs are compared with their digests, records with their checks, and installed packages with
    /// what they were when they were installed. A run compares what it uses, and needs no check
    /// before it. Ends with 7 when something was damaged.
    Verify {
        /// Only show what is damaged
        #[arg(long)]
        dry_run: bool,
    },
}

/// Which images of a project are looked at.
#[derive(Debug, Clone, Args)]
pub(crate) struct HeldArgs {
    /// Where images are looked for, separated by commas [default: engine,store]
    #[arg(long = "in", value_enum, value_delimiter = ',', value_name = "PLACE")]
    pub(crate) places: Vec<Holder>,
    /// Images of others too, with whose they are; of those only what a project of this machine
    /// recorded is ever removed
    #[arg(long)]
    pub(crate) all: bool,
    /// Registry prefix, with `--in registry` (CONTAINER_REGISTRY)
    #[arg(long, value_name = "HOST[:PORT][/PREFIX]")]
    pub(crate) registry: Option<String>,
    /// Address of that registry for this machine, when it differs (HOST_REGISTRY_ADDR)
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(crate) push_registry: Option<String>,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

/// What holds images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Holder {
    /// The container engine
    Engine,
    /// The content store of this user: names there; `esb cache gc` frees the space
    Store,
    /// The platform's registry; its own garbage collection frees the space
    Registry,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct PruneArgs {
    #[command(flatten)]
    pub(crate) held: HeldArgs,
    /// Only show what would be removed
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Remove without asking (ESB_YES)
    #[arg(long, short_alias = 'y', conflicts_with = "dry_run")]
    pub(crate) yes: bool,
}

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct DeployArgs {
    #[command(flatten)]
    pub(crate) build: BuildArgs,
    #[command(flatten)]
    pub(crate) sync: SyncArgs,
    #[command(flatten)]
    pub(crate) pull: PullArgs,
    /// Stop after the images: the same as `esb build`
    #[arg(long)]
    pub(crate) build_only: bool,
    /// Where a Gateway reads the configuration [default: CONFIG_DIR, then the project's Gateway
    /// container]
    #[arg(long, value_name = "DIR|container:NAME|none")]
    pub(crate) config_to: Option<String>,
    #[command(flatten)]
    pub(crate) workers: WorkerArgs,
    /// Publish names that only this machine's engine knows, even with a running Gateway
    #[arg(long)]
    pub(crate) allow_local: bool,
    #[command(flatten)]
    pub(crate) adoption: AdoptArgs,
    /// Compose project [default: brand and environment, as in esb-dev]
    #[arg(short, long, value_name = "NAME")]
    pub(crate) project: Option<String>,
}

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Images")]
pub(crate) struct BuildArgs {
    #[command(flatten)]
    pub(crate) paths: TemplatePaths,
    #[command(flatten)]
    pub(crate) template: TemplateArgs,
    /// Build engine; `auto` takes the embedded one wherever it can build
    #[arg(long, value_parser = parser(BUILDERS))]
    pub(crate) builder: Option<BuilderChoice>,
    #[command(flatten)]
    pub(crate) fleet: FleetArgs,
    /// The platform's mode [default: that of the running project, else docker]
    ///
    /// It chooses the default names of the registry.
    #[arg(short, long, value_parser = parser(MODES))]
    pub(crate) mode: Option<Mode>,
    /// Also put the generated Dockerfiles and configuration into DIR/ENV, seen from the template's
    /// folder
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
    /// Where images go: registry, docker, oci or oci:DIR; repeatable
    #[arg(long, value_name = "TARGET")]
    pub(crate) to: Vec<String>,
    /// Registry prefix for functions.yml and Dockerfiles (CONTAINER_REGISTRY)
    #[arg(long, value_name = "HOST[:PORT][/PREFIX]")]
    pub(crate) registry: Option<String>,
    /// Address that this machine pushes to, when it differs (HOST_REGISTRY_ADDR)
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(crate) push_registry: Option<String>,
    /// Platform to build for [default: the function's Architectures]
    #[arg(long, value_name = "linux/amd64|linux/arm64")]
    pub(crate) platform: Option<String>,
    /// Tag of the images [default: latest]
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Option<String>,
    /// How functions.yml names an image: by a tag of its content, the plain tag, or its digest
    /// [default: content]
    #[arg(long, value_parser = parser(IMAGE_REFS))]
    pub(crate) image_ref: Option<ImageRefForm>,
    /// Rebuild every image, base images too
    #[arg(long)]
    pub(crate) no_cache: bool,
    #[command(flatten)]
    pub(crate) packages: PackageArgs,
    #[command(flatten)]
    pub(crate) plan: PlanArgs,
    /// Images built and pushed at a time [default: number of processors, at least 8]
    #[arg(long, value_name = "N", value_parser = choices::count)]
    pub(crate) jobs: Option<usize>,
    #[command(flatten)]
    pub(crate) lock: LockArgs,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct VerifyArgs {
    /// The platform's mode; with `docker` the engine is asked as well [default: that of the project
    /// that runs, else docker]
    #[arg(short, long, value_parser = parser(MODES))]
    pub(crate) mode: Option<Mode>,
    /// Folder with the published configuration [default: CONFIG_DIR, then the project's own]
    #[arg(long, value_name = "DIR")]
    pub(crate) config_to: Option<PathBuf>,
    /// Compose project [default: brand and environment, as in esb-dev]
    #[arg(short, long, value_name = "NAME")]
    pub(crate) project: Option<String>,
    /// Registry prefix in functions.yml (CONTAINER_REGISTRY)
    #[arg(long, value_name = "HOST[:PORT][/PREFIX]")]
    pub(crate) registry: Option<String>,
    /// Address of that registry for this machine, when it differs (HOST_REGISTRY_ADDR)
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(crate) push_registry: Option<String>,
    /// Images checked at a time [default: number of processors, at least 8]
    #[arg(long, value_name = "N", value_parser = choices::count)]
    pub(crate) jobs: Option<usize>,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct FetchArgs {
    /// Where the images go; what the layout holds under other names stays
    #[arg(long, value_name = "oci:DIR")]
    pub(crate) to: String,
    #[command(flatten)]
    pub(crate) paths: TemplatePaths,
    #[command(flatten)]
    pub(crate) template: TemplateArgs,
    /// Platform to fetch for [default: the function's Architectures]
    #[arg(long, value_name = "linux/amd64|linux/arm64")]
    pub(crate) platform: Option<String>,
    /// Images looked for at a time [default: number of processors, at least 8]
    #[arg(long, value_name = "N", value_parser = choices::count)]
    pub(crate) jobs: Option<usize>,
    #[command(flatten)]
    pub(crate) lock: LockArgs,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ImportArgs {
    /// The image-import.json of a deploy
    pub(crate) file: PathBuf,
    /// Show what would be copied, and copy nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Copy what can be copied when an image cannot
    #[arg(long)]
    pub(crate) keep_going: bool,
    /// Platform to copy, instead of the digest in the file [default without one: this machine's]
    #[arg(long, value_name = "linux/amd64|linux/arm64", conflicts_with = "all_platforms")]
    pub(crate) platform: Option<String>,
    /// Copy images with all of their platforms
    #[arg(long)]
    pub(crate) all_platforms: bool,
    /// Address that this machine pushes to [default: HOST_REGISTRY_ADDR, then the file's]
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(crate) push_registry: Option<String>,
    /// Images copied at a time [default: number of processors, at least 8]
    #[arg(long, value_name = "N", value_parser = choices::count)]
    pub(crate) jobs: Option<usize>,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
}
