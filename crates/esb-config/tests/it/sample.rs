//! Small applications to render.

use std::collections::BTreeMap;

use esb_config::{Owner, PublishedImage, RenderSettings, Rendered, RunOwners, render};
use esb_model::{
    Api, Application, Code, Function, FunctionId, Package, Route, Schedule, SourceMap, Span,
    TemplateId, ZipPackage,
};

pub(crate) fn id(logical_id: &str) -> FunctionId {
    FunctionId { template: TemplateId(0), logical_id: logical_id.to_owned() }
}

/// A place; `at` tells places apart.
pub(crate) fn span(at: usize) -> Span {
    Span { source: SourceMap::default().add("template.yaml", ""), start: at, end: at + 1 }
}

pub(crate) fn function(logical_id: &str) -> Function {
    Function {
        id: id(logical_id),
        span: span(0),
        name: None,
        package: Package::Zip(ZipPackage {
            runtime: None,
            handler: None,
            handler_span: None,
            build_method: None,
            code: Code::Path { path: "./".into(), span: None },
            layers: Vec::new(),
        }),
        timeout: None,
        memory: None,
        name_span: None,
        memory_span: None,
        ephemeral_storage: None,
        architectures: Vec::new(),
        environment: BTreeMap::new(),
        reserved_concurrency: None,
        provisioned_concurrency: None,
    }
}

pub(crate) fn route(function: &str, method: &str, path: &str) -> Route {
    Route {
        function: id(function),
        api: Api::Rest(None),
        path: path.to_owned(),
        method: method.parse().unwrap(),
        span: span(0),
        path_span: None,
    }
}

pub(crate) fn schedule(function: &str, expression: &str) -> Schedule {
    Schedule {
        function: id(function),
        name: "Tick".to_owned(),
        expression: Some(expression.to_owned()),
        input: None,
        enabled: true,
        span: span(0),
        expression_span: span(0),
    }
}

/// An application of functions alone.
pub(crate) fn app(functions: &[&str]) -> Application {
    Application {
        templates: vec!["template.yaml".to_owned()],
        functions: functions.iter().map(|name| function(name)).collect(),
        ..Application::default()
    }
}

/// An image for every function.
pub(crate) fn images(app: &Application) -> BTreeMap<FunctionId, PublishedImage> {
    let image = |function: &Function| {
        let name = function.effective_name().to_lowercase();
        PublishedImage {
            reference: format!("127.0.0.1:5010/esb-{name}:latest-000000000000"),
            digest: format!("sha256:{name}"),
            ..PublishedImage::default()
        }
    };
    app.functions.iter().map(|function| (function.id.clone(), image(function))).collect()
}

/// `APPLICATION:PATH`, `:PATH` for one without an application, or a `PATH` of `shop`.
pub(crate) fn owner(text: &str) -> Owner {
    match text.split_once(':') {
        Some(("", path)) => Owner::without_application(path),
        Some((application, path)) => Owner::new(application, path),
        None => Owner::new("shop", text),
    }
}

/// Renders with an image for every function, for the given owner.
pub(crate) fn rendered(app: &Application, of: &str) -> Rendered {
    let settings = RenderSettings { owners: vec![owner(of)], ..RenderSettings::default() };
    render(app, &images(app), &settings)
}

/// A run of one template that takes nothing over.
pub(crate) fn run_of(of: &str) -> RunOwners {
    RunOwners::new([owner(of)])
}

/// `severity code: message` of each finding.
pub(crate) fn findings(rendered: &Rendered) -> Vec<String> {
    let text = |finding: &esb_model::Finding| {
        format!("{} {}: {}", finding.severity, finding.code, finding.message)
    };
    rendered.findings.iter().map(text).collect()
}
