//! What programs read: every document fits its published schema, and progress is pure JSON.

use std::{
    fs,
    process::{Command, Output},
};

use serde_json::Value;

use crate::{context::Context, schemas};

const TEMPLATE: &str = r"Transform: AWS::Serverless-2016-10-31
Resources:
  Hello:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.13
      Handler: app.handler
      CodeUri: code/
      Layers: [!Ref Common]
      Environment: {Variables: {KNOWN_LATER: !ImportValue x}}
      Events:
        Api: {Type: Api, Properties: {Path: /hello, Method: get}}
        Tick: {Type: Schedule, Properties: {Schedule: rate(5 minutes)}}
  Common:
    Type: AWS::Serverless::LayerVersion
    Properties: {ContentUri: layer/}
  Table:
    Type: AWS::Serverless::SimpleTable
";

fn project() -> Context {
    let context = Context::new(TEMPLATE);
    context.write("code/app.py", "def handler(event, context): pass\n");
    context.write("layer/python/common.py", "");
    context
}

fn run(context: &Context, arguments: &[&str]) -> (Command, Output) {
    let mut command = context.command(arguments);
    let output = command.output().unwrap();
    (command, output)
}

/// Runs a command, and gives its exit code and its one document, which fits its schema.
fn document(context: &Context, arguments: &[&str]) -> (i32, Value) {
    let (command, output) = run(context, &[arguments, &["--format", "json"]].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    let document = serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!("{arguments:?}: {error}: {text}{}", String::from_utf8_lossy(&output.stderr))
    });
    schemas::check(&command, &document);
    (output.status.code().unwrap(), document)
}

#[test]
fn results_fit_their_schemas() {
    let context = project();
    for arguments in [
        &["validate"][..],
        &["inspect"],
        &["config", "show"],
        &["config", "show", "--origin"],
        &["config", "ls"],
        &["cache"],
        &["cache", "gc"],
        &["version"],
        &["image", "ls", "--in", "store"],
        &["image", "prune", "--in", "store", "--dry-run"],
    ] {
        let (exit, document) = document(&context, arguments);
        assert_eq!((exit, &document["schema"]), (0, &1.into()), "{arguments:?}");
    }
}

