//! Reads templates with the values that flags, environment and files give, and shows what was found.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use esb_deploy::{Deployment, Error, Kind, Loaded, Project, TemplateInputs, Templates, read_text};
use esb_model::{Finding, Severity};

use crate::{
    ask,
    cli::{BuildArgs, GlobalArgs, TemplateArgs},
    diagnostics::{self, Counts},
    environment::Environment,
    exit_code::CliError,
    inspect,
    parameters::Parameters,
    printer::Printer,
    questions::{PromptedFields, Questions},
};

/// Values of variables by function.
type EnvVars = BTreeMap<String, BTreeMap<String, String>>;

/// Reads all templates of a project.
pub(crate) fn load(
    project: &Project,
    args: &TemplateArgs,
    environment: &Environment,
) -> Result<Loaded, Error> {
    let (inputs, values) = inputs(project, args, environment)?;
    let mut loaded = esb_deploy::load(project, &inputs)?;
    add_unused(&mut loaded, &values);
    Ok(loaded)
}

/// Reads the templates of a deployment, without asking.
pub(crate) fn load_templates(
    deployment: &Deployment,
    args: &TemplateArgs,
    environment: &Environment,
) -> Result<Templates, Error> {
    let (inputs, values) = inputs(&deployment.project, args, environment)?;
    let mut templates = deployment.load(&inputs)?;
    add_unused(&mut templates.loaded, &values);
    Ok(templates)
}

/// Reads the templates of a deployment, and asks for parameters without a value, where a person can
/// be asked.
pub(crate) fn load_or_ask(
    deployment: &Deployment,
    args: &BuildArgs,
    global: &GlobalArgs,
    asked: &PromptedFields,
    environment: &Environment,
) -> Result<Templates, Error> {
    let project = &deployment.project;
    let (mut inputs, values) = inputs(project, &args.template, environment)?;
    let mut templates = deployment.load(&inputs)?;
    if templates.loaded.readable && ask::may_ask(global, environment) {
        let interview = Questions { asked, project, args, global };
        let answers = interview.parameters(&templates.loaded.open)?;
        if !answers.is_empty() {
            for (number, answered) in answers {
                let given = std::mem::replace(&mut inputs.parameters[number], answered);
                inputs.parameters[number].extend(given);
            }
            templates = deployment.load(&inputs)?;
        }
    }
    add_unused(&mut templates.loaded, &values);
    Ok(templates)
}

/// Prints what was found; an error among it ends the command.
pub(crate) fn check(loaded: &Loaded, printer: Printer) -> Result<(), CliError> {
    let lowest = lowest(printer);
    let counts = diagnostics::print(&loaded.findings, &loaded.sources, lowest, printer);
    if counts.errors == 0 {
        print_counts(counts, printer);
    }
    loaded.check().map_err(|mut error| {
        error.message = format!("the template has {counts}");
        let findings = inspect::findings(&loaded.findings, &loaded.sources);
        CliError { findings, ..error.into() }
    })
}

/// Prints what was found; notes are for `validate`, and for who asks.
pub(crate) fn report(loaded: &Loaded, printer: Printer) {
    let counts = diagnostics::print(&loaded.findings, &loaded.sources, lowest(printer), printer);
    print_counts(counts, printer);
}

/// Prints what was found after the others were printed.
pub(crate) fn print_late(findings: &[Finding], loaded: &Loaded, printer: Printer) {
    let counts = diagnostics::print(findings, &loaded.sources, Severity::Warning, printer);
    print_counts(counts, printer);
}

fn lowest(printer: Printer) -> Severity {
    if printer.verbose > 0 { Severity::Note } else { Severity::Warning }
}

fn print_counts(counts: Counts, printer: Printer) {
    if !counts.is_empty() {
        printer.note(&counts.to_string());
    }
}

fn add_unused(loaded: &mut Loaded, values: &Parameters) {
    if loaded.readable {
        let unused = values.unused(&loaded.declared);
        loaded.findings.extend(unused);
    }
}

fn inputs(
    project: &Project,
    args: &TemplateArgs,
    environment: &Environment,
) -> Result<(TemplateInputs, Parameters), Error> {
    let values = Parameters::read(project, args, environment)?;
    let mut inputs = TemplateInputs::default();
    inputs.parameters = (0..project.templates.len()).map(|number| values.of(number)).collect();
    inputs.env_vars = args.env_vars.as_deref().map(env_vars).transpose()?.unwrap_or_default();
    inputs.region = region(args, environment);
    inputs.code = local_code(&args.code)?;
    Ok((inputs, values))
}

/// Values of variables by function, or for all functions under `Parameters`.
fn env_vars(path: &Path) -> Result<EnvVars, Error> {
    let failed = |cause: String| {
        let text = format!("could not read the variables in `{}`", path.display());
        let mut failure = Error::new(Kind::Input, "env-vars", text);
        failure.causes.push(cause);
        failure.hint("it must be JSON such as {\"FunctionId\": {\"NAME\": \"value\"}}")
    };
    let text = read_text(path).map_err(failed)?;
    let values: BTreeMap<String, BTreeMap<String, serde_json::Value>> =
        serde_json::from_str(&text).map_err(|error| failed(error.to_string()))?;
    let text = |value| match value {
        serde_json::Value::String(text) => text,
        serde_json::Value::Null => String::new(),
        other => other.to_string(),
    };
    let of = |values: BTreeMap<String, serde_json::Value>| {
        values.into_iter().map(|(name, value)| (name, text(value))).collect()
    };
    Ok(values.into_iter().map(|(function, values)| (function, of(values))).collect())
}

fn region(args: &TemplateArgs, environment: &Environment) -> String {
    args.region
        .as_deref()
        .or_else(|| environment.get("AWS_REGION"))
        .or_else(|| environment.get("AWS_DEFAULT_REGION"))
        .unwrap_or("us-east-1")
        .to_owned()
}

/// The functions and paths of `--code FUNCTION=PATH`.
fn local_code(given: &[String]) -> Result<Vec<(String, PathBuf)>, Error> {
    let parse = |text: &String| match text.split_once('=') {
        Some((function, path)) if !path.is_empty() => Ok((function.to_owned(), path.into())),
        _ => {
            let text = format!("`--code {text}` has no path: expected FUNCTION=PATH");
            Err(Error::new(Kind::Usage, "code", text))
        }
    };
    given.iter().map(parse).collect()
}
