//! Reads one template: its sections, in the order in which they depend on each other.

use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

use esb_model::{Application, Finding, Severity, Span};

use crate::{
    codes,
    condition::{Conditions, Truth},
    evaluator::{Evaluator, Run},
    findings::quote,
    for_each,
    globals::Globals,
    intrinsic::symbolic,
    parameter::{self, Given},
    pseudo::Pseudo,
    references,
    resource::{self, Lowered, Resource, Resources, Scope},
    suggest,
    value::{Unknown, Value},
    yaml::{MapEntry, Node},
};

const SECTIONS: &[&str] = &[
    "AWSTemplateFormatVersion",
    "Conditions",
    "Description",
    "Globals",
    "Hooks",
    "Mappings",
    "Metadata",
    "Outputs",
    "Parameters",
    "Resources",
    "Rules",
    "Transform",
];

/// Reads a template and lowers it.
pub(crate) fn read(
    run: &mut Run<'_>,
    scope: &Scope,
    name: &str,
    text: &str,
    given: &Given,
) -> Lowered {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let Some(root) = run.compose(name, text) else { return Lowered::default() };
    let Some(sections) = root.entries() else {
        let message = format!("a template must be a map, not {}", root.describe());
        run.findings.error(codes::NO_RESOURCES, root.span(), message);
        return Lowered::default();
    };
    check_sections(run, sections);
    let (parameters, values) = parameter::read(run, root.get("Parameters"), given);
    let mut ev = Evaluator {
        pseudo: Pseudo::new(run.options),
        run,
        parameters: values,
        mappings: root.get("Mappings").cloned(),
        conditions: Conditions::default(),
        resources: Resources::default(),
        names: HashMap::new(),
        open_names: Vec::new(),
        name_prefix: scope.prefix.replace('/', "-"),
        outputs: HashMap::new(),
        depth: 0,
        undecided: HashSet::new(),
        may_have_more_names: false,
        names_are_expressions: false,
    };
    let root = if for_each::may_occur(text) { for_each::expand(&mut ev, &root) } else { root };
    check_transform(&mut ev, &root, text);
    ev.may_have_more_names |= may_have_more_names(&root);
    if let Some(conditions) = root.get("Conditions") {
        if let Some(entries) = conditions.entries() {
            ev.conditions = Conditions::new(entries);
        } else {
            let message = format!("Conditions must be a map, not {}", conditions.describe());
            ev.error(codes::WRONG_TYPE, conditions.span(), message);
        }
    }
    references::check_conditions(&mut ev, &root);
    ev.decide_all();
    let globals = Globals::read(ev.run, root.get("Globals"));
    let readable = read_resources(&mut ev, &root, &globals);
    references::check_resources(&mut ev, &root, &globals);
    let resources = ev.resources.all();
    let all_created =
        !resources.is_empty() && resources.iter().all(|resource| resource.condition == Some(true));
    let (mut ev, mut application) = resource::lower(ev, scope);
    let section = root.get("Resources").filter(|_| all_created && is_empty(&application));
    let nothing_made = section.map(|section| section.span());
    application.region = ev.pseudo.region.to_string();
    let outputs = if scope.depth > 0 { outputs(&mut ev, &root) } else { HashMap::new() };
    Lowered { application, parameters, outputs, readable, nothing_made }
}

/// Whether an application has nothing that the platform could run or make.
fn is_empty(application: &Application) -> bool {
    let Application { functions, layers, tables, buckets, routes, .. } = application;
    let none_to_run = functions.is_empty() && layers.is_empty() && routes.is_empty();
    none_to_run && tables.is_empty() && buckets.is_empty()
}

fn check_sections(run: &mut Run<'_>, sections: &[MapEntry]) {
    for entry in sections {
        if SECTIONS.contains(&&*entry.key) || entry.key.starts_with("Fn::") {
            continue;
        }
        let message = format!("{} is not a section of a template", quote(&entry.key));
        let span = entry.place.span();
        let is_error = run.options.strict && is_misspelt(&entry.key);
        let severity = if is_error { Severity::Error } else { Severity::Warning };
        let finding = Finding::new(severity, codes::UNKNOWN_SECTION, span, message);
        run.findings.push_wrong(finding, &entry.key, SECTIONS.iter().copied());
    }
}

