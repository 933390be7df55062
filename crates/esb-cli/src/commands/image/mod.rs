//! `esb image`: commands for images that exist already.

mod fetch;
mod import;
mod verify;

use super::images;
use crate::{
    cli::{GlobalArgs, ImageCommand},
    environment::Environment,
    exit_code::CliError,
    printer::Printer,
    runtime,
};

pub(crate) fn run(
    command: &ImageCommand,
    global: &GlobalArgs,
    environment: &Environment,
    printer: Printer,
) -> Result<(), CliError> {
    match command {
        ImageCommand::Ls(place) => {
            runtime::block_on(images::list(place, global, environment, printer))
        }
        ImageCommand::Prune(args) => {
            runtime::block_on(images::prune(args, global, environment, printer))
        }
        ImageCommand::Import(args) => {
            runtime::block_on(import::run(args, global, environment, printer))
        }
        ImageCommand::Verify(args) => {
            runtime::block_on(verify::run(args, global, environment, printer))
        }
        ImageCommand::Fetch(args) => {
            runtime::block_on(fetch::run(args, global, environment, printer))
        }
    }
}
