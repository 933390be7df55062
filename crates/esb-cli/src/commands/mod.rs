//! One module for each command.

pub(crate) mod cache;
mod config;
mod image;
mod images;
mod inspect;
mod invoke;
mod owners;
mod reference;
mod validate;
mod version;

use crate::{
    cli::{Cli, Command, Format},
    environment::Environment,
    exit::{Exit, Failure},
    pipeline::{self, Order},
    printer::Printer,
    questions::Asked,
    runtime,
};

/// Runs the command of the command line.
pub(crate) fn run(
    cli: &Cli,
    asked: &Asked,
    environment: &Environment,
    printer: Printer,
) -> Result<(), Failure> {
    let global = &cli.global;
    if global.format == Format::Mermaid && !matches!(cli.command, Command::Inspect(_)) {
        let text = "`--format mermaid` is for `esb inspect` alone";
        return Err(Failure::new(Exit::Usage, "format", text));
    }
    match &cli.command {
        Command::Deploy(args) => {
            let order =
                Order { global, build: &args.build, deploy: Some(args), asked: Some(asked) };
            deploy(&order, environment, printer)
        }
        Command::Build(args) => {
            let order = Order { global, build: args, deploy: None, asked: Some(asked) };
            deploy(&order, environment, printer)
        }
        Command::Validate(args) => validate::run(args, global, environment, printer),
        Command::Inspect(args) => inspect::run(args, global, environment, printer),
        Command::Invoke(args) => runtime::block_on(invoke::run(args, global, environment, printer)),
        Command::Cache(args) => cache::run(args, global, environment, printer),
        Command::Config(command) => {
            runtime::block_on(config::run(command, global, environment, printer))
        }
        Command::Image(command) => image::run(command, global, environment, printer),
        Command::Version => {
            version::run(printer);
            Ok(())
        }
        Command::Completions { shell } => {
            reference::completions(*shell);
            Ok(())
        }
        Command::Reference { page } => {
            reference::page(*page);
            Ok(())
        }
    }
}

fn deploy(order: &Order<'_>, environment: &Environment, printer: Printer) -> Result<(), Failure> {
    let summary = runtime::block_on(pipeline::execute(order, environment, printer))?;
    summary.print(printer);
    match summary.exit {
        Exit::Success => Ok(()),
        exit => Err(Failure::silent(exit)),
    }
}
