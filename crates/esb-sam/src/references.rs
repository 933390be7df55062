//! Checks that the names a template refers to exist.
//!
//! CloudFormation refuses a template that refers to nothing, wherever the reference stands. All of
//! the template is looked at, therefore, not only what the platform uses.

use std::rc::Rc;

use esb_model::{Finding, Severity, Span};

use crate::{
    codes,
    evaluator::Evaluator,
    findings::quote,
    globals::Globals,
    intrinsic::{Call, KEYS_A_STEP, LETTERS_A_STEP, Part, call, can_be_filled_in, parts},
    pseudo,
    resource::{Generated, Resource, attributes, code_is_elsewhere},
    suggest,
    yaml::{Node, NodeKind},
};

/// How much a missing name matters where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Weight {
    /// Nothing that is made depends on it, or a macro may add the name: a warning.
    Light,
    /// The platform ignores what refers to it: an error when another name is nearly the same, or
    /// when the application is deployed.
    Ignored,
    /// The platform uses what refers to it: an error.
    Used,
}

/// What a reference may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// `Ref` names a parameter or a resource.
    Any,
    /// `Fn::GetAtt` names a resource.
    Resource,
    /// In conditions, `Ref` names a parameter.
    Parameter,
}

/// Checks the section of conditions, where only parameters have values.
pub(crate) fn check_conditions(ev: &mut Evaluator<'_, '_>, root: &Node) {
    if let Some(section) = root.get("Conditions") {
        Check { ev, weight: Weight::Used, wanted: Wanted::Parameter }.node(section);
    }
}

/// Checks resources, what Globals add to them, and outputs.
pub(crate) fn check_resources(ev: &mut Evaluator<'_, '_>, root: &Node, globals: &Globals) {
    for resource in ev.resources.all() {
        let weight = weight(&resource);
        let mut check = Check { ev, weight, wanted: Wanted::Any };
        for entry in resource.body.entries().unwrap_or_default() {
            match &*entry.key {
                "DependsOn" => check.depends_on(&entry.value),
                "Properties" => check.properties(&resource.kind, &entry.value),
                // The condition of a resource is looked at where it is decided.
                "Condition" | "Metadata" | "Type" => {}
                _ => check.node(&entry.value),
            }
        }
    }
    for (kind, section) in globals.sections() {
        let owners = ev.resources.all().into_iter().filter(|resource| &*resource.kind == kind);
        if let Some(weight) = owners.map(|resource| weight(&resource)).max() {
            Check { ev, weight, wanted: Wanted::Any }.properties(kind, section);
        }
    }
    let mut check = Check { ev, weight: Weight::Light, wanted: Wanted::Any };
    for output in root.get("Outputs").and_then(|node| node.entries()).unwrap_or_default() {
        if let Some(condition) = output.value.get("Condition") {
            check.condition(condition);
        }
        check.node(&output.value);
    }
}

/// How much the references of a resource matter.
fn weight(resource: &Resource) -> Weight {
    // The CDK declares parameters only when it deploys.
    if !resource.exists() || resource.metadata("aws:cdk:path").is_some() {
        return Weight::Light;
    }
    let is_used = match &*resource.kind {
        "AWS::Serverless::SimpleTable" | "AWS::DynamoDB::Table" | "AWS::S3::Bucket" => true,
        _ if resource.is_function() || resource.is_layer() => !code_is_elsewhere(resource),
        _ => false,
    };
    if is_used { Weight::Used } else { Weight::Ignored }
}

/// The place of a name in an expression, so that only the name is marked.
fn narrow(ev: &Evaluator<'_, '_>, span: Span, name: &str) -> Span {
    /// Longer texts are not searched.
    const MOST: usize = 4096;
    let source = ev.run.sources.get(span.source);
    let text = source.and_then(|source| source.text.get(span.start..span.end));
    let Some(text) = text.filter(|text| text.len() <= MOST && !name.is_empty()) else {
        return span;
    };
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':');
    let is_whole =
        |at: usize| !text[..at].ends_with(is_part) && !text[at + name.len()..].starts_with(is_part);
    let found = text.match_indices(name).map(|(at, _)| at).find(|at| is_whole(*at));
    let place = |at| Span { start: span.start + at, end: span.start + at + name.len(), ..span };
    found.map_or(span, place)
}

