//! `esb inspect`: shows the application that a template describes.

use esb_deploy::Loaded;

use crate::{
    cli::{Format, GlobalArgs, InspectArgs},
    environment::Environment,
    exit_code::{CliError, Exit},
    inputs, inspect, loading,
    printer::Printer,
};

pub(crate) fn run(
    args: &InspectArgs,
    global: &GlobalArgs,
    environment: &Environment,
    printer: Printer,
) -> Result<(), CliError> {
    let project = inputs::project(global, &args.template, environment)?;
    let loaded = loading::load(&project, &args.template, environment)?;
    match global.format {
        Format::Json => {
            let findings = loaded.effective_findings();
            let Loaded { app, sources, .. } = &loaded;
            printer.document(&inspect::Document::new(app, &findings, sources));
        }
        Format::Mermaid => {
            loading::report(&loaded, printer);
            printer.out_as_it_is(inspect::mermaid(&loaded.app).trim_end());
        }
        Format::Text | Format::Sarif | Format::Github | Format::Gitlab => {
            loading::report(&loaded, printer);
            printer.out(&inspect::text(&loaded.app).join("\n"));
        }
    }
    let readable = loaded.readable;
    // The process ends: to give back a large application piece by piece would only take time.
    std::mem::forget(loaded);
    // Findings or not: what could be extracted was shown.
    if readable { Ok(()) } else { Err(CliError::silent(Exit::Input)) }
}
