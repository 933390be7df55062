//! The schema of `esb.toml` for editors: made of the keys that the parser knows and of the texts that
//! the file explains them with. It accepts what the parser accepts.

use esb_deploy::{
    levels::{CodeEntry, codes},
    settings::{self, Holds, TRUST_REGISTRY},
};
use serde_json::{Map, Value, json};

use crate::settings_text::{ENTRIES, Entry, FINDINGS, HEAD, PER_ENVIRONMENT};

/// What the schema is known by, wherever the file lies.
pub(crate) const ID: &str = "urn:esb:schema:esb.toml";

/// The text of the schema.
pub(crate) fn text() -> String {
    format!("{:#}\n", schema())
}

/// Draft 7: no newer one is understood by all editors' extensions.
fn schema() -> Value {
    let mut properties = keys(|key| !key.contains('.'));
    let code = table("How the code of functions is read.", keys(|key| key.starts_with("code.")));
    properties.insert("code".to_owned(), code);
    let findings = table(FINDINGS, codes().iter().map(level).collect::<Map<_, _>>());
    properties.insert("findings".to_owned(), findings);
    let same = |key: &String| (key.clone(), json!({"$ref": format!("#/properties/{key}")}));
    let of_environment = properties.keys().filter(|key| *key != TRUST_REGISTRY).map(same);
    let of_environment: Map<_, _> = of_environment.collect();
    let environments = json!({
        "description": sentence(PER_ENVIRONMENT),
        "type": "object",
        "propertyNames": pattern(settings::ENVIRONMENT_PATTERN),
        "additionalProperties": table("The settings of one environment.", of_environment),
        "examples": [{"prod": {"registry": "registry.prod.example/shop"}}],
    });
    properties.insert("env".to_owned(), environments);
    let mut schema = fields(json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": ID,
        "title": settings::NAME,
    }));
    schema.extend(fields(table(HEAD, properties)));
    schema.into()
}

fn table(meaning: &str, properties: impl Into<Value>) -> Value {
    json!({
        "description": sentence(meaning),
        "type": "object",
        "properties": properties.into(),
        "additionalProperties": false,
    })
}

/// The keys of a table, in the order of the file that explains them.
fn keys(fits: impl Fn(&str) -> bool) -> Map<String, Value> {
    let entries = ENTRIES.iter().filter(|entry| fits(entry.key));
    let last = |key: &'static str| key.rsplit('.').next().unwrap_or(key).to_owned();
    entries.map(|entry| (last(entry.key), own(entry))).collect()
}

/// The schema of a key.
fn own(entry: &Entry) -> Value {
    let mut schema = fields(json!({"description": sentence(entry.meaning)}));
    schema.extend(Holds::of(entry.key).map(rules).into_iter().flat_map(fields));
    let (text, is_default) = entry.shown();
    // The values that the file shows are the same in TOML and in JSON.
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    let shown = if is_default { json!({"default": value}) } else { json!({"examples": [value]}) };
    schema.extend(fields(shown));
    schema.into()
}

/// What a value may be.
fn rules(holds: Holds) -> Value {
    match holds {
        Holds::Text => json!({"type": "string"}),
        Holds::Form(form) => {
            let mut schema = fields(pattern(form.pattern));
            schema.insert("type".to_owned(), "string".into());
            schema.into()
        }
        Holds::Choice(choices) => json!({"type": "string", "enum": choices}),
        Holds::List => json!({"type": ["array", "string"], "items": {"type": "string"}}),
        Holds::Switch => json!({"type": "boolean"}),
    }
}

/// The schema of a text by a pattern.
fn pattern(pattern: &str) -> Value {
    let mut schema = json!({"pattern": pattern});
    if pattern.ends_with('$') {
        // Python's `$` also stands before a line feed at the end.
        schema["not"] = json!({"pattern": "\\n"});
    }
    schema
}

fn level(entry: &CodeEntry) -> (String, Value) {
    let mut schema = fields(json!({"description": sentence(entry.meaning)}));
    schema.extend(fields(rules(settings::LEVELS)));
    (entry.code.0.to_owned(), schema.into())
}

fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

fn sentence(words: &str) -> String {
    format!("{}.", words.trim_end_matches('.'))
}

#[cfg(test)]
mod tests;