/// Reports a name that the template refers to and does not have.
pub(crate) fn report_missing(
    ev: &mut Evaluator<'_, '_>,
    span: Span,
    name: &str,
    wanted: Wanted,
    weight: Weight,
) {
    let span = narrow(ev, span, name);
    let is_pseudo = name.starts_with("AWS::");
    let message = if is_pseudo {
        format!("there is no pseudo parameter {}", quote(name))
    } else if wanted == Wanted::Resource && ev.parameters.contains_key(name) {
        format!("{} is a parameter: only resources have attributes", quote(name))
    } else if wanted == Wanted::Resource {
        format!("the template has no resource {}", quote(name))
    } else if wanted == Wanted::Parameter {
        format!("the template has no parameter {}", quote(name))
    } else {
        format!("the template has no parameter or resource {}", quote(name))
    };
    let pseudo = pseudo::NAMES.iter().copied().filter(|_| is_pseudo);
    let ids = ev.resources.ids().filter(|_| !is_pseudo);
    let parameters = ev.parameters.keys().map(|name| &**name);
    let parameters = parameters.filter(|_| !is_pseudo && wanted != Wanted::Resource);
    let meant = ev.run.findings.nearest(name, pseudo.chain(ids).chain(parameters));
    let is_slip = meant.is_some_and(|meant| suggest::is_slip(name, meant));
    let help = match meant {
        Some(meant) => Some(suggest::help(meant)),
        None if ev.conditions.contains(name) => {
            Some(format!("{} is a condition: use it with `Fn::If`", quote(name)))
        }
        None if wanted == Wanted::Parameter => {
            Some("conditions can refer to parameters only".to_owned())
        }
        None => None,
    };
    let severity = ev.severity(weight, is_slip);
    let finding = Finding::new(severity, codes::UNRESOLVED_REF, span, message);
    ev.run.findings.push(match help {
        Some(help) => finding.help(help),
        None => finding,
    });
}

impl Evaluator<'_, '_> {
    /// The severity of a finding about a name that does not exist.
    fn severity(&self, weight: Weight, is_slip: bool) -> Severity {
        let is_error = match weight {
            _ if self.may_have_more_names => false,
            Weight::Used => true,
            Weight::Ignored => is_slip || self.run.options.strict,
            Weight::Light => false,
        };
        if is_error { Severity::Error } else { Severity::Warning }
    }
}

/// The properties of functions that are read here.
const OF_FUNCTIONS: &[&str] = &[
    "Architectures",
    "Code",
    "CodeUri",
    "Environment",
    "EphemeralStorage",
    "Events",
    "FunctionName",
    "Handler",
    "ImageConfig",
    "ImageUri",
    "InlineCode",
    "Layers",
    "MemorySize",
    "PackageType",
    "ReservedConcurrentExecutions",
    "Runtime",
    "Timeout",
];

/// Looks through a part of the template.
struct Check<'c, 'a, 'r> {
    ev: &'c mut Evaluator<'a, 'r>,
    weight: Weight,
    /// What a reference without an attribute may name.
    wanted: Wanted,
}

