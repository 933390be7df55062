//! Parameters: declarations, values and where they come from, constraints
//! (docs/contracts/sam.md#parameters).

use std::{collections::HashMap, rc::Rc};

use esb_model::{Finding, Severity, Span};

use crate::{
    codes, constraint,
    evaluator::{KEPT_STEPS, Run, literal},
    findings::quote,
    suggest,
    value::{Text, Unknown, Value},
    yaml::{MapEntry, Node, NodeKind},
};

/// A parameter as a template declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    pub name: String,
    /// The place of the declaration.
    pub span: Span,
    /// `String`, `Number`, `CommaDelimitedList`, `List<…>` or a type that only AWS checks.
    pub kind: String,
    pub description: Option<String>,
    /// The default's text; hidden where `no_echo` is set.
    pub default: Option<String>,
    pub allowed: Vec<String>,
    /// Whether the value must never be shown.
    pub no_echo: bool,
    pub origin: ParameterOrigin,
}

/// Where a parameter's value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterOrigin {
    /// The caller gave it.
    Given,
    /// The template's default.
    Default,
    /// There is none: `inspect` keeps references symbolic, `deploy` refuses.
    Missing,
    /// Only AWS can look it up (`AWS::SSM::Parameter::Value<…>`).
    Aws,
}

/// The values of a template's parameters.
pub(crate) type Parameters = HashMap<Rc<str>, Value>;

/// What is given for parameters: texts from outside, or values from a parent template.
pub(crate) type Given = HashMap<Rc<str>, Value>;

/// Reads the section and gives every parameter its value.
pub(crate) fn read(
    run: &mut Run<'_>,
    section: Option<&Rc<Node>>,
    given: &Given,
) -> (Vec<Parameter>, Parameters) {
    let mut declared = Vec::new();
    let mut values = Parameters::new();
    let entries = section.and_then(|section| section.entries()).unwrap_or_default();
    if let Some(section) = section
        && section.entries().is_none()
    {
        let message = format!("Parameters must be a map, not {}", section.describe());
        run.findings.error(codes::WRONG_TYPE, section.span(), message);
    }
    // What a macro adds is not known.
    for entry in entries.iter().filter(|entry| !entry.key.starts_with("Fn::")) {
        let (parameter, value) = read_one(run, entry, given.get(&entry.key));
        declared.push(parameter);
        values.insert(entry.key.clone(), value);
    }
    let mut unknown: Vec<_> = given.keys().filter(|name| !values.contains_key(*name)).collect();
    unknown.sort();
    for name in unknown {
        let message = format!("the template has no parameter {}", quote(name));
        let span = section.map(|section| section.span());
        let finding = Finding::new(Severity::Warning, codes::UNKNOWN_PARAMETER, span, message);
        run.findings.push_wrong(finding, name, values.keys().map(|name| &**name));
    }
    (declared, values)
}

fn read_one(run: &mut Run<'_>, entry: &MapEntry, given: Option<&Value>) -> (Parameter, Value) {
    let body = &entry.value;
    let field = |name: &str| body.get(name).and_then(scalar_text).map(|text| text.text.to_string());
    let kind = field("Type").unwrap_or_else(|| "String".to_owned());
    let no_echo = field("NoEcho").is_some_and(|text| text.eq_ignore_ascii_case("true"));
    let default = body.get("Default").and_then(default_text);
    let allowed = body
        .get("AllowedValues")
        .and_then(|node| node.items())
        .unwrap_or_default()
        .iter()
        .filter_map(scalar_text)
        .map(|text| text.text.to_string())
        .collect();
    check_attributes(run, entry);
    check_type(run, entry, &kind);
    let shown = default.as_ref().map(|text| if no_echo { "****".into() } else { text.to_string() });
    let mut parameter = Parameter {
        name: entry.key.to_string(),
        span: entry.place.span(),
        kind,
        description: field("Description"),
        default: shown,
        allowed,
        no_echo,
        origin: ParameterOrigin::Default,
    };
    if let Some(text) = default.as_deref().filter(|_| no_echo) {
        run.add_secret(text);
    }
    let symbolic = || Value::Unknown(Unknown::new(format!("!Ref {}", entry.key)));
    let value = match (given, default) {
        (Some(value), _) => {
            parameter.origin = ParameterOrigin::Given;
            value.clone()
        }
        (None, _) if parameter.kind.starts_with("AWS::SSM::Parameter::Value<") => {
            parameter.origin = ParameterOrigin::Aws;
            return (parameter, symbolic());
        }
        (None, Some(text)) => Value::text(text),
        (None, None) => {
            parameter.origin = ParameterOrigin::Missing;
            let unknown = Unknown::new(format!("!Ref {}", entry.key));
            return (parameter, Value::Unknown(Unknown { is_unset: true, ..unknown }));
        }
    };
    if let Value::Text(text) = &value
        && is_list(&parameter)
    {
        let items = text.text.matches(',').count();
        if items >= run.limits().list_items {
            let message = format!("parameter {} has too many items", quote(&parameter.name));
            run.findings.error(codes::LIMIT, parameter.span, message);
            return (parameter, symbolic());
        }
        if !run.step(items * KEPT_STEPS, parameter.span) {
            return (parameter, symbolic());
        }
    }
    if let (true, Value::Text(text)) = (no_echo, &value) {
        run.add_secret(&text.text);
    }
    let value = typed(&parameter, value);
    remember_items(run, &value);
    let place = match parameter.origin {
        // The excerpt of a finding shows what stands at its place.
        ParameterOrigin::Default if !parameter.no_echo => {
            body.get("Default").map(|node| node.span())
        }
        _ => None,
    };
    constraint::check(run, &parameter, body, &value, place.unwrap_or(parameter.span));
    (parameter, value)
}

