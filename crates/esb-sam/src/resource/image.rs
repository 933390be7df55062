//! Image functions: by reference, or built from a Dockerfile.

use std::{collections::BTreeMap, fmt::Display, rc::Rc};

use esb_model::{DockerBuild, EnvValue, ImageOverrides, ImagePackage, Span};

use super::{Resource, lower::Lowering};
use crate::{
    codes,
    evaluator::{Evaluator, Opened},
    findings::quote,
    value::Value,
    yaml::Node,
};

/// Whether a function is an image.
pub(super) fn is_image(ev: &mut Evaluator<'_, '_>, resource: &Resource) -> bool {
    let declared = resource
        .property("PackageType")
        .cloned()
        .and_then(|node| ev.known(&node, &Lowering::what(resource, "PackageType")));
    match declared.as_ref().map(|text| &*text.text) {
        Some("Image") => true,
        Some("Zip") => false,
        other => {
            if let Some(other) = other {
                let message = format!(
                    "{} must be `Zip` or `Image`, not {}",
                    Lowering::what(resource, "PackageType"),
                    quote(other)
                );
                ev.error(codes::PACKAGE, resource.span(), message);
            }
            let named = reference(ev, resource).is_some();
            if named {
                let message = format!(
                    "{} names an image, so it is treated as an image function: add `PackageType: Image`",
                    quote(&resource.id)
                );
                ev.warn(codes::PACKAGE, resource.span(), message);
            }
            named
        }
    }
}

/// The property that names the image.
fn reference(ev: &mut Evaluator<'_, '_>, resource: &Resource) -> Option<Rc<Node>> {
    if let Some(node) = resource.property("ImageUri") {
        return Some(node.clone());
    }
    let code = resource.property("Code")?.clone();
    match ev.open(&code) {
        Opened::Node(code) => code.get("ImageUri").cloned(),
        Opened::Absent | Opened::Unknown(_) => None,
    }
}

pub(super) fn lower(this: &mut Lowering<'_, '_, '_>, resource: &Rc<Resource>) -> ImagePackage {
    let build = build(this, resource);
    let named = reference(&mut this.ev, resource);
    let (mut uri, mut uri_span) = (None, None);
    // As in SAM CLI, a Dockerfile beside the template wins over a pushed image.
    if let Some(node) = named.filter(|_| build.is_none()) {
        uri_span = Some(node.span());
        uri = image_uri(this, resource, &node);
    }
    if build.is_none() && uri.is_none() {
        let message = format!("image function {} does not name an image", quote(&resource.id));
        let help = "name one with `ImageUri`, or build one with `Metadata: DockerContext`";
        let finding = esb_model::Finding::new(
            esb_model::Severity::Error,
            codes::IMAGE_SOURCE,
            resource.span(),
            message,
        );
        this.ev.run.findings.push(finding.help(help));
    }
    ImagePackage { uri, uri_span, build, overrides: overrides(this, resource) }
}

/// What `ImageConfig` replaces: an empty value replaces nothing, as in AWS.
fn overrides(this: &mut Lowering<'_, '_, '_>, resource: &Resource) -> ImageOverrides {
    let what = Lowering::what(resource, "ImageConfig");
    let config =
        resource.property("ImageConfig").cloned().and_then(|node| this.ev.open_map(&node, &what));
    let field = |name: &str| config.as_ref().and_then(|config| config.get(name)).cloned();
    let mut list = |name| {
        let words = field(name).and_then(|node| words(this, &node, &what))?;
        Some(words).filter(|words| !words.is_empty())
    };
    let (command, entry_point) = (list("Command"), list("EntryPoint"));
    let working_directory = field("WorkingDirectory")
        .and_then(|node| this.ev.known(&node, &what))
        .map(|text| text.text.to_string())
        .filter(|folder| !folder.is_empty());
    ImageOverrides { entry_point, command, working_directory }
}

fn image_uri(
    this: &mut Lowering<'_, '_, '_>,
    resource: &Resource,
    node: &Rc<Node>,
) -> Option<EnvValue> {
    let what = Lowering::what(resource, "ImageUri");
    Some(match this.ev.scalar(node, &what)? {
        Ok(text) => EnvValue::from(&text),
        Err(unknown) => {
            this.ev.kept(node.span(), &what, &unknown.symbolic);
            EnvValue::Symbolic(unknown.symbolic.to_string())
        }
    })
}

/// The words of a command; a single text is one word.
fn words(
    this: &mut Lowering<'_, '_, '_>,
    node: &Rc<Node>,
    what: &dyn Display,
) -> Option<Vec<String>> {
    if node.scalar().is_some() {
        return this.ev.known(node, what).map(|text| vec![text.text.to_string()]);
    }
    let mut words = Vec::new();
    for (value, span) in this.ev.list(node, what)? {
        match value {
            Value::Text(text) => words.push(text.text.to_string()),
            other => return unusable(this, &other, what, span),
        }
    }
    Some(words)
}

fn unusable<T>(
    this: &mut Lowering<'_, '_, '_>,
    value: &Value,
    what: &dyn Display,
    span: Span,
) -> Option<T> {
    if let Value::Unknown(unknown) = value {
        this.ev.kept(span, what, &unknown.symbolic);
    } else {
        let message = format!("each item of {what} must be text, not {}", value.describe());
        this.ev.error(codes::WRONG_TYPE, span, message);
    }
    None
}

/// SAM's build instructions.
fn build(this: &mut Lowering<'_, '_, '_>, resource: &Rc<Resource>) -> Option<DockerBuild> {
    let what = Lowering::what(resource, "Metadata");
    let mut text = |name: &str| {
        let node = resource.metadata(name)?.clone();
        this.ev.known(&node, &what).map(|text| text.text.to_string())
    };
    let (dockerfile, context) = (text("Dockerfile"), text("DockerContext"));
    let (tag, target) = (text("DockerTag"), text("DockerBuildTarget"));
    if dockerfile.is_none() && context.is_none() {
        return None;
    }
    let mut args = BTreeMap::new();
    let arguments = resource.metadata("DockerBuildArgs").cloned();
    if let Some(node) = arguments.and_then(|node| this.ev.open_map(&node, &what)) {
        for entry in node.entries().unwrap_or_default() {
            if let Some(value) = this.ev.known(&entry.value, &what) {
                args.insert(entry.key.to_string(), EnvValue::from(&value));
            }
        }
    }
    let context = Some(this.path(context.as_deref().unwrap_or(".")));
    Some(DockerBuild { dockerfile, context, tag, args, target })
}
