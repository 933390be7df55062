//! One module for each command.

pub(crate) mod cache;
mod config;
mod deploy;
pub(crate) mod explain;
mod image;
mod images;
mod init;
mod inspect;
mod invoke;
pub(crate) mod logs;
mod man;
mod owners;
pub(crate) mod reference;
mod validate;
mod version;

use esb_deploy::{Error, Kind, Project};

use self::deploy::DeployRequest;
use crate::{
    cli::{Cli, Command, Format},
    completion,
    environment::Environment,
    exit_code::{CliError, Exit},
    loading,
    printer::Printer,
    questions::PromptedFields,
    runtime,
};

/// Runs the command of the command line. `project` is that of a command which builds.
pub(crate) fn run(
    cli: &Cli,
    project: Option<Result<Project, Error>>,
    asked: &PromptedFields,
    environment: &Environment,
    printer: Printer,
) -> Result<(), CliError> {
    let global = &cli.global;
    let misfit = match (global.format, &cli.command) {
        (Format::Text | Format::Json, _)
        | (Format::Mermaid, Command::Inspect(_))
        | (Format::Sarif | Format::Github | Format::Gitlab, Command::Validate(_)) => None,
        (Format::Mermaid, _) => Some("`--format mermaid` is for `esb inspect` alone"),
        (Format::Sarif, _) => Some("`--format sarif` is for `esb validate` alone"),
        (Format::Github, _) => Some("`--format github` is for `esb validate` alone"),
        (Format::Gitlab, _) => Some("`--format gitlab` is for `esb validate` alone"),
    };
    if let Some(text) = misfit {
        return Err(Error::new(Kind::Usage, "format", text).into());
    }
    let request = match &cli.command {
        Command::Deploy(args) => {
            Some(DeployRequest { global, build: &args.build, deploy: Some(args), asked })
        }
        Command::Build(args) => Some(DeployRequest { global, build: args, deploy: None, asked }),
        _ => None,
    };
    if let (Some(request), Some(project)) = (request, project) {
        return build(&request, project?, environment, printer);
    }
    if matches!(cli.command, Command::Config(_) | Command::Image(_) | Command::Logs(_)) {
        loading::learn_secrets(global, environment);
    }
    match &cli.command {
        Command::Deploy(_) | Command::Build(_) => Ok(()),
        Command::Validate(args) => validate::run(args, global, environment, printer),
        Command::Inspect(args) => inspect::run(args, global, environment, printer),
        Command::Invoke(args) => runtime::block_on(invoke::run(args, global, environment, printer)),
        Command::Logs(args) => runtime::block_on(logs::run(args, global, environment, printer)),
        Command::Init(args) => init::run(args, global, environment, printer),
        Command::Cache(args) => cache::run(args, global, environment, printer),
        Command::Config(command) => {
            runtime::block_on(config::run(command, global, environment, printer))
        }
        Command::Image(command) => image::run(command, global, environment, printer),
        Command::Explain { code } => Ok(explain::run(code.as_deref(), printer)?),
        Command::Version => {
            version::run(printer);
            Ok(())
        }
        Command::Completions { shell } => {
            Printer::out_bytes(&completion::registration(*shell));
            Ok(())
        }
    }
}

fn build(
    request: &DeployRequest<'_>,
    project: Project,
    environment: &Environment,
    printer: Printer,
) -> Result<(), CliError> {
    let summary = runtime::block_on(deploy::run(request, project, environment, printer))?;
    summary.print(printer);
    match summary.exit {
        Exit::Success => Ok(()),
        exit => Err(CliError::silent(exit)),
    }
}
