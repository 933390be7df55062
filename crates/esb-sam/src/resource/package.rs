//! Reads where the code of functions and layers lies (docs/contracts/sam.md#code).

use std::{fmt::Display, rc::Rc};

use esb_model::{Code, Family, Remedy, Runtime, Span};

use super::{Resource, lower::Lowering};
use crate::{
    codes,
    evaluator::Opened,
    findings::quote,
    intrinsic::call,
    value::{Text, Unknown, Value},
    yaml::Node,
};

/// The code of a Zip function.
pub(super) fn function_code(
    this: &mut Lowering<'_, '_, '_>,
    resource: &Rc<Resource>,
    runtime: Option<&Result<Runtime, String>>,
) -> Code {
    if let Some(code) = asset(this, resource, &["Code", "CodeUri"]) {
        return code;
    }
    if let Some(node) = resource.property("InlineCode").cloned()
        && let Some(code) = inline(this, resource, &node, runtime)
    {
        return code;
    }
    let property = if resource.kind.starts_with("AWS::Lambda::") { "Code" } else { "CodeUri" };
    let Some(node) = resource.property(property).cloned() else {
        return Code::Path { path: this.path("."), span: None };
    };
    let what = Lowering::what(resource, property);
    if property == "Code"
        && let Opened::Node(opened) = this.ev.open(&node)
        && let Some(text) = opened.get("ZipFile").cloned()
        && let Some(code) = inline(this, resource, &text, runtime)
    {
        return code;
    }
    location(this, &node, &what)
}

/// The content of a layer.
pub(super) fn layer_content(this: &mut Lowering<'_, '_, '_>, resource: &Rc<Resource>) -> Code {
    if let Some(code) = asset(this, resource, &["Content", "ContentUri"]) {
        return code;
    }
    let property =
        if resource.kind.starts_with("AWS::Lambda::") { "Content" } else { "ContentUri" };
    let Some(node) = resource.property(property).cloned() else {
        let message = format!("layer {} has no {property}", quote(&resource.id));
        this.ev.warn(codes::MISSING_PROPERTY, resource.span(), message);
        return Code::Path { path: this.path("."), span: None };
    };
    let what = Lowering::what(resource, property);
    location(this, &node, &what)
}

/// A folder or archive that the CDK names in the resource's metadata.
fn asset(
    this: &mut Lowering<'_, '_, '_>,
    resource: &Rc<Resource>,
    properties: &[&str],
) -> Option<Code> {
    let property = resource.metadata("aws:asset:property")?.scalar()?;
    let property = property.split('.').next().unwrap_or_default();
    let path = resource.metadata("aws:asset:path").filter(|_| properties.contains(&property))?;
    let text = path.scalar()?;
    Some(Code::Path { path: this.path(text), span: Some(path.span()) })
}

/// Whether the code of a function or the content of a layer is in S3, as far as the template
/// itself says it: such a thing is not deployed from here.
pub(crate) fn code_is_elsewhere(resource: &Resource) -> bool {
    let names = ["CodeUri", "Code", "ContentUri", "Content"];
    let Some(node) = names.iter().find_map(|name| resource.property(name)) else { return false };
    let is_object = ["Bucket", "S3Bucket"].iter().any(|name| node.get(name).is_some());
    let is_uri = node.scalar().is_some_and(|text| text.starts_with("s3://"));
    (is_object || is_uri)
        && resource.property("InlineCode").is_none()
        && resource.metadata("aws:asset:path").is_none()
}

fn inline(
    this: &mut Lowering<'_, '_, '_>,
    resource: &Rc<Resource>,
    node: &Rc<Node>,
    runtime: Option<&Result<Runtime, String>>,
) -> Option<Code> {
    let what = Lowering::what(resource, "the inline code");
    let text = match this.ev.scalar(node, &what)? {
        Ok(text) => text.text.to_string(),
        Err(unknown) => {
            this.ev.kept(node.span(), &what, &unknown.symbolic);
            unknown.symbolic.to_string()
        }
    };
    let extension = match runtime.and_then(|runtime| runtime.as_ref().ok()).map(Runtime::family) {
        Some(Family::Nodejs) => "js",
        Some(Family::Ruby) => "rb",
        _ => "py",
    };
    Some(Code::Inline { text, file_name: format!("index.{extension}") })
}

/// A path, an object in S3, or something that only AWS knows.
pub(super) fn location(
    this: &mut Lowering<'_, '_, '_>,
    node: &Rc<Node>,
    what: &dyn Display,
) -> Code {
    let span = node.span();
    let opened = match this.ev.open(node) {
        Opened::Node(opened) => opened,
        Opened::Absent => return Code::Path { path: this.path("."), span: None },
        Opened::Unknown(unknown) => return kept(this, &unknown, what, span),
    };
    if opened.entries().is_some() && call(&opened).is_none() {
        return object(this, &opened, what);
    }
    match this.ev.scalar(&opened, what) {
        Some(Ok(text)) => path_or_object(this, &text, what, opened.span()),
        Some(Err(unknown)) => kept(this, &unknown, what, opened.span()),
        None => Code::Unknown { symbolic: String::new(), span: Some(span) },
    }
}

fn path_or_object(
    this: &mut Lowering<'_, '_, '_>,
    text: &Text,
    what: &dyn Display,
    span: Span,
) -> Code {
    if text.text.starts_with("s3://") {
        not_local(this, what, span);
        return Code::S3 { uri: text.text.to_string(), span: Some(span) };
    }
    Code::Path { path: this.path(&text.text), span: Some(span) }
}

/// `{Bucket, Key}` of SAM or `{S3Bucket, S3Key}` of CloudFormation.
fn object(this: &mut Lowering<'_, '_, '_>, node: &Rc<Node>, what: &dyn Display) -> Code {
    let mut part = |names: [&str; 2]| {
        let node = names.iter().find_map(|name| node.get(name))?.clone();
        match this.ev.eval(&node) {
            Value::Text(text) => Some(text.shown().to_owned()),
            Value::Unknown(unknown) => Some(unknown.placeholder()),
            _ => None,
        }
    };
    let (bucket, key) = (part(["Bucket", "S3Bucket"]), part(["Key", "S3Key"]));
    let span = node.span();
    if let (Some(bucket), Some(key)) = (bucket, key) {
        not_local(this, what, span);
        Code::S3 { uri: format!("s3://{bucket}/{key}"), span: Some(span) }
    } else {
        let message = format!("{what} needs a path, or a bucket and a key");
        this.ev.error(codes::WRONG_TYPE, span, message);
        Code::Unknown { symbolic: String::new(), span: Some(span) }
    }
}

fn not_local(this: &mut Lowering<'_, '_, '_>, what: &dyn Display, span: Span) {
    let message = format!("{what} is in S3 and cannot be built here");
    let help = Remedy::GiveCode { function: None };
    this.ev.warning_with_help(codes::CODE_NOT_LOCAL, span, message, Some(help));
}

fn kept(
    this: &mut Lowering<'_, '_, '_>,
    unknown: &Unknown,
    what: &dyn Display,
    span: Span,
) -> Code {
    this.ev.kept(span, what, &unknown.symbolic);
    Code::Unknown { symbolic: unknown.symbolic.to_string(), span: Some(span) }
}