#[test]
fn what_fails_prints_one_document_too() {
    let context = project();
    for (arguments, exit, code) in [
        (&["validat"][..], 2, "usage"),
        (&["validate", "--nonsense"], 2, "usage"),
        (&["deploy", "--jobs", "many"], 2, "usage"),
        (&[], 2, "usage"),
        (&["config"], 2, "usage"),
        (&["validate", "-t", "absent.yaml"], 1, "template"),
        (&["config", "rm", "--owner", "a:b"], 1, "owner"),
        (&["image", "verify"], 1, "verify"),
        (&["image", "import", "absent.json"], 1, "import-file"),
    ] {
        let (command, output) = run(&context, &[arguments, &["--format", "json"]].concat());
        let document: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
        schemas::check(&command, &document);
        let error = &document["error"];
        assert_eq!(output.status.code(), Some(exit), "{arguments:?}: {document:#}");
        assert_eq!((&error["exit"], &error["code"]), (&exit.into(), &code.into()));
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_usage_error_says_what_is_wrong_and_what_is_near() {
    let context = project();
    let (_, said) = document(&context, &["validate", "--templat", "x"]);
    assert_eq!(said["error"]["message"], "unexpected argument '--templat' found");
    assert_eq!(said["error"]["hint"], "did you mean `--template`?");
    let (_, said) = document(&context, &["--format=json", "deploy", "--builder", "dokcer"]);
    assert_eq!(said["error"]["hint"], "did you mean `docker`?");
    // Text asks for no document, and help is none.
    let (_, output) = run(&context, &["validate", "--nonsense"]);
    assert!(output.stdout.is_empty());
    let (_, output) = run(&context, &["deploy", "--help", "--format", "json"]);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_finding_has_its_whole_range() {
    let context = Context::new(&TEMPLATE.replace("python3.13", "python9.99"));
    let (exit, said) = document(&context, &["validate"]);
    let findings = said["findings"].as_array().unwrap().iter();
    let mut runtime = findings.filter(|finding| finding["code"] == "esb::sam::unknown-runtime");
    let finding = runtime.next().unwrap();
    let field = |name: &str| finding[name].as_u64().unwrap();
    assert_eq!(exit, 1);
    assert_eq!((field("line"), field("column")), (6, 16));
    assert_eq!((field("end_line"), field("end_column")), (6, 26));
}

#[test]
fn settings_have_values_of_their_types() {
    let context = project();
    context.write(
        "esb.toml",
        "trust-registry = true\nmirrors = 'a.example=b.example'\nregistry = 'r.example'\n",
    );
    let (_, said) = document(&context, &["config", "show"]);
    let value = |name: &str| {
        let settings = said["settings"].as_array().unwrap().iter();
        settings.clone().find(|setting| setting["name"] == name).unwrap()["value"].clone()
    };
    assert_eq!(value("trust-registry"), true);
    assert_eq!(value("mirrors"), serde_json::json!(["a.example=b.example"]));
    assert_eq!(value("registry"), "r.example");
    assert_eq!(value("templates"), Value::Null);
    assert_eq!(value("platform"), Value::Null);
    assert_eq!(value("tag"), "latest");
}

/// The lines of stderr, each of which is an event.
fn events(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    let event = |line: &str| -> Value {
        let event = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        schemas::valid("progress", &event);
        event
    };
    text.lines().map(event).collect()
}

#[test]
fn progress_as_json_is_nothing_but_events() {
    let context = project();
    let of_kind =
        |events: &[Value], kind: &str| events.iter().filter(|event| event["event"] == kind).count();
    for arguments in [
        &["build", "--to", "oci", "--offline", "-v"][..],
        &["build", "--to", "oci", "--offline", "--quiet"],
        &["validate", "-t", "absent.yaml"],
        &["validate", "--nonsense"],
    ] {
        let (_, output) = run(&context, &[arguments, &["--progress", "json"]].concat());
        let exit = output.status.code().unwrap();
        let events = events(&output);
        let end = events.last().unwrap();
        assert!(exit != 0 && output.stdout.is_empty(), "{arguments:?}");
        assert_eq!((&end["event"], &end["exit"]), (&"end".into(), &exit.into()));
        assert_eq!((of_kind(&events, "error"), of_kind(&events, "end")), (1, 1), "{events:#?}");
    }
    let (_, output) = run(&context, &["validate", "--progress", "json"]);
    let events = events(&output);
    assert!(of_kind(&events, "finding") > 0, "{events:#?}");
    assert_eq!(events.last().unwrap()["exit"], 0);
}

#[test]
fn findings_as_sarif_fit_its_schema() {
    let schema = schemas::root().join("fixtures/sarif/sarif-schema-2.1.0.json");
    let schema = fs::read_to_string(schema).unwrap();
    let context = Context::new(&TEMPLATE.replace("python3.13", "python9.99"));
    for (arguments, exit) in [(&["validate"][..], 1), (&["validate", "--deny", "warnings"], 1)] {
        let (_, output) = run(&context, &[arguments, &["--format", "sarif"]].concat());
        assert_eq!(output.status.code(), Some(exit));
        let log: Value = serde_json::from_slice(&output.stdout).unwrap();
        schemas::by(&schema, &log);
        let run = &log["runs"][0];
        let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
        assert!(rules.iter().all(|rule| rule["helpUri"].is_string()));
        let results = run["results"].as_array().unwrap();
        assert!(!results.is_empty());
        for result in results {
            let rule = &rules[usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()];
            assert_eq!(rule["id"], result["ruleId"]);
        }
        let place = &results.iter().find(|result| result["level"] == "error").unwrap()["locations"];
        let place = &place[0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "template.yaml");
        assert!(place["region"]["endColumn"].is_u64());
    }
    let (_, output) = run(&project(), &["inspect", "--format", "sarif"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn findings_as_annotations_name_the_file_in_the_checkout() {
    let context = Context::new(&TEMPLATE.replace("python3.13", "python9.99"));
    let (_, output) = run(&context, &["validate", "--format", "github"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    let error = text.lines().find(|line| line.starts_with("::error ")).unwrap();
    assert!(error.starts_with("::error title=esb%3A%3Asam%3A%3A"), "{text}");
    assert!(error.contains(",file=template.yaml,line="), "{text}");
    assert!(text.lines().all(|line| line.starts_with("::")), "{text}");
    let (_, output) = run(&project(), &["inspect", "--format", "github"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn the_version_says_commit_and_target() {
    let context = project();
    let (_, said) = document(&context, &["version"]);
    assert_eq!(said["version"], env!("CARGO_PKG_VERSION"));
    assert!(said["target"].as_str().unwrap().contains("-linux-"), "{said}");
    let head = Command::new("git").args(["rev-parse", "HEAD"]).output();
    let head = head.ok().filter(|output| output.status.success());
    if let Some(head) = head {
        let head = String::from_utf8(head.stdout).unwrap();
        let commit = said["commit"].as_str().unwrap();
        assert!(commit.len() >= 7 && head.starts_with(commit), "{commit} {head}");
    }
    let (_, output) = run(&context, &["version"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.split_whitespace().count(), 4, "{text}");
}
