//! DynamoDB tables: `AWS::Serverless::SimpleTable` and `AWS::DynamoDB::Table`.

use std::{fmt::Display, rc::Rc};

use esb_model::{
    Attribute, AttributeType, GlobalIndex, Key, KeyType, Projection, Table, Throughput,
};

use super::{Resource, lower::Lowering, table_rules};
use crate::{
    codes,
    findings::quote,
    intrinsic::{call, symbolic},
    template::has_macro,
    value::Value,
    yaml::Node,
};

/// Lowers a table; other resources are left alone.
pub(super) fn lower(this: &mut Lowering<'_, '_, '_>, resource: &Rc<Resource>) {
    let table = match &*resource.kind {
        "AWS::Serverless::SimpleTable" => simple(this, resource),
        "AWS::DynamoDB::Table" | "AWS::DynamoDB::GlobalTable" => full(this, resource),
        _ => return,
    };
    this.app.tables.push(table);
}

fn empty(this: &mut Lowering<'_, '_, '_>, resource: &Rc<Resource>) -> Table {
    let name = this.ev.physical_name(resource).to_string();
    Table {
        template: this.scope.template,
        logical_id: this.full_id(&resource.id),
        span: resource.span(),
        name,
        keys: Vec::new(),
        attributes: Vec::new(),
        indexes: Vec::new(),
        on_demand: false,
        throughput: None,
    }
}

fn simple(this: &mut Lowering<'_, '_, '_>, resource: &Rc<Resource>) -> Table {
    let what = Lowering::what(resource, "PrimaryKey");
    let mut table = empty(this, resource);
    let key = resource.property("PrimaryKey").cloned();
    let key = key.and_then(|node| this.ev.open_map(&node, &what));
    if let Some(key) = &key {
        table_rules::fields(this, resource, "PrimaryKey", key, &["Name", "Type"]);
    }
    let mut field = |name: &str, default: &str| {
        let node = key.as_ref().and_then(|key| key.get(name)).cloned();
        let text = node.and_then(|node| this.ev.known(&node, &what));
        text.map_or_else(|| default.to_owned(), |text| text.text.to_string())
    };
    let (name, kind) = (field("Name", "id"), field("Type", "String"));
    table.keys.push(Key { attribute: name.clone(), kind: KeyType::Hash });
    let kind = attribute_type(this, resource, &kind);
    table.attributes.push(Attribute { name, kind });
    table.throughput = resource
        .property("ProvisionedThroughput")
        .cloned()
        .and_then(|node| throughput(this, resource, &node));
    table.on_demand = table.throughput.is_none();
    table
}

fn full(this: &mut Lowering<'_, '_, '_>, resource: &Rc<Resource>) -> Table {
    let mut table = empty(this, resource);
    let property = |name: &str| resource.property(name).cloned();
    let schema = property("KeySchema");
    table.keys = schema.as_ref().map_or_else(Vec::new, |node| key_schema(this, resource, node));
    let is_known = match &schema {
        Some(node) => this.ev.is_known(node) && this.ev.item_count(node) == 0,
        None => !has_macro(&resource.properties),
    };
    if table.keys.is_empty() && is_known {
        let message = format!("table {} has no key", quote(&resource.id));
        this.ev.error(codes::TABLE, resource.span(), message);
    }
    if let Some(node) = property("AttributeDefinitions") {
        for attribute in maps(this, &node, &Lowering::what(resource, "AttributeDefinitions")) {
            let fields = ["AttributeName", "AttributeType"];
            table_rules::fields(this, resource, "AttributeDefinitions", &attribute, &fields);
            let [name, kind] = fields.map(|name| field(this, resource, &attribute, name));
            if let (Some(name), Some(kind)) = (name, kind) {
                let kind = attribute_type(this, resource, &kind);
                table.attributes.push(Attribute { name, kind });
            }
        }
    }
    if let Some(node) = property("GlobalSecondaryIndexes") {
        for index in maps(this, &node, &Lowering::what(resource, "GlobalSecondaryIndexes")) {
            if let Some(index) = global_index(this, resource, &index) {
                table.indexes.push(index);
            }
        }
    }
    let what = Lowering::what(resource, "BillingMode");
    let billing = property("BillingMode").and_then(|node| this.ev.known(&node, &what));
    table.on_demand = billing.is_some_and(|text| &*text.text == "PAY_PER_REQUEST")
        || &*resource.kind == "AWS::DynamoDB::GlobalTable";
    table.throughput =
        property("ProvisionedThroughput").and_then(|node| throughput(this, resource, &node));
    table_rules::check(this, resource, &table);
    table
}

