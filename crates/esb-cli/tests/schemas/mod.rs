//! Validates documents with the published schemas of `docs/reference/schemas`.

use std::{fs, path::PathBuf, process::Command};

use serde_json::Value;

/// The commands whose results have schemas.
const COMMANDS: [&str; 11] = [
    "deploy", "build", "validate", "inspect", "invoke", "logs", "init", "image", "config", "cache",
    "version",
];

/// Checks the document that a command printed.
pub(crate) fn check(command: &Command, document: &Value) {
    // A shell may stand before the command.
    let arguments = command.get_args().filter_map(|text| text.to_str());
    let arguments: Vec<&str> = arguments.skip_while(|text| !COMMANDS.contains(text)).collect();
    let name = match *arguments.as_slice() {
        ["invoke", ..] if document["function"].is_string() => "invoke".to_owned(),
        _ if document["error"].is_object() => "error".to_owned(),
        ["deploy" | "build", ..] if document["dry_run"] == true => "dry-run".to_owned(),
        ["deploy" | "build", ..] => "deploy".to_owned(),
        ["cache", "gc", ..] => "cache-gc".to_owned(),
        [group @ ("image" | "config"), nested, ..] => format!("{group}-{nested}"),
        [name, ..] => name.to_owned(),
        [] => panic!("no command: {command:?}"),
    };
    valid(&name, document);
}

/// Checks a document by the name of its schema.
pub(crate) fn valid(name: &str, document: &Value) {
    let path = root().join(format!("docs/reference/schemas/{name}.json"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
    by(&text, document);
}

/// Checks a document by the text of a schema.
pub(crate) fn by(schema: &str, document: &Value) {
    let schema = serde_json::from_str(schema).unwrap();
    let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    let errors: Vec<String> = validator
        .iter_errors(document)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{}\n{document:#}", errors.join("\n"));
}

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}
