//! The `esb` command: arguments in, exit code out.

mod access;
mod annotations;
mod answers;
mod ask;
mod checkout;
mod cli;
mod code_quality;
mod columns;
mod commands;
mod completion;
mod confirm;
mod connections;
mod diagnostics;
mod documents;
mod env_file;
mod environment;
mod error_text;
mod escape;
mod exit_code;
mod explain;
mod failed_run;
mod fleet;
mod hints;
mod inputs;
mod inspect;
mod interruption;
mod loading;
mod markdown;
mod output;
mod ownership;
mod parameters;
mod printer;
mod questions;
mod reporter;
mod runtime;
mod sam_cli;
mod sarif;
mod secrets;
mod settings_schema;
mod settings_text;
mod summary;
mod tables;
mod timestamp;
mod usage;
mod worker_lines;

use std::{path::Path, process::ExitCode, time::Instant};

use esb_deploy::{Error, Kind, Project, TEMPLATE_NAMES, normal, settings::SettingsFile};

use cli::Cli;
use documents::{ErrorDocument, ErrorFields};
use environment::Environment;
use exit_code::{CliError, Exit};
use failed_run::FailedRun;
use printer::{Printer, ProgressStyle};
use questions::PromptedFields;

/// musl's allocator makes threads wait for each other.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let start = Instant::now();
    completion::complete();
    if let Some(page) = commands::reference::requested(std::env::args().skip(1)) {
        commands::reference::page(page);
        return ended(Exit::Success, Printer::plain(ProgressStyle::None));
    }
    let (mut cli, warnings) = match usage::parse(start) {
        Ok(parsed) => parsed,
        Err(exit) => return ended(exit, Printer::plain(ProgressStyle::None)),
    };
    cli.command.take_paths();
    let mut environment = Environment::capture();
    environment.set_trust_store(cli.global.trust_store);
    let printer = Printer::new(&cli.global, &environment);
    for warning in &warnings {
        printer.warning(warning);
    }
    let result = run(&mut cli, &mut environment, printer);
    let exit = match result {
        Ok(()) => Exit::Success,
        Err(error) => {
            let exit = error.exit;
            report(error, &cli, &environment, printer);
            exit
        }
    };
    let exit = written(exit, printer);
    if printer.progress == ProgressStyle::Json {
        printer.end(exit, start.elapsed());
    }
    ExitCode::from(exit as u8)
}

fn ended(exit: Exit, printer: Printer) -> ExitCode {
    ExitCode::from(written(exit, printer) as u8)
}

/// The exit code of a run, once it is known whether its result could be written.
fn written(exit: Exit, printer: Printer) -> Exit {
    let Some(failure) = Printer::failure() else { return exit };
    let error = Error::of(Kind::Local, "output", failure).during("could not write to stdout");
    error_text::print(&error, printer);
    if exit == Exit::Success { error.kind.into() } else { exit }
}

/// Reads the env file and esb.toml, and takes the brand.
fn read_settings(cli: &Cli, environment: &mut Environment) -> Result<SettingsFile, CliError> {
    add_env_file(cli, environment)?;
    let file = project_settings(cli, environment)?;
    environment.set_brand(&inputs::brand(&cli.global, file.brand())?);
    Ok(file)
}

/// Takes the settings of the environment that the command line or a variable names.
fn take_settings(
    cli: &Cli,
    file: &SettingsFile,
    environment: &mut Environment,
) -> Result<(), CliError> {
    let settings = file.settings(&inputs::environment_name(&cli.global, environment)?);
    environment.set_brand(&inputs::brand(&cli.global, settings.text("brand"))?);
    environment.set_settings(settings);
    Ok(())
}

