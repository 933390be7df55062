//! Functions and their settings.

use std::collections::{BTreeMap, BTreeSet};

use esb_model::{Cause, EnvValue, Finding, Function, FunctionId, Package, Remedy, Severity, Span};

use super::{Context, FunctionNames, PublishedImage, containerd};
use crate::{
    codes,
    functions::{Environment, FunctionEntry, Scaling},
    state::Section,
    text::Text,
};

/// What every JVM reads, and what it has to say for the hooks to be there: the value of a
/// function's own replaces the image's (docs/contracts/platform.md#hooks-in-external-images).
const JVM_OPTIONS: &str = "JAVA_TOOL_OPTIONS";
const JAVA_AGENT: &str = "-javaagent:/var/task/lib/lambda-java-agent.jar ";

/// Writes the functions that have an image, and gives their names.
pub(super) fn render(
    context: &mut Context<'_>,
    images: &BTreeMap<FunctionId, PublishedImage>,
) -> FunctionNames {
    let mut names = FunctionNames::new();
    let mut first: BTreeMap<String, &Function> = BTreeMap::new();
    let mut notes = VariableNotes::default();
    for function in &context.app.functions {
        let name = &*function.effective_name();
        if let Some(other) = first.get(name) {
            let finding = Finding::new(
                Severity::Error,
                codes::DUPLICATE_FUNCTION,
                function.span,
                format!("two functions are named `{name}`"),
            );
            let finding = finding.related(other.span, "the first is here");
            let finding = finding.help("give one of them another `FunctionName`");
            context.find(finding.cause(Cause::DuplicateName));
            continue;
        }
        first.insert(name.to_owned(), function);
        let Some(image) = images.get(&function.id) else {
            context.find(Finding::new(
                Severity::Note,
                codes::FUNCTION_WITHOUT_IMAGE,
                function.span,
                format!("function `{name}` has no image and is left out of the configuration"),
            ));
            continue;
        };
        let entry = FunctionEntry {
            image: Some(Text::literal(&image.reference)),
            timeout: Some(function.effective_timeout().into()),
            memory_size: Some(function.effective_memory().into()),
            environment: environment(
                context,
                function,
                hooks_loaded_by(function, image),
                &mut notes,
            ),
            scaling: Scaling {
                max_capacity: function.reserved_concurrency.map(i64::from),
                min_capacity: function.provisioned_concurrency.map(i64::from),
                ..Scaling::default()
            },
            ..FunctionEntry::default()
        };
        if function.reserved_concurrency == Some(0) {
            context.find(Finding::new(
                Severity::Warning,
                codes::NO_CAPACITY,
                function.span,
                format!("no container of function `{name}` may run: every call of it times out"),
            ));
        }
        if let Some(prefix) = &context.settings.containerd_prefix {
            let findings = containerd::check(function, prefix);
            context.rendered.findings.extend(findings);
        }
        context.own(Section::Function, name, function.id.template);
        let rendered = &mut context.rendered;
        rendered.state.digests.insert(name.to_owned(), image.digest.clone());
        rendered.config.functions.functions.insert(name.to_owned(), entry);
        names.insert(function.id.clone(), name.to_owned());
    }
    for (function, variable) in context.settings.secret_env.difference(&notes.used) {
        context.rendered.findings.push(
            Finding::new(
                Severity::Error,
                codes::SECRET_ENV,
                None,
                format!("`{function}.{variable}` is not a variable of any function"),
            )
            .help(Remedy::CheckFilledIn),
        );
    }
    names
}

/// The variable that loads the hooks of a function's image, and what its value has to begin with.
fn hooks_loaded_by<'a>(
    function: &Function,
    image: &'a PublishedImage,
) -> Option<(&'a str, &'a str)> {
    match &function.package {
        Package::Zip(package) => {
            let hooked = matches!(&package.runtime, Some(Ok(runtime)) if runtime.has_java_hooks());
            hooked.then_some((JVM_OPTIONS, JAVA_AGENT))
        }
        Package::Image(_) => {
            image.hooks_loaded_by.as_ref().map(|(name, start)| (&**name, &**start))
        }
    }
}

