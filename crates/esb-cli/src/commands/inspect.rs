//! `esb inspect`: the application that a template describes.

use crate::{
    cli::{Format, GlobalArgs, InspectArgs},
    environment::Environment,
    exit::{Exit, Failure},
    inputs::Project,
    inspect, load,
    printer::Printer,
};

pub(crate) fn run(
    args: &InspectArgs,
    global: &GlobalArgs,
    environment: &Environment,
    printer: Printer,
) -> Result<(), Failure> {
    let project = Project::resolve(global, &args.template, environment)?;
    let loaded = load::load(&project, &args.template, environment)?;
    match global.format {
        Format::Json => {
            let document = inspect::document(&loaded.app, &loaded.findings, &loaded.sources);
            printer.out(&format!("{document:#}"));
        }
        Format::Text | Format::Mermaid => {
            loaded.report(printer);
            for line in inspect::text(&loaded.app) {
                printer.out(&line);
            }
        }
    }
    // Findings or not: what could be extracted was shown.
    if loaded.readable { Ok(()) } else { Err(Failure::silent(Exit::Input)) }
}
