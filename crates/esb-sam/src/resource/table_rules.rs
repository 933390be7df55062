//! What DynamoDB asks of the keys of a table: they and the definitions of attributes agree.

use std::{collections::BTreeSet, rc::Rc};

use esb_model::{KeyType, Table};

use super::{Resource, lower::Lowering, property, table};
use crate::{codes, findings::quote, yaml::Node};

/// Reports keys without a definition, definitions without a key, and keys that make no schema.
pub(super) fn check(this: &mut Lowering<'_, '_, '_>, resource: &Rc<Resource>, table: &Table) {
    let mut kinds = table.keys.iter().map(|key| key.kind);
    let is_schema = kinds.next() == Some(KeyType::Hash)
        && kinds.next().is_none_or(|second| second == KeyType::Range)
        && kinds.next().is_none();
    let schema = resource.property("KeySchema").cloned();
    if let Some(node) = schema.filter(|_| !table.keys.is_empty() && !is_schema)
        && this.ev.is_known(&node)
    {
        let message = format!(
            "the KeySchema of table {} is a HASH key, and after it at most one RANGE key",
            quote(&resource.id)
        );
        this.ev.error(codes::TABLE, node.span(), message);
    }
    let Some(used) = used(this, resource, table) else { return };
    let defined: BTreeSet<&str> = table.attributes.iter().map(|it| it.name.as_str()).collect();
    let place = resource.property("AttributeDefinitions").map_or(resource.span(), |it| it.span());
    let table = quote(&resource.id);
    for name in used.iter().filter(|name| !defined.contains(name.as_str())) {
        let message =
            format!("the AttributeDefinitions of table {table} lack its key {}", quote(name));
        this.ev.error(codes::TABLE, place, message);
    }
    for name in defined.iter().filter(|name| !used.contains(**name)) {
        let message = format!(
            "the AttributeDefinitions of table {table} have {}, which is no key of the table or of \
             an index",
            quote(name)
        );
        this.ev.error(codes::TABLE, place, message);
    }
}

/// The attributes of all keys; none where a part of the template is not known.
fn used(
    this: &mut Lowering<'_, '_, '_>,
    resource: &Resource,
    table: &Table,
) -> Option<BTreeSet<String>> {
    let mut used: BTreeSet<String> = table.keys.iter().map(|key| key.attribute.clone()).collect();
    let own = ["KeySchema", "AttributeDefinitions"];
    let counts = [table.keys.len(), table.attributes.len()];
    for (name, count) in own.into_iter().zip(counts) {
        let node = resource.property(name)?.clone();
        if !this.ev.is_known(&node) || this.ev.item_count(&node) != count {
            return None;
        }
    }
    for name in ["GlobalSecondaryIndexes", "LocalSecondaryIndexes"] {
        let Some(node) = resource.property(name).cloned() else { continue };
        if !this.ev.is_known(&node) {
            return None;
        }
        for index in table::maps(this, &node, &Lowering::what(resource, name)) {
            let schema = index.get("KeySchema")?.clone();
            let keys = table::key_schema(this, resource, &schema);
            if !this.ev.is_known(&schema) || this.ev.item_count(&schema) != keys.len() {
                return None;
            }
            used.extend(keys.into_iter().map(|key| key.attribute));
        }
    }
    Some(used)
}

/// Warns of misspelt fields of a key or an attribute, and reports those that are missing.
pub(super) fn fields(
    this: &mut Lowering<'_, '_, '_>,
    resource: &Resource,
    property: &'static str,
    node: &Node,
    known: &[&str],
) {
    let entries = node.entries().unwrap_or_default();
    let what = Lowering::what(resource, property);
    property::warn(&mut this.ev, &what, entries, known);
    if entries.iter().any(|entry| entry.key.starts_with("Fn::")) {
        return;
    }
    for name in known.iter().filter(|name| node.get(name).is_none()) {
        this.ev.error(codes::TABLE, node.span(), format!("{what} has no {name}"));
    }
}
