//! Renders tables, buckets and layers for the Provisioner
//! (docs/contracts/platform.md#resourcesyml).

use std::collections::BTreeMap;

use esb_model::{
    Attribute, AttributeType, Bucket, Code, Finding, GlobalIndex, Key, KeyType, Layer, Projection,
    Severity, Span, Table, TemplateId, Throughput,
};

use super::Context;
use crate::{
    codes,
    resources::{BUCKET_NAME, LAYER_NAME, TABLE_NAME},
    state::Section,
    value::{Value, map},
};

/// What DynamoDB demands where a provisioned table says nothing.
const LEAST: Throughput = Throughput { read: 1, write: 1 };

pub(super) fn render(context: &mut Context<'_>) {
    let app = context.app;
    let tables = app.tables.iter().map(|t| (t.template, t.span, t.name.clone(), table(t)));
    let tables = unique(context, Section::Table, tables.collect());
    context.rendered.config.resources.dynamodb = tables;

    let mut buckets = Vec::new();
    for item in &app.buckets {
        buckets.push((item.template, item.span, item.name.clone(), bucket(context, item)));
    }
    context.rendered.config.resources.s3 = unique(context, Section::Bucket, buckets);

    let layers = app.layers.iter().map(|l| (l.template, l.span, layer_name(l), layer(l)));
    let layers = unique(context, Section::Layer, layers.collect());
    context.rendered.config.resources.layers = layers;
}

/// The items by name; a name that stands for two different things is an error.
fn unique(
    context: &mut Context<'_>,
    section: Section,
    items: Vec<(TemplateId, Span, String, Value)>,
) -> Vec<Value> {
    let mut by_name: BTreeMap<String, (Span, Value)> = BTreeMap::new();
    for (template, span, name, item) in items {
        match by_name.get(&name) {
            None => {
                context.own(section, &name, template);
                by_name.insert(name, (span, item));
            }
            // Nothing reads the layers, so two of one name harm nobody.
            Some((_, first)) if *first == item || section == Section::Layer => {}
            Some((first, _)) => {
                let message = format!("two different {}s are called `{name}`", section.noun());
                let finding =
                    Finding::new(Severity::Error, codes::DUPLICATE_RESOURCE, span, message);
                context.find(finding.related(*first, "the first is here"));
            }
        }
    }
    by_name.into_values().map(|(_, item)| item).collect()
}

fn table(table: &Table) -> Value {
    let provisioned = !table.on_demand;
    let indexes = table.indexes.iter().map(|index| global_index(index, table, provisioned));
    let indexes = Value::List(indexes.collect());
    map_of([
        (TABLE_NAME, Some(Value::text(&table.name))),
        ("KeySchema", Some(keys(&table.keys))),
        (
            "AttributeDefinitions",
            Some(Value::List(table.attributes.iter().map(attribute).collect())),
        ),
        ("GlobalSecondaryIndexes", (!table.indexes.is_empty()).then_some(indexes)),
        (
            "BillingMode",
            Some(Value::text(if provisioned { "PROVISIONED" } else { "PAY_PER_REQUEST" })),
        ),
        (
            "ProvisionedThroughput",
            provisioned.then(|| throughput(table.throughput.unwrap_or(LEAST))),
        ),
    ])
}

/// A map of the fields that have a value.
fn map_of<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    let fields = fields.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    Value::Map(fields.collect())
}

fn keys(keys: &[Key]) -> Value {
    let key = |key: &Key| {
        let kind = match key.kind {
            KeyType::Hash => "HASH",
            KeyType::Range => "RANGE",
        };
        map([("AttributeName", Value::text(&key.attribute)), ("KeyType", Value::text(kind))])
    };
    Value::List(keys.iter().map(key).collect())
}

fn attribute(attribute: &Attribute) -> Value {
    let kind = match attribute.kind {
        AttributeType::String => "S",
        AttributeType::Number => "N",
        AttributeType::Binary => "B",
    };
    map([("AttributeName", Value::text(&attribute.name)), ("AttributeType", Value::text(kind))])
}

fn global_index(index: &GlobalIndex, table: &Table, provisioned: bool) -> Value {
    let kind = |kind: &str| ("ProjectionType", Value::text(kind));
    let projection = match &index.projection {
        Projection::All => map([kind("ALL")]),
        Projection::KeysOnly => map([kind("KEYS_ONLY")]),
        Projection::Include(names) => map([
            kind("INCLUDE"),
            ("NonKeyAttributes", Value::List(names.iter().map(Value::text).collect())),
        ]),
    };
    let units = index.throughput.or(table.throughput).unwrap_or(LEAST);
    map_of([
        ("IndexName", Some(Value::text(&index.name))),
        ("KeySchema", Some(keys(&index.keys))),
        ("Projection", Some(projection)),
        ("ProvisionedThroughput", provisioned.then(|| throughput(units))),
    ])
}

fn throughput(units: Throughput) -> Value {
    map([
        ("ReadCapacityUnits", Value::int(units.read)),
        ("WriteCapacityUnits", Value::int(units.write)),
    ])
}

fn bucket(context: &mut Context<'_>, bucket: &Bucket) -> Value {
    let mut rules = Vec::new();
    for (at, rule) in bucket.lifecycle.iter().enumerate() {
        let Some(days) = rule.expiration_days else {
            context.find(Finding::new(
                Severity::Warning,
                codes::LIFECYCLE_RULE,
                bucket.span,
                format!(
                    "lifecycle rule {} of bucket `{}` is left out: only expiration after days, of all \
                     objects or those with a prefix, is known",
                    at + 1,
                    bucket.name
                ),
            ));
            continue;
        };
        let id = rule.id.clone().unwrap_or_else(|| format!("rule-{}", at + 1));
        rules.push(map([
            ("Id", Value::Text(id)),
            ("Status", Value::text(if rule.enabled { "Enabled" } else { "Disabled" })),
            ("Prefix", Value::text(&rule.prefix)),
            ("ExpirationInDays", Value::int(days)),
        ]));
    }
    let lifecycle = (!rules.is_empty()).then(|| map([("Rules", Value::List(rules))]));
    map_of([(BUCKET_NAME, Some(Value::text(&bucket.name))), ("LifecycleConfiguration", lifecycle)])
}

fn layer_name(layer: &Layer) -> String {
    layer.name.clone().unwrap_or_else(|| layer.logical_id.clone())
}

fn layer(layer: &Layer) -> Value {
    let content = match &layer.content {
        Code::Path { path, .. } => Some(Value::text(path)),
        Code::S3 { uri, .. } => Some(Value::text(uri)),
        Code::Inline { .. } | Code::Unknown { .. } => None,
    };
    let architectures = &layer.compatible_architectures;
    let architectures = (!architectures.is_empty())
        .then(|| Value::List(architectures.iter().map(Value::text).collect()));
    map_of([
        (LAYER_NAME, Some(Value::Text(layer_name(layer)))),
        ("ContentURI", content),
        ("CompatibleArchitectures", architectures),
    ])
}
