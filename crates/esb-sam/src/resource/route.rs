//! Routes: which function answers a path and method of an API, each once
//! (docs/contracts/sam.md#routes).

use std::{collections::HashMap, fmt::Display, rc::Rc};

use esb_model::{Api, Finding, FunctionId, Method, Route, Severity, Span};

use super::lower::Lowering;
use crate::{codes, findings::quote};

/// The paths and methods that are taken.
#[derive(Debug, Default)]
pub(crate) struct Claims(HashMap<(Api, String, Method), (FunctionId, Span)>);

/// A route that something asks for.
pub(super) struct Wanted<'t> {
    pub(super) function: &'t str,
    pub(super) api: Api,
    pub(super) path: &'t str,
    pub(super) method: &'t str,
    pub(super) span: Span,
    /// The place of the path, where it is a property of its own.
    pub(super) path_span: Option<Span>,
}

/// The methods of an API, for suggestions.
const METHODS: [&str; 9] =
    ["ANY", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"];

/// Reports a method that is none, and a path that does not begin at the root.
pub(super) fn check(
    this: &mut Lowering<'_, '_, '_>,
    function: &str,
    (path, path_span): (&str, Span),
    (method, method_span): (&str, Span),
) {
    let function = this.ev.resources.get(function);
    let severity = function.map_or(Severity::Error, |function| function.severity());
    let findings = &mut this.ev.run.findings;
    let Ok(parsed) = method.trim().parse::<Method>();
    let is_known = match &parsed {
        Method::Any => true,
        Method::Named(name) => name == "*" || METHODS.contains(&&**name),
    };
    if !is_known {
        let message = format!("{} is not an HTTP method", quote(method));
        let finding = Finding::new(severity, codes::ROUTE, method_span, message);
        findings.push_wrong(finding, method, METHODS);
    }
    if !path.starts_with('/') && path != "$default" {
        let message = format!("the path {} does not begin with `/`", quote(path));
        let help = format!("write {}", quote(&format!("/{path}")));
        findings.push(Finding::new(severity, codes::ROUTE, path_span, message).help(help));
    }
}

/// Adds a route, unless the same path and method of its API leads somewhere already.
pub(super) fn add(this: &mut Lowering<'_, '_, '_>, wanted: Wanted<'_>) {
    let Wanted { function, api, path, method, span, path_span } = wanted;
    let function = this.function_id(function);
    let Ok(method) = method.trim().parse::<Method>();
    let key = (api.clone(), path.to_owned(), method.clone());
    if let Some((owner, first)) = this.routes.0.get(&key) {
        if *owner != function {
            let route = format!("{method} {path}");
            let message = format!("{} already goes to {}", quote(&route), quote(&owner.logical_id));
            let finding = Finding::new(Severity::Error, codes::ROUTE_CONFLICT, span, message)
                .related(*first, "the first one is here");
            this.ev.run.findings.push(finding);
        }
        return;
    }
    this.routes.0.insert(key, (function.clone(), span));
    let path = path.to_owned();
    this.app.routes.push(Route { function, api, path, method, span, path_span });
}

/// The API that an event names: absent, by reference, or by its logical id.
pub(super) enum Named {
    Implicit,
    Explicit(Rc<str>),
    /// Its condition is false, so that the route vanishes too.
    Gone,
}

/// Finds out which API a property of an event means.
pub(super) fn named_api(
    this: &mut Lowering<'_, '_, '_>,
    node: Option<&Rc<crate::yaml::Node>>,
    what: &dyn Display,
) -> Named {
    let Some(node) = node else { return Named::Implicit };
    let value = this.ev.eval(node);
    let id: Rc<str> = match (value.origin(), &value) {
        (Some(origin), _) => origin.id.clone(),
        (None, crate::value::Value::Text(text)) => text.text.clone(),
        // `!Ref` of an API whose condition is false has no origin, but its name.
        (None, crate::value::Value::Unknown(unknown)) => {
            unknown.symbolic.strip_prefix("!Ref ").unwrap_or(&unknown.symbolic).into()
        }
        (None, _) => return Named::Implicit,
    };
    match this.ev.resources.get(&id) {
        Some(resource) if resource.exists() => Named::Explicit(resource.id.clone()),
        Some(_) => Named::Gone,
        None if id.starts_with("ServerlessRestApi") || id.starts_with("ServerlessHttpApi") => {
            Named::Implicit
        }
        None => {
            let message = format!("{what}: {} is not an API of this template", quote(&id));
            if !this.ev.run.findings.mentions(node.span()) {
                this.ev.warn(codes::EVENT, node.span(), message);
            }
            Named::Explicit(id)
        }
    }
}
