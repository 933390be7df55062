//! `esb validate`: every finding, and an exit code.

use esb_model::Severity;
use serde_json::json;

use crate::{
    cli::{GlobalArgs, Mode, ValidateArgs},
    environment::Environment,
    exit::{Exit, Failure},
    inputs::{self, Project},
    inspect, load,
    pipeline::{self, Naming},
    printer::Printer,
};

pub(crate) fn run(
    args: &ValidateArgs,
    global: &GlobalArgs,
    environment: &Environment,
    printer: Printer,
) -> Result<(), Failure> {
    let mut project = Project::resolve(global, &args.template, environment)?;
    project.containerd = inputs::mode_of_environment(environment)? == Some(Mode::Containerd);
    let mut loaded = load::load(&project, &args.template, environment)?;
    let naming = Naming { tag: "latest".to_owned(), ..Naming::default() };
    pipeline::foresee(&project, &naming, &[], &mut loaded)?;
    let lowest = if args.deny.is_some() { Severity::Warning } else { Severity::Error };
    let bad = loaded.findings.iter().filter(|finding| finding.severity >= lowest).count();
    if printer.json {
        let document = json!({
            "schema": 1,
            "valid": bad == 0,
            "findings": inspect::findings(&loaded.findings, &loaded.sources),
        });
        printer.document(&document);
    } else {
        loaded.report_all(printer);
    }
    match bad {
        0 => {
            if !printer.json {
                let count = loaded.app.functions.len();
                printer
                    .out(&format!("valid: {count} function{}", if count == 1 { "" } else { "s" }));
            }
            Ok(())
        }
        _ => Err(Failure::silent(Exit::Input)),
    }
}
