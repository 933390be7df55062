//! No output shows a secret, wherever a template has it.

use std::{collections::BTreeSet, fs, path::Path};

use crate::{bases, context::Context};

/// What is seen of the value `hunter2/s3cr=t`: itself, its base64, how a URL has it, and hexadecimal.
const FORMS: [&str; 6] =
    ["hunter2", "s3cr=t", "aHVudGVyMi9zM2Ny", "hunter2%2Fs3cr", "s3cr%3Dt", "68756e74657232"];

/// A secret in every property that a message can show, each of them wrong in some way.
const TEMPLATE: &str = r#"Transform: AWS::Serverless-2016-10-31
Parameters:
  Secret: {Type: String, NoEcho: true, Default: hunter2/s3cr=t}
  Secrets: {Type: CommaDelimitedList, NoEcho: true, Default: "x,hunter2/s3cr=t"}
  Short: {Type: String, NoEcho: true, Default: ab, AllowedPattern: "[0-9]+"}
  Broken: {Type: String, NoEcho: true, Default: hunter2/s3cr=t, AllowedValues: [one], MaxLength: 2}
Resources:
  Nested: {Type: AWS::Serverless::Application, Properties: {Location: !Sub "./${Secret}.yaml"}}
  Remote: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: !Sub "https://me:${Secret}@h.example/t?X-Amz-Signature=abcd"}}
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: !Ref Secret
      AttributeDefinitions: [{AttributeName: !Ref Secret, AttributeType: !Ref Secret}]
      KeySchema: [{AttributeName: !Sub "x${Secret}", KeyType: !Ref Secret}]
  Simple: {Type: AWS::Serverless::SimpleTable, Properties: {TableName: !Sub "t-${Secret}", PrimaryKey: {Name: !Ref Secret, Type: !Ref Secret}}}
  Bucket: {Type: AWS::S3::Bucket, Properties: {BucketName: !Sub "b-${Secret}"}}
  Layer: {Type: AWS::Serverless::LayerVersion, Properties: {LayerName: !Ref Secret, ContentUri: !Sub "layers/${Secret}/", CompatibleRuntimes: [!Ref Secret]}}
  Api: {Type: AWS::Serverless::Api, Properties: {StageName: !Ref Secret, DefinitionUri: !Sub "${Secret}.json"}}
  One:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: !Sub "one-${Secret}"
      Runtime: !Ref Secret
      Handler: !Sub "${Secret}.handler"
      CodeUri: !Sub "functions/${Secret}/"
      Timeout: !Ref Secret
      MemorySize: !Ref Secret
      Architectures: [!Ref Secret]
      Layers: [!Ref Layer, !Sub "arn:aws:lambda:us-east-1:123456789012:layer:${Secret}:1"]
      Tags: {Owner: !Ref Secret}
      Environment:
        Variables:
          PLAIN: !Ref Secret
          LIST: !Join ["-", !Ref Secrets]
          PART: !Select [1, !Split ["/", !Ref Secret]]
          BASE64: {"Fn::Base64": !Sub "user:${Secret}"}
          URL: https://user:pa55word@db.example/x?sig=abcdefgh
          GIVEN: visible-in-the-template
          LOOKED_UP: "{{resolve:secretsmanager:x}}"
      Events:
        Path: {Type: Api, Properties: {Path: !Sub "/${Secret}/{x", Method: !Ref Secret}}
        Rate: {Type: Schedule, Properties: {Schedule: !Sub "rate(${Secret})", Input: !Sub '{"a": "${Secret}"}', Name: !Ref Secret}}
        Cron: {Type: ScheduleV2, Properties: {ScheduleExpression: !Sub "cron(${Secret})", Input: !Ref Secret}}
        Odd: {Type: !Ref Secret}
  Two: {Type: AWS::Serverless::Function, Properties: {PackageType: Image, ImageUri: !Sub "me:${Secret}@r.example/a:1"}}
  Three: {Type: AWS::Serverless::Function, Properties: {Runtime: python3.13, Handler: app.handler, CodeUri: !Sub "s3://bucket/${Secret}.zip"}}
  Four: {Type: AWS::Serverless::Function, Properties: {Runtime: python3.13, Handler: app.handler, InlineCode: !Ref Secret, Nme: !Ref Secret}}
  Five: {Type: AWS::Serverless::Function, Properties: {PackageType: Image}, Metadata: {DockerContext: !Ref Secret, Dockerfile: !Ref Secret, DockerBuildArgs: {A: !Ref Secret}}}
  Six: {Type: AWS::Serverless::Function, Properties: {Runtime: python3.13, Handler: app.handler, CodeUri: code, Environment: {Variables: {A: !FindInMap [!Ref Secret, a, b], B: !Select [9, !Ref Secrets]}}}}
"#;

#[track_caller]
fn assert_hidden(text: &str, what: &str) {
    for form in FORMS.iter().chain(&["pa55word", "abcdefgh", "X-Amz-Signature=abcd", "`ab`"]) {
        if let Some(at) = text.find(form) {
            let line = text[..at].lines().last().unwrap_or_default();
            panic!("{what} shows {form:?} after {line:?}:\n{text}");
        }
    }
}

/// The names of the files below a folder that hold a secret.
fn files(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else if String::from_utf8_lossy(&fs::read(entry.path()).unwrap()).contains("hunter2") {
            found.insert(entry.file_name().into_string().unwrap());
        }
    }
    found
}

fn project(template: &str) -> Context {
    let context = Context::new(template);
    context.write("code/app.py", "def handler(event, context): pass\n");
    context.write("event.json", "{}");
    context
}

