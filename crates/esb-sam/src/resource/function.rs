//! Functions: `AWS::Serverless::Function` and `AWS::Lambda::Function`.

use std::rc::Rc;

use esb_model::{
    Api, Architecture, Finding, Function, Method, Package, Route, Runtime, Severity, ZipPackage,
};

use super::{Resource, environment, image, layer, lower::Lowering, package};
use crate::{codes, evaluator::Evaluator, findings::quote, value::Value};

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
        Package::Zip(ZipPackage { runtime, handler, code, layers })
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
            let message = match &parsed {
                Ok(runtime) if runtime.is_known() => None,
                Ok(runtime) => Some(format!(
                    "{what}: `{runtime}` is not a known Lambda runtime; its image would be built \
                     on {}",
                    runtime.aws_base_image()
                )),
                Err(error) => Some(format!("{what}: {error}")),
            };
            if let Some(message) = message {
                let code = codes::UNKNOWN_RUNTIME;
                let finding = Finding::new(Severity::Warning, code, node.span(), message);
                ev.run.findings.push_wrong(finding, &text.text, Runtime::names());
            }
            parsed.map_err(|_| text.text.to_string())
        }
        Err(unknown) => {
            ev.kept(node.span(), &what, &unknown.symbolic);
            Err(unknown.symbolic.to_string())
        }
    })
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
