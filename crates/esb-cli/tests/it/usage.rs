//! The command line itself: where templates are found, and what is refused.

use crate::context::Context;

const TEMPLATE: &str = "Transform: AWS::Serverless-2016-10-31\nParameters:\n  Stage: {Type: String, \
                        Default: dev}\nResources:\n  Table: {Type: AWS::DynamoDB::Table, \
                        Properties: {KeySchema: [{AttributeName: id, KeyType: HASH}], \
                        AttributeDefinitions: [{AttributeName: id, AttributeType: S}]}}\n";

#[test]
fn a_template_needs_no_flag() {
    let context = Context::new("not a template");
    context.write("other/one.yaml", TEMPLATE);
    context.write("other/two/template.yaml", TEMPLATE);
    for command in ["validate", "inspect"] {
        let said = context.esb(&[command, "other/one.yaml"]);
        assert!(said.contains("exit: 0"), "{command}: {said}");
        let said = context.esb(&[command, "-t", "other/one.yaml", "other/two"]);
        assert!(said.contains("exit: 0"), "{command}: {said}");
        let said = context.esb(&[command, "no-such.yaml"]);
        assert!(said.contains("could not read the template `no-such.yaml`"), "{said}");
    }
    for command in ["deploy", "build"] {
        let said = context.esb(&[command, "other/one.yaml", "--dry-run", "--to", "oci"]);
        assert!(said.contains("exit: 0"), "{command}: {said}");
    }
}

#[test]
fn a_folder_below_the_template_finds_it() {
    let context = Context::new(TEMPLATE);
    for marker in [true, false] {
        context.write("functions/hello/app.py", "handler = print\n");
        if !marker {
            std::fs::remove_file(context.path().join("esb.toml")).unwrap();
        }
        let mut command = context.command(&["inspect", "--format", "json"]);
        command.current_dir(context.path().join("functions/hello"));
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{marker}: {said}");
        assert!(said.contains("\"../../template.yaml\""), "{marker}: {said}");
    }
}

#[test]
fn nothing_is_worked_on_at_no_time() {
    let context = Context::new(TEMPLATE);
    for command in [
        &["deploy"][..],
        &["build"],
        &["image", "verify"],
        &["image", "import", "x"],
        &["image", "fetch", "--to", "oci:x"],
    ] {
        let said = context.esb(&[command, &["--jobs", "0"]].concat());
        assert!(said.contains("exit: 2") && said.contains("must be at least 1"), "{said}");
        let said = context.esb(&[command, &["--jobs", "many"]].concat());
        assert!(said.contains("exit: 2") && said.contains("is not a number"), "{said}");
    }
}

#[test]
fn only_commands_for_people_are_told() {
    let context = Context::new(TEMPLATE);
    for arguments in [&["--help"][..], &["-h"], &["help"]] {
        assert!(!context.esb(arguments).contains("reference"), "{arguments:?}");
    }
    for arguments in [&["referenc"][..], &["reference", "nothing"]] {
        let said = context.esb(arguments);
        assert!(said.contains("exit: 2") && !said.contains("similar"), "{said}");
    }
    assert!(context.esb(&["reference", "exit-codes"]).contains("# Exit codes"));
}

#[test]
fn a_removal_without_an_owner_says_where_owners_are_listed() {
    let said = Context::new("Resources: {}\n").esb(&["config", "rm"]);
    assert!(said.starts_with("exit: 2"), "{said}");
    assert!(said.contains("--owner") && said.contains("`esb config ls` lists"), "{said}");
}

#[test]
fn an_environment_that_is_nearly_another_is_suggested() {
    let context = Context::new("Resources: {}\n");
    context.write(".esb/staging/config/note", "");
    let said = context.esb(&["config", "ls", "-e", "stagin", "--config-to", "config"]);
    assert!(said.contains("did you mean `-e staging`?"), "{said}");
    let said = context.esb(&["config", "ls", "-e", "prod", "--config-to", "config"]);
    assert!(!said.contains("did you mean"), "{said}");
}

#[test]
fn a_quiet_validation_says_no_notes() {
    let context = Context::new(
        "Transform: AWS::Serverless-2016-10-31\nResources:\n  F:\n    Type: \
         AWS::Serverless::Function\n    Properties: {Runtime: python3.13, Handler: app.handler, \
         CodeUri: f/}\n",
    );
    context.write("f/app.py", "def handler(event, context): pass\n");
    assert!(context.esb(&["validate"]).contains("note["));
    assert!(!context.esb(&["validate", "-q"]).contains("note["));
}
