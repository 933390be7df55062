//! The schemas of the published files, for editors and for programs that check them
//! (docs/contracts/platform.md): made of the types, and compared with those of
//! `docs/reference/schemas`.

use schemars::{JsonSchema, Schema, generate::SchemaSettings, transform::Transform};
use serde_json::Value;

use crate::{FunctionsFile, ImageImportFile, OwnershipState, RoutingFile};

pub(crate) mod files;

/// Draft 7: no newer one is understood by all editors' extensions.
fn draft() -> SchemaSettings {
    SchemaSettings::draft07()
}

/// The schema of a file.
fn of<T: JsonSchema>(settings: SchemaSettings, file: &str) -> Value {
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.insert("$id".to_owned(), format!("urn:esb:schema:{file}").into());
    schema.insert("title".to_owned(), file.into());
    NoNull.transform(&mut schema);
    schema.to_value()
}

/// Nothing that is published is null.
struct NoNull;

impl Transform for NoNull {
    fn transform(&mut self, schema: &mut Schema) {
        schemars::transform::transform_subschemas(self, schema);
        if let Some(Value::Array(kinds)) = schema.get_mut("type") {
            kinds.retain(|kind| kind != "null");
            if let [kind] = &**kinds {
                let kind = kind.clone();
                schema.insert("type".to_owned(), kind);
            }
        }
        let Some(Value::Array(choices)) = schema.get_mut("anyOf") else { return };
        choices.retain(|choice| choice["type"] != "null");
        if let [Value::Object(only)] = &**choices {
            let only = only.clone();
            schema.remove("anyOf");
            for (key, value) in only {
                schema.insert(key, value);
            }
        }
    }
}

