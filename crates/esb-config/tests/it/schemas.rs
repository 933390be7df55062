//! What is rendered is valid by the published schemas.

use std::{fs, path::PathBuf};

use esb_config::{ConfigFile, Rendered};
use serde_json::Value;

/// Checks all files.
pub(crate) fn check(rendered: &Rendered) {
    for file in ConfigFile::GENERATED {
        // The sample's digest is none.
        let digest = format!("sha256:{}", "0".repeat(64));
        let text = rendered.config.text(file).unwrap().replace("sha256:external", &digest);
        valid(file.name(), &text);
    }
    valid(ConfigFile::State.name(), &rendered.state.to_json());
}

/// Checks the text of one file; JSON is YAML, too.
fn valid(name: &str, text: &str) {
    let schemas = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/schemas");
    let schema = fs::read_to_string(schemas.join(format!("{name}.json"))).unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let value: Value = serde_saphyr::from_str(text).unwrap();
    let validator = jsonschema::draft7::new(&schema).unwrap();
    let errors = validator.iter_errors(&value);
    let errors: Vec<String> =
        errors.map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{name}: {}\n{text}", errors.join("\n"));
}
