//! Environment variables: every value is a text, a secret, or symbolic.

use std::{collections::BTreeMap, rc::Rc};

use esb_model::{EnvValue, Secret};

use super::{Resource, lower::Lowering};
use crate::{
    codes,
    evaluator::KEPT_STEPS,
    findings::{Findings, quote},
    value::{Unknown, Value},
    words::Named,
    yaml::{MapEntry, NodeKind, Style, meaning, reads_differently},
};

/// Variables that the platform sets itself, whatever the template says
/// (docs/contracts/platform.md#variables-of-a-worker).
const OVERRIDDEN: &[&str] = &[
    "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS",
    "AWS_ENDPOINT_URL_DYNAMO",
    "AWS_ENDPOINT_URL_DYNAMODB",
    "AWS_ENDPOINT_URL_S3",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_TIMEOUT",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "DYNAMODB_ENDPOINT",
    "GATEWAY_INTERNAL_URL",
    "LOG_LEVEL",
    "S3_ENDPOINT",
    "VICTORIALOGS_URL",
];

/// The variables of a function.
pub(super) fn lower(
    this: &mut Lowering<'_, '_, '_>,
    resource: &Rc<Resource>,
) -> Option<BTreeMap<String, EnvValue>> {
    let what = Lowering::what(resource, "Environment");
    let node = resource.property("Environment")?.clone();
    let environment = this.ev.open_map(&node, &what)?;
    let variables = environment.get("Variables")?.clone();
    let variables = this.ev.open_map(&variables, &what)?;
    let mut result = BTreeMap::new();
    for entry in variables.entries().unwrap_or_default() {
        if !this.ev.run.step(KEPT_STEPS, entry.place.span()) {
            break;
        }
        if let Some(value) = variable(this, resource, entry) {
            result.insert(entry.key.to_string(), value);
        }
    }
    Some(result)
}

fn variable(
    this: &mut Lowering<'_, '_, '_>,
    resource: &Rc<Resource>,
    entry: &MapEntry,
) -> Option<EnvValue> {
    let name = &entry.key;
    let span = entry.value.span();
    let what = Named { what: "variable", name, id: &resource.id };
    // A process cannot have them.
    if name.is_empty() || name.contains('=') || name.contains(char::is_control) {
        let message = format!("{} cannot be the name of an environment variable", quote(name));
        this.ev.error(codes::WRONG_TYPE, entry.place.span(), message);
        return None;
    }
    if OVERRIDDEN.contains(&&**name) {
        let message = format!("the platform sets {} itself", quote(name));
        this.platform_note(codes::PLATFORM_ENVIRONMENT, entry.place.span(), message);
    }
    if let Some(value) = given(this, resource, name) {
        if !is_secret(this, entry) {
            return Some(EnvValue::Known(value));
        }
        this.ev.run.add_secret(&value);
        return Some(EnvValue::Secret(Secret::new(value)));
    }
    if entry.value.is_null() {
        this.ev.warn(codes::WRONG_TYPE, entry.place.span(), format!("{what} is empty"));
        return Some(EnvValue::Known(String::new()));
    }
    let symbolic = |this: &mut Lowering<'_, '_, '_>, unknown: &Unknown| {
        this.ev.kept(span, &what, &unknown.symbolic);
        EnvValue::Symbolic(unknown.symbolic.to_string())
    };
    match this.ev.eval(&entry.value) {
        Value::Absent => None,
        Value::Text(text) => {
            if let NodeKind::Scalar { text: written, style: Style::Plain } = &entry.value.kind
                && reads_differently(written, &meaning(written))
            {
                let message = format!(
                    "{what} is {}, which is how YAML 1.1 reads {}",
                    quote(&text.text),
                    quote(written)
                );
                let help = "put it in quotes to keep it as it is written".to_owned();
                this.ev.warning_with_help(codes::NUMBER_READING, span, message, Some(help));
            }
            if text.text.contains('\0') {
                let message = format!("{what} holds a null character, which no variable can");
                this.ev.error(codes::WRONG_TYPE, span, message);
                return None;
            }
            if text.text.len() > 64 && !this.ev.run.charge(text.text.len(), span) {
                return None;
            }
            Some(match text.known() {
                Ok(text) => EnvValue::from(&text),
                Err(unknown) => symbolic(this, &unknown),
            })
        }
        Value::Unknown(unknown) => Some(symbolic(this, &unknown)),
        other @ (Value::List(_) | Value::Map(_)) => {
            let message = format!("{what} must be text, not {}", other.describe());
            this.ev.wrong_shape(&entry.value, message);
            Some(EnvValue::Known(String::new()))
        }
    }
}

/// Whether the template has a secret where another value is given, which is then one too. What is
/// wrong with the template's value does not matter.
fn is_secret(this: &mut Lowering<'_, '_, '_>, entry: &MapEntry) -> bool {
    let unheard = Findings::new(this.ev.run.limits().findings);
    let findings = std::mem::replace(&mut this.ev.run.findings, unheard);
    let value = this.ev.eval(&entry.value);
    this.ev.run.findings = findings;
    match value {
        Value::Text(text) => text.secret || is_secret_reference(&text.text),
        Value::Unknown(unknown) => is_secret_reference(&unknown.symbolic),
        Value::Absent | Value::List(_) | Value::Map(_) => false,
    }
}

/// Whether a value has a part that CloudFormation looks up where secrets are kept.
fn is_secret_reference(text: &str) -> bool {
    text.contains("{{resolve:secretsmanager:") || text.contains("{{resolve:ssm-secure:")
}

/// A value that the caller gave for a variable, for all functions or for this one.
fn given(this: &mut Lowering<'_, '_, '_>, resource: &Resource, name: &str) -> Option<String> {
    let options = this.ev.run.options;
    if options.env_vars.is_empty() {
        return None;
    }
    let full_id = this.full_id(&resource.id);
    let physical = this.ev.physical_name(resource);
    [&*full_id, &*resource.id, &*physical, "Parameters"]
        .into_iter()
        .find_map(|key| options.env_vars.get(key)?.get(name).cloned())
}