/// Whether a section is meant that has a name nearly like this.
fn is_misspelt(section: &str) -> bool {
    !SECTIONS.contains(&section) && SECTIONS.iter().any(|known| suggest::is_slip(section, known))
}

/// Whether names may come from what is not read here: a section with a misspelt name, or a macro
/// beside the entries of a section.
fn may_have_more_names(root: &Node) -> bool {
    let sections = root.entries().unwrap_or_default();
    has_macro(root)
        || sections.iter().any(|section| {
            let is_read = matches!(&*section.key, "Conditions" | "Parameters" | "Resources");
            is_misspelt(&section.key) || is_read && has_macro(&section.value)
        })
}

/// Whether a macro adds entries to a map.
pub(crate) fn has_macro(node: &Node) -> bool {
    let entries = node.entries().unwrap_or_default();
    entries.iter().any(|entry| entry.key.starts_with("Fn::"))
}

/// Macros: SAM's own are assumed wherever its resources are used; others are left out.
fn check_transform(ev: &mut Evaluator<'_, '_>, root: &Rc<Node>, text: &str) {
    let mut names = Vec::new();
    if let Some(node) = root.get("Transform") {
        let nodes = node.items().map_or_else(|| vec![node.clone()], <[_]>::to_vec);
        for node in nodes {
            let name = node.scalar().or_else(|| node.get("Name").and_then(|name| name.scalar()));
            match name.map(|name| &**name) {
                Some("AWS::Serverless-2016-10-31" | "AWS::LanguageExtensions") => {
                    names.push(name.cloned());
                }
                Some(other) => {
                    let message = format!("the macro {} is not run", quote(other));
                    ev.warn(codes::TRANSFORM, node.span(), message);
                    ev.may_have_more_names = true;
                }
                None => {
                    ev.warn(
                        codes::TRANSFORM,
                        node.span(),
                        "a transform must be the name of a macro",
                    );
                }
            }
        }
    }
    let has = |wanted: &str| names.iter().flatten().any(|name| &**name == wanted);
    let names_are_expressions = has("AWS::LanguageExtensions");
    if for_each::may_occur(text) && !names_are_expressions {
        let message = "loops need `AWS::LanguageExtensions` among the transforms";
        ev.warn(codes::TRANSFORM, root.span(), message);
    }
    let has_sam = has("AWS::Serverless-2016-10-31");
    ev.names_are_expressions = names_are_expressions;
    if !has_sam && let Some(entry) = first_serverless(root) {
        let message = "SAM's resources need `Transform: AWS::Serverless-2016-10-31`";
        ev.warn(codes::TRANSFORM, entry.place.span(), message);
    }
}

fn first_serverless(root: &Node) -> Option<&MapEntry> {
    root.get("Resources")?.entries()?.iter().find(|entry| {
        let kind = entry.value.get("Type").and_then(|kind| kind.scalar());
        kind.is_some_and(|kind| kind.starts_with("AWS::Serverless::"))
    })
}

/// Fills the table of resources. `false` when there is none to read.
fn read_resources(ev: &mut Evaluator<'_, '_>, root: &Node, globals: &Globals) -> bool {
    let Some(section) = root.get("Resources") else {
        ev.error(codes::NO_RESOURCES, root.span(), "the template has no resources");
        return false;
    };
    let Some(entries) = section.entries() else {
        let message = format!("Resources must be a map, not {}", section.describe());
        ev.error(codes::NO_RESOURCES, section.span(), message);
        return false;
    };
    for entry in entries {
        if let Some(resource) = read_resource(ev, globals, entry) {
            ev.resources.push(resource);
        }
    }
    true
}

