//! `esb init`, and what `esb invoke` and `esb logs` say before anything runs.

use std::fs;

use crate::context::Context;

const TEMPLATE: &str = "Transform: AWS::Serverless-2016-10-31\nResources: {}\n";

/// A project without settings.
fn fresh() -> Context {
    let context = Context::new(TEMPLATE);
    fs::remove_file(context.path().join("esb.toml")).unwrap();
    context
}

#[test]
fn settings_are_written_for_all_templates() {
    let context = fresh();
    context.write("jobs/template.yml", TEMPLATE);
    context.write("node_modules/a/template.yaml", TEMPLATE);
    let said = context.esb(&["init", "-e", "dev"]);
    let expected = "exit: 0\n--- stdout ---\nWrote `esb.toml` with 2 templates:\n  template.yaml\n  \
                    jobs/template.yml\nWrote `esb.schema.json`, for editors; commit both\nNext: \
                    `esb validate`, then `esb deploy -e dev`\n";
    assert_eq!(said, expected);
    let shown = context.esb(&["config", "show", "--format", "json"]);
    assert!(shown.contains("jobs/template.yml"), "{shown}");
    // Both are read from now on.
    assert!(context.esb(&["inspect"]).starts_with("exit: 0"));
}

#[test]
fn a_file_that_is_there_is_left() {
    let context = Context::new(TEMPLATE);
    context.write("esb.toml", "# mine\n");
    let said = context.esb(&["init"]);
    let expected = "exit: 1\n--- stderr ---\nerror: `[FOLDER]/esb.toml` is already there, and is left \
                    as it is\nhint: `esb init --dry-run` prints what it would write, `esb init \
                    --schema` writes the schema alone\n";
    assert_eq!(said, expected);
    assert_eq!(fs::read_to_string(context.path().join("esb.toml")).unwrap(), "# mine\n");
    assert!(!context.path().join("esb.schema.json").exists());
    let printed = context.esb(&["init", "--dry-run"]);
    assert!(printed.contains("\ntemplates = [\"template.yaml\"]\n"), "{printed}");
}

#[test]
fn without_templates_nothing_is_written() {
    let context = fresh();
    fs::remove_file(context.path().join("template.yaml")).unwrap();
    let said = context.esb(&["init"]);
    assert!(said.contains("exit: 1\n") && said.contains("error: found no SAM template"), "{said}");
    assert!(!context.path().join("esb.toml").exists());
}

#[test]
fn a_document_says_what_was_written() {
    let context = fresh();
    let said = context.command(&["init", "--format", "json"]).output().unwrap().stdout;
    let document: serde_json::Value = serde_json::from_slice(&said).unwrap();
    assert_eq!(document["templates"], serde_json::json!(["template.yaml"]));
    assert_eq!(document["next"][1], "esb deploy");
    let schema = document["schema_file"].as_str().unwrap();
    assert!(schema.ends_with("/esb.schema.json") && std::path::Path::new(schema).exists());
}

/// The schema that the first line of a folder's `esb.toml` names, as editors read it.
fn named_schema(context: &Context) -> String {
    let settings = fs::read_to_string(context.path().join("esb.toml")).unwrap();
    let name = settings.lines().next().unwrap().strip_prefix("#:schema ").unwrap();
    fs::read_to_string(context.path().join(name)).unwrap()
}

#[test]
fn the_schema_that_the_file_names_lies_beside_it() {
    let context = fresh();
    assert!(context.esb(&["init"]).starts_with("exit: 0"));
    let schema = named_schema(&context);
    let published = crate::schemas::root().join("docs/reference/schemas/esb.toml.json");
    assert!(schema == fs::read_to_string(published).unwrap(), "run `cargo xtask generate`");

    // An earlier version's is replaced, also from a folder below.
    let earlier = r#"{"$id": "urn:esb:schema:esb.toml", "title": "earlier"}"#;
    context.write("esb.schema.json", earlier);
    context.write("below/.keep", "");
    let mut command = context.command(&["init", "--schema"]);
    let output = command.current_dir(context.path().join("below")).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("esb.schema.json`\nEditors find it by the first line of `esb.toml`:\n"));
    assert!(said.ends_with("\n  #:schema esb.schema.json\n"), "{said}");
    assert!(named_schema(&context) == schema);
    let printed = context.command(&["init", "--schema", "--dry-run"]).output().unwrap();
    assert_eq!(String::from_utf8(printed.stdout).unwrap().trim_end(), schema.trim_end());
}

#[test]
fn a_file_of_that_name_that_is_no_schema_is_left() {
    for content in ["{\"$id\": \"mine\"}", "mine", ""] {
        let context = fresh();
        context.write("esb.schema.json", content);
        for arguments in [&["init"][..], &["init", "--schema"]] {
            let said = context.esb(arguments);
            assert!(said.starts_with("exit: 1\n"), "{said}");
            assert!(said.contains("is already there, and is no schema of `esb.toml`"), "{said}");
        }
        assert_eq!(fs::read_to_string(context.path().join("esb.schema.json")).unwrap(), content);
        assert!(!context.path().join("esb.toml").exists());
    }
}

#[test]
fn an_event_is_checked_before_anything_runs() {
    let context = Context::new(TEMPLATE);
    let said = context.esb(&["invoke", "F", "--event", "{a}"]);
    assert!(said.starts_with("exit: 1\n"), "{said}");
    assert!(said.contains("error: the event on the command line is not JSON"), "{said}");
    let said = context.esb(&["invoke", "F", "--event", "absent.json"]);
    assert!(said.contains("error: could not read the event `absent.json`"), "{said}");
}

#[test]
fn logs_need_a_function_and_a_store() {
    let context = Context::new(TEMPLATE);
    assert!(context.esb(&["logs"]).starts_with("exit: 2\n"));
    let said = context.esb(&["logs", "f", "--since", "yesterday"]);
    assert!(said.starts_with("exit: 2\n") && said.contains("expected 30s, 10m"), "{said}");
    let said = context.esb(&["logs", "f"]);
    assert!(said.starts_with("exit: 4\n"), "{said}");
    assert!(
        said.contains("error: the project `esb-default` has no running VictoriaLogs"),
        "{said}"
    );
    let said = context.esb(&["logs", "f", "--url", "http://u:secret@127.0.0.1:9"]);
    assert!(said.contains("error: could not read the log store at `http://127.0.0.1:9`"), "{said}");
    assert!(said.starts_with("exit: 4\n") && !said.contains("secret"), "{said}");
}
