//! The JSON document of `inspect`.
//!
//! Values that cannot be known without AWS are null; secrets are `****`.

use esb_model::{
    Api, Application, Code, EnvValue, Finding, Function, LayerRef, Package, Schedule, SourceMap,
    TemplateId,
};
use serde_json::{Map, Value, json};

use crate::diagnostics;

/// The version of the document's shape.
const SCHEMA: u32 = 1;

/// An application and its findings as one JSON document.
pub(crate) fn document(app: &Application, findings: &[Finding], sources: &SourceMap) -> Value {
    let routes = app.routes.iter().filter(|route| route.api != Api::FunctionUrl).map(|route| {
        let id = &route.function;
        let mut fields = Map::new();
        fields.insert("path".into(), json!(route.path));
        fields.insert("method".into(), json!(route.method.to_string()));
        fields.insert("function".into(), json!(id.logical_id));
        with_template(fields, app, id.template)
    });
    let tables = app.tables.iter().map(|table| named(app, table.template, &table.logical_id));
    let buckets = app.buckets.iter().map(|bucket| named(app, bucket.template, &bucket.logical_id));
    let layers = app.layers.iter().map(|layer| named(app, layer.template, &layer.logical_id));
    json!({
        "schema": SCHEMA,
        "template": app.templates.first(),
        "templates": app.templates,
        "functions": app.functions.iter().map(|f| function(app, f)).collect::<Vec<_>>(),
        "routes": routes.collect::<Vec<_>>(),
        "schedules": app.schedules.iter().map(|s| schedule(app, s)).collect::<Vec<_>>(),
        "resources": {
            "dynamodb": tables.collect::<Vec<_>>(),
            "s3": buckets.collect::<Vec<_>>(),
            "layers": layers.collect::<Vec<_>>(),
        },
        "findings": self::findings(findings, sources),
    })
}

fn function(app: &Application, function: &Function) -> Value {
    let mut fields = Map::new();
    let mut field = |name: &str, value: Value| {
        fields.insert(name.to_owned(), value);
    };
    field("logical_id", json!(function.id.logical_id));
    field("name", json!(function.name));
    let (package_type, runtime, handler, layers, code) = match &function.package {
        Package::Zip(zip) => {
            let runtime = zip.runtime.as_ref().and_then(|runtime| match runtime {
                Ok(runtime) => Some(runtime.name().to_owned()),
                // A name that no runtime has is shown; an expression is not known.
                Err(name) => (!name.starts_with('!')).then(|| name.clone()),
            });
            let layers = zip.layers.iter().map(layer).collect();
            ("Zip", json!(runtime), json!(zip.handler), layers, code(&zip.code))
        }
        Package::Image(image) => {
            let uri = image.uri.as_ref().map_or(Value::Null, text);
            let code = json!({"kind": "image", "uri": uri});
            ("Image", Value::Null, Value::Null, Vec::new(), code)
        }
    };
    field("package_type", json!(package_type));
    field("runtime", runtime);
    field("handler", handler);
    field("timeout", json!(function.timeout));
    field("memory", json!(function.memory));
    let architectures = if function.architectures.is_empty() {
        Value::Null
    } else {
        function.architectures.iter().map(|known| known.lambda_name()).collect()
    };
    field("architectures", architectures);
    let environment = function.environment.iter().map(|(name, value)| (name.clone(), text(value)));
    field("environment", Value::Object(environment.collect()));
    field("layers", Value::Array(layers));
    field("code", code);
    for (name, value) in [
        ("ephemeral_storage", function.ephemeral_storage),
        ("reserved_concurrency", function.reserved_concurrency),
        ("provisioned_concurrency", function.provisioned_concurrency),
    ] {
        if let Some(value) = value {
            field(name, json!(value));
        }
    }
    let has_url = app
        .routes
        .iter()
        .any(|route| route.api == Api::FunctionUrl && route.function == function.id);
    if has_url {
        field("function_url", json!(true));
    }
    if let Package::Image(image) = &function.package
        && let Some(build) = &image.build
    {
        let build = json!({"dockerfile": build.dockerfile, "context": build.context});
        field("image_build", build);
    }
    with_template(fields, app, function.id.template)
}

fn code(code: &Code) -> Value {
    match code {
        Code::Path { path, .. } => {
            let kind = if Code::is_archive(path) { "zip" } else { "dir" };
            json!({"kind": kind, "uri": path})
        }
        Code::S3 { uri, .. } => {
            let uri = (!uri.contains("${")).then_some(uri);
            json!({"kind": "s3", "uri": uri})
        }
        Code::Inline { .. } => json!({"kind": "inline", "uri": null}),
        Code::Unknown { .. } => json!({"kind": null, "uri": null}),
    }
}

fn layer(layer: &LayerRef) -> Value {
    match layer {
        LayerRef::Local(id) => json!(id),
        LayerRef::Arn(arn) => json!(arn),
        LayerRef::Unknown(_) => Value::Null,
    }
}

fn text(value: &EnvValue) -> Value {
    match value {
        EnvValue::Known(text) => json!(text),
        EnvValue::Secret(secret) => json!(secret.to_string()),
        EnvValue::Symbolic(_) => Value::Null,
    }
}

fn schedule(app: &Application, schedule: &Schedule) -> Value {
    let mut fields = Map::new();
    fields.insert("function".into(), json!(schedule.function.logical_id));
    fields.insert("expression".into(), json!(schedule.expression));
    if let Some(input) = &schedule.input {
        fields.insert("input".into(), json!(input));
    }
    if !schedule.enabled {
        fields.insert("enabled".into(), json!(false));
    }
    with_template(fields, app, schedule.function.template)
}

/// Findings, sorted by place.
pub(crate) fn findings(findings: &[Finding], sources: &SourceMap) -> Vec<Value> {
    diagnostics::sorted(findings).into_iter().map(|f| finding(f, sources)).collect()
}

fn finding(finding: &Finding, sources: &SourceMap) -> Value {
    let place = finding.span.and_then(|span| sources.locate(span));
    json!({
        "severity": finding.severity.to_string(),
        "code": finding.code.0,
        "file": place.map(|(file, _)| file),
        "line": place.map(|(_, place)| place.line),
        "column": place.map(|(_, place)| place.column),
        "message": finding.message,
        "help": finding.help,
    })
}

/// A resource by its logical id; one of a further template says which.
fn named(app: &Application, template: TemplateId, logical_id: &str) -> Value {
    if template.0 == 0 {
        return json!(logical_id);
    }
    let mut fields = Map::new();
    fields.insert("logical_id".into(), json!(logical_id));
    with_template(fields, app, template)
}

fn with_template(mut fields: Map<String, Value>, app: &Application, template: TemplateId) -> Value {
    if template.0 > 0 {
        fields.insert("template".into(), json!(app.templates.get(template.0)));
    }
    Value::Object(fields)
}
