//! The `esb` command: arguments in, exit code out.

mod access;
mod answers;
mod application;
mod ask;
mod cli;
mod commands;
mod diagnostics;
mod engine;
mod env_file;
mod environment;
mod escape;
mod exit;
mod fleet;
mod inputs;
mod inspect;
mod load;
mod local_code;
mod lockfile;
mod ownership;
mod parameters;
mod pipeline;
mod places;
mod printer;
mod questions;
mod reporter;
mod rie;
mod runtime;
mod settings;
mod summary;

use std::process::ExitCode;

use clap::Parser as _;
use serde_json::json;

use cli::Cli;
use environment::Environment;
use exit::{Exit, Failure};
use printer::Printer;
use questions::Asked;

fn main() -> ExitCode {
    let mut cli = Cli::parse();
    let mut environment = Environment::capture();
    let printer = Printer::new(&cli.global, &environment);
    let result = run(&mut cli, &mut environment, printer);
    let exit = match result {
        Ok(()) => Exit::Success,
        Err(failure) => {
            report(&failure, printer);
            failure.exit
        }
    };
    ExitCode::from(exit as u8)
}

fn run(cli: &mut Cli, environment: &mut Environment, printer: Printer) -> Result<(), Failure> {
    add_env_file(cli, environment)?;
    let mut file = project_settings(cli)?;
    environment.set_brand(&inputs::brand(&cli.global, file.brand())?);
    let mut asked = Asked::default();
    let asks = questions::is_asking(cli, environment);
    if asks {
        questions::template(cli, &file, &mut asked)?;
        file = project_settings(cli)?;
        environment.set_brand(&inputs::brand(&cli.global, file.brand())?);
        questions::environment(cli, environment, &mut asked)?;
    }
    let settings = file.settings(&inputs::environment_name(&cli.global, environment)?);
    environment.set_brand(&inputs::brand(&cli.global, settings.text("brand"))?);
    environment.set_settings(settings);
    take_running_mode(cli, environment, asks)?;
    if asks {
        questions::mode(cli, environment, &mut asked)?;
    }
    commands::run(cli, &asked, environment, printer)
}

/// The mode of the project that runs, where nothing says it and the run depends on it: for the
/// names of the platform's registry, and before a person is asked.
fn take_running_mode(cli: &mut Cli, environment: &Environment, asks: bool) -> Result<(), Failure> {
    let global = cli.global.clone();
    let project = match &cli.command {
        cli::Command::Deploy(args) => args.project.clone(),
        _ => None,
    };
    let Some(args) = questions::build_args(&mut cli.command) else { return Ok(()) };
    let is_needed = asks || !inputs::names_registry(args, environment);
    if !is_needed || inputs::given_mode(args, environment)?.is_some() {
        return Ok(());
    }
    let Ok(found) = inputs::Project::resolve(&global, &args.template, environment) else {
        return Ok(());
    };
    let project = inputs::compose_project(project.as_deref(), &found, environment);
    let store = esb_oci::ContentStore::open(pipeline::store_folder(environment, &found.brand)?)?;
    args.mode = runtime::block_on(async {
        Ok::<_, Failure>(engine::running_mode(environment, &store, &project).await)
    })?;
    Ok(())
}

/// What `esb.toml` says, for commands that work on a project.
fn project_settings(cli: &Cli) -> Result<settings::File, Failure> {
    let Some(template) = cli.command.template() else { return Ok(settings::File::default()) };
    let current = std::env::current_dir().map_err(|error| {
        Failure::of(Exit::Local, "disk", &error).during("could not find the current folder")
    })?;
    let given = cli.global.project_dir.as_deref().map(|dir| inputs::normal(&current.join(dir)));
    let place = inputs::normal(&current.join(template));
    let folder = if place.is_file() { place.parent().unwrap_or(&current) } else { &place };
    settings::File::find(folder, given.as_deref())
}

fn add_env_file(cli: &Cli, environment: &mut Environment) -> Result<(), Failure> {
    let (path, required) = match &cli.global.env_file {
        Some(path) => (path.clone(), true),
        None => (".env".into(), false),
    };
    // A pipe is a file here, so that a program may decrypt it.
    let read = std::fs::read(&path)
        .and_then(|bytes| esb_model::decode_text(bytes).map_err(std::io::Error::other));
    match read {
        Ok(text) => environment.add_file(&path, &text),
        Err(error) if !required && error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Failure::of(Exit::Input, "env-file", &error)
            .during(format!("could not read the env file `{}`", path.display()))),
    }
}

fn report(failure: &Failure, printer: Printer) {
    if failure.is_silent() {
        return;
    }
    printer.failure(failure);
    if printer.json && !failure.is_told {
        let mut error = failure.json();
        if !failure.parts.is_empty() {
            error["parts"] = failure.parts.iter().map(Failure::json).collect();
        }
        let document = json!({"schema": 1, "error": error, "findings": failure.findings});
        printer.document(&document);
    }
}
