//! Routes that are resources of their own: `AWS::ApiGateway::Method`, `AWS::ApiGatewayV2::Route`.

use std::rc::Rc;

use esb_model::Api;

use super::{
    Resource,
    event::quiet_map,
    lower::Lowering,
    route::{self, Wanted},
};
use crate::{value::Value, yaml::Node};

/// Path parts that a method's resource may hang below.
const DEEPEST: usize = 30;

pub(super) fn lower(this: &mut Lowering<'_, '_, '_>, resource: &Rc<Resource>) {
    match &*resource.kind {
        "AWS::ApiGateway::Method" => method(this, resource),
        "AWS::ApiGatewayV2::Route" => route(this, resource),
        _ => {}
    }
}

fn method(this: &mut Lowering<'_, '_, '_>, resource: &Rc<Resource>) {
    let found = (|| {
        let integration = quiet_map(this, &resource.property("Integration")?.clone())?;
        let function = target(this, integration.get("Uri")?)?;
        let method = text(this, resource.property("HttpMethod")?)?;
        let api = reference(this, resource.property("RestApiId")?);
        let path = path(this, resource.property("ResourceId")?)?;
        Some((function, method, api, path))
    })();
    if let Some((function, method, api, path)) = found {
        let api = Api::Rest(api.map(|id| this.full_id(&id)));
        let span = resource.span();
        let (path, method) = (&*path, &*method);
        let path_span = None;
        let method_span = resource.property("HttpMethod").map_or(span, |node| node.span());
        route::check(this, &function, (path, span), (method, method_span));
        route::add(this, Wanted { function: &function, api, path, method, span, path_span });
    }
}

/// The path of an `AWS::ApiGateway::Resource`, by its chain of parents.
fn path(this: &mut Lowering<'_, '_, '_>, node: &Rc<Node>) -> Option<String> {
    let mut parts = Vec::new();
    let mut node = node.clone();
    for _ in 0..DEEPEST {
        let value = this.ev.eval(&node);
        let origin = value.origin()?;
        if origin.attribute.is_some() {
            // `RootResourceId`, or the id of a resource.
            if origin.attribute.as_deref() == Some("RootResourceId") {
                parts.reverse();
                return Some(format!("/{}", parts.join("/")));
            }
        }
        let parent = this.ev.resources.get(&origin.id)?;
        if &*parent.kind != "AWS::ApiGateway::Resource" {
            return None;
        }
        parts.push(text(this, parent.property("PathPart")?)?);
        node = parent.property("ParentId")?.clone();
    }
    None
}

fn route(this: &mut Lowering<'_, '_, '_>, resource: &Rc<Resource>) {
    let found = (|| {
        let key = text(this, resource.property("RouteKey")?)?;
        let integration = integration(this, resource.property("Target")?)?;
        let function = target(this, integration.property("IntegrationUri")?)?;
        let api = reference(this, resource.property("ApiId")?);
        Some((key, function, api))
    })();
    let Some((key, function, api)) = found else { return };
    let is_websocket = api.as_ref().and_then(|id| this.ev.resources.get(id)).is_some_and(|api| {
        let protocol = api.property("ProtocolType").and_then(|node| node.scalar()).cloned();
        protocol.as_deref() == Some("WEBSOCKET")
    });
    if is_websocket {
        return;
    }
    let api = Api::Http(api.map(|id| this.full_id(&id)));
    let (method, path) = match key.split_once(' ') {
        Some((method, path)) => (method, path.trim()),
        None if key == "$default" => ("ANY", "$default"),
        None => return,
    };
    let span = resource.span();
    let path_span = resource.property("RouteKey").map(|node| node.span());
    let key_span = path_span.unwrap_or(span);
    route::check(this, &function, (path, key_span), (method, key_span));
    route::add(this, Wanted { function: &function, api, path, method, span, path_span });
}

/// The integration behind `integrations/…`.
fn integration(this: &mut Lowering<'_, '_, '_>, node: &Rc<Node>) -> Option<Rc<Resource>> {
    let value = this.ev.eval(node);
    let id = match &value {
        Value::Text(text) => text.text.clone(),
        Value::Unknown(unknown) => unknown.symbolic.clone(),
        Value::Absent | Value::List(_) | Value::Map(_) => return None,
    };
    let id = id.strip_prefix("integrations/")?;
    let id = id.strip_prefix("${").and_then(|id| id.strip_suffix('}')).unwrap_or(id);
    this.ev.resources.get(id)
}

fn target(this: &mut Lowering<'_, '_, '_>, node: &Rc<Node>) -> Option<Rc<str>> {
    let value = this.ev.eval(node);
    this.function_of(&value)
}

fn text(this: &mut Lowering<'_, '_, '_>, node: &Rc<Node>) -> Option<String> {
    match this.ev.eval(node) {
        Value::Text(text) => Some(text.text.to_string()),
        _ => None,
    }
}

fn reference(this: &mut Lowering<'_, '_, '_>, node: &Rc<Node>) -> Option<Rc<str>> {
    this.ev.eval(node).origin().map(|origin| origin.id.clone())
}
