//! Warns of misspelt properties and unknown resource types, which would have no effect.

use std::fmt::{self, Display};

use esb_model::{Finding, Severity};

use super::{Resource, known, lower::Lowering, types};
use crate::{
    codes,
    evaluator::{Evaluator, KEPT_STEPS, Opened},
    findings::quote,
    intrinsic::symbolic,
    suggest,
    yaml::{MapEntry, Node},
};

/// Steps that the search for a type costs that is nearly the one that does not exist.
const TYPE_STEPS: usize = 200;

/// Warns about a type, attributes and properties of a resource that do not exist.
pub(super) fn check(this: &mut Lowering<'_, '_, '_>, resource: &std::rc::Rc<Resource>) {
    check_type(this, resource);
    let ev = &mut this.ev;
    check_attributes(ev, resource);
    if let Some(known) = known::properties(&resource.kind) {
        let properties = resource.properties.entries().unwrap_or_default();
        warn(ev, &resource.kind, properties, known);
    }
    for entry in resource.properties.entries().unwrap_or_default() {
        if entry.key.starts_with("Fn::") {
            let what = format!("a part of the properties of {}", quote(&resource.id));
            let call = Node::map(entry.place, vec![entry.clone()]);
            ev.kept(entry.place.span(), &what, &symbolic(&call));
        }
    }
    if let Some(environment) = resource.property("Environment").filter(|_| resource.is_function())
        && let Opened::Node(environment) = ev.open(environment)
        && let Some(entries) = environment.entries()
    {
        warn(ev, &Lowering::what(resource, "Environment"), entries, &["Variables"]);
    }
}

fn check_attributes(ev: &mut Evaluator<'_, '_>, resource: &Resource) {
    let properties = known::properties(&resource.kind).unwrap_or_default();
    let (misplaced, others): (Vec<&MapEntry>, Vec<&MapEntry>) = resource
        .body
        .entries()
        .unwrap_or_default()
        .iter()
        .filter(|entry| !known::ATTRIBUTES.contains(&&*entry.key))
        .partition(|entry| properties.contains(&&*entry.key));
    for entry in misplaced {
        let message = format!("{} is outside `Properties`", quote(&entry.key));
        let span = entry.place.span();
        let finding = Finding::new(Severity::Warning, codes::UNKNOWN_PROPERTY, span, message);
        ev.run.findings.push(finding.help("move it below `Properties`"));
    }
    warn(ev, &Owner(&resource.id), others, known::ATTRIBUTES);
}

/// Warns about properties of an event that do not exist.
pub(super) fn check_event(
    ev: &mut Evaluator<'_, '_>,
    what: &dyn Display,
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

pub(super) fn warn<'n>(
    ev: &mut Evaluator<'_, '_>,
    owner: &dyn Display,
    entries: impl IntoIterator<Item = &'n MapEntry>,
    known: &[&str],
) {
    for entry in entries {
        // A `Ref` or a function may stand for the whole map.
        if known.contains(&&*entry.key) || entry.key.starts_with("Fn::") || &*entry.key == "Ref" {
            continue;
        }
        let span = entry.place.span();
        if !ev.run.step(KEPT_STEPS, span) {
            return;
        }
        let message = format!("{owner} has no property {}", quote(&entry.key));
        let finding = Finding::new(Severity::Warning, codes::UNKNOWN_PROPERTY, span, message);
        ev.run.findings.push_wrong(finding, &entry.key, known.iter().copied());
    }
}

/// A resource, for messages.
struct Owner<'w>(&'w str);

impl Display for Owner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "resource {}", quote(self.0))
    }
}

/// Reports a type that does not exist.
fn check_type(this: &mut Lowering<'_, '_, '_>, resource: &Resource) {
    let kind = &resource.kind;
    let is_ours = |kind: &str| kind.starts_with("AWS::") || kind.starts_with("Alexa::");
    // `Custom::Thing` and `Vendor::Service::Thing` are whatever their owner says.
    let may_be_own = !is_ours(kind) && kind.contains("::");
    if known::TYPES.contains(&&**kind) || this.kinds.contains(kind) || types::exists(kind) {
        return;
    }
    let span = resource.body.get("Type").map_or_else(|| resource.span(), |node| node.span());
    if !this.ev.run.step(TYPE_STEPS, span) {
        return;
    }
    let names: Vec<String> =
        known::TYPES.iter().map(|name| (*name).to_owned()).chain(types::all()).collect();
    let meant = this.ev.run.findings.nearest(kind, names.iter().map(String::as_str));
    let is_slip = meant.is_some_and(|meant| suggest::is_one_letter_away(kind, meant));
    if may_be_own && !is_slip {
        this.kinds.insert(kind.clone());
        return;
    }
    let must_exist = ["AWS::Serverless::", "AWS::Lambda::"].iter().any(|ns| kind.starts_with(ns));
    let is_error = (must_exist || is_slip) && !this.ev.may_have_more_names;
    let severity = if is_error { Severity::Error } else { Severity::Warning };
    let message = format!("there is no resource type {}", quote(kind));
    let finding = Finding::new(severity, codes::UNKNOWN_TYPE, span, message);
    this.ev.run.findings.push(match meant {
        Some(meant) => finding.help(suggest::help(meant)),
        None => finding,
    });
}
