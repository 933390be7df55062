//! `esb inspect` in all its forms, and its exit codes.

use insta::assert_snapshot;

use crate::context::Context;

const SHOP: &str = r#"Transform: AWS::Serverless-2016-10-31
Globals:
  Function: {Runtime: python3.13, Handler: app.handler, CodeUri: code/}
Resources:
  Orders:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: shop-orders
      Layers:
        - !Ref Common
        - arn:aws:lambda:us-east-1:123456789012:layer:Insights:53
      Environment:
        Variables: {TABLE: !Ref Table, ARCHIVE: !Ref Archive, PLAIN: x}
      Events:
        List: {Type: Api, Properties: {Path: /orders, Method: get}}
        One: {Type: HttpApi, Properties: {Path: "/orders/{id+}", Method: any}}
        Nightly: {Type: Schedule, Properties: {Schedule: "cron(0 3 * * ? *)", Enabled: false}}
        Queue: {Type: SQS, Properties: {Queue: "arn:aws:sqs:us-east-1:123456789012:q"}}
  Thumbnails:
    Type: AWS::Serverless::Function
    Properties:
      PackageType: Image
      ImageUri: ghcr.io/o/i:1
      FunctionUrlConfig: {AuthType: NONE}
  Common:
    Type: AWS::Serverless::LayerVersion
    Properties: {ContentUri: layer/}
  Table:
    Type: AWS::Serverless::SimpleTable
    Properties: {TableName: orders}
  Archive:
    Type: AWS::S3::Bucket
"#;

const BILLING: &str = "Transform: AWS::Serverless-2016-10-31
Parameters:
  Rate: {Type: String, Default: rate(1 day)}
Resources:
  Bill:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: nodejs22.x
      Handler: index.handler
      InlineCode: exports.handler = async () => 1
      Layers: [!Ref Fonts]
      Events:
        Daily: {Type: Schedule, Properties: {Schedule: !Ref Rate, Input: '{\"a\": 1}'}}
        Pay: {Type: Api, Properties: {Path: /pay, Method: post}}
  Fonts:
    Type: AWS::Serverless::LayerVersion
    Properties: {ContentUri: fonts/}
  Bills:
    Type: AWS::Serverless::SimpleTable
  Papers:
    Type: AWS::S3::Bucket
";

fn two() -> Context {
    let context = Context::new(SHOP);
    context.write("billing/template.yml", BILLING);
    context
}

#[test]
fn diagram() {
    assert_snapshot!(two().esb(&["inspect", "--format", "mermaid"]));
}

#[test]
fn diagram_of_two_templates() {
    let arguments =
        ["inspect", "--format", "mermaid", "-t", "billing", "-t", "template.yaml", "-q"];
    assert_snapshot!(two().esb(&arguments));
}

#[test]
fn diagram_of_names_that_would_break_it() {
    let context = Context::new(
        "Resources:\n  'A\"]; end --> \\ `x` $$y$$ <b>&#35;':\n    Type: AWS::Serverless::Function\n    \
         Properties: {Runtime: python3.13, Handler: a.b, InlineCode: x, FunctionName: 'end'}\n",
    );
    assert_snapshot!(context.esb(&["inspect", "--format", "mermaid"]));
}

#[test]
fn diagram_is_for_inspect() {
    assert_snapshot!(two().esb(&["validate", "--format", "mermaid"]));
}

#[test]
fn two_templates_for_people() {
    assert_snapshot!(two().esb(&["inspect", "-t", ".", "-t", "billing"]));
}

#[test]
fn two_templates_for_programs() {
    let arguments = ["inspect", "-t", ".", "-t", "billing", "--format", "json"];
    let parameter = ["--parameter", "billing/template.yml:Rate=rate(2 days)"];
    assert_snapshot!(two().esb(&[&arguments[..], &parameter].concat()));
}

#[test]
fn findings_do_not_fail_inspect() {
    let context = Context::new(
        "Resources:\n  F:\n    Type: AWS::Serverless::Function\n    Properties: {Runtime: pyhton3.13, \
         Handler: a.b, CodeUri: 's3://b/k'}\n  G: 1\n",
    );
    assert_snapshot!(context.esb(&["inspect"]));
}

#[test]
fn nothing_to_extract_fails_inspect() {
    let context = Context::new("Outputs: {}\n");
    assert_snapshot!(context.esb(&["inspect"]));
    assert_snapshot!(context.esb(&["inspect", "--format", "json"]));
}

#[test]
fn notes_for_who_asks() {
    let context = two();
    let run = |verbose: &[&str]| context.esb(&[&["inspect", "-t", "billing"], verbose].concat());
    assert!(!run(&[]).contains("note["), "{}", run(&[]));
    assert!(run(&["-v"]).contains("note[esb::platform::concurrency]"), "{}", run(&["-v"]));
}
