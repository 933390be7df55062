//! One module for each command.

mod inspect;
mod invoke;
mod reference;
mod validate;
mod version;

use crate::{
    cli::{Cli, Command},
    environment::Environment,
    exit::Failure,
    pipeline::{self, Order},
    printer::Printer,
};

/// Runs the command of the command line.
pub(crate) async fn run(
    cli: &Cli,
    environment: &Environment,
    printer: Printer,
) -> Result<(), Failure> {
    let global = &cli.global;
    match &cli.command {
        Command::Deploy(args) => {
            let order = Order { global, build: &args.build, deploy: Some(args) };
            pipeline::execute(&order, environment, printer).await?.print(printer);
            Ok(())
        }
        Command::Build(args) => {
            let order = Order { global, build: args, deploy: None };
            pipeline::execute(&order, environment, printer).await?.print(printer);
            Ok(())
        }
        Command::Validate(args) => validate::run(args, global, environment, printer),
        Command::Inspect(args) => inspect::run(args, global, environment, printer),
        Command::Invoke(args) => invoke::run(args, global, environment, printer).await,
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
