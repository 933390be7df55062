//! `esb inspect`: the application that a template describes.

use crate::{
    cli::{Format, GlobalArgs, InspectArgs},
    environment::Environment,
    exit::{Exit, Failure},
    inputs::Project,
    inspect,
    load::{self, Loaded},
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
            let Loaded { app, findings, sources, .. } = &loaded;
            printer.document(&inspect::Document::new(app, findings, sources));
        }
        Format::Mermaid => {
            loaded.report(printer);
            printer.out(inspect::mermaid(&loaded.app).trim_end());
        }
        Format::Text => {
            loaded.report(printer);
            printer.out(&inspect::text(&loaded.app).join("\n"));
        }
    }
    let readable = loaded.readable;
    // The process ends: to give back a large application piece by piece would only take time.
    std::mem::forget(loaded);
    // Findings or not: what could be extracted was shown.
    if readable { Ok(()) } else { Err(Failure::silent(Exit::Input)) }
}
