//! Routes that an API's own `OpenAPI` document describes.

use std::rc::Rc;

use esb_model::Api;

use super::{
    Resource,
    event::quiet_map,
    lower::Lowering,
    nested,
    route::{self, Wanted},
};
use crate::{
    codes,
    evaluator::{KEPT_STEPS, Opened},
    intrinsic::call,
    yaml::Node,
};

const METHODS: &[&str] = &[
    "get",
    "put",
    "post",
    "delete",
    "options",
    "head",
    "patch",
    "trace",
    "x-amazon-apigateway-any-method",
];

/// Lowers the routes of an API with a document; other resources are left alone.
pub(super) fn lower(this: &mut Lowering<'_, '_, '_>, resource: &Rc<Resource>) {
    let (body, uri, rest) = match &*resource.kind {
        "AWS::Serverless::Api" => ("DefinitionBody", "DefinitionUri", true),
        "AWS::Serverless::HttpApi" => ("DefinitionBody", "DefinitionUri", false),
        "AWS::ApiGateway::RestApi" => ("Body", "", true),
        "AWS::ApiGatewayV2::Api" => ("Body", "", false),
        _ => return,
    };
    let document = match (resource.property(body).cloned(), resource.property(uri).cloned()) {
        (Some(node), _) => opened(this, &node),
        (None, Some(node)) => from_uri(this, resource, &node),
        (None, None) => None,
    };
    let Some(document) = document else { return };
    let id = Some(this.full_id(&resource.id));
    let api = if rest { Api::Rest(id) } else { Api::Http(id) };
    let Some(paths) = document.get("paths").cloned() else { return };
    let Some(paths) = quiet_map(this, &paths) else { return };
    for path in paths.entries().unwrap_or_default() {
        let Some(methods) = quiet_map(this, &path.value) else { continue };
        for method in methods.entries().unwrap_or_default() {
            if !this.ev.run.step(KEPT_STEPS, method.place.span()) {
                return;
            }
            if !METHODS.iter().any(|known| method.key.eq_ignore_ascii_case(known)) {
                continue;
            }
            let Some(operation) = quiet_map(this, &method.value) else { continue };
            let integration = operation.get("x-amazon-apigateway-integration").cloned();
            let integration = integration.and_then(|node| quiet_map(this, &node));
            let Some(uri) = integration.and_then(|node| node.get("uri").cloned()) else { continue };
            let uri = this.ev.eval(&uri);
            if let Some(function) = this.function_of(&uri) {
                route::add(
                    this,
                    Wanted {
                        function: &function,
                        api: api.clone(),
                        path: &path.key,
                        method: &method.key,
                        span: method.place.span(),
                        path_span: Some(path.place.span()),
                    },
                );
            }
        }
    }
}

/// The document itself, included from a file where the template says so.
fn opened(this: &mut Lowering<'_, '_, '_>, node: &Rc<Node>) -> Option<Rc<Node>> {
    let Opened::Node(node) = this.ev.open(node) else { return None };
    let included = match call(&node) {
        Some(call) if call.name == "Fn::Transform" => Some(call.argument.clone()),
        Some(_) => return None,
        None => node.get("Fn::Transform").cloned(),
    };
    let Some(transform) = included else { return node.entries().is_some().then_some(node) };
    let name = transform.get("Name").and_then(|name| name.scalar()).cloned();
    if name.as_deref() != Some("AWS::Include") {
        this.ev.kept(node.span(), &"the API's definition", &crate::intrinsic::symbolic(&node));
        return None;
    }
    let location = transform.get("Parameters").and_then(|node| node.get("Location")).cloned()?;
    include(this, &location)
}

fn from_uri(
    this: &mut Lowering<'_, '_, '_>,
    resource: &Resource,
    node: &Rc<Node>,
) -> Option<Rc<Node>> {
    match this.ev.open(node) {
        Opened::Node(opened) if opened.entries().is_some() && call(&opened).is_none() => {
            let what = Lowering::what(resource, "DefinitionUri");
            let message = format!("{what} is in S3, so its routes are unknown");
            this.ev.warn(codes::INCLUDE, node.span(), message);
            None
        }
        Opened::Node(opened) => include(this, &opened),
        Opened::Absent | Opened::Unknown(_) => None,
    }
}

fn include(this: &mut Lowering<'_, '_, '_>, location: &Rc<Node>) -> Option<Rc<Node>> {
    let text = this.ev.known(location, &"the location of the API's definition")?;
    let (_, loaded) = nested::load(this, &text.text, location.span(), codes::INCLUDE)?;
    loaded.entries().is_some().then_some(loaded)
}
