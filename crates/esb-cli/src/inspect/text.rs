//! The application as text: functions with what they are made of and what invokes them.

use std::collections::HashMap;

use esb_model::{Api, Application, Code, EnvValue, Function, FunctionId, LayerRef, Package};

use crate::escape;

/// The lines of an application; values that only AWS knows appear as the template writes them.
pub(crate) fn text(app: &Application) -> Vec<String> {
    let mut lines = Vec::new();
    let callers = callers(app);
    let several = app.templates.len() > 1;
    for function in &app.functions {
        function_lines(function, &mut lines);
        if let Some(name) = app.templates.get(function.id.template.0).filter(|_| several) {
            lines.push(field("template", name));
        }
        for (name, value) in callers.get(&function.id).into_iter().flatten() {
            lines.push(field(name, value));
        }
        lines.push(String::new());
    }
    for table in &app.tables {
        lines.push(format!("table {} ({})", table.logical_id, table.name));
    }
    for bucket in &app.buckets {
        lines.push(format!("bucket {} ({})", bucket.logical_id, bucket.name));
    }
    for layer in &app.layers {
        lines.push(format!("layer {} ({})", layer.logical_id, code(&layer.content)));
    }
    let count = app.functions.len();
    lines.push(format!("{count} function{}", if count == 1 { "" } else { "s" }));
    lines.into_iter().map(|line| escape::line(&line).into_owned()).collect()
}

fn function_lines(function: &Function, lines: &mut Vec<String>) {
    let id = &function.id.logical_id;
    lines.push(match function.effective_name() {
        name if name == *id => format!("function {id}"),
        name => format!("function {id} ({name})"),
    });
    let mut field = |name: &str, value: String| lines.push(field(name, &value));
    match &function.package {
        Package::Zip(zip) => {
            let runtime = match &zip.runtime {
                Some(Ok(runtime)) => runtime.name().to_owned(),
                Some(Err(other)) => other.clone(),
                None => "-".to_owned(),
            };
            field("runtime", runtime);
            field("handler", zip.handler.clone().unwrap_or_else(|| "-".to_owned()));
            field("code", code(&zip.code));
            for layer in &zip.layers {
                field(
                    "layer",
                    match layer {
                        LayerRef::Local(id) => id.clone(),
                        LayerRef::Arn(text) | LayerRef::Unknown(text) => text.clone(),
                    },
                );
            }
        }
        Package::Image(image) => {
            let uri = image.uri.as_ref().map_or("built from its Dockerfile".to_owned(), value);
            field("image", uri);
        }
    }
    field(
        "limits",
        format!("{} s, {} MB", function.effective_timeout(), function.effective_memory()),
    );
    for (name, text) in &function.environment {
        field("environment", format!("{name}={}", value(text)));
    }
}

/// What calls each function.
fn callers(app: &Application) -> HashMap<&FunctionId, Vec<(&'static str, String)>> {
    let mut callers: HashMap<&FunctionId, Vec<_>> = HashMap::new();
    let mut add = |function, name, value| callers.entry(function).or_default().push((name, value));
    for route in &app.routes {
        let value = match route.api {
            Api::FunctionUrl => "function URL".to_owned(),
            _ => format!("{} {}", route.method, route.path),
        };
        add(&route.function, "route", value);
    }
    for schedule in &app.schedules {
        let expression = schedule.expression.as_deref().unwrap_or("known to AWS only");
        let off = if schedule.enabled { "" } else { " (disabled)" };
        add(&schedule.function, "schedule", format!("{expression}{off}"));
    }
    for trigger in &app.triggers {
        let value = format!("{} {} (not served)", trigger.kind, trigger.name);
        add(&trigger.function, "trigger", value);
    }
    callers
}

fn field(name: &str, value: &str) -> String {
    format!("  {name:12} {value}")
}

fn code(code: &Code) -> String {
    match code {
        Code::Path { path, .. } => path.clone(),
        Code::S3 { uri, .. } => uri.clone(),
        Code::Inline { file_name, .. } => format!("in the template ({file_name})"),
        Code::Unknown { symbolic, .. } => symbolic.clone(),
    }
}

fn value(value: &EnvValue) -> String {
    match value {
        EnvValue::Known(text) | EnvValue::Symbolic(text) => text.clone(),
        EnvValue::Secret(secret) => secret.to_string(),
    }
}
