//! Events of functions: routes, schedules, and triggers that are only listed.

use std::rc::Rc;

use esb_model::{Api, Finding, Severity, Span, Trigger};

use super::{
    Resource,
    lower::Lowering,
    property,
    route::{self, Named, Wanted},
    schedule,
};
use crate::{
    codes,
    evaluator::{KEPT_STEPS, Opened},
    findings::quote,
    template::has_macro,
    words,
    yaml::{MapEntry, Node},
};

/// Kinds of events that SAM knows.
const KINDS: &[&str] = &[
    "AlexaSkill",
    "Api",
    "CloudWatchEvent",
    "CloudWatchLogs",
    "Cognito",
    "DocumentDB",
    "DynamoDB",
    "EventBridgeRule",
    "HttpApi",
    "IoTRule",
    "Kinesis",
    "MQ",
    "MSK",
    "S3",
    "SNS",
    "SQS",
    "Schedule",
    "ScheduleV2",
    "SelfManagedKafka",
];

/// One event of a function.
pub(super) struct Event {
    pub(super) function: Rc<str>,
    /// The event's own name.
    pub(super) name: Rc<str>,
    pub(super) span: Span,
    pub(super) properties: Option<Rc<Node>>,
    /// Whether all its properties are known, whatever their values.
    pub(super) is_whole: bool,
}

impl Event {
    /// The words for it in messages.
    pub(super) fn what(&self) -> words::Named<'_> {
        words::Named { what: "event", name: &self.name, id: &self.function }
    }

    pub(super) fn property(&self, name: &str) -> Option<Rc<Node>> {
        self.properties.as_ref()?.get(name).cloned()
    }
}

/// Lowers the events of a function; other resources have none here.
pub(super) fn lower(this: &mut Lowering<'_, '_, '_>, resource: &Rc<Resource>) {
    if &*resource.kind != "AWS::Serverless::Function" {
        return;
    }
    let what = Lowering::what(resource, "Events");
    let Some(node) = resource.property("Events").cloned() else { return };
    let Some(events) = this.ev.open_map(&node, &what) else { return };
    for entry in events.entries().unwrap_or_default() {
        if !this.ev.run.step(KEPT_STEPS, entry.place.span()) {
            break;
        }
        one(this, resource, entry);
    }
}

fn one(this: &mut Lowering<'_, '_, '_>, resource: &Rc<Resource>, entry: &MapEntry) {
    let what = words::Named { what: "event", name: &entry.key, id: &resource.id };
    let span = entry.place.span();
    let Some(body) = this.ev.open_map(&entry.value, &what) else { return };
    let Some(kind) = body.get("Type").and_then(|node| node.scalar()).cloned() else {
        this.ev.error(codes::EVENT, span, format!("{what} has no type"));
        return;
    };
    let written = body.get("Properties").cloned();
    let properties = written.as_ref().and_then(|node| this.ev.open_map(node, &what));
    let is_whole = written.is_none() || properties.as_ref().is_some_and(|node| !has_macro(node));
    property::check_event(&mut this.ev, &what, &kind, &body, properties.as_deref());
    let (function, name) = (resource.id.clone(), entry.key.clone());
    let event = Event { function, name, span, properties, is_whole };
    match &*kind {
        "Api" => api(this, &event),
        "HttpApi" => http_api(this, &event),
        "Schedule" => schedule::lower(this, &event, "Schedule"),
        "ScheduleV2" => schedule::lower(this, &event, "ScheduleExpression"),
        kind => {
            if KINDS.contains(&kind) {
                let message = format!("the platform does not serve {kind} events");
                this.platform_note(codes::PLATFORM_TRIGGER, span, message);
            } else {
                let message = format!("{} has the unknown type {}", event.what(), quote(kind));
                let span = body.get("Type").map_or(span, |node| node.span());
                let finding = Finding::new(Severity::Warning, codes::EVENT, span, message);
                this.ev.run.findings.push_wrong(finding, kind, KINDS.iter().copied());
            }
            let function = this.function_id(&resource.id);
            let (name, kind) = (entry.key.to_string(), kind.to_owned());
            this.app.triggers.push(Trigger { function, name, kind, span });
        }
    }
}

fn api(this: &mut Lowering<'_, '_, '_>, event: &Event) {
    let text = |this: &mut Lowering<'_, '_, '_>, name: &str| {
        let node = event.property(name)?;
        this.ev.known(&node, &words::Part { name, of: &event.what() })
    };
    let (path, method) = (text(this, "Path"), text(this, "Method"));
    let (Some(path), Some(method)) = (path, method) else {
        // What is not known is reported as that.
        if !event.is_whole || ["Path", "Method"].iter().all(|name| event.property(name).is_some()) {
            return;
        }
        let message = format!("{} needs a path and a method", event.what());
        this.ev.error(codes::EVENT, event.span, message);
        return;
    };
    check(this, event, &path.text, &method.text);
    let api = match route::named_api(this, event.property("RestApiId").as_ref(), &event.what()) {
        Named::Implicit => Api::Rest(None),
        Named::Explicit(id) => Api::Rest(Some(this.full_id(&id))),
        Named::Gone => return,
    };
    route::add(this, wanted(event, api, &path.text, &method.text));
}

fn http_api(this: &mut Lowering<'_, '_, '_>, event: &Event) {
    let mut text = |name: &str| {
        let node = event.property(name)?;
        Some(this.ev.known(&node, &words::Part { name, of: &event.what() }))
    };
    let (path, method) = match (text("Path"), text("Method")) {
        (None, _) | (_, None) if !event.is_whole => return,
        (None, None) => ("$default".into(), "ANY".into()),
        (Some(Some(path)), Some(Some(method))) => (path.text, method.text),
        (Some(Some(path)), None) if &*path.text == "$default" => (path.text, "ANY".into()),
        (Some(_), Some(_)) => return,
        _ => {
            let message = format!("{} needs both a path and a method, or neither", event.what());
            this.ev.error(codes::EVENT, event.span, message);
            return;
        }
    };
    check(this, event, &path, &method);
    let api = match route::named_api(this, event.property("ApiId").as_ref(), &event.what()) {
        Named::Implicit => Api::Http(None),
        Named::Explicit(id) => Api::Http(Some(this.full_id(&id))),
        Named::Gone => return,
    };
    route::add(this, wanted(event, api, &path, &method));
}

fn check(this: &mut Lowering<'_, '_, '_>, event: &Event, path: &str, method: &str) {
    let place = |name| event.property(name).map_or(event.span, |node| node.span());
    let (path, method) = ((path, place("Path")), (method, place("Method")));
    route::check(this, &event.function, path, method);
}

fn wanted<'t>(event: &'t Event, api: Api, path: &'t str, method: &'t str) -> Wanted<'t> {
    let path_span = event.property("Path").map(|node| node.span());
    Wanted { function: &event.function, api, path, method, span: event.span, path_span }
}

/// The map behind a node, without a word when there is none.
pub(super) fn quiet_map(this: &mut Lowering<'_, '_, '_>, node: &Rc<Node>) -> Option<Rc<Node>> {
    match this.ev.open(node) {
        Opened::Node(node) if node.entries().is_some() => Some(node),
        _ => None,
    }
}
