//! What goes to stdout when all is well.

use insta::assert_snapshot;

use crate::context::Context;

const TEMPLATE: &str = r#"Transform: AWS::Serverless-2016-10-31
Parameters:
  Stage: {Type: String, Default: dev}
Globals:
  Function: {Runtime: python3.13, Handler: app.handler, Timeout: 20}
Resources:
  Hello:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: !Sub hello-${Stage}
      CodeUri: code/
      Layers: [!Ref Common]
      Environment: {Variables: {TABLE: !Ref Table, KNOWN_LATER: !ImportValue x}}
      Events:
        Api: {Type: Api, Properties: {Path: "/hello/{name}", Method: any}}
        Tick: {Type: Schedule, Properties: {Schedule: rate(5 minutes)}}
  Common:
    Type: AWS::Serverless::LayerVersion
    Properties: {ContentUri: layer/}
  Table:
    Type: AWS::Serverless::SimpleTable
"#;

fn project() -> Context {
    let context = Context::new(TEMPLATE);
    context.write("code/app.py", "def handler(event, context): pass\n");
    context.write("layer/python/common.py", "");
    context
}

#[test]
fn inspect_for_people() {
    assert_snapshot!(project().esb(&["inspect"]));
}

#[test]
fn inspect_for_programs() {
    assert_snapshot!(project().esb(&["inspect", "--format", "json", "--parameter", "Stage=prod"]));
}

#[test]
fn validate() {
    assert_snapshot!(project().esb(&["validate", "--deny", "warnings"]));
}

#[test]
fn failure_as_json() {
    let context = project();
    let arguments = ["deploy", "--format", "json", "--registry", "127.0.0.1:9", "--quiet"];
    assert_snapshot!(context.esb(&arguments));
}

#[test]
fn findings_of_a_failure_as_json() {
    let context = Context::new(&TEMPLATE.replace("python3.13", "python"));
    assert_snapshot!(context.esb(&["build", "--to", "oci", "--format", "json", "-q"]));
}

#[test]
fn completions_ask_the_program() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = project().esb(&["completions", shell]);
        assert!(script.starts_with("exit: 0\n") && script.contains("ESB_COMPLETE"), "{script}");
    }
    let help = project().esb(&["completions", "--help"]);
    for line in ["bash)", "zsh)", "esb completions fish | source"] {
        assert!(help.contains(line), "{help}");
    }
}