fn read_resource(
    ev: &mut Evaluator<'_, '_>,
    globals: &Globals,
    entry: &MapEntry,
) -> Option<Resource> {
    let (body, span) = (&entry.value, entry.place.span());
    if entry.key.starts_with("Fn::") {
        let message = format!("{} in Resources is ignored", quote(&entry.key));
        ev.warn(codes::TRANSFORM, span, message);
        return None;
    }
    let kind = body.get("Type").and_then(|kind| kind.scalar()).cloned();
    if kind.is_none() && has_macro(body) {
        let what = format!("resource {}", quote(&entry.key));
        ev.kept(body.span(), &what, &symbolic(body));
        ev.may_have_more_names = true;
        return None;
    }
    let Some(kind) = kind.filter(|_| body.entries().is_some()) else {
        let message = format!("resource {} must be a map with a `Type`", quote(&entry.key));
        ev.error(codes::RESOURCE_SHAPE, span, message);
        return None;
    };
    let condition = match body.get("Condition") {
        None => Some(true),
        Some(node) if is_cdk_metadata(&kind) => cdk_condition(ev, node),
        Some(node) => resource_condition(ev, &entry.key, node),
    };
    let properties = match body.get("Properties") {
        Some(node) if node.entries().is_some() => node.clone(),
        Some(node) => {
            let message = format!(
                "the properties of {} must be a map, not {}",
                quote(&entry.key),
                node.describe()
            );
            ev.error(codes::RESOURCE_SHAPE, node.span(), message);
            Node::map(entry.place, Vec::new())
        }
        None => Node::map(entry.place, Vec::new()),
    };
    let properties = globals.apply(ev.run, &kind, body, &properties);
    Some(Resource {
        id: entry.key.clone(),
        place: entry.place,
        kind,
        body: body.clone(),
        properties,
        condition,
    })
}

/// The CDK's record of itself, which makes nothing; tools that shorten templates take away its
/// condition.
fn is_cdk_metadata(kind: &str) -> bool {
    kind == "AWS::CDK::Metadata"
}

fn cdk_condition(ev: &mut Evaluator<'_, '_>, node: &Rc<Node>) -> Truth {
    let name = node.scalar()?.clone();
    if ev.conditions.contains(&name) {
        return ev.condition(&name, node.span());
    }
    ev.unknown_condition(&name, node.span(), Severity::Warning);
    Some(false)
}

fn resource_condition(ev: &mut Evaluator<'_, '_>, id: &str, node: &Rc<Node>) -> Truth {
    let span = node.span();
    let Some(name) = node.scalar().cloned() else {
        let message = format!("the condition of {} must be a name", quote(id));
        ev.error(codes::RESOURCE_SHAPE, span, message);
        return None;
    };
    let truth = ev.condition(&name, span);
    if truth.is_none() && ev.conditions.contains(&name) && ev.undecided.insert(name.clone()) {
        let message = format!(
            "condition {} cannot be decided without AWS; what depends on it is kept",
            quote(&name)
        );
        ev.warn(codes::UNDECIDED_CONDITION, span, message);
    }
    truth
}

/// A value that another template gets: what it refers to is not there, and whether a parameter
/// without a value is behind it goes with it.
pub(crate) fn handed_over(run: &Run<'_>, span: Span, unknown: Unknown) -> Value {
    let is_unset = run.findings.is_unset(span);
    Value::Unknown(Unknown { origin: None, is_unset, ..unknown })
}

/// The outputs of a nested template.
fn outputs(ev: &mut Evaluator<'_, '_>, root: &Rc<Node>) -> HashMap<Rc<str>, Value> {
    let entries = root.get("Outputs").and_then(|node| node.entries()).unwrap_or_default();
    let mut outputs = HashMap::new();
    for entry in entries {
        let Some(node) = entry.value.get("Value").cloned() else { continue };
        let value = match ev.eval(&node) {
            // What it refers to is not a resource of the parent.
            Value::Text(text) => Value::Text(crate::value::Text { origin: None, ..text }),
            Value::Unknown(unknown) => handed_over(ev.run, node.span(), unknown),
            value => value,
        };
        outputs.insert(entry.key.clone(), value);
    }
    outputs
}
