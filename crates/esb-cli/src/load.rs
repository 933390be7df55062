//! Reads templates and the values of their parameters into one application.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use esb_dockerfile::codes as recipe_codes;
use esb_model::{Application, Finding, FindingCode, Severity, SourceMap, Span, TemplateId};
use esb_sam::{LoadError, Loader, Options, codes};

use crate::{
    cli::TemplateArgs,
    diagnostics,
    environment::Environment,
    exit::{Exit, Failure},
    inputs::{Project, TemplateFile},
    printer::Printer,
};

/// The most bytes of a template and of a parameter's file.
const FILE_LIMIT: u64 = 64 * 1024 * 1024;

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
    /// Parameters that have neither a value nor a default.
    missing: Vec<(String, Span)>,
    /// Whether every text is a template with resources.
    pub(crate) readable: bool,
}

impl Loaded {
    /// Prints what was found; an error among it ends the run.
    pub(crate) fn check(&self, printer: Printer) -> Result<(), Failure> {
        // Notes are for `validate`, and for who asks.
        let lowest = if printer.verbose > 0 { Severity::Note } else { Severity::Warning };
        diagnostics::print(&self.findings, &self.sources, lowest, printer);
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

    /// Prints what was found.
    pub(crate) fn report(&self, printer: Printer) {
        diagnostics::print(&self.findings, &self.sources, Severity::Note, printer);
    }

    /// Adds the findings of a later stage. What the template's own findings said already, at its
    /// exact place, is not said twice: the weightier severity of both stays.
    pub(crate) fn join(&mut self, findings: Vec<Finding>) {
        let mut told = BTreeSet::new();
        for finding in findings {
            let twin =
                TWINS.iter().find(|(later, _)| *later == finding.code).map(|(_, code)| *code);
            let place =
                |(at, own): &(usize, &Finding)| Some(own.code) == twin && !told.contains(at);
            match self.findings.iter().enumerate().find(place).map(|(at, _)| at) {
                Some(at) => {
                    told.insert(at);
                    let own = &mut self.findings[at];
                    own.severity = own.severity.max(finding.severity);
                }
                None => self.findings.push(finding),
            }
        }
    }

    /// Makes every parameter without a value an error: what runs must not be guessed.
    pub(crate) fn require_parameters(&mut self) {
        for (name, span) in &self.missing {
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
    let mut loaded = Loaded {
        app: Application::default(),
        sources: SourceMap::default(),
        findings: Vec::new(),
        missing: Vec::new(),
        readable: true,
    };
    let values = Values::new(project, args, environment)?;
    let env_vars = args.env_vars.as_deref().map(env_vars).transpose()?.unwrap_or_default();
    let mut used = BTreeSet::new();
    for (number, template) in project.templates.iter().enumerate() {
        let text = read_template(template)?;
        let options = Options {
            parameters: values.of(number),
            region: region(args, environment),
            env_vars: env_vars.clone(),
            ..Options::default()
        };
        let files = ProjectFiles { project, template };
        let id = TemplateId(number);
        let parsed =
            esb_sam::parse(&mut loaded.sources, id, &template.name, &text, &options, &files);
        used.extend(parsed.parameters.iter().map(|parameter| parameter.name.clone()));
        loaded.readable &= parsed.readable;
        let missing = parsed.missing_parameters();
        loaded.missing.extend(missing.map(|parameter| (parameter.name.clone(), parameter.span)));
        loaded.findings.extend(parsed.findings);
        loaded.app.append(parsed.application);
    }
    loaded.app.templates = project.templates.iter().map(|file| file.name.clone()).collect();
    // One template's parameter is no mistake where another declares it.
    loaded.findings.retain(|finding| finding.code != codes::UNKNOWN_PARAMETER);
    loaded.findings.extend(values.unused(&used));
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
    let bytes = read_limited(path).map_err(failed)?;
    let values: BTreeMap<String, BTreeMap<String, serde_json::Value>> =
        serde_json::from_slice(&bytes).map_err(|error| failed(error.to_string()))?;
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
    String::from_utf8(bytes).map_err(|error| {
        let end = error.utf8_error().valid_up_to();
        let valid = String::from_utf8_lossy(&error.as_bytes()[..end]).into_owned();
        let mut sources = SourceMap::default();
        let source = sources.add(&template.name, valid);
        let place = sources.describe(Span { source, start: end, end });
        failed(format!("it is not UTF-8 at {place}"))
    })
}

/// A regular file of bounded size.
fn read_limited(path: &Path) -> Result<Vec<u8>, String> {
    let metadata = fs::metadata(path).map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    if metadata.len() > FILE_LIMIT {
        return Err(format!("it has more than {FILE_LIMIT} bytes"));
    }
    fs::read(path).map_err(|error| error.to_string())
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
        String::from_utf8(bytes).map_err(|_| LoadError::NotText)
    }
}

/// Values of parameters, for all templates or for one.
struct Values {
    all: BTreeMap<String, String>,
    own: BTreeMap<usize, BTreeMap<String, String>>,
    /// Names that were given on the command line.
    given: BTreeSet<String>,
}

impl Values {
    fn new(
        project: &Project,
        args: &TemplateArgs,
        environment: &Environment,
    ) -> Result<Self, Failure> {
        let own_values = environment.parameters();
        let all = own_values.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let mut values = Self { all, own: BTreeMap::new(), given: BTreeSet::new() };
        for text in &args.parameters {
            let Some((key, value)) = text.split_once('=') else {
                let text = format!("`--parameter {text}` has no value: expected KEY=VALUE");
                return Err(Failure::new(Exit::Usage, "parameter", text));
            };
            let value = match value.strip_prefix('@') {
                Some(file) => {
                    let path = std::path::PathBuf::from(file);
                    let bytes = read_limited(&path).map_err(|cause| {
                        let text = format!("could not read `{file}`, the value of `{key}`");
                        let mut failure = Failure::new(Exit::Input, "parameter", text);
                        failure.causes.push(cause);
                        failure
                    })?;
                    String::from_utf8_lossy(&bytes).trim_end_matches('\n').to_owned()
                }
                None => value.to_owned(),
            };
            match key.rsplit_once(':') {
                None => {
                    values.given.insert(key.to_owned());
                    values.all.insert(key.to_owned(), value);
                }
                Some((template, key)) => {
                    let fits =
                        |file: &TemplateFile| file.name == template || file.owner == template;
                    let Some(number) = project.templates.iter().position(fits) else {
                        let text = format!("`{template}` is not one of the templates");
                        return Err(Failure::new(Exit::Usage, "parameter", text));
                    };
                    values.own.entry(number).or_default().insert(key.to_owned(), value);
                }
            }
        }
        Ok(values)
    }

    fn of(&self, template: usize) -> BTreeMap<String, String> {
        let mut values = self.all.clone();
        values.extend(self.own.get(&template).cloned().unwrap_or_default());
        values
    }

    /// Names on the command line that no template declares: slips of the pen.
    fn unused(&self, declared: &BTreeSet<String>) -> Vec<Finding> {
        let names: Vec<&str> = declared.iter().map(String::as_str).collect();
        let help = if names.is_empty() {
            "the template has no parameters".to_owned()
        } else {
            format!("declared are {}", names.join(", "))
        };
        let unknown = self.given.iter().filter(|name| !declared.contains(*name));
        unknown
            .map(|name| {
                let message = format!("no template declares the parameter `{name}`");
                Finding::new(Severity::Warning, codes::UNKNOWN_PARAMETER, None, message)
                    .help(&*help)
            })
            .collect()
    }
}
