//! Reads templates with the values that flags, environment and files give, and shows what was found.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use esb_deploy::{
    Deployment, Error, Kind, Loaded, Project, TemplateInputs, Templates, read_given_text,
};
use esb_model::{Finding, Severity};
use esb_sam::codes;

use crate::{
    cli::{GlobalArgs, TemplateArgs},
    diagnostics::{self, Counts},
    documents::FindingFields,
    environment::Environment,
    exit_code::CliError,
    hints, inputs,
    parameters::Parameters,
    printer::Printer,
    questions::{Answers, Open},
    secrets,
};

/// Values of variables by function.
type EnvVars = BTreeMap<String, BTreeMap<String, String>>;

/// Reads all templates of a project.
pub(crate) fn load(
    project: &Project,
    args: &TemplateArgs,
    environment: &Environment,
) -> Result<Loaded, Error> {
    let (inputs, values) = template_inputs(project, args, environment)?;
    let mut loaded = esb_deploy::load(project, &inputs)?;
    hide_secrets(&loaded);
    add_unused(&mut loaded, &values);
    Ok(loaded)
}

/// Learns the secrets of a project's templates, for a command that reads none: what it shows may
/// have been made of them. Whatever is wrong with the templates does not matter here.
pub(crate) fn learn_secrets(global: &GlobalArgs, environment: &Environment) {
    let args = TemplateArgs::default();
    let project = inputs::project(global, &args, environment);
    let _ = project.and_then(|project| load(&project, &args, environment));
}

/// Reads the templates of a deployment, without asking.
pub(crate) fn load_templates(
    deployment: &Deployment,
    args: &TemplateArgs,
    environment: &Environment,
) -> Result<Templates, Error> {
    Given::read(&deployment.project, args, environment)?.load(deployment)
}

/// What is given for the templates of a run.
pub(crate) struct Given {
    inputs: TemplateInputs,
    values: Parameters,
}

impl Given {
    pub(crate) fn read(
        project: &Project,
        args: &TemplateArgs,
        environment: &Environment,
    ) -> Result<Self, Error> {
        let (inputs, values) = template_inputs(project, args, environment)?;
        Ok(Self { inputs, values })
    }

    /// Reads the templates of a deployment.
    pub(crate) fn load(&self, deployment: &Deployment) -> Result<Templates, Error> {
        let mut templates = deployment.load(&self.inputs)?;
        hide_secrets(&templates.loaded);
        add_unused(&mut templates.loaded, &self.values);
        Ok(templates)
    }

    /// Adds what a person answered; what is given otherwise takes precedence.
    pub(crate) fn add(&mut self, answers: &Answers) {
        for (number, answered) in answers {
            let given = std::mem::take(&mut self.inputs.parameters[*number]);
            self.inputs.parameters[*number].extend(answered.clone());
            self.inputs.parameters[*number].extend(given);
        }
    }

    /// Whether a value that is given is wrong, or has a name that no template declares.
    pub(crate) fn is_wrong(loaded: &Loaded) -> bool {
        let open: Vec<_> = loaded.open.iter().map(|(_, parameter)| parameter.span).collect();
        loaded.effective_findings().iter().any(|finding| {
            let is_given = finding.span.is_none_or(|span| !open.contains(&span));
            let is_about = [codes::PARAMETER_CONSTRAINT, codes::UNKNOWN_PARAMETER];
            finding.severity == Severity::Error && is_about.contains(&finding.code) && is_given
        })
    }

    /// Says what a template has against a parameter's value.
    pub(crate) fn check(
        &self,
        project: &Project,
        (number, parameter): &Open,
        value: &str,
    ) -> Result<(), String> {
        let mut inputs = self.inputs.clone();
        inputs.parameters[*number].insert(parameter.name.clone(), value.to_owned());
        // What else is wrong with the templates is told by who reads them for good.
        let Ok(loaded) = esb_deploy::load(project, &inputs) else { return Ok(()) };
        hide_secrets(&loaded);
        let is_about = |finding: &&Finding| {
            finding.code == codes::PARAMETER_CONSTRAINT
                && finding.severity > Severity::Note
                && finding.span == Some(parameter.span)
        };
        let broken = loaded.findings.iter().filter(is_about);
        let help = |finding: &Finding| {
            finding.help.as_ref().map(|help| format!(" ({})", hints::of_finding(help)))
        };
        let reasons: Vec<String> = broken
            .map(|finding| format!("{}{}", finding.message, help(finding).unwrap_or_default()))
            .collect();
        if reasons.is_empty() { Ok(()) } else { Err(reasons.join("\n")) }
    }
}

/// Prints what was found; an error among it ends the command.
pub(crate) fn check(loaded: &Loaded, printer: Printer) -> Result<(), CliError> {
    let lowest = lowest(printer);
    let findings = loaded.effective_findings();
    let counts = diagnostics::print(&findings, &loaded.sources, lowest, printer);
    if counts.errors == 0 {
        print_counts(counts, printer);
    }
    loaded.check().map_err(|mut error| {
        error.message = format!("the template has {counts}");
        let findings = FindingFields::all(&findings, &loaded.sources);
        CliError { findings, ..error.into() }
    })
}

/// As [`check`], for templates whose findings were printed: only errors are new.
pub(crate) fn recheck(loaded: &Loaded, printer: Printer) -> Result<(), CliError> {
    if loaded.check().is_err() { check(loaded, printer) } else { Ok(()) }
}

/// Prints what was found; notes are for `validate`, and for who asks.
pub(crate) fn report(loaded: &Loaded, printer: Printer) {
    let findings = loaded.effective_findings();
    let counts = diagnostics::print(&findings, &loaded.sources, lowest(printer), printer);
    print_counts(counts, printer);
}

/// Prints what was found after the others were printed.
pub(crate) fn print_late(findings: &[Finding], loaded: &Loaded, printer: Printer) {
    let counts = diagnostics::print(findings, &loaded.sources, Severity::Warning, printer);
    print_counts(counts, printer);
}

/// From here on nothing shows the secrets of the templates.
fn hide_secrets(loaded: &Loaded) {
    secrets::add(loaded.secrets.iter().map(|secret| secret.reveal().as_str()));
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

fn template_inputs(
    project: &Project,
    args: &TemplateArgs,
    environment: &Environment,
) -> Result<(TemplateInputs, Parameters), Error> {
    let filled_in = project.secret_env.iter().filter_map(|(_, name)| environment.get(name));
    secrets::add(filled_in);
    let values = Parameters::read(project, args, environment)?;
    let mut inputs = TemplateInputs::default();
    inputs.parameters = (0..project.templates.len()).map(|number| values.of(number)).collect();
    inputs.env_vars = args.env_vars.as_deref().map(env_vars).transpose()?.unwrap_or_default();
    inputs.region = region(args, environment);
    inputs.levels.settings = environment.settings().levels();
    inputs.levels.allowed.extend(args.allow.iter().cloned());
    inputs.code = local_code(&args.code)?;
    Ok((inputs, values))
}

/// Values of variables by function, or for all functions under `Parameters`.
fn env_vars(path: &Path) -> Result<EnvVars, Error> {
    let failed = |cause: String| {
        let text = format!("could not read the variables in `{}`", path.display());
        let mut failure = Error::new(Kind::Input, "env-vars", text);
        failure.causes.push(cause);
        failure
            .in_file(path, None)
            .hint("it must be JSON such as {\"FunctionId\": {\"NAME\": \"value\"}}")
    };
    let text = read_given_text(path).map_err(failed)?;
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
