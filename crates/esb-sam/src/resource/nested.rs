//! Loads nested applications and other files that a template names.

use std::{collections::HashMap, rc::Rc};

use esb_model::{FindingCode, Span};

use super::{
    Resource,
    lower::{Lowering, Scope},
};
use crate::{
    codes,
    evaluator::Opened,
    findings::{self, quote},
    parameter::{Given, ParameterOrigin},
    template,
    value::{Text, Value},
    yaml::Node,
};

/// Lowers a nested application from a local file; other resources are left alone.
pub(super) fn lower(this: &mut Lowering<'_, '_, '_>, resource: &Rc<Resource>) {
    let property = match &*resource.kind {
        "AWS::Serverless::Application" => "Location",
        "AWS::CloudFormation::Stack" => "TemplateURL",
        _ => return,
    };
    let what = Lowering::what(resource, property);
    let Some(node) = resource.property(property).cloned() else {
        this.ev.error(codes::MISSING_PROPERTY, resource.span(), format!("{what} is missing"));
        return;
    };
    if let Opened::Node(opened) = this.ev.open(&node)
        && opened.get("ApplicationId").is_some()
    {
        let message = format!("{} is published on AWS and is left out", quote(&resource.id));
        this.ev.warn(codes::NESTED, node.span(), message);
        return;
    }
    let Some(location) = this.ev.known(&node, &what) else { return };
    let scope = this.scope;
    if scope.depth >= this.ev.run.limits().nested_depth {
        this.ev.error(codes::NESTED, node.span(), "applications are nested too deeply");
        return;
    }
    let Some((file, text)) = read(this, &location.text, node.span(), codes::NESTED) else { return };
    if scope.files.contains(&file) {
        let circle = findings::circle(&scope.files, &file);
        let message = format!("applications contain each other: {circle}");
        this.ev.error(codes::NESTED, node.span(), message);
        return;
    }
    let given = parameters(this, resource);
    let folder = match location.text.rsplit_once('/') {
        Some((folder, _)) => this.path(folder),
        None => scope.folder.clone(),
    };
    let mut files = scope.files.clone();
    files.push(file.clone());
    let child = Scope {
        template: scope.template,
        prefix: format!("{}/", this.full_id(&resource.id)),
        folder,
        depth: scope.depth + 1,
        files,
    };
    let lowered = template::read(this.ev.run, &child, &file, &text, &given);
    for parameter in &lowered.parameters {
        if parameter.origin == ParameterOrigin::Missing {
            let message = format!(
                "{} passes no value for parameter {}",
                quote(&resource.id),
                quote(&parameter.name)
            );
            this.ev.warn(codes::MISSING_PARAMETER, resource.span(), message);
        }
    }
    this.app.append(lowered.application);
    this.ev.outputs.insert(resource.id.clone(), lowered.outputs);
}

/// What the parent gives for the child's parameters.
fn parameters(this: &mut Lowering<'_, '_, '_>, resource: &Resource) -> Given {
    let what = Lowering::what(resource, "Parameters");
    let mut given = HashMap::new();
    let node = resource.property("Parameters").cloned();
    let Some(node) = node.and_then(|node| this.ev.open_map(&node, &what)) else { return given };
    for entry in node.entries().unwrap_or_default() {
        let value = match this.ev.eval(&entry.value) {
            Value::Absent => continue,
            Value::List(items) => {
                let mut secret = false;
                let texts: Option<Vec<_>> = items
                    .iter()
                    .map(|item| match item {
                        Value::Text(text) => {
                            secret |= text.secret;
                            Some(&*text.text)
                        }
                        _ => None,
                    })
                    .collect();
                match texts {
                    Some(texts) => Value::Text(Text { secret, ..Text::new(texts.join(",")) }),
                    None => Value::unknown(format!("!Ref {}", entry.key)),
                }
            }
            // A reference into the parent means nothing among the child's resources.
            Value::Text(text) => Value::Text(Text { origin: None, ..text }),
            Value::Unknown(unknown) => {
                template::handed_over(this.ev.run, entry.value.span(), unknown)
            }
            value @ Value::Map(_) => value,
        };
        given.insert(entry.key.clone(), value);
    }
    given
}

/// Loads a file as a document.
pub(super) fn load(
    this: &mut Lowering<'_, '_, '_>,
    location: &str,
    span: Span,
    code: FindingCode,
) -> Option<(String, Rc<Node>)> {
    let (file, text) = read(this, location, span, code)?;
    let root = this.ev.run.compose(&file, &text)?;
    Some((file, root))
}

/// Loads a file's text. Gives its name too.
fn read(
    this: &mut Lowering<'_, '_, '_>,
    location: &str,
    span: Span,
    code: FindingCode,
) -> Option<(String, String)> {
    if location.contains("://") {
        let message = format!("{} is not local and is left out", quote(location));
        this.ev.warn(code, span, message);
        return None;
    }
    if !this.ev.run.load(span) {
        return None;
    }
    let from = this.scope.files.last().map_or("", String::as_str);
    match this.ev.run.loader.load(from, location) {
        Ok(text) => Some((beside(from, location), text)),
        Err(error) => {
            let message = format!("could not load {}: {error}", quote(location));
            this.ev.warn(code, span, message);
            None
        }
    }
}

/// The path of a file that is named relative to another one, without `.` and `..` where possible.
fn beside(from: &str, location: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    if location.starts_with('/') {
        parts = vec![""];
    }
    for part in location.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| !last.is_empty() && *last != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::beside;

    #[test]
    fn names_files_beside_others() {
        for (from, location, expected) in [
            ("template.yaml", "child/t.yaml", "child/t.yaml"),
            ("a/template.yaml", "./b/../t.yaml", "a/t.yaml"),
            ("a/t.yaml", "../../x.yaml", "../x.yaml"),
            ("/p/t.yaml", "x.yaml", "/p/x.yaml"),
            ("a/t.yaml", "/abs/x.yaml", "/abs/x.yaml"),
        ] {
            assert_eq!(beside(from, location), expected, "{from} {location}");
        }
    }
}
