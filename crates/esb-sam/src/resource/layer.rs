//! Layers: their definition, and functions' references to them.

use std::rc::Rc;

use esb_model::{Layer, LayerRef};

use super::{Resource, lower::Lowering, package};
use crate::{codes, evaluator::KEPT_STEPS, findings::quote, value::Value};

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
    this.app.layers.push(Layer {
        template: this.scope.template,
        logical_id: this.full_id(&resource.id),
        span: resource.span(),
        name,
        content,
        compatible_architectures,
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
            other => {
                let message =
                    format!("{what}: {} is not a layer of the template", quote(&other.symbolic()));
                this.ev.error(codes::LAYER, span, message);
            }
        }
    }
    layers
}