pub(super) fn key_schema(
    this: &mut Lowering<'_, '_, '_>,
    resource: &Resource,
    node: &Rc<Node>,
) -> Vec<Key> {
    let mut keys = Vec::new();
    for key in maps(this, node, &Lowering::what(resource, "KeySchema")) {
        let fields = ["AttributeName", "KeyType"];
        table_rules::fields(this, resource, "KeySchema", &key, &fields);
        let [attribute, kind] = fields.map(|name| field(this, resource, &key, name));
        if let Some(kind) = kind.as_ref().filter(|kind| !["HASH", "RANGE"].contains(&&***kind)) {
            let message = format!(
                "table {}: {} is not a kind of key: use HASH or RANGE",
                quote(&resource.id),
                quote(kind)
            );
            this.ev.error(codes::TABLE, key.span(), message);
        }
        if let Some(attribute) = attribute {
            let range = kind.is_some_and(|kind| kind.eq_ignore_ascii_case("RANGE"));
            let kind = if range { KeyType::Range } else { KeyType::Hash };
            keys.push(Key { attribute, kind });
        }
    }
    keys
}

fn global_index(
    this: &mut Lowering<'_, '_, '_>,
    resource: &Resource,
    index: &Rc<Node>,
) -> Option<GlobalIndex> {
    let name = field(this, resource, index, "IndexName")?;
    let keys = index.get("KeySchema").cloned();
    let keys = keys.map_or_else(Vec::new, |node| key_schema(this, resource, &node));
    let what = Lowering::what(resource, "Projection");
    let projection = index.get("Projection").cloned();
    let projection = projection.and_then(|node| this.ev.open_map(&node, &what));
    let kind = projection.as_ref().and_then(|node| field(this, resource, node, "ProjectionType"));
    let projection = match kind.as_deref() {
        Some("KEYS_ONLY") => Projection::KeysOnly,
        Some("INCLUDE") => {
            let names = projection.and_then(|node| node.get("NonKeyAttributes").cloned());
            let names = names.and_then(|node| this.ev.list(&node, &what)).unwrap_or_default();
            Projection::Include(
                names
                    .into_iter()
                    .filter_map(|(value, _)| match value {
                        Value::Text(text) => Some(text.text.to_string()),
                        _ => None,
                    })
                    .collect(),
            )
        }
        _ => Projection::All,
    };
    let throughput = index
        .get("ProvisionedThroughput")
        .cloned()
        .and_then(|node| throughput(this, resource, &node));
    Some(GlobalIndex { name, keys, projection, throughput })
}

/// The maps of a list; what is none is left out.
pub(super) fn maps(
    this: &mut Lowering<'_, '_, '_>,
    node: &Rc<Node>,
    what: &dyn Display,
) -> Vec<Rc<Node>> {
    use crate::evaluator::Opened;
    let opened = match this.ev.open(node) {
        Opened::Node(opened) if call(&opened).is_some() => {
            this.ev.kept(opened.span(), what, &symbolic(&opened));
            return Vec::new();
        }
        Opened::Unknown(unknown) => {
            this.ev.kept(node.span(), what, &unknown.symbolic);
            return Vec::new();
        }
        Opened::Node(opened) => opened,
        Opened::Absent => return Vec::new(),
    };
    let Some(items) = opened.items() else {
        let message = format!("{what} must be a list, not {}", opened.describe());
        this.ev.error(codes::WRONG_TYPE, opened.span(), message);
        return Vec::new();
    };
    items.iter().filter_map(|item| this.ev.open_map(item, what)).collect()
}

fn field(
    this: &mut Lowering<'_, '_, '_>,
    resource: &Resource,
    node: &Rc<Node>,
    name: &str,
) -> Option<String> {
    let value = node.get(name)?.clone();
    let text = this.ev.known(&value, &Lowering::what(resource, name))?;
    Some(text.text.to_string())
}

fn attribute_type(
    this: &mut Lowering<'_, '_, '_>,
    resource: &Resource,
    text: &str,
) -> AttributeType {
    match text {
        "S" | "String" => AttributeType::String,
        "N" | "Number" => AttributeType::Number,
        "B" | "Binary" => AttributeType::Binary,
        other => {
            let message = format!(
                "table {}: {} is not a type of a key: use S, N or B",
                quote(&resource.id),
                quote(other)
            );
            this.ev.error(codes::TABLE, resource.span(), message);
            AttributeType::String
        }
    }
}

fn throughput(
    this: &mut Lowering<'_, '_, '_>,
    resource: &Resource,
    node: &Rc<Node>,
) -> Option<Throughput> {
    let what = Lowering::what(resource, "ProvisionedThroughput");
    let node = this.ev.open_map(node, &what)?;
    let mut units = |name: &str| {
        let node = node.get(name)?.clone();
        this.ev.number(&node, &what).map(u64::from)
    };
    let (read, write) = (units("ReadCapacityUnits"), units("WriteCapacityUnits"));
    (read.is_some() || write.is_some())
        .then(|| Throughput { read: read.unwrap_or(5), write: write.unwrap_or(5) })
}
