//! Renders the routes of APIs as the Gateway supports them.

use std::collections::{BTreeMap, BTreeSet};

use esb_model::{Api, Finding, Method, Route, Severity};

use super::{
    Context, FunctionNames,
    gateway::{self, GatewayRoutes},
    path,
};
use crate::{
    codes,
    routing::{ANY, RouteEntry},
    state::Section,
};

pub(super) fn render(context: &mut Context<'_>, names: &FunctionNames) {
    let mut wanted = Vec::new();
    for route in &context.app.routes {
        let Some(name) = names.get(&route.function) else { continue };
        if let Some(path) = encode(context, route, name) {
            wanted.push((route, name, path));
        }
    }
    let entry = |path: &str, method: &str, name: &str| RouteEntry {
        path: path.to_owned(),
        method: method.to_owned(),
        function: name.to_owned(),
        ..RouteEntry::default()
    };
    // A method that an API names goes before its `ANY`, wherever the two stand.
    let explicit: BTreeSet<(&Api, String)> = wanted
        .iter()
        .filter(|(route, ..)| route.method != Method::Any)
        .map(|(route, name, path)| (&route.api, entry(path, &route.method.to_string(), name).key()))
        .collect();
    let mut taken: BTreeMap<String, &Route> = BTreeMap::new();
    for (route, name, path) in &wanted {
        let entries: Vec<RouteEntry> = match &route.method {
            Method::Any => ANY
                .into_iter()
                .map(|method| entry(path, method, name))
                .filter(|entry| !explicit.contains(&(&route.api, entry.key())))
                .collect(),
            Method::Named(method) => vec![entry(path, method, name)],
        };
        let mut reported = false;
        for entry in entries {
            let key = entry.key();
            let Some(first) = taken.get(&key) else {
                context.own(Section::Route, &key, route.function.template);
                context.rendered.config.routing.routes.push(entry);
                taken.insert(key, route);
                continue;
            };
            // The same route of two APIs is one route here.
            if (first.function == route.function && first.api != route.api)
                || std::mem::replace(&mut reported, true)
            {
                continue;
            }
            context.find(duplicate(first, route, &entry.method));
        }
    }
    context.rendered.config.routing.sort();
}

/// The path as the file has it; findings say why a route is left out.
fn encode(context: &mut Context<'_>, route: &Route, name: &str) -> Option<String> {
    if route.api == Api::FunctionUrl {
        let message = format!("the Gateway has no URL of its own for function `{name}`");
        let help = format!("call it at `/2015-03-31/functions/{name}/invocations`");
        context.find(
            Finding::new(Severity::Note, codes::FUNCTION_URL, route.span, message).help(help),
        );
        return None;
    }
    if route.method == Method::Named("OPTIONS".to_owned()) {
        let message =
            format!("the Gateway answers OPTIONS itself: `{}` is never called for it", route.path);
        context.find(Finding::new(Severity::Warning, codes::OPTIONS_ROUTE, route.span, message));
        return None;
    }
    match path::encode(&route.path) {
        Ok(path) => {
            if let Some(taken) = gateway::taken(&route.path, &route.method) {
                context.find(gateways_own(route, name, &taken));
            }
            Some(path)
        }
        Err(error) => {
            let message = format!("route `{}` cannot be served: {error}", route.path);
            context.find(Finding::new(Severity::Error, codes::ROUTE_PATH, route.span, message));
            None
        }
    }
}

fn gateways_own(route: &Route, name: &str, taken: &GatewayRoutes) -> Finding {
    let (severity, message) = match taken {
        GatewayRoutes::All(methods) => {
            let message = format!(
                "the Gateway answers `{} {}` itself: function `{name}` is never called for it",
                methods.join(", "),
                route.path
            );
            (Severity::Warning, message)
        }
        GatewayRoutes::Some(paths) => {
            let message = format!(
                "the Gateway answers some requests of `{} {}` itself: `{}`",
                route.method,
                route.path,
                paths.join("`, `")
            );
            (Severity::Note, message)
        }
    };
    let span = route.path_span.unwrap_or(route.span);
    let finding = Finding::new(severity, codes::GATEWAY_ROUTE, span, message);
    finding.help("give the route another path")
}

fn duplicate(first: &Route, second: &Route, method: &str) -> Finding {
    let (severity, what) = if first.function == second.function {
        (Severity::Warning, "is defined twice")
    } else {
        (Severity::Error, "leads to two functions, and the Gateway has one table for all APIs")
    };
    let message = if first.path == second.path {
        format!("route `{method} {}` {what}", second.path)
    } else {
        format!("route `{method} {}` is `{}` again: it {what}", second.path, first.path)
    };
    let finding = Finding::new(severity, codes::DUPLICATE_ROUTE, second.span, message);
    finding.related(first.span, "the first is here")
}
