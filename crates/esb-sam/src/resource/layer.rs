//! Layers: their definition, and functions' references to them.

use std::rc::Rc;

use esb_model::{Finding, Layer, LayerRef, Span};

use super::{Resource, lower::Lowering, package};
use crate::{
    codes,
    evaluator::KEPT_STEPS,
    findings::quote,
    value::{Text, Value},
};

/// Lowers a layer; other resources are left alone.
pub(super) fn lower(this: &mut Lowering<'_, '_, '_>, resource: &Rc<Resource>) {
    if !resource.is_layer() {
        return;
    }
    let name = this.ev.given_name(resource).map(|name| name.to_string());
    let content = package::layer_content(this, resource);
    let what = Lowering::what(resource, "CompatibleArchitectures");
    let mut compatible_architectures = Vec::new();
    if let Some(node) = resource.property("CompatibleArchitectures").cloned() {
        for (value, _) in this.ev.list(&node, &what).unwrap_or_default() {
            if let Value::Text(text) = value {
                compatible_architectures.push(text.text.to_string());
            }
        }
    }
    let build_method = resource.metadata("BuildMethod");
    let build_method = build_method.map(|node| node.scalar().map_or("", |text| &**text).to_owned());
    this.app.layers.push(Layer {
        template: this.scope.template,
        logical_id: this.full_id(&resource.id),
        span: resource.span(),
        name,
        content,
        compatible_architectures,
        build_method,
    });
}

/// The layers of a function, in its order.
pub(super) fn references(
    this: &mut Lowering<'_, '_, '_>,
    resource: &Rc<Resource>,
) -> Vec<LayerRef> {
    let what = Lowering::what(resource, "Layers");
    let Some(node) = resource.property("Layers").cloned() else { return Vec::new() };
    let items = this.ev.list(&node, &what).unwrap_or_default();
    let mut layers = Vec::new();
    for (value, span) in items {
        if !this.ev.run.step(KEPT_STEPS, span) {
            break;
        }
        let named = value.origin().map(|origin| origin.id.clone()).or_else(|| match &value {
            Value::Text(text) => Some(text.text.clone()),
            _ => None,
        });
        let local = named.as_ref().and_then(|id| this.ev.resources.get(id));
        if let Value::Text(text) = &value
            && text.origin.is_none()
            && !text.text.starts_with("arn:")
        {
            plain_word(this, resource, text, span);
        }
        if let Some(local) = &local
            && local.is_layer()
            && local.exists()
        {
            layers.push(LayerRef::Local(this.full_id(&local.id)));
            continue;
        }
        match value {
            Value::Text(text) if text.text.starts_with("arn:") && local.is_none() => {
                let message =
                    format!("layer {} is published on AWS and is left out", quote(text.shown()));
                this.ev.warn(codes::LAYER, span, message);
                layers.push(LayerRef::Arn(text.text.to_string()));
            }
            Value::Unknown(unknown) if local.is_none() => {
                this.ev.kept(span, &what, &unknown.symbolic);
                layers.push(LayerRef::Unknown(unknown.symbolic.to_string()));
            }
            Value::Text(text) if text.origin.is_none() => {}
            other => {
                let message =
                    format!("{what}: {} is not a layer of the template", quote(&other.symbolic()));
                this.ev.error(codes::LAYER, span, message);
            }
        }
    }
    layers
}

/// Reports text that is neither an ARN nor a reference, where the name of a layer is meant.
fn plain_word(this: &mut Lowering<'_, '_, '_>, resource: &Resource, text: &Text, span: Span) {
    let name = text.shown();
    let what = Lowering::what(resource, "Layers");
    let message = format!("{what}: {} is a plain word, not a reference to a layer", quote(name));
    let layers = this.ev.resources.all().into_iter().filter(|found| found.is_layer());
    let layers: Vec<_> = layers.map(|layer| layer.id.clone()).collect();
    let meant = if layers.iter().any(|id| **id == *name) {
        Some(name)
    } else {
        this.ev.run.findings.nearest(name, layers.iter().map(|id| &**id))
    };
    let finding = Finding::new(resource.severity(), codes::LAYER, span, message);
    let help = match meant {
        Some(id) => format!("write {}", quote(&format!("!Ref {id}"))),
        None => {
            "name a layer of this template with `!Ref`, or a published one by its ARN".to_owned()
        }
    };
    this.ev.run.findings.push(finding.help(help));
}