/// What is collected from the variables of all functions.
#[derive(Default)]
struct VariableNotes {
    /// The entries of `secret_env` that name a variable.
    used: BTreeSet<(String, String)>,
    written: Vec<WrittenSecret>,
}

/// A secret that is written into functions.yml, with all functions that have it: one warning.
struct WrittenSecret {
    variable: String,
    value: String,
    functions: Vec<String>,
    /// The first of the functions.
    span: Span,
    /// Where its finding is among the others.
    at: usize,
}

impl VariableNotes {
    /// Adds a function that has a secret to the warning about it.
    fn add(&mut self, name: &str, value: &str, function: &Function, context: &mut Context<'_>) {
        let known = |known: &&mut WrittenSecret| known.variable == name && known.value == value;
        let findings = &mut context.rendered.findings;
        let function_name = function.effective_name().into_owned();
        if let Some(known) = self.written.iter_mut().find(known) {
            known.functions.push(function_name);
            findings[known.at] = known.finding();
            return;
        }
        let new = WrittenSecret {
            variable: name.to_owned(),
            value: value.to_owned(),
            functions: vec![function_name],
            span: function.span,
            at: findings.len(),
        };
        findings.push(new.finding());
        self.written.push(new);
    }
}

impl WrittenSecret {
    /// The most functions that the message names.
    const NAMED: usize = 5;

    fn finding(&self) -> Finding {
        let Self { variable, functions, span, .. } = self;
        let named = functions.iter().take(Self::NAMED).map(|name| format!("`{name}`"));
        let named = named.collect::<Vec<_>>().join(", ");
        let more = match functions.len().saturating_sub(Self::NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let noun = if functions.len() == 1 { "function" } else { "functions" };
        let message = format!(
            "the secret value of `{variable}` of {noun} {named}{more} is written into functions.yml"
        );
        let (functions, variable) = (functions.clone(), variable.clone());
        Finding::new(Severity::Warning, codes::SECRET_IN_CONFIG, *span, message)
            .help(Remedy::FillInFromGateway { functions, variable })
    }
}

/// The variables of a function.
fn environment(
    context: &mut Context<'_>,
    function: &Function,
    hooks_loaded_by: Option<(&str, &str)>,
    notes: &mut VariableNotes,
) -> Environment {
    let name = &*function.effective_name();
    let warn = |severity, code, message| Finding::new(severity, code, function.span, message);
    let mut environment = BTreeMap::new();
    for (variable, value) in &function.environment {
        let mut outside = false;
        for given in [name, &function.id.logical_id] {
            let entry = (given.to_owned(), variable.clone());
            if context.settings.secret_env.contains(&entry) {
                notes.used.insert(entry);
                outside = true;
            }
        }
        let text = if outside {
            Text::placeholder(variable).unwrap_or_else(|| {
                context.find(warn(
                    Severity::Error,
                    codes::SECRET_ENV,
                    format!("the Gateway cannot fill in a variable called `{variable}`"),
                ));
                Text::default()
            })
        } else {
            match value {
                EnvValue::Known(text) => Text::literal(text),
                EnvValue::Secret(secret) => {
                    notes.add(variable, secret.reveal(), function, context);
                    let secrets = &mut context.rendered.state.secrets;
                    secrets.entry(name.to_owned()).or_default().insert(variable.clone());
                    Text::literal(secret.reveal())
                }
                // What AWS would look up is passed on as it stands, as SAM CLI does.
                EnvValue::Symbolic(symbolic) if symbolic.starts_with("{{resolve:") => {
                    Text::literal(symbolic)
                }
                EnvValue::Symbolic(symbolic) => {
                    let message = format!(
                        "the value of `{variable}` of function `{name}` is known only to AWS and \
                         stays empty: `{symbolic}`"
                    );
                    let finding = warn(Severity::Warning, codes::UNKNOWN_VARIABLE, message);
                    context.find(finding.help(Remedy::GiveVariable).cause(Cause::UnknownValue));
                    Text::default()
                }
            }
        };
        let text = match hooks_loaded_by {
            Some((name, start)) if name == variable => text.after(start),
            _ => text,
        };
        environment.insert(variable.clone(), text);
    }
    Environment(environment)
}
