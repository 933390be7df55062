#![doc = include_str!("../README.md")]
//!
//! # What this crate owns and refuses
//!
//! Owns the reading of SAM and CloudFormation templates: YAML and JSON with places, parameters,
//! mappings, conditions, intrinsic functions, globals, and the way from resources to
//! [`esb_model`]'s values. Refuses files (it takes text and a [`Loader`]), printing, network and
//! environment variables. No input makes it panic, recurse without end, or work beyond
//! [`Limits`]. What the constructs of a template mean is in `docs/contracts/sam.md`.

pub mod codes;

mod condition;
mod constraint;
mod evaluator;
mod findings;
mod for_each;
#[cfg(feature = "fuzz")]
pub mod fuzz;
mod globals;
mod intrinsic;
mod limits;
mod loader;
mod parameter;
mod platform;
mod pseudo;
mod references;
mod resource;
mod suggest;
mod template;
mod value;
mod words;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};

use esb_model::{Application, Finding, Secret, Severity, SourceMap, Span, TemplateId};

pub use limits::Limits;
pub use loader::{LoadError, Loader, NoLoader};
pub use parameter::{Parameter, ParameterOrigin};
pub use platform::platform_findings;

use evaluator::Run;
use resource::Scope;
use value::Value;

/// Values that a template does not contain: parameters, pseudo parameters, limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Values for parameters; they win over the template's defaults.
    pub parameters: BTreeMap<String, String>,
    /// `AWS::Region`, also in ARNs.
    pub region: String,
    /// `AWS::AccountId`, also in ARNs.
    pub account_id: String,
    /// `AWS::StackName`.
    pub stack_name: String,
    /// Values for environment variables that AWS would compute: by function (logical id or name),
    /// or by `Parameters` for all of them; then by variable.
    pub env_vars: BTreeMap<String, BTreeMap<String, String>>,
    /// Whether the application is to be deployed: a name that nothing has is then an error
    /// wherever CloudFormation would refuse it, also where the platform ignores it.
    pub strict: bool,
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            parameters: BTreeMap::new(),
            region: "us-east-1".to_owned(),
            account_id: "123456789012".to_owned(),
            stack_name: "local".to_owned(),
            env_vars: BTreeMap::new(),
            strict: false,
            limits: Limits::default(),
        }
    }
}

/// The result of reading a template.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parsed {
    /// The application, as far as it could be read, even when there are errors.
    pub application: Application,
    /// All findings of the template and the files it includes, in the order of their places.
    pub findings: Vec<Finding>,
    /// The parameters that the template declares, in its order.
    pub parameters: Vec<Parameter>,
    /// The findings that comments of the template and of the files it includes allow.
    pub allowances: Vec<Allowance>,
    /// Every text that nothing may show: values of `NoEcho` parameters, as they were given and as
    /// the template has them, also of nested applications, and what lists and `Fn::Split` cut them
    /// into.
    pub secrets: BTreeSet<Secret<String>>,
    /// Whether an application could be extracted: the text is a template with resources.
    pub readable: bool,
    /// The place of the resources of a template of which the application gets nothing, although all
    /// of them are created.
    pub nothing_made: Option<Span>,
}

/// A comment that allows the findings of a code: `# esb: allow esb::sam::event`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowance {
    /// The code as it is written; whether it exists is for the caller to know.
    pub code: String,
    /// The place of the code.
    pub span: Span,
    /// The lines that it is about.
    pub applies: Span,
}

impl Parsed {
    /// Parameters without a value: `inspect` keeps what depends on them symbolic, `deploy` refuses.
    pub fn missing_parameters(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters.iter().filter(|parameter| parameter.origin == ParameterOrigin::Missing)
    }

    /// Whether a finding is an error.
    ///
    /// ```
    /// use esb_model::{SourceMap, TemplateId};
    /// use esb_sam::{NoLoader, Options, parse};
    ///
    /// let text = "Conditions: {A: !Condition A}\nResources: {B: {Type: AWS::S3::Bucket}}";
    /// let mut sources = SourceMap::default();
    /// let parsed = parse(&mut sources, TemplateId(0), "t.yaml", text, &Options::default(), &NoLoader);
    /// assert!(parsed.has_errors());
    /// // What could be read is there all the same.
    /// assert_eq!(parsed.application.buckets[0].name, "b");
    /// ```
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }
}

/// Reads a template.
///
/// `name` is how the user calls the file: findings show it, and the loader gets it as the place
/// that other files are relative to. The text is added to `sources`, and so are included files.
/// Errors are findings: the result holds whatever could be extracted beside them.
pub fn parse(
    sources: &mut SourceMap,
    template: TemplateId,
    name: &str,
    text: &str,
    options: &Options,
    loader: &dyn Loader,
) -> Parsed {
    let mut run = Run::new(sources, loader, options);
    let given = options
        .parameters
        .iter()
        .map(|(name, value)| (name.as_str().into(), Value::text(value.as_str())))
        .collect();
    let scope = Scope {
        template,
        prefix: String::new(),
        folder: String::new(),
        depth: 0,
        files: vec![name.to_owned()],
    };
    let lowered = template::read(&mut run, &scope, name, text, &given);
    let mut application = lowered.application;
    application.templates = vec![name.to_owned()];
    Parsed {
        application,
        allowances: std::mem::take(&mut run.allowances),
        secrets: std::mem::take(&mut run.secrets),
        findings: run.findings.finish(),
        parameters: lowered.parameters,
        readable: lowered.readable,
        nothing_made: lowered.nothing_made,
    }
}
