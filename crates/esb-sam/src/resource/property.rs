//! Names that mean nothing: misspelt properties and resource types must not vanish in silence.

use esb_model::{Finding, Severity};

use super::{Resource, known, lower::Lowering};
use crate::{
    codes,
    evaluator::{Evaluator, Opened},
    findings::quote,
    suggest,
    yaml::{Entry, Node},
};

/// Warns about a type, attributes and properties of a resource that do not exist.
pub(super) fn check(this: &mut Lowering<'_, '_, '_>, resource: &std::rc::Rc<Resource>) {
    let ev = &mut this.ev;
    check_type(ev, resource);
    let attributes = resource.body.entries().unwrap_or_default();
    warn(ev, &format!("resource {}", quote(&resource.id)), attributes, known::ATTRIBUTES);
    if let Some(known) = known::properties(&resource.kind) {
        let properties = resource.properties.entries().unwrap_or_default();
        warn(ev, &resource.kind, properties, known);
    }
    if let Some(environment) = resource.property("Environment").filter(|_| resource.is_function())
        && let Opened::Node(environment) = ev.open(environment)
        && let Some(entries) = environment.entries()
    {
        warn(ev, &Lowering::what(resource, "Environment"), entries, &["Variables"]);
    }
}

/// Warns about properties of an event that do not exist.
pub(super) fn check_event(
    ev: &mut Evaluator<'_, '_>,
    what: &str,
    kind: &str,
    body: &Node,
    properties: Option<&Node>,
) {
    warn(ev, what, body.entries().unwrap_or_default(), &["Properties", "Type"]);
    if let Some(known) = known::event_properties(kind)
        && let Some(properties) = properties
    {
        warn(ev, what, properties.entries().unwrap_or_default(), known);
    }
}

fn warn(ev: &mut Evaluator<'_, '_>, owner: &str, entries: &[Entry], known: &[&str]) {
    for entry in entries {
        if known.contains(&&*entry.key) || entry.key.starts_with("Fn::") || is_reference(entries) {
            continue;
        }
        let message = format!("{owner} has no property {}", quote(&entry.key));
        let span = entry.place.span();
        let finding = Finding::new(Severity::Warning, codes::UNKNOWN_PROPERTY, span, message);
        ev.run.findings.push_wrong(finding, &entry.key, known.iter().copied());
    }
}

/// Whether the map is a `Ref` that stands for it.
fn is_reference(entries: &[Entry]) -> bool {
    matches!(entries, [entry] if &*entry.key == "Ref")
}

/// A type of SAM must exist; another one may be anything that is not nearly one that is read.
fn check_type(ev: &mut Evaluator<'_, '_>, resource: &Resource) {
    let kind = &*resource.kind;
    let span = resource.body.get("Type").map_or_else(|| resource.span(), |node| node.span());
    let message = format!("there is no resource type {}", quote(kind));
    let finding = Finding::new(Severity::Warning, codes::UNKNOWN_TYPE, span, message);
    let names = || known::TYPES.iter().copied();
    if kind.starts_with("AWS::Serverless::") {
        if !known::is_serverless(kind) {
            ev.run.findings.push_wrong(finding, kind, names());
        }
    } else if suggest::is_slip(kind, names()) {
        ev.run.findings.push_wrong(finding, kind, names());
    }
}