#[test]
fn every_command_with_a_template_full_of_faults() {
    let context = project(TEMPLATE);
    context.write("env.json", r#"{"One": {"LOOKED_UP": "hunter2/s3cr=t"}}"#);
    let commands: [&[&str]; 24] = [
        &["validate", "-v"],
        &["validate", "--format", "json"],
        &["validate", "--format", "sarif"],
        &["validate", "--progress", "json", "-v"],
        &["inspect", "-v"],
        &["inspect", "--format", "json"],
        &["inspect", "--format", "mermaid"],
        &["inspect", "--env-vars", "env.json"],
        &["inspect", "--env-vars", "env.json", "--format", "json"],
        &["deploy", "--dry-run", "--to", "oci", "-v"],
        &["deploy", "--dry-run", "--to", "oci", "--format", "json", "--progress", "json"],
        &["deploy", "--to", "oci", "--parameter", "Short=7"],
        &["build", "--to", "oci", "--format", "json"],
        &["build", "--registry", "http://me:hunter2%2Fs3cr=t@h.example"],
        &["invoke", "One"],
        &["invoke", "hunter2/s3cr=t"],
        &["logs", "One", "--url", "http://127.0.0.1:9"],
        &["config", "show"],
        &["config", "show", "--format", "json"],
        &["config", "ls"],
        &["image", "ls"],
        &["image", "fetch", "--to", "oci:layout"],
        &["image", "verify"],
        &["deploy", "--secret-env", "One.GIVEN", "--to", "oci"],
    ];
    for command in commands {
        assert_hidden(&context.esb(command), &command.join(" "));
    }
    let expected = ["env.json", "template.yaml"].map(str::to_owned);
    assert_eq!(files(context.path()), BTreeSet::from(expected));
}

/// The same where nothing is wrong: what is deployed, listed and changed.
const SOUND: &str = r#"Transform: AWS::Serverless-2016-10-31
Parameters:
  Secret: {Type: String, NoEcho: true, Default: hunter2-s3cr=t}
  Name: {Type: String, NoEcho: true, Default: s3cr-hunter2}
Resources:
  Table: {Type: AWS::Serverless::SimpleTable, Properties: {TableName: !Sub "t-${Name}"}}
  Bucket: {Type: AWS::S3::Bucket, Properties: {BucketName: !Sub "b-${Name}"}}
  Layer: {Type: AWS::Serverless::LayerVersion, Properties: {LayerName: !Ref Name, ContentUri: code}}
  One:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: !Sub "one-${Name}"
      Runtime: python3.13
      Handler: app.handler
      CodeUri: code
      Layers: [!Ref Layer]
      Environment: {Variables: {PLAIN: !Ref Secret}}
      Events:
        Path: {Type: Api, Properties: {Path: !Sub "/${Name}", Method: get}}
        Rate: {Type: Schedule, Properties: {Schedule: rate(1 hour), Input: !Sub '{"a": "${Secret}"}'}}
"#;

#[test]
fn every_command_with_a_template_that_is_deployed() {
    let context = project(SOUND);
    bases::write(&context.path().join("bases"), "amd64", "one");
    let mirror = "public.ecr.aws=oci:bases";
    let to =
        ["--to", "oci", "--config-to", "config", "--platform", "linux/amd64", "--mirror", mirror];
    let json = ["--format", "json", "--progress", "json"];
    let changed = ["--parameter", "Secret=other-s3cr=t", "-v"];
    let run = |command: &[&str]| {
        let text = context.esb(command);
        for form in ["hunter2", "s3cr", "aHVudGVyMi1zM2Ny"] {
            assert!(!text.contains(form), "{command:?} shows {form}:\n{text}");
        }
        text
    };
    let deploy = |more: &[&str]| run(&[&["deploy"], &to[..], more].concat());
    deploy(&["--dry-run"]);
    let deployed = deploy(&["-v"]);
    assert!(deployed.contains("exit: 0"), "{deployed}");
    deploy(&json);
    deploy(&[&changed[..], &["--dry-run"]].concat());
    deploy(&[&changed[..], &json].concat());
    for command in [
        &["config", "ls", "--config-to", "config"][..],
        &["config", "ls", "--config-to", "config", "--format", "json"],
        &["config", "rm", "--owner", "template.yaml", "--config-to", "config", "--dry-run"],
        &["image", "ls"],
        &["image", "ls", "--format", "json"],
        &["image", "prune", "--dry-run"],
        &["image", "verify", "--config-to", "config"],
        &["invoke", "One"],
        &["cache"],
        &["config", "show"],
    ] {
        run(command);
    }
    // A name is part of what is made under it. What is written for others than the platform has none.
    let expected = [
        "Dockerfile",
        "folders.json",
        "functions.yml",
        "images.json",
        "index.json",
        "resources.yml",
        "routing.yml",
        "state.json",
        "template.yaml",
    ];
    assert_eq!(files(context.path()), expected.map(str::to_owned).into());
}

#[test]
fn a_value_that_the_gateway_fills_in_is_not_shown() {
    let context = project(TEMPLATE);
    context.write("env.json", r#"{"One": {"GIVEN": "given-by-a-file", "LOOKED_UP": "looked-up"}}"#);
    for format in ["text", "json"] {
        let secret = ["--secret-env", "One.GIVEN", "--format", format];
        let shown = context.esb(&[&["inspect"], &secret[..]].concat());
        assert!(!shown.contains("visible-in-the-template"), "{shown}");
        let file = ["--env-vars", "env.json"];
        let shown = context.esb(&[&["inspect"], &secret[..], &file].concat());
        assert!(!shown.contains("given-by-a-file") && !shown.contains("looked-up"), "{shown}");
        // What nobody calls a secret is shown.
        let shown = context.esb(&[&["inspect", "--format", format], &file[..]].concat());
        assert!(shown.contains("given-by-a-file"), "{shown}");
    }
}