/// Remembers the secrets of a list one by one.
fn remember_items(run: &mut Run<'_>, value: &Value) {
    let Value::List(items) = value else { return };
    for item in &**items {
        if let Value::Text(Text { text, secret: true, .. }) = item {
            run.add_secret(text);
        }
    }
}

/// Reports attributes that no parameter has: CloudFormation refuses them, and a misspelt `NoEcho`
/// would show a secret.
fn check_attributes(run: &mut Run<'_>, entry: &MapEntry) {
    const ATTRIBUTES: [&str; 11] = [
        "AllowedPattern",
        "AllowedValues",
        "ConstraintDescription",
        "Default",
        "Description",
        "MaxLength",
        "MaxValue",
        "MinLength",
        "MinValue",
        "NoEcho",
        "Type",
    ];
    for attribute in entry.value.entries().unwrap_or_default() {
        let name = &*attribute.key;
        if ATTRIBUTES.contains(&name) {
            continue;
        }
        let span = attribute.place.span();
        if !run.step(KEPT_STEPS, span) {
            return;
        }
        let is_slip = ATTRIBUTES.iter().any(|known| suggest::is_slip(name, known));
        let severity = if is_slip { Severity::Error } else { Severity::Warning };
        let message =
            format!("parameter {} has the unknown attribute {}", quote(&entry.key), quote(name));
        let finding = Finding::new(severity, codes::UNKNOWN_PROPERTY, span, message);
        run.findings.push_wrong(finding, name, ATTRIBUTES);
    }
}

/// Reports a type that no parameter has.
fn check_type(run: &mut Run<'_>, entry: &MapEntry, kind: &str) {
    const TYPES: [&str; 5] =
        ["CommaDelimitedList", "List<Number>", "List<String>", "Number", "String"];
    let is_of_aws = |kind: &str| kind.starts_with("AWS::");
    let item = kind.strip_prefix("List<").and_then(|kind| kind.strip_suffix('>'));
    if TYPES.contains(&kind) || is_of_aws(kind) || item.is_some_and(is_of_aws) {
        return;
    }
    let is_slip = TYPES.iter().any(|known| suggest::is_slip(kind, known));
    let is_error = run.options.strict || is_slip;
    let severity = if is_error { Severity::Error } else { Severity::Warning };
    let message = format!("parameter {} has the unknown type {}", quote(&entry.key), quote(kind));
    let span = entry.value.get("Type").map_or(entry.place.span(), |node| node.span());
    let finding = Finding::new(severity, codes::PARAMETER_CONSTRAINT, span, message);
    run.findings.push_wrong(finding, kind, TYPES);
}

/// The text of a literal scalar.
pub(crate) fn scalar_text(node: &Rc<Node>) -> Option<Text> {
    match &node.kind {
        NodeKind::Scalar { text, style } => match literal(text, *style) {
            Value::Text(text) => Some(text),
            _ => None,
        },
        NodeKind::Seq(_) | NodeKind::Map(_) => None,
    }
}

/// A default's text; SAM CLI joins a list with commas.
fn default_text(node: &Rc<Node>) -> Option<Rc<str>> {
    if let Some(items) = node.items() {
        let texts: Vec<_> = items.iter().filter_map(scalar_text).collect();
        let texts: Vec<_> = texts.iter().map(|text| &*text.text).collect();
        return Some(texts.join(",").into());
    }
    scalar_text(node).map(|text| text.text)
}

pub(crate) fn is_list(parameter: &Parameter) -> bool {
    parameter.kind == "CommaDelimitedList" || parameter.kind.starts_with("List<")
}

/// Gives a value the type of its parameter and marks secrets.
fn typed(parameter: &Parameter, value: Value) -> Value {
    let mark = |text: &Text| Text { secret: text.secret || parameter.no_echo, ..text.clone() };
    match value {
        Value::Text(text) if is_list(parameter) => {
            let items = text.text.split(',').map(str::trim).filter(|_| !text.text.is_empty());
            let items = items
                .map(|item| Value::Text(mark(&Text { secret: text.secret, ..Text::new(item) })));
            Value::list(items.collect())
        }
        Value::Text(text) => Value::Text(mark(&text)),
        other => other,
    }
}
