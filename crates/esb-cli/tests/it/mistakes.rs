//! Fifteen mistakes that people make in templates, each with all that `esb validate` says of it.
//!
//! The snapshot is read as rustc's messages are: what is wrong, where, and what to write instead.

use std::fmt::Write as _;

use insta::assert_snapshot;

use crate::context::Context;

/// A template with one function that is right, and what is wrong put into it.
pub(crate) const TEMPLATE: &str = "Transform: AWS::Serverless-2016-10-31
Parameters:
  Stage: {Type: String, Default: dev, AllowedValues: [dev, prod]}
Conditions:
  IsProd: !Equals [!Ref Stage, prod]
Resources:
  Orders: {Type: AWS::Serverless::SimpleTable}
  CommonLayer:
    Type: AWS::Serverless::LayerVersion
    Properties: {ContentUri: layer/}
  Hello:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.13
      Handler: app.handler
      CodeUri: code/
      Layers: [!Ref CommonLayer]
      Environment:
        Variables:
          TABLE: !Ref Orders
      Events:
        Get:
          Type: Api
          Properties: {Path: /orders, Method: get}
        Tick:
          Type: Schedule
          Properties: {Schedule: 'cron(0 9 * * ? *)'}
";

/// What is wrong, the right text, and what stands there instead.
const MISTAKES: [(&str, &str, &str); 15] = [
    ("a misspelt reference", "!Ref Orders", "!Ref Order"),
    ("an attribute of nothing", "!Ref Orders", "!GetAtt Ordesr.Arn"),
    ("a placeholder for nothing", "!Ref Orders", "!Sub '${Stge}-orders'"),
    ("a tag in lower case", "!Ref Orders", "!ref Orders"),
    ("a layer as a plain word", "[!Ref CommonLayer]", "[CommonLayer]"),
    ("a runtime that does not exist", "python3.13", "python3.133"),
    ("a misspelt resource type", "AWS::Serverless::SimpleTable", "AWS::Serverless::SimpelTable"),
    ("a misspelt property", "CodeUri: code/", "CodeURL: code/"),
    ("a method that does not exist", "Method: get", "Method: gett"),
    ("a path without a slash", "Path: /orders", "Path: orders"),
    ("the five fields of a crontab", "cron(0 9 * * ? *)", "cron(0 9 * * *)"),
    ("a rate in the singular", "cron(0 9 * * ? *)", "rate(5 minute)"),
    ("a default that is not allowed", "Default: dev", "Default: test"),
    (
        "a condition that is not defined",
        "    Properties: {ContentUri",
        "    Condition: InProd\n    Properties: {ContentUri",
    ),
    ("a line that is indented too far", "      Handler: app", "        Handler: app"),
];

/// A project with a template, and the code and the layer that [`TEMPLATE`] names.
pub(crate) fn project(template: &str) -> Context {
    let context = Context::new(template);
    context.write("code/app.py", "handler = print\n");
    context.write("layer/python/common.py", "");
    context
}

/// What is said without the notes, which the template has without a mistake too.
pub(crate) fn without_notes(said: &str) -> String {
    let blocks: Vec<&str> = said.split("\n\n").collect();
    let mut kept = Vec::new();
    for block in blocks {
        match block.split_once("note[") {
            Some((before, _)) if !before.is_empty() => kept.push(before.trim_end()),
            Some(_) => {}
            None => kept.push(block),
        }
    }
    kept.join("\n\n")
}

#[test]
fn fifteen_mistakes() {
    let mut all = String::new();
    for (mistake, right, wrong) in MISTAKES {
        let text = TEMPLATE.replacen(right, wrong, 1);
        assert_ne!(text, TEMPLATE, "{mistake}");
        let context = project(&text);
        let said = context.esb(&["validate", "--quiet"]);
        writeln!(all, "### {mistake}: {}\n{}", wrong.trim(), without_notes(&said)).unwrap();
    }
    assert_snapshot!(all);
}

#[test]
fn the_template_without_a_mistake_is_valid() {
    let context = project(TEMPLATE);
    let said = context.esb(&["validate"]);
    assert!(said.starts_with("exit: 0\n") && !said.contains("warning"), "{said}");
}

#[test]
fn values_for_parameters_that_are_wrong() {
    let context = project(TEMPLATE);
    let mut all = String::new();
    for parameter in ["Stage=test", "Stge=dev"] {
        let said = context.esb(&["validate", "--quiet", "--parameter", parameter]);
        writeln!(all, "### {parameter}\n{}", without_notes(&said)).unwrap();
    }
    let said = context.command(&["validate", "--quiet"]).env("ESB_PARAM_Stge", "dev").output();
    let said = said.unwrap();
    assert!(said.status.success(), "{said:?}");
    let said = String::from_utf8(said.stderr).unwrap();
    writeln!(all, "### ESB_PARAM_Stge\n{}", without_notes(&said)).unwrap();
    assert_snapshot!(all);
}

#[test]
fn a_template_that_is_named_twice_is_taken_once() {
    let context = project(TEMPLATE);
    let once = context.esb(&["validate"]);
    let path = context.path().join("template.yaml");
    let twice = ["validate", "-t", "template.yaml", "-t", ".", "-t", path.to_str().unwrap()];
    assert_eq!(context.esb(&twice), once);
}

#[test]
fn an_application_of_which_nothing_runs_does_not_deploy() {
    let context = Context::new("Resources:\n  Queue: {Type: AWS::SQS::Queue}\n");
    let read = context.esb(&["validate"]);
    assert!(read.starts_with("exit: 0\n"), "{read}");
    assert!(read.contains("warning[esb::sam::empty-application]"), "{read}");
    let arguments = ["deploy", "--to", "oci", "--config-to", "none", "--no-input"];
    let deployed = context.esb(&arguments);
    assert!(deployed.starts_with("exit: 1\n"), "{deployed}");
    assert!(deployed.contains("error[esb::sam::empty-application]"), "{deployed}");
    // Other parameters may create what is not created now.
    let conditional = "Conditions: {No: !Equals [a, b]}\nResources:\n  Queue: {Type: \
                       AWS::SQS::Queue}\n  T: {Type: AWS::Serverless::SimpleTable, Condition: No}\n";
    context.write("template.yaml", conditional);
    let deployed = context.esb(&arguments);
    assert!(!deployed.contains("empty-application"), "{deployed}");
}

#[test]
fn what_nothing_has_is_refused_by_a_deployment_anywhere() {
    let text = TEMPLATE.replace(
        "Resources:\n",
        "Resources:\n  Queue: {Type: AWS::SQS::Queue, Properties: {QueueName: !Ref Nothing}}\n",
    );
    let context = Context::new(&text);
    context.write("code/app.py", "handler = print\n");
    context.write("layer/python/common.py", "");
    let read = context.esb(&["validate"]);
    assert!(read.starts_with("exit: 0\n") && read.contains("warning[esb::sam::unresolved-ref]"));
    let deployed = context.esb(&["deploy", "--to", "oci", "--config-to", "none", "--no-input"]);
    assert!(deployed.starts_with("exit: 1\n"), "{deployed}");
    assert!(deployed.contains("error[esb::sam::unresolved-ref]"), "{deployed}");
}
