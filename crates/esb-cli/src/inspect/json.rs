//! The JSON document of `esb inspect`.
//!
//! Values that cannot be known without AWS are null; secrets are `****`. The document is written
//! from the application as it is, without a tree in between: applications can be large.

use std::collections::HashSet;

use esb_model::{
    Api, Application, Code, EnvValue, Finding, Function, FunctionId, LayerRef, Package, Route,
    Schedule, SourceMap, TemplateId,
};
use serde::{Serialize, Serializer, ser::SerializeMap as _};

use crate::documents::FindingFields;

/// An application and its findings as one JSON document.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Document<'a> {
    template: Option<&'a String>,
    templates: &'a [String],
    functions: Vec<FunctionFields<'a>>,
    routes: Vec<RouteFields<'a>>,
    schedules: Vec<ScheduleFields<'a>>,
    resources: Resources<'a>,
    findings: Vec<FindingFields>,
}

impl<'a> Document<'a> {
    pub(crate) fn new(
        app: &'a Application,
        findings: &'a [Finding],
        sources: &'a SourceMap,
    ) -> Self {
        let shown = Shown { app };
        let (urls, routes): (Vec<&Route>, Vec<&Route>) =
            app.routes.iter().partition(|route| route.api == Api::FunctionUrl);
        let with_url: HashSet<&FunctionId> = urls.iter().map(|route| &route.function).collect();
        let functions = app.functions.iter();
        let tables = app.tables.iter().map(|table| (table.template, &table.logical_id));
        let buckets = app.buckets.iter().map(|bucket| (bucket.template, &bucket.logical_id));
        let layers = app.layers.iter().map(|layer| (layer.template, &layer.logical_id));
        Self {
            template: app.templates.first(),
            templates: &app.templates,
            functions: functions
                .map(|function| shown.function(function, with_url.contains(&function.id)))
                .collect(),
            routes: routes.into_iter().map(|route| shown.route(route)).collect(),
            schedules: app.schedules.iter().map(|schedule| shown.schedule(schedule)).collect(),
            resources: Resources {
                dynamodb: tables.map(|(template, id)| shown.resource(template, id)).collect(),
                s3: buckets.map(|(template, id)| shown.resource(template, id)).collect(),
                layers: layers.map(|(template, id)| shown.resource(template, id)).collect(),
            },
            findings: FindingFields::all(findings, sources),
        }
    }
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct FunctionFields<'a> {
    logical_id: &'a str,
    name: Option<&'a str>,
    package_type: &'static str,
    runtime: Option<&'a str>,
    handler: Option<&'a str>,
    timeout: Option<u32>,
    memory: Option<u32>,
    architectures: Option<Vec<&'static str>>,
    #[cfg_attr(test, schemars(with = "std::collections::BTreeMap<String, Option<String>>"))]
    environment: Variables<'a>,
    layers: Vec<Option<&'a str>>,
    code: CodeFields<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ephemeral_storage: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reserved_concurrency: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provisioned_concurrency: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_url: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_build: Option<ImageBuild<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    template: Option<&'a str>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct CodeFields<'a> {
    kind: Option<&'static str>,
    uri: Option<&'a str>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct ImageBuild<'a> {
    dockerfile: Option<&'a str>,
    context: Option<&'a str>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct RouteFields<'a> {
    path: &'a str,
    method: &'a str,
    function: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    template: Option<&'a str>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct ScheduleFields<'a> {
    function: &'a str,
    expression: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    template: Option<&'a str>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Resources<'a> {
    #[cfg_attr(test, schemars(with = "Vec<ResourceForm>"))]
    dynamodb: Vec<Resource<'a>>,
    #[cfg_attr(test, schemars(with = "Vec<ResourceForm>"))]
    s3: Vec<Resource<'a>>,
    #[cfg_attr(test, schemars(with = "Vec<ResourceForm>"))]
    layers: Vec<Resource<'a>>,
}

/// The forms of a resource: its logical id, with its template when that is not the first.
#[cfg(test)]
#[derive(schemars::JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "the schema is made of it")]
enum ResourceForm {
    LogicalId(String),
    OfTemplate { logical_id: String, template: String },
}

/// A resource by its logical id; one of a further template says which.
struct Resource<'a> {
    logical_id: &'a str,
    template: Option<&'a str>,
}

impl Serialize for Resource<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(template) = self.template else {
            return serializer.serialize_str(self.logical_id);
        };
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("logical_id", self.logical_id)?;
        map.serialize_entry("template", template)?;
        map.end()
    }
}

struct Variables<'a>(&'a Function);

impl Serialize for Variables<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let variables = &self.0.environment;
        serializer.collect_map(variables.iter().map(|(name, value)| (name, text(value))))
    }
}

