//! Functions: `AWS::Serverless::Function` and `AWS::Lambda::Function`.

use std::rc::Rc;

use esb_model::{
    Api, Architecture, Finding, Function, Method, Package, Route, Runtime, Severity, Span,
    ZipPackage,
};

use super::{Resource, environment, image, layer, lower::Lowering, package};
use crate::{
    codes,
    evaluator::Evaluator,
    findings::quote,
    value::{Text, Value},
};

/// Lowers a function; other resources are left alone.
pub(super) fn lower(this: &mut Lowering<'_, '_, '_>, resource: &Rc<Resource>) {
    if !resource.is_function() {
        return;
    }
    let ev = &mut this.ev;
    let number = |ev: &mut Evaluator<'_, '_>, name: &str| {
        let node = resource.property(name)?.clone();
        ev.number(&node, &Lowering::what(resource, name))
    };
    let inner = |ev: &mut Evaluator<'_, '_>, name: &str, key: &str| {
        let what = Lowering::what(resource, name);
        let node = resource.property(name)?.clone();
        let value = ev.open_map(&node, &what)?.get(key)?.clone();
        ev.number(&value, &what)
    };
    let name = ev.given_name(resource).map(|name| name.to_string());
    let timeout = number(ev, "Timeout");
    let memory = number(ev, "MemorySize");
    let ephemeral_storage = inner(ev, "EphemeralStorage", "Size");
    let reserved_concurrency = number(ev, "ReservedConcurrentExecutions");
    let provisioned_concurrency =
        inner(ev, "ProvisionedConcurrencyConfig", "ProvisionedConcurrentExecutions");
    let architectures = architectures(ev, resource);
    let environment = environment::lower(this, resource).unwrap_or_default();
    let package = if image::is_image(&mut this.ev, resource) {
        Package::Image(image::lower(this, resource))
    } else {
        let runtime = runtime(&mut this.ev, resource);
        let handler = handler(&mut this.ev, resource);
        let code = package::function_code(this, resource, runtime.as_ref());
        let layers = layer::references(this, resource);
        let handler_span = resource.property("Handler").map(|node| node.span());
        let build_method = resource.metadata("BuildMethod");
        let build_method = build_method.map(|node| node.scalar().map_or("", |text| &**text));
        let build_method = build_method.map(str::to_owned);
        Package::Zip(ZipPackage { runtime, handler, handler_span, build_method, code, layers })
    };
    let id = this.function_id(&resource.id);
    if let Some(node) = resource.property("FunctionUrlConfig") {
        this.app.routes.push(Route {
            function: id.clone(),
            api: Api::FunctionUrl,
            path: "/{proxy+}".to_owned(),
            method: Method::Any,
            span: node.span(),
            path_span: None,
        });
    }
    let place = |name| resource.property(name).map(|node| node.span());
    this.app.functions.push(Function {
        id,
        span: resource.span(),
        name,
        name_span: place("FunctionName"),
        package,
        timeout,
        memory,
        memory_span: place("MemorySize"),
        ephemeral_storage,
        architectures,
        environment,
        reserved_concurrency,
        provisioned_concurrency,
    });
}

fn architectures(ev: &mut Evaluator<'_, '_>, resource: &Resource) -> Vec<Architecture> {
    let what = Lowering::what(resource, "Architectures");
    let Some(node) = resource.property("Architectures").cloned() else { return Vec::new() };
    let mut known = Vec::new();
    for (value, span) in ev.list(&node, &what).unwrap_or_default() {
        match value {
            Value::Text(text) => match text.text.parse() {
                Ok(architecture) => known.push(architecture),
                Err(error) => ev.warn(codes::WRONG_TYPE, span, format!("{what}: {error}")),
            },
            Value::Unknown(unknown) => ev.kept(span, &what, &unknown.symbolic),
            other => {
                let message = format!("each item of {what} must be text, not {}", other.describe());
                ev.error(codes::WRONG_TYPE, span, message);
            }
        }
    }
    known
}

fn runtime(ev: &mut Evaluator<'_, '_>, resource: &Resource) -> Option<Result<Runtime, String>> {
    let what = Lowering::what(resource, "Runtime");
    let Some(node) = resource.property("Runtime").cloned() else {
        let message = format!("{} has no Runtime", quote(&resource.id));
        let help = "python3.12 is used; set `Runtime` to choose another".to_owned();
        ev.warning_with_help(codes::MISSING_PROPERTY, resource.span(), message, Some(help));
        return None;
    };
    Some(match ev.scalar(&node, &what)? {
        Ok(text) => {
            let parsed = text.text.parse::<Runtime>();
            check_runtime(ev, resource, &text, parsed.as_ref().ok(), node.span());
            parsed.map_err(|_| text.text.to_string())
        }
        Err(unknown) => {
            ev.kept(node.span(), &what, &unknown.symbolic);
            Err(unknown.symbolic.to_string())
        }
    })
}

/// Reports a runtime that Lambda does not have, or has no longer.
fn check_runtime(
    ev: &mut Evaluator<'_, '_>,
    resource: &Resource,
    text: &Text,
    parsed: Option<&Runtime>,
    span: Span,
) {
    let what = Lowering::what(resource, "Runtime");
    let name = quote(text.shown());
    let (severity, message) = match parsed {
        Some(runtime) if runtime.is_known() => return report_ended(ev, runtime, span),
        Some(runtime) if runtime.may_be_newer() => {
            let image = runtime.aws_base_image();
            let message = format!(
                "{what}: {name} is not known here; if AWS has it, its image is built on {image}"
            );
            (Severity::Warning, message)
        }
        // A word such as `RUNTIME` waits for a script that fills it in.
        None if ev.run.findings.nearest(&text.text, Runtime::names()).is_none() => {
            (Severity::Warning, format!("{what}: unknown runtime {name}"))
        }
        _ => (resource.severity(), format!("{what}: Lambda has no runtime {name}")),
    };
    let finding = Finding::new(severity, codes::UNKNOWN_RUNTIME, span, message);
    ev.run.findings.push_wrong(finding, &text.text, Runtime::names());
}

fn report_ended(ev: &mut Evaluator<'_, '_>, runtime: &Runtime, span: Span) {
    // Without a base image the function cannot be built: that is reported later.
    let Some(day) = runtime.ended().filter(|_| runtime.has_aws_base_image()) else { return };
    let message = format!("AWS ended the support of `{runtime}` on {day}");
    let (image, later) = (runtime.aws_base_image(), runtime.successor());
    let help = format!("{image} gets no more updates: change to `{later}`");
    let finding = Finding::new(Severity::Warning, codes::ENDED_RUNTIME, span, message);
    ev.run.findings.push_once(finding.help(help));
}

fn handler(ev: &mut Evaluator<'_, '_>, resource: &Resource) -> Option<String> {
    let Some(node) = resource.property("Handler").cloned() else {
        let message = format!("{} has no Handler", quote(&resource.id));
        let help =
            "lambda_function.lambda_handler is used; set `Handler` to choose another".to_owned();
        ev.warning_with_help(codes::MISSING_PROPERTY, resource.span(), message, Some(help));
        return None;
    };
    ev.known(&node, &Lowering::what(resource, "Handler")).map(|text| text.text.to_string())
}