impl Check<'_, '_, '_> {
    /// Documents are only so deep, so that recursion is bounded.
    fn node(&mut self, node: &Rc<Node>) {
        match &node.kind {
            NodeKind::Scalar { .. } => {}
            NodeKind::Seq(items) => items.iter().for_each(|item| self.node(item)),
            NodeKind::Map(entries) => {
                if let Some(call) = call(node) {
                    self.call(node.span(), &call);
                }
                entries.iter().for_each(|entry| self.node(&entry.value));
            }
        }
    }

    fn call(&mut self, span: Span, call: &Call<'_>) {
        let argument = call.argument;
        let first = || argument.items().and_then(<[_]>::first);
        match call.name {
            "Ref" => {
                if let Some(name) = argument.scalar() {
                    self.name(span, name, None);
                }
            }
            "Fn::GetAtt" => {
                let name = match argument.scalar() {
                    Some(text) => text.split_once('.'),
                    None => argument.items().and_then(|items| {
                        let attribute = items.get(1).and_then(|attribute| attribute.scalar());
                        let is_whole = items.len() == 2;
                        let attribute = attribute.filter(|_| is_whole).map_or("", |name| name);
                        Some((&**items.first()?.scalar()?, attribute))
                    }),
                };
                if let Some((id, attribute)) = name {
                    self.name(span, id, Some(attribute));
                }
            }
            "Fn::Sub" => {
                let text = if argument.items().is_some() { first() } else { Some(argument) };
                let variables = argument.items().and_then(|items| items.get(1));
                if let Some(text) = text.and_then(|text| text.scalar()) {
                    self.text(span, text, variables);
                }
            }
            "Fn::If" => {
                if let Some(name) = first().filter(|name| name.scalar().is_some()) {
                    self.condition(name);
                }
            }
            _ => {}
        }
    }

    /// The placeholders of an `Fn::Sub`.
    fn text(&mut self, span: Span, text: &str, variables: Option<&Rc<Node>>) {
        let count = variables.and_then(|node| node.entries()).map_or(0, <[_]>::len);
        if !self.ev.run.step(text.len() / LETTERS_A_STEP, span) {
            return;
        }
        for part in parts(text) {
            let Part::Name(written) = part else { continue };
            if !self.ev.run.step(1 + count / KEYS_A_STEP, span) {
                return;
            }
            let name = written.trim();
            let is_variable = || variables.is_some_and(|node| node.entry(name).is_some());
            if !can_be_filled_in(name) || is_variable() {
                continue;
            }
            match name.split_once('.') {
                Some((id, attribute)) => self.name(span, id, Some(attribute)),
                None => self.name(span, name, None),
            }
        }
    }

    /// A parameter, a resource, or with an attribute only a resource.
    fn name(&mut self, span: Span, name: &str, attribute: Option<&str>) {
        let ev = &mut *self.ev;
        if !ev.run.step(1, span) {
            return;
        }
        let exists = ev.resources.get(name).is_some()
            || (attribute.is_none()
                && (ev.parameters.contains_key(name) || pseudo::NAMES.contains(&name)))
            || !matches!(ev.generated(name, attribute, span), Generated::No);
        if let Some(attribute) = attribute.filter(|name| !name.is_empty())
            && let Some(resource) = ev.resources.get(name)
        {
            self.attribute(span, &resource, attribute);
        } else if !exists {
            let wanted = if attribute.is_some() { Wanted::Resource } else { self.wanted };
            report_missing(ev, span, name, wanted, self.weight);
        }
    }

    /// An attribute of a resource whose kind has few of them.
    fn attribute(&mut self, span: Span, resource: &Resource, name: &str) {
        let Some(known) = attributes(&resource.kind) else { return };
        // `Hello.Version.FunctionArn`: an attribute of what SAM makes for it.
        let made = name.split('.').next().unwrap_or_default();
        let is_made = matches!(made, "Alias" | "DestinationQueue" | "DestinationTopic" | "Version");
        if known.contains(&name) || is_made && resource.kind.starts_with("AWS::Serverless::") {
            return;
        }
        let is_slip = known.iter().any(|known| suggest::is_slip(name, known));
        let severity = self.ev.severity(self.weight.min(Weight::Ignored), is_slip);
        let message = format!("{} has no attribute {}", quote(&resource.id), quote(name));
        let finding = Finding::new(severity, codes::UNRESOLVED_REF, span, message);
        self.ev.run.findings.push_wrong(finding, name, known.iter().copied());
    }

    fn condition(&mut self, node: &Node) {
        let Some(name) = node.scalar() else { return };
        if !self.ev.conditions.contains(name) {
            // The parts that are read report it as an error where they need its truth.
            let weight = self.weight.min(Weight::Ignored);
            let is_slip = self.ev.conditions.names().any(|known| suggest::is_slip(name, known));
            let severity = self.ev.severity(weight, is_slip);
            self.ev.unknown_condition(name, node.span(), severity);
        }
    }

    /// Other resources that must be made first.
    fn depends_on(&mut self, node: &Rc<Node>) {
        let names = node.items().unwrap_or(std::slice::from_ref(node));
        for node in names {
            let Some(name) = node.scalar() else { continue };
            let span = node.span();
            let is_made = |ev: &mut Evaluator<'_, '_>| {
                !matches!(ev.generated(name, None, span), Generated::No)
            };
            if self.ev.resources.get(name).is_none() && !is_made(self.ev) {
                report_missing(self.ev, span, name, Wanted::Resource, self.weight);
            }
        }
    }

    /// The properties of a resource, of which the platform uses some.
    fn properties(&mut self, kind: &str, properties: &Rc<Node>) {
        let Some(entries) = properties.entries().filter(|_| call(properties).is_none()) else {
            return self.node(properties);
        };
        for entry in entries {
            let is_used = match kind {
                "AWS::S3::Bucket" => &*entry.key == "BucketName",
                "AWS::Serverless::Function" | "AWS::Lambda::Function" => {
                    OF_FUNCTIONS.contains(&&*entry.key)
                }
                _ => true,
            };
            let weight = if is_used { self.weight } else { self.weight.min(Weight::Ignored) };
            let mut check = Check { ev: self.ev, weight, wanted: self.wanted };
            match entry.value.entries() {
                Some(events) if &*entry.key == "Events" => {
                    for event in events {
                        check.event(&event.value);
                    }
                }
                _ => check.node(&entry.value),
            }
        }
    }

    /// An event, which the platform uses when it is a route or a schedule.
    fn event(&mut self, event: &Rc<Node>) {
        let kind = event.get("Type").and_then(|kind| kind.scalar());
        let is_used = kind
            .is_some_and(|kind| matches!(&**kind, "Api" | "HttpApi" | "Schedule" | "ScheduleV2"));
        let weight = if is_used { self.weight } else { self.weight.min(Weight::Ignored) };
        Check { ev: self.ev, weight, wanted: self.wanted }.node(event);
    }
}
