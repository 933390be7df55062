//! Reads templates and the values of their parameters into one application.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use esb_model::{
    Application, Cause, EnvValue, Finding, Function, Remedy, Secret, Severity, SourceMap, Span,
    TemplateId, decode_text,
};
use esb_sam::{Allowance, LoadError, Loader, Options, Parameter, ParameterOrigin, codes};

use crate::{
    error::{Error, Kind},
    levels::{self, Levels},
    local_code,
    project::{Project, TemplateFile, normal, read_limited},
};

/// The inputs with which templates are read.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TemplateInputs {
    /// Values of parameters, for each template by its place in the project.
    pub parameters: Vec<BTreeMap<String, String>>,
    /// The region of `AWS::Region` and ARNs.
    pub region: String,
    /// Values of variables that AWS would compute, by function, or for all functions under
    /// `Parameters`.
    pub env_vars: BTreeMap<String, BTreeMap<String, String>>,
    /// Functions, and the local code that they get in place of code that is not on this machine.
    pub code: Vec<(String, PathBuf)>,
    /// Whether the application is to be deployed: names that nothing has are then errors also where
    /// the platform ignores them.
    pub strict: bool,
    /// What is made of findings.
    pub levels: Levels,
}

impl Default for TemplateInputs {
    fn default() -> Self {
        Self {
            parameters: Vec::new(),
            region: "us-east-1".to_owned(),
            env_vars: BTreeMap::new(),
            code: Vec::new(),
            strict: false,
            levels: Levels::default(),
        }
    }
}

/// The result of reading the templates of a run.
#[derive(Debug)]
#[non_exhaustive]
pub struct Loaded {
    /// What all templates describe together.
    pub app: Application,
    /// The texts that findings point into.
    pub sources: SourceMap,
    /// What was found in the templates, whatever levels a run gives to it.
    pub findings: Vec<Finding>,
    pub(crate) levels: Levels,
    /// The findings that comments allow.
    pub(crate) allowances: Vec<Allowance>,
    /// Parameters without a given value, each with the index of its template: those without a
    /// default, and those with one.
    pub open: Vec<(usize, Parameter)>,
    /// The names of the parameters that each template declares.
    pub declared: Vec<BTreeSet<String>>,
    /// Every text that nothing may show: values of `NoEcho` parameters, and of variables that the
    /// project has as secrets of the Gateway's environment.
    pub secrets: BTreeSet<Secret<String>>,
    /// Whether every text is a template with resources.
    pub readable: bool,
}

impl Loaded {
    /// Ends a run whose templates have an error.
    ///
    /// # Errors
    /// When one of the findings is an error.
    pub fn check(&self) -> Result<(), Error> {
        let findings = self.effective_findings();
        let errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
        let text = match errors.count() {
            0 => return Ok(()),
            1 => "the template has an error".to_owned(),
            n => format!("the template has {n} errors"),
        };
        Err(Error::new(Kind::Input, "template", text))
    }

    /// The findings with the levels that this run gives to them.
    pub fn effective_findings(&self) -> Vec<Finding> {
        self.with_levels(self.findings.clone())
    }

    /// Gives findings their levels, and leaves out those that are allowed.
    pub(crate) fn with_levels(&self, mut findings: Vec<Finding>) -> Vec<Finding> {
        self.levels.apply(&mut findings, &self.allowances);
        findings
    }