/// What is known of a value.
fn text(value: &EnvValue) -> Option<&str> {
    match value {
        EnvValue::Known(text) => Some(text),
        EnvValue::Secret(_) => Some("****"),
        EnvValue::Symbolic(_) => None,
    }
}

struct Shown<'a> {
    app: &'a Application,
}

impl<'a> Shown<'a> {
    fn function(&self, function: &'a Function, has_url: bool) -> FunctionFields<'a> {
        let mut fields = FunctionFields {
            logical_id: &function.id.logical_id,
            name: function.name.as_deref(),
            package_type: "Zip",
            runtime: None,
            handler: None,
            timeout: function.timeout,
            memory: function.memory,
            architectures: (!function.architectures.is_empty())
                .then(|| function.architectures.iter().map(|known| known.lambda_name()).collect()),
            environment: Variables(function),
            layers: Vec::new(),
            code: CodeFields { kind: None, uri: None },
            ephemeral_storage: function.ephemeral_storage,
            reserved_concurrency: function.reserved_concurrency,
            provisioned_concurrency: function.provisioned_concurrency,
            function_url: has_url.then_some(true),
            image_build: None,
            template: self.further(function.id.template),
        };
        match &function.package {
            Package::Zip(zip) => {
                fields.runtime = zip.runtime.as_ref().and_then(|runtime| match runtime {
                    Ok(runtime) => Some(runtime.name()),
                    // A name that no runtime has is shown; an expression is not known.
                    Err(name) => (!name.starts_with('!')).then_some(name.as_str()),
                });
                fields.handler = zip.handler.as_deref();
                fields.layers = zip.layers.iter().map(layer).collect();
                fields.code = code(&zip.code);
            }
            Package::Image(image) => {
                fields.package_type = "Image";
                let uri = image.uri.as_ref().and_then(text);
                fields.code = CodeFields { kind: Some("image"), uri };
                fields.image_build = image.build.as_ref().map(|build| ImageBuild {
                    dockerfile: build.dockerfile.as_deref(),
                    context: build.context.as_deref(),
                });
            }
        }
        fields
    }

    fn route(&self, route: &'a Route) -> RouteFields<'a> {
        RouteFields {
            path: &route.path,
            method: match &route.method {
                esb_model::Method::Any => "ANY",
                esb_model::Method::Named(name) => name,
            },
            function: &route.function.logical_id,
            template: self.further(route.function.template),
        }
    }

    fn schedule(&self, schedule: &'a Schedule) -> ScheduleFields<'a> {
        ScheduleFields {
            function: &schedule.function.logical_id,
            expression: schedule.expression.as_deref(),
            input: schedule.input.as_deref(),
            enabled: (!schedule.enabled).then_some(false),
            template: self.further(schedule.function.template),
        }
    }

    fn resource(&self, template: TemplateId, logical_id: &'a str) -> Resource<'a> {
        Resource { logical_id, template: self.further(template) }
    }

    /// The name of a template that is not the first.
    fn further(&self, template: TemplateId) -> Option<&'a str> {
        (template.0 > 0).then(|| self.app.templates.get(template.0)).flatten().map(String::as_str)
    }
}

fn code(code: &Code) -> CodeFields<'_> {
    let (kind, uri) = match code {
        Code::Path { path, .. } => {
            (Some(if Code::is_archive(path) { "zip" } else { "dir" }), Some(path.as_str()))
        }
        Code::S3 { uri, .. } => (Some("s3"), (!uri.contains("${")).then_some(uri.as_str())),
        Code::Inline { .. } => (Some("inline"), None),
        Code::Unknown { .. } => (None, None),
    };
    CodeFields { kind, uri }
}

fn layer(layer: &LayerRef) -> Option<&str> {
    match layer {
        LayerRef::Local(id) => Some(id),
        LayerRef::Arn(arn) => Some(arn),
        LayerRef::Unknown(_) => None,
    }
}
