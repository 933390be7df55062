//! Reads templates and the values of their parameters into one application.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use esb_dockerfile::codes as recipe_codes;
use esb_model::{
    Application, Finding, FindingCode, Severity, SourceMap, Span, TemplateId, decode_text,
};
use esb_sam::{LoadError, Loader, Options, Parameter, ParameterOrigin, codes};

use crate::{
    ask,
    cli::TemplateArgs,
    diagnostics,
    environment::Environment,
    exit::{Exit, Failure},
    inputs::{Project, TemplateFile, read_limited, read_text},
    local_code,
    parameters::Parameters,
    pipeline::Order,
    printer::Printer,
    questions::{Answers, Interview},
};

/// Findings of later stages, and those that reading a template gives for the same cause.
const TWINS: [(FindingCode, FindingCode); 6] = [
    (recipe_codes::UNKNOWN_RUNTIME, codes::UNKNOWN_RUNTIME),
    (recipe_codes::S3_CONTENT, codes::CODE_NOT_LOCAL),
    (recipe_codes::DEFAULT_RUNTIME, codes::MISSING_PROPERTY),
    (recipe_codes::DEFAULT_HANDLER, codes::MISSING_PROPERTY),
    (recipe_codes::PUBLISHED_LAYER, codes::LAYER),
    (esb_config::codes::UNKNOWN_VARIABLE, codes::UNRESOLVED_VALUE),
];

/// What the templates of a run come to.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) app: Application,
    pub(crate) sources: SourceMap,
    pub(crate) findings: Vec<Finding>,
    /// Parameters that nobody gave a value: those without a default, and those with one.
    open: Vec<(usize, Parameter)>,
    /// Whether every text is a template with resources.
    pub(crate) readable: bool,
}

impl Loaded {
    /// Prints what was found; an error among it ends the run.
    pub(crate) fn check(&self, printer: Printer) -> Result<(), Failure> {
        self.report(printer);
        let errors = self.findings.iter().filter(|finding| finding.severity == Severity::Error);
        let text = match errors.count() {
            0 => return Ok(()),
            1 => "the template has an error".to_owned(),
            n => format!("the template has {n} errors"),
        };
        let mut failure = Failure::new(Exit::Input, "template", text);
        failure.findings = crate::inspect::findings(&self.findings, &self.sources);
        Err(failure)
    }

    /// Prints what was found; notes are for `validate`, and for who asks.
    pub(crate) fn report(&self, printer: Printer) {
        let lowest = if printer.verbose > 0 { Severity::Note } else { Severity::Warning };
        diagnostics::print(&self.findings, &self.sources, lowest, printer);
    }

    /// Prints all that was found.
    pub(crate) fn report_all(&self, printer: Printer) {
        diagnostics::print(&self.findings, &self.sources, Severity::Note, printer);
    }

    /// Adds the findings of a later stage. What the template's own findings said already of the same
    /// function or place is not said twice: the weightier severity of both stays.
    pub(crate) fn join(&mut self, findings: Vec<Finding>) {
        let is_twin = |own: &Finding| TWINS.iter().any(|(_, code)| *code == own.code);
        let own = self.findings.iter().enumerate().filter(|(_, own)| is_twin(own));
        let mut open: Vec<_> = own.map(|(at, own)| (at, self.place(own))).collect();
        for finding in findings {
            let twin = TWINS.iter().find(|(later, _)| *later == finding.code);
            let said = twin.and_then(|(_, code)| {
                open.iter().position(|(at, place)| {
                    let own = &self.findings[*at];
                    let same = own.span == finding.span || *place == finding.span;
                    own.code == *code && same
                })
            });
            match said {
                Some(position) => {
                    let own = &mut self.findings[open.remove(position).0];
                    own.severity = own.severity.max(finding.severity);
                }
                None => self.findings.push(finding),
            }
        }
    }

    /// The place of the function that a finding names, or of the function or layer that it lies in.
    fn place(&self, finding: &Finding) -> Option<Span> {
        let functions = &self.app.functions;
        let is_named = |id: &str| finding.message.contains(&format!("`{id}`"));
        if let Some(function) = functions.iter().find(|found| is_named(&found.id.logical_id)) {
            return Some(function.span);
        }
        let at = finding.span?;
        let layers = self.app.layers.iter().map(|layer| layer.span);
        let spans = functions.iter().map(|function| function.span).chain(layers);
        spans.filter(|span| span.source == at.source && span.start <= at.start).max()
    }

    /// Prints and adds what was found after the others were printed.
    pub(crate) fn tell(&mut self, findings: Vec<Finding>, printer: Printer) {
        diagnostics::print(&findings, &self.sources, Severity::Warning, printer);
        self.findings.extend(findings);
    }

    /// Makes every parameter without a value an error: what runs must not be guessed.
    pub(crate) fn require_parameters(&mut self) {
        let is_missing = |parameter: &&Parameter| parameter.origin == ParameterOrigin::Missing;
        let open = self.open.iter().map(|(_, parameter)| parameter);
        for Parameter { name, span, .. } in open.filter(is_missing) {
            let message = format!("the parameter `{name}` has no value");
            let finding = Finding::new(Severity::Error, codes::MISSING_PARAMETER, *span, message)
                .help(format!("give it with `--parameter {name}=VALUE`"));
            self.findings.push(finding);
        }
    }
}

