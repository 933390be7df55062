//! `esb validate`: shows every finding and sets the exit code.

use esb_deploy::{Mode, Naming, predict};
use esb_model::Severity;

use crate::{
    annotations,
    checkout::Checkout,
    cli::{Format, GlobalArgs, ValidateArgs},
    code_quality, connections,
    diagnostics::{self, Counts},
    documents::{FindingFields, ValidateDocument},
    environment::Environment,
    exit_code::{CliError, Exit},
    inputs, loading,
    printer::Printer,
    sarif,
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
    let store = connections::known_store(environment, &project.brand);
    predict(&project, &naming, &[], store.as_ref(), &mut loaded)?;
    loaded.report_parameters(Severity::Warning);
    let lowest = if args.deny.is_some() { Severity::Warning } else { Severity::Error };
    let findings = loaded.effective_findings();
    let bad = findings.iter().filter(|finding| finding.severity >= lowest).count();
    let checkout = Checkout::new(&project.current, environment);
    let template = &project.templates[0].name;
    if global.format == Format::Sarif {
        let log = sarif::log(&findings, &loaded.sources, &checkout, template);
        printer.document_as_it_is(&log);
    } else if global.format == Format::Github {
        for line in annotations::lines(&findings, &loaded.sources, &checkout) {
            printer.out_as_it_is(&line);
        }
    } else if global.format == Format::Gitlab {
        let report = code_quality::report(&findings, &loaded.sources, &checkout, template);
        printer.document_as_it_is(&report);
    } else if printer.json {
        let findings = FindingFields::all(&findings, &loaded.sources);
        printer.document(&ValidateDocument { valid: bad == 0, findings });
    } else {
        let shown = if printer.quiet { Severity::Warning } else { Severity::Note };
        let counts = diagnostics::print(&findings, &loaded.sources, shown, printer);
        if bad == 0 {
            printer.out(&summary(loaded.app.functions.len(), counts));
        } else {
            let denied = if counts.errors == 0 { " (denied)" } else { "" };
            printer.err(&format!("{counts}{denied}"));
        }
    }
    if bad == 0 { Ok(()) } else { Err(CliError::silent(Exit::Input)) }
}

/// What the application has, and what was found: `2 functions, 1 warning`.
fn summary(functions: usize, counts: Counts) -> String {
    let functions = match functions {
        0 => "no functions".to_owned(),
        1 => "1 function".to_owned(),
        n => format!("{n} functions"),
    };
    if counts.is_empty() { functions } else { format!("{functions}, {counts}") }
}
