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
                    jobs/template.yml\nNext: `esb validate`, then `esb deploy -e dev`\n";
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
                    as it is\nhint: `esb init --dry-run` prints what it would write\n";
    assert_eq!(said, expected);
    assert_eq!(fs::read_to_string(context.path().join("esb.toml")).unwrap(), "# mine\n");
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