/// All schemas by the name of their file.
fn all() -> [(&'static str, Value); 5] {
    [
        ("functions.yml", of::<FunctionsFile>(draft(), "functions.yml")),
        ("routing.yml", of::<RoutingFile>(draft(), "routing.yml")),
        ("resources.yml", of::<files::ResourcesFile>(draft(), "resources.yml")),
        ("image-import.json", of::<ImageImportFile>(draft().for_serialize(), "image-import.json")),
        ("state.json", of::<OwnershipState>(draft(), "state.json")),
    ]
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, env, fs, path::PathBuf};

    use super::all;
    use crate::read::yaml;

    /// Set by `cargo xtask generate`, which writes the files.
    const WRITE: &str = "ESB_WRITE_SCHEMAS";

    #[test]
    fn the_schemas_are_those_of_the_types() {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/schemas");
        for (name, schema) in all() {
            let text = format!("{schema:#}\n");
            let path = folder.join(format!("{name}.json"));
            if env::var_os(WRITE).is_some() {
                fs::write(path, text).unwrap();
            } else {
                let known = fs::read_to_string(path).unwrap_or_default();
                assert!(known == text, "{name}.json differs; run `cargo xtask generate`\n{text}");
            }
            assert!(jsonschema::meta::is_valid(&schema), "{name}");
        }
    }

    /// Files that break the contract, and what is wrong with each.
    const BAD: &[(&str, &str)] = &[
        ("functions.yml", "functions:"),
        ("functions.yml", "defaults: {}"),
        ("functions.yml", "[]"),
        ("functions.yml", "functions: []"),
        ("functions.yml", "functions: {a: }"),
        ("functions.yml", "functions: {a: {image: 1}}"),
        ("functions.yml", "functions: {a: {image: ''}}"),
        ("functions.yml", "functions: {a: {timeout: 3.5}}"),
        ("functions.yml", "functions: {a: {timeout: '30'}}"),
        ("functions.yml", "functions: {a: {memory_size: 0}}"),
        ("functions.yml", "functions: {a: {environment: {N: 1}}}"),
        ("functions.yml", "functions: {a: {environment: {N: true}}}"),
        ("functions.yml", "functions: {a: {environment: {N: }}}"),
        ("functions.yml", "functions: {a: {environment: }}"),
        ("functions.yml", "functions: {a: {scaling: {max_capacity: -1}}}"),
        ("functions.yml", "functions: {a: {events: }}"),
        ("functions.yml", "functions: {a: {events: [{schedule: {input: x}}]}}"),
        ("functions.yml", "functions: {a: {events: [{schedule: {rate: rate(0 minutes)}}]}}"),
        ("functions.yml", "functions: {a: {events: [{schedule: {rate: rate( 1 day)}}]}}"),
        ("functions.yml", "functions: {a: {events: [{schedule: {rate: cron(0 1 * * *)}}]}}"),
        ("functions.yml", "functions: {a: {events: [{schedule: {rate: \"rate(1 day)\\n\"}}]}}"),
        ("functions.yml", "functions: {a: {events: [{schedule: {rate: at(2030-01-01)}}]}}"),
        ("functions.yml", "functions: {a: {events: [{schedule: {rate: rate(1 day), input: {}}}]}}"),
        ("functions.yml", "defaults: {environment: }\nfunctions: {}"),
        ("functions.yml", "defaults: {scaling: {acquire_timeout: x}}\nfunctions: {}"),
        ("routing.yml", "[]"),
        ("routing.yml", "routes: {}"),
        ("routing.yml", "routes: [{path: /a, method: GET}]"),
        ("routing.yml", "routes: [{method: GET, function: f}]"),
        ("routing.yml", "routes: [{path: '', method: '', function: f}]"),
        ("routing.yml", "routes: [{path: /a, method: ANY, function: f}]"),
        ("routing.yml", "routes: [{path: /a, method: OPTIONS, function: f}]"),
        ("routing.yml", "routes: [{path: /a, method: \"GET\\n\", function: f}]"),
        ("routing.yml", "routes: [{path: '/{proxy+}', method: GET, function: f}]"),
        ("routing.yml", "routes: [{path: '/{user-id}', method: GET, function: f}]"),
        ("routing.yml", "routes: [{path: /a, method: GET, function: [f]}]"),
        ("resources.yml", "{}"),
        ("resources.yml", "resources: {dynamodb: }"),
        ("resources.yml", "resources: {dynamodb: [{KeySchema: []}]}"),
        ("resources.yml", "resources: {s3: [{}]}"),
        (
            "resources.yml",
            "resources: {s3: [{BucketName: b, LifecycleConfiguration: {Rules: [{}]}}]}",
        ),
        ("image-import.json", r#"{"version": 1, "push_target": "", "images": []}"#),
        ("image-import.json", r#"{"version": "2", "push_target": "", "images": []}"#),
        ("image-import.json", r#"{"version": "1", "push_target": ""}"#),
        (
            "image-import.json",
            r#"{"version": "1", "push_target": "", "images": [
                {"function_name": "f", "image_source": "a:1", "image_ref": "a:1\n"}]}"#,
        ),
        ("state.json", "{}"),
        ("state.json", r#"{"version": 3}"#),
        ("state.json", r#"{"version": 2, "owners": {"function": {"a": 1}}}"#),
    ];

    const GOOD: &[(&str, &str)] = &[
        ("functions.yml", "functions: {}"),
        ("functions.yml", "functions: {a: {}}\nversion: 3"),
        ("functions.yml", "functions: {a: {image: 'r/a:1', handler: app.h, scaling: {other: 1}}}"),
        ("functions.yml", "functions: {a: {scaling: {max_capacity: 0}, events: [{other: 1}]}}"),
        ("functions.yml", "functions: {a: {environment: {N: '${NAME}'}}}"),
        ("routing.yml", "routes: []"),
        ("routing.yml", "routes: [{path: '/v1\\.0/(?P<p>.+)', method: GET, function: f, auth: x}]"),
        ("routing.yml", "routes: [{path: '/{a}/{b_1}', method: HEAD, function: {container: c}}]"),
        ("routing.yml", "routes: [{path: '/.*', method: PATCH, function: f}]"),
        ("resources.yml", "resources: {sqs: [{QueueName: q}]}\nnote: x"),
        ("image-import.json", r#"{"version": "1", "push_target": "h", "images": [], "later": 1}"#),
        (
            "image-import.json",
            r#"{"version": "1", "push_target": "", "images": [
                {"function_name": "f", "image_source": "a:1", "image_ref": "a:1"}]}"#,
        ),
        ("state.json", r#"{"version": 1, "owners": {"route": {"GET /a": "template.yaml"}}}"#),
    ];

    /// A table with what is given beside or in place of what it has.
    fn table(changed: &str) -> serde_json::Value {
        let text = "{TableName: t, KeySchema: [{AttributeName: id, KeyType: HASH}], \
                    AttributeDefinitions: [{AttributeName: id, AttributeType: S}]}";
        let mut table: serde_json::Map<_, _> = yaml(text).unwrap();
        table.extend(yaml::<serde_json::Map<_, _>>(changed).unwrap());
        serde_json::json!({"resources": {"dynamodb": [table]}})
    }

    #[test]
    fn files_are_judged_by_the_contract() {
        let schemas = BTreeMap::from(all());
        let judge = |name: &str, file: &serde_json::Value| {
            let schema = &schemas[name];
            // Python's `$` also stands before a line feed at the end.
            let as_python = schema.to_string().replace("$\"", "\\\\n?$\"");
            let verdicts = [schema.clone(), serde_json::from_str(&as_python).unwrap()]
                .map(|schema| jsonschema::draft7::new(&schema).unwrap().is_valid(file));
            assert_eq!(verdicts[0], verdicts[1], "{name}: {file}");
            verdicts[0]
        };
        for (files, expected) in [(BAD, false), (GOOD, true)] {
            for (name, text) in files {
                let file: serde_json::Value = yaml(text).unwrap();
                assert_eq!(judge(name, &file), expected, "{name}: {text}");
            }
        }
        for (changed, expected) in [
            ("{}", true),
            ("{BillingMode: PAY_PER_REQUEST}", true),
            ("{StreamSpecification: {StreamEnabled: true}}", true),
            ("{ProvisionedThroughput: {ReadCapacityUnits: 1, WriteCapacityUnits: 2}}", true),
            ("{ProvisionedThroughput: {ReadCapacityUnits: '1', WriteCapacityUnits: 2}}", false),
            ("{BillingMode: on-demand}", false),
            ("{Unknown: 1}", false),
            ("{KeySchema: []}", false),
            ("{KeySchema: [{AttributeName: id, KeyType: hash}]}", false),
        ] {
            assert_eq!(judge("resources.yml", &table(changed)), expected, "{changed}");
        }
    }
}
