//! `esb validate`: shows every finding and sets the exit code.

use esb_deploy::{Mode, Naming, predict};
use esb_model::Severity;
use serde_json::json;

use crate::{
    cli::{GlobalArgs, ValidateArgs},
    diagnostics,
    environment::Environment,
    exit_code::{CliError, Exit},
    inputs, inspect, loading,
    printer::Printer,
};

pub(crate) fn run(
    args: &ValidateArgs,
    global: &GlobalArgs,
    environment: &Environment,
    printer: Printer,
) -> Result<(), CliError> {
    let mut project = inputs::project(global, &args.template, environment)?;
    project.containerd = inputs::mode_of_environment(environment)? == Some(Mode::Containerd);
    let mut loaded = loading::load(&project, &args.template, environment)?;
    let naming = Naming { tag: "latest".to_owned(), ..Naming::default() };
    predict(&project, &naming, &[], &mut loaded)?;
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
        diagnostics::print(&loaded.findings, &loaded.sources, Severity::Note, printer);
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
        _ => Err(CliError::silent(Exit::Input)),
    }
}
