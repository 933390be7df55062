//! `Ref` and `Fn::GetAtt`: finds what a name refers to. The value itself comes from the resource.

use std::rc::Rc;

use super::symbolic;
use crate::{
    codes,
    evaluator::Evaluator,
    findings::quote,
    pseudo::Pseudo,
    references::{Wanted, Weight, report_missing},
    resource::Generated,
    value::{Origin, Text, Unknown, Value},
    yaml::Node,
};

pub(super) fn reference(
    this: &mut Evaluator<'_, '_>,
    node: &Rc<Node>,
    argument: &Rc<Node>,
) -> Value {
    let name = match name(this, argument) {
        Value::Text(name) => name.text,
        Value::Unknown(_) => return Value::unknown(symbolic(node)),
        _ => {
            this.error(codes::INTRINSIC, node.span(), "`Ref` needs a name");
            return Value::unknown(symbolic(node));
        }
    };
    named(this, node, &name).unwrap_or_else(|| Value::unknown(format!("!Ref {name}")))
}

pub(super) fn get_att(this: &mut Evaluator<'_, '_>, node: &Rc<Node>, argument: &Rc<Node>) -> Value {
    let unknown = || Value::unknown(symbolic(node));
    let whole = if argument.items().is_none() { name(this, argument) } else { Value::Absent };
    let (id, name) = if let Value::Text(text) = whole {
        let Some((id, name)) = text.text.split_once('.') else {
            let name = quote(&text.text);
            let message = format!("{name} has no attribute: write `Resource.Attribute`");
            this.error(codes::INTRINSIC, node.span(), message);
            return unknown();
        };
        (Rc::from(id), name.to_owned())
    } else if let Value::Unknown(_) = whole {
        return unknown();
    } else {
        let Some((id, rest)) = argument.items().and_then(<[_]>::split_first) else {
            this.error(
                codes::INTRINSIC,
                node.span(),
                "`Fn::GetAtt` needs a resource and an attribute",
            );
            return unknown();
        };
        let mut names = Vec::new();
        for part in rest {
            match this.eval(part) {
                Value::Text(text) => names.push(text.text.to_string()),
                Value::Unknown(_) => return unknown(),
                _ => names.clear(),
            }
        }
        let id = match self::name(this, id) {
            Value::Text(id) if !names.is_empty() => Some(id.text),
            Value::Unknown(_) => return unknown(),
            _ => None,
        };
        let Some(id) = id else {
            this.error(
                codes::INTRINSIC,
                node.span(),
                "`Fn::GetAtt` needs a resource and an attribute",
            );
            return unknown();
        };
        (id, names.join("."))
    };
    attribute(this, node, &id, &name).unwrap_or_else(unknown)
}

/// The name that a function is given: with the language extensions it may be an expression.
fn name(this: &mut Evaluator<'_, '_>, argument: &Rc<Node>) -> Value {
    match argument.scalar() {
        Some(name) => Value::text(name.clone()),
        None if this.names_are_expressions => this.eval(argument),
        None => Value::Absent,
    }
}

/// Evaluates a name: a parameter, a pseudo parameter, or a resource. `None` for a name that means
/// nothing, which is reported.
pub(super) fn named(this: &mut Evaluator<'_, '_>, node: &Rc<Node>, name: &str) -> Option<Value> {
    if let Some(value) = this.parameters.get(name).cloned() {
        if let Value::List(items) = &value
            && !this.run.step(items.len(), node.span())
        {
            return Some(Value::unknown(format!("!Ref {name}")));
        }
        note_unset(this, node, &value);
        return Some(value);
    }
    if name.starts_with("AWS::") {
        return Some(this.pseudo.get(name).unwrap_or_else(|| {
            no_such_name(this, node, name, Wanted::Any);
            Pseudo::unknown(name)
        }));
    }
    let unknown =
        |origin| Some(Value::Unknown(Unknown { origin, ..Unknown::new(format!("!Ref {name}")) }));
    if let Some(resource) = this.resources.get(name) {
        if !resource.exists() {
            not_created(this, node, name);
            return unknown(None);
        }
        let origin = Some(Rc::new(Origin { id: resource.id.clone(), attribute: None }));
        if let Some(text) = this.reference_of(&resource) {
            return Some(Value::Text(Text { origin, ..Text::new(text) }));
        }
        if this.name_is_unset(&resource) {
            this.run.findings.unset(node.span());
        }
        return unknown(origin);
    }
    match this.generated(name, None, node.span()) {
        Generated::Known(text) => Some(Value::text(text)),
        Generated::Unknown => unknown(None),
        Generated::No => {
            no_such_name(this, node, name, Wanted::Any);
            None
        }
    }
}

/// The attribute of a resource. `None` when there is no such resource, which is reported.
pub(super) fn attribute(
    this: &mut Evaluator<'_, '_>,
    node: &Rc<Node>,
    id: &str,
    name: &str,
) -> Option<Value> {
    let unknown = |origin| {
        let unknown = Unknown::new(format!("!GetAtt {id}.{name}"));
        Some(Value::Unknown(Unknown { origin, ..unknown }))
    };
    if let Some(resource) = this.resources.get(id) {
        if !resource.exists() {
            not_created(this, node, id);
            return unknown(None);
        }
        if let Some(output) = name.strip_prefix("Outputs.")
            && let Some(value) =
                this.outputs.get(id).and_then(|outputs| outputs.get(output)).cloned()
        {
            note_unset(this, node, &value);
            return Some(value);
        }
        let origin = Origin { id: resource.id.clone(), attribute: Some(name.into()) };
        let origin = Some(Rc::new(origin));
        return match this.attribute_of(&resource, name) {
            Some(text) => Some(Value::Text(Text { origin, ..Text::new(text) })),
            None => unknown(origin),
        };
    }
    match this.generated(id, Some(name), node.span()) {
        Generated::Known(text) => Some(Value::text(text)),
        Generated::Unknown => unknown(None),
        Generated::No => {
            no_such_name(this, node, id, Wanted::Resource);
            None
        }
    }
}

/// Notes a place that takes a value which no parameter has given.
fn note_unset(this: &mut Evaluator<'_, '_>, node: &Node, value: &Value) {
    if matches!(value, Value::Unknown(unknown) if unknown.is_unset) {
        this.run.findings.unset(node.span());
    }
}

fn not_created(this: &mut Evaluator<'_, '_>, node: &Rc<Node>, name: &str) {
    let message = format!("{} is not created, because its condition is false", quote(name));
    this.warn(codes::UNRESOLVED_REF, node.span(), message);
}

/// Reports a name in a file that the template includes; those of the template are checked before.
fn no_such_name(this: &mut Evaluator<'_, '_>, node: &Rc<Node>, name: &str, wanted: Wanted) {
    if !this.run.findings.mentions(node.span()) {
        report_missing(this, node.span(), name, wanted, Weight::Light);
    }
}
