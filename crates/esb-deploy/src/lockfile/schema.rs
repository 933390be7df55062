//! The schema of `esb.lock`: made of its types, and compared with that of `docs/reference/schemas`.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::Value;

use super::{Content, NAME, VERSIONS};

/// A digest as the file has it.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct DigestText(
    // Python's `$` also stands before a line feed at the end.
    #[schemars(regex(pattern = "^sha256:[0-9a-f]{64}$"), extend("not" = {"pattern": "\\n"}))]
    String,
);

/// Draft 7: no newer one is understood by all editors' extensions.
fn schema() -> Value {
    let generator = SchemaSettings::draft07().into_generator();
    let mut schema = generator.into_root_schema_for::<Content>().to_value();
    schema["$id"] = format!("urn:esb:schema:{NAME}").into();
    schema["title"] = NAME.into();
    schema["properties"]["version"]["minimum"] = 1.into();
    schema["properties"]["version"]["maximum"] = VERSIONS.newest().into();
    without_null(&mut schema);
    schema
}

/// TOML has no null.
fn without_null(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(without_null),
        Value::Object(fields) => {
            if let Some(Value::Array(kinds)) = fields.get_mut("type") {
                kinds.retain(|kind| kind != "null");
            }
            if let Some(Value::Array(choices)) = fields.get_mut("anyOf") {
                choices.retain(|choice| choice["type"] != "null");
            }
            fields.values_mut().for_each(without_null);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs, path::PathBuf};

    use super::*;

    #[test]
    fn the_schema_is_that_of_the_types() {
        let schemas =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/schemas");
        let (path, text) = (schemas.join("esb.lock.json"), format!("{:#}\n", schema()));
        // Set by `cargo xtask generate`, which writes the file.
        if env::var_os("ESB_WRITE_SCHEMAS").is_some() {
            fs::write(path, text).unwrap();
        } else {
            let known = fs::read_to_string(path).unwrap_or_default();
            assert!(known == text, "esb.lock.json differs; run `cargo xtask generate`\n{text}");
        }
        assert!(jsonschema::meta::is_valid(&schema()));
    }

    /// The schema refuses what the reader refuses, and takes what it takes.
    #[test]
    fn both_judge_the_same() {
        let schema = schema();
        let validator = jsonschema::draft7::new(&schema).unwrap();
        let as_python =
            serde_json::from_str(&schema.to_string().replace("$\"", "\\\\n?$\"")).unwrap();
        let as_python = jsonschema::draft7::new(&as_python).unwrap();
        let digest = format!("sha256:{}", "0a".repeat(32));
        let pinned =
            format!("platform = 'linux/amd64'\nenvironment = 'dev'\nfingerprint = '{digest}'");
        let packages = format!(
            "[[dependencies]]\nrequirements = 'r'\nruntime = 'python3.13'\nplatform = 'p'\nasked = \
             '{digest}'\nversions = ['six==1']"
        );
        let full = format!(
            "version = 2\napplication = 'shop'\nproject = 'shop-1'\n[[base]]\nreference = 'r'\nindex = \
             '{digest}'\n[base.platforms]\n'linux/amd64' = '{digest}'\n[[image]]\nreference = 'i'\n\
             [image.platforms]\n[[own-base]]\nimage = 'a:1'\n{pinned}\ndigest = '{digest}'\n[[built]]\nimage \
             = 'b:1'\n{pinned}\ndigest = '{digest}'\n{packages}\n[dependencies.layer]\nkey = '{digest}'\n\
             diff_id = '{digest}'\n"
        );
        for (expected, text) in [
            (true, "version = 1".to_owned()),
            (true, format!("version = 2\n{packages}")),
            (true, full.clone()),
            (false, String::new()),
            (false, "version = '2'".to_owned()),
            (false, "version = 0".to_owned()),
            (false, "version = 3".to_owned()),
            (false, "version = 2\nnew = 1".to_owned()),
            (false, "version = 2\nbase = 3".to_owned()),
            (false, "version = 2\n[[base]]\nreference = 'r'".to_owned()),
            (false, full.replace("sha256:", "sha1:")),
            (false, full.replace("0a", "0A")),
            (false, full.replace("'i'", "7")),
            (false, full.replace(&format!("'{digest}'"), &format!("\"{digest}\\n\""))),
            (false, full.replace("[dependencies.layer]", "[dependencies.layers]")),
            (false, full.replace("['six==1']", "'six==1'")),
        ] {
            let value: Value = toml::from_str(&text).unwrap();
            let read = toml::from_str::<Content>(&text);
            let read = read.is_ok_and(|content| VERSIONS.check(content.version).is_ok());
            assert_eq!((validator.is_valid(&value), read), (expected, expected), "{text}");
            assert_eq!(as_python.is_valid(&value), expected, "{text}");
        }
    }
}