/// Reads and lowers all templates of a project.
pub(crate) fn load(
    project: &Project,
    args: &TemplateArgs,
    environment: &Environment,
) -> Result<Loaded, Failure> {
    load_with(project, args, environment, &Answers::new())
}

/// As [`load`], and asks for what nobody gave a value, where somebody can be asked.
pub(crate) fn load_or_ask(
    project: &Project,
    order: &Order<'_>,
    environment: &Environment,
) -> Result<Loaded, Failure> {
    let (global, args) = (order.global, order.build);
    let loaded = load(project, &args.template, environment)?;
    let asked = order.asked.filter(|_| loaded.readable && ask::may_ask(global, environment));
    let Some(asked) = asked else { return Ok(loaded) };
    let given = Interview { asked, project, args, global }.parameters(&loaded.open)?;
    if given.is_empty() {
        return Ok(loaded);
    }
    load_with(project, &args.template, environment, &given)
}

fn load_with(
    project: &Project,
    args: &TemplateArgs,
    environment: &Environment,
    answers: &Answers,
) -> Result<Loaded, Failure> {
    let mut loaded = Loaded {
        app: Application::default(),
        sources: SourceMap::default(),
        findings: Vec::new(),
        open: Vec::new(),
        readable: true,
    };
    let values = Parameters::read(project, args, environment)?;
    let env_vars = args.env_vars.as_deref().map(env_vars).transpose()?.unwrap_or_default();
    let mut declared = Vec::new();
    for (number, template) in project.templates.iter().enumerate() {
        let text = read_template(template)?;
        let mut parameters = answers.get(&number).cloned().unwrap_or_default();
        parameters.extend(values.of(number));
        let options = Options {
            parameters,
            region: region(args, environment),
            env_vars: env_vars.clone(),
            ..Options::default()
        };
        let files = ProjectFiles { project, template };
        let id = TemplateId(number);
        let parsed =
            esb_sam::parse(&mut loaded.sources, id, &template.name, &text, &options, &files);
        let names = parsed.parameters.iter().map(|parameter| parameter.name.clone());
        declared.push(names.collect::<BTreeSet<_>>());
        loaded.readable &= parsed.readable;
        let is_open = |parameter: &&Parameter| {
            matches!(parameter.origin, ParameterOrigin::Missing | ParameterOrigin::Default)
        };
        let open = parsed.parameters.iter().filter(is_open);
        loaded.open.extend(open.map(|parameter| (number, parameter.clone())));
        loaded.findings.extend(parsed.findings);
        loaded.app.append(parsed.application);
    }
    loaded.app.templates = project.templates.iter().map(|file| file.name.clone()).collect();
    // One template's parameter is no mistake where another declares it.
    loaded.findings.retain(|finding| finding.code != codes::UNKNOWN_PARAMETER);
    if loaded.readable {
        loaded.findings.extend(values.unused(&declared));
        local_code::apply(project, &args.code, &mut loaded.app, &mut loaded.findings)?;
    }
    loaded.findings.extend(esb_sam::platform_findings(&loaded.app));
    Ok(loaded)
}

/// Values of variables by function, or for all functions under `Parameters`.
fn env_vars(path: &Path) -> Result<BTreeMap<String, BTreeMap<String, String>>, Failure> {
    let failed = |cause: String| {
        let text = format!("could not read the variables in `{}`", path.display());
        let mut failure = Failure::new(Exit::Input, "env-vars", text);
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

fn read_template(template: &TemplateFile) -> Result<String, Failure> {
    let failed = |cause: String| {
        let text = format!("could not read the template `{}`", template.name);
        let mut failure = Failure::new(Exit::Input, "template", text);
        failure.causes.push(cause);
        failure
    };
    let bytes = read_limited(&template.path).map_err(failed)?;
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return decode_text(bytes).map_err(|error| failed(error.to_string()));
    }
    String::from_utf8(bytes).map_err(|error| {
        let end = error.utf8_error().valid_up_to();
        let valid = String::from_utf8_lossy(&error.as_bytes()[..end]).into_owned();
        let mut sources = SourceMap::default();
        let source = sources.add(&template.name, valid);
        let place = sources.describe(Span { source, start: end, end });
        failed(format!("it is not UTF-8 at {place}"))
    })
}

/// Files that a template refers to: regular ones inside the project root.
struct ProjectFiles<'a> {
    project: &'a Project,
    template: &'a TemplateFile,
}

impl Loader for ProjectFiles<'_> {
    fn load(&self, from: &str, location: &str) -> Result<String, LoadError> {
        // A template is named as the user named it, a file that it includes by its own path.
        let folder = if from == self.template.name {
            self.template.path.parent().unwrap_or(&self.project.root).to_owned()
        } else {
            self.project.root.join(Path::new(from).parent().unwrap_or(Path::new("")))
        };
        let path = fs::canonicalize(folder.join(location)).map_err(|_| LoadError::NotFound)?;
        let root = fs::canonicalize(&self.project.root)
            .map_err(|error| LoadError::Other(error.to_string()))?;
        if !path.starts_with(&root) {
            return Err(LoadError::Outside);
        }
        let bytes = read_limited(&path).map_err(LoadError::Other)?;
        decode_text(bytes).map_err(|_| LoadError::NotText)
    }
}