    /// Adds the findings of a later stage. A fault of one function or place that the template's own
    /// findings report already is not reported twice: the weightier severity of both stays.
    pub(crate) fn merge_findings(&mut self, findings: Vec<Finding>) {
        let own = self.findings.iter().enumerate().filter(|(_, own)| own.cause.is_some());
        let mut open: Vec<_> = own.map(|(at, own)| (at, self.place(own))).collect();
        for finding in findings {
            if self.follows(&finding) {
                continue;
            }
            let said = open.iter().position(|(at, place)| {
                let own = &self.findings[*at];
                let is_same_place = own.span == finding.span || *place == finding.span;
                let is_same_cause = finding.cause.is_some() && own.cause == finding.cause;
                is_same_cause && is_same_place && is_same_name(own, &finding)
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

    /// Whether a parameter without a value is behind a finding of a later stage.
    fn follows(&self, finding: &Finding) -> bool {
        let unset = |own: &&Finding| own.cause == Some(Cause::MissingParameter);
        let is_left_out = finding.code == esb_config::codes::FUNCTION_WITHOUT_IMAGE;
        self.findings.iter().filter(unset).any(|own| {
            let value = own.message.split_once(": ").map_or("", |(_, value)| value);
            let names_it = !value.is_empty() && finding.message.contains(value);
            let is_its_function = || self.place(own) == finding.span;
            own.span == finding.span || (names_it || is_left_out) && is_its_function()
        })
    }

    /// The place of the function that a finding names, or of the function or layer that it lies in.
    fn place(&self, finding: &Finding) -> Option<Span> {
        let functions = &self.app.functions;
        let is_named = |function: &&Function| {
            // A nested application's own messages know no names outside of it.
            let id = function.id.logical_id.rsplit('/').next().unwrap_or_default();
            let is_same_file = |at: Span| at.source == function.span.source;
            finding.message.contains(&format!("`{id}`")) && finding.span.is_none_or(is_same_file)
        };
        if let Some(function) = functions.iter().find(is_named) {
            return Some(function.span);
        }
        let at = finding.span?;
        let layers = self.app.layers.iter().map(|layer| layer.span);
        let spans = functions.iter().map(|function| function.span).chain(layers);
        spans.filter(|span| span.source == at.source && span.start <= at.start).max()
    }

    /// Reports an application of which nothing would run, unless an error says why.
    fn report_empty(&mut self, resources: Span, strict: bool) {
        if self.findings.iter().any(|finding| finding.severity == Severity::Error) {
            return;
        }
        let severity = if strict { Severity::Error } else { Severity::Warning };
        let message = "the application has no functions, routes, tables or buckets";
        let finding = Finding::new(severity, codes::EMPTY_APPLICATION, resources, message)
            .help("of this template's resources, the platform runs none; check their types");
        self.findings.push(finding);
    }

    /// Makes secrets of the values of variables that are filled in from outside.
    fn hide_variables(&mut self, secret_env: &BTreeSet<(String, String)>) {
        for function in &mut self.app.functions {
            let names = [function.effective_name().into_owned(), function.id.logical_id.clone()];
            let is_own = |(name, _): &&(String, String)| names.contains(name);
            for (_, variable) in secret_env.iter().filter(is_own) {
                let Some(value) = function.environment.get_mut(variable) else { continue };
                if let EnvValue::Known(text) = value {
                    let secret = Secret::new(std::mem::take(text));
                    self.secrets.insert(secret.clone());
                    *value = EnvValue::Secret(secret);
                }
            }
        }
    }

    /// Reports every parameter without a value, and no more what follows from that.
    pub fn report_parameters(&mut self, severity: Severity) {
        self.findings.retain(|finding| finding.cause != Some(Cause::MissingParameter));
        let is_missing = |parameter: &&Parameter| parameter.origin == ParameterOrigin::Missing;
        let open = self.open.iter().map(|(_, parameter)| parameter);
        for Parameter { name, span, no_echo, .. } in open.filter(is_missing) {
            let message = format!("the parameter `{name}` has no value");
            let finding = Finding::new(severity, codes::MISSING_PARAMETER, *span, message)
                .help(Remedy::GiveParameter { name: name.clone(), is_secret: *no_echo });
            self.findings.push(finding);
        }
    }
}

/// Whether a finding about a wrong name and a later one may be about the same name, as far as the
/// first is about a name.
fn is_same_name(own: &Finding, later: &Finding) -> bool {
    if ![codes::UNRESOLVED_REF, codes::UNKNOWN_INTRINSIC].contains(&own.code) {
        return true;
    }
    own.message.split('`').nth(1).is_some_and(|name| later.message.contains(name))
}

/// Reads and lowers all templates of a project.
///
/// # Errors
/// When a template cannot be read, or local code is given for what cannot have it. What is wrong in
/// a template is a finding.
pub fn load(project: &Project, inputs: &TemplateInputs) -> Result<Loaded, Error> {
    let mut loaded = Loaded {
        app: Application::default(),
        sources: SourceMap::default(),
        findings: Vec::new(),
        levels: inputs.levels.clone(),
        allowances: Vec::new(),
        open: Vec::new(),
        declared: Vec::new(),
        secrets: BTreeSet::new(),
        readable: true,
    };
    let mut nothing_made = Vec::new();
    for (number, template) in project.templates.iter().enumerate() {
        let text = read_template(&project.root, template)?;
        let options = Options {
            parameters: inputs.parameters.get(number).cloned().unwrap_or_default(),
            region: inputs.region.clone(),
            env_vars: inputs.env_vars.clone(),
            strict: inputs.strict,
            ..Options::default()
        };
        let files = ProjectFiles { project, template };
        let id = TemplateId(number);
        let parsed =
            esb_sam::parse(&mut loaded.sources, id, &template.name, &text, &options, &files);
        let names = parsed.parameters.iter().map(|parameter| parameter.name.clone());
        loaded.declared.push(names.collect());
        loaded.readable &= parsed.readable;
        nothing_made.extend(parsed.nothing_made);
        let is_open = |parameter: &&Parameter| {
            matches!(parameter.origin, ParameterOrigin::Missing | ParameterOrigin::Default)
        };
        let open = parsed.parameters.iter().filter(is_open);
        loaded.open.extend(open.map(|parameter| (number, parameter.clone())));
        loaded.findings.extend(parsed.findings);
        loaded.findings.extend(levels::unknown(&parsed.allowances));
        loaded.allowances.extend(parsed.allowances);
        loaded.secrets.extend(parsed.secrets);
        loaded.app.append(parsed.application);
    }
    loaded.hide_variables(&project.secret_env);
    loaded.app.templates = project.templates.iter().map(|file| file.name.clone()).collect();
    // One template's parameter is no mistake where another declares it.
    loaded.findings.retain(|finding| finding.code != codes::UNKNOWN_PARAMETER);
    if loaded.readable {
        local_code::apply(project, &inputs.code, &mut loaded.app, &mut loaded.findings)?;
    }
    if nothing_made.len() == project.templates.len() {
        loaded.report_empty(nothing_made[0], inputs.strict);
    }
    loaded.findings.extend(esb_sam::platform_findings(&loaded.app));
    Ok(loaded)
}

/// The key that every template has.
const RESOURCES: &[u8] = b"Resources";

fn read_template(root: &Path, template: &TemplateFile) -> Result<String, Error> {
    let failed = |cause: String| {
        let text = format!("could not read the template `{}`", template.name);
        let mut error = Error::new(Kind::Input, "template", text).in_file(&template.path, None);
        error.causes.push(cause);
        error
    };
    let bytes = read_limited(&template.path).map_err(failed)?;
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return decode_text(bytes).map_err(|error| failed(error.to_string()));
    }
    // Findings quote a text, and a link may lead to a file of secrets. A template says that it is one.
    let is_template = || bytes.windows(RESOURCES.len()).any(|word| word == RESOURCES);
    if esb_oci::leads_outside(&template.path, root) && !is_template() {
        let cause = "the link leads out of the project, and the file there is no template";
        return Err(failed(cause.to_owned()));
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
        // What a template includes is named from where the command runs, as the template is.
        let from = if from == self.template.name {
            self.template.path.clone()
        } else {
            normal(&self.project.current.join(from))
        };
        let folder = from.parent().unwrap_or(&self.project.root);
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
