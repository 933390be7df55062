//! The `esb` command: arguments in, exit code out.

mod access;
mod answers;
mod ask;
mod cli;
mod commands;
mod diagnostics;
mod engine;
mod environment;
mod escape;
mod exit;
mod fleet;
mod inputs;
mod inspect;
mod load;
mod local_code;
mod lockfile;
mod parameters;
mod pipeline;
mod printer;
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

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut environment = Environment::capture();
    let printer = Printer::new(&cli.global, &environment);
    let result = run(&cli, &mut environment, printer);
    let exit = match result {
        Ok(()) => Exit::Success,
        Err(failure) => {
            report(&failure, printer);
            failure.exit
        }
    };
    ExitCode::from(exit as u8)
}

fn run(cli: &Cli, environment: &mut Environment, printer: Printer) -> Result<(), Failure> {
    add_env_file(cli, environment)?;
    let file = project_settings(cli)?;
    environment.set_brand(&inputs::brand(&cli.global, file.brand())?);
    let settings = file.settings(&inputs::environment_name(&cli.global, environment)?);
    environment.set_brand(&inputs::brand(&cli.global, settings.text("brand"))?);
    environment.set_settings(settings);
    commands::run(cli, environment, printer)
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
    match std::fs::read_to_string(&path) {
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