fn run(cli: &mut Cli, environment: &mut Environment, printer: Printer) -> Result<(), CliError> {
    sam_cli::check_event(cli)?;
    let mut file = read_settings(cli, environment)?;
    let mut asked = PromptedFields::default();
    let asks = questions::is_asking(cli, environment);
    let asks_all = asks && questions::asks_all(cli);
    if asks {
        runtime::block_on(questions::template(cli, &file, environment))?;
        file = project_settings(cli, environment)?;
        environment.set_brand(&inputs::brand(&cli.global, file.brand())?);
    }
    if asks_all {
        runtime::block_on(questions::environment(cli, environment, &mut asked))?;
    }
    take_settings(cli, &file, environment)?;
    let args = questions::build_args(&mut cli.command).map(|args| args.template.clone());
    let project = args.map(|args| inputs::project(&cli.global, &args, environment));
    // What is wrong with a project is told by the command.
    if let Some(Ok(project)) = &project {
        take_running_mode(cli, project, environment, asks_all)?;
        if asks_all {
            runtime::block_on(questions::mode(cli, project, environment, &mut asked))?;
        }
    }
    commands::run(cli, project, &asked, environment, printer)
}

/// The mode of the project that runs, where nothing says it and the run depends on it: for the
/// names of the platform's registry, and before a person is asked.
fn take_running_mode(
    cli: &mut Cli,
    project: &Project,
    environment: &Environment,
    asks_all: bool,
) -> Result<(), CliError> {
    let compose_project = match &cli.command {
        cli::Command::Deploy(args) => args.project.clone(),
        _ => None,
    };
    let Some(args) = questions::build_args(&mut cli.command) else { return Ok(()) };
    let is_needed = asks_all || !inputs::names_registry(args, environment);
    if !is_needed || inputs::given_mode(args.mode, environment)?.is_some() {
        return Ok(());
    }
    let compose_project = inputs::compose_project(compose_project.as_deref(), project, environment);
    let folder = connections::store_folder(environment, &project.brand)?;
    let store = esb_oci::ContentStore::open(folder)?;
    args.mode = runtime::block_on(async {
        Ok::<_, Error>(connections::running_mode(environment, &store, &compose_project).await)
    })?;
    Ok(())
}

/// Reads `esb.toml`, for commands that work on a project.
fn project_settings(cli: &Cli, environment: &Environment) -> Result<SettingsFile, Error> {
    let Some(template) = cli.command.template() else { return Ok(SettingsFile::default()) };
    let current = environment.current_folder()?;
    let given = cli.global.project_dir.as_deref().map(|dir| normal(&current.join(dir)));
    let place = normal(&current.join(template));
    let folder = if place.is_file() { place.parent().unwrap_or(current) } else { &place };
    SettingsFile::find(folder, given.as_deref())
}

/// The most bytes of an env file.
const ENV_FILE_LIMIT: u64 = 16 * 1024 * 1024;

fn add_env_file(cli: &Cli, environment: &mut Environment) -> Result<(), Error> {
    let (path, required) = match &cli.global.env_file {
        Some(path) => (path.clone(), true),
        None => (".env".into(), false),
    };
    // What a person names may be a pipe, so that a program may decrypt it.
    let read = if required { esb_oci::read_given } else { esb_oci::read_file };
    let read = read(&path, ENV_FILE_LIMIT)
        .and_then(|bytes| esb_model::decode_text(bytes).map_err(std::io::Error::other));
    match read {
        Ok(text) => environment.add_file(&path, &text),
        Err(error) if !required && error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::of(Kind::Input, "env-file", &error)
            .during(format!("could not read the env file `{}`", path.display()))
            .in_file(path, None)),
    }
}

fn report(end: CliError, cli: &Cli, environment: &Environment, printer: Printer) {
    let CliError { exit, error: Some(error), findings, is_told } = end else { return };
    if error.code == ask::CANCELLED {
        printer.err("Cancelled.");
    } else {
        error_text::print(&error, printer);
    }
    let fields = ErrorFields { exit: exit as u8, ..(&*error).into() };
    if printer.json && !is_told {
        printer.document(&ErrorDocument { error: fields, findings });
    } else {
        let template = cli.command.template().filter(|path| *path != Path::new("."));
        let template = template.unwrap_or(TEMPLATE_NAMES[0].as_ref()).to_string_lossy();
        let failed =
            FailedRun { error: &fields, place: error.place.as_deref(), template: &template };
        failed.print(cli.global.format, environment, printer);
    }
}
