//! What GitHub and GitLab read of findings: annotations, SARIF, and a report of Code Quality.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use serde_json::{Value, json};

use crate::{context::Context, schemas};

/// A workflow command as GitHub's runner reads it.
struct Annotation {
    command: String,
    properties: BTreeMap<String, String>,
    message: String,
}

/// Reads a line in the way of GitHub's runner (`ActionCommand.TryParseV2`).
fn annotation(line: &str) -> Annotation {
    let rest = line.trim_start().strip_prefix("::").unwrap_or_else(|| panic!("{line}"));
    let (head, message) = rest.split_once("::").unwrap_or_else(|| panic!("{line}"));
    let (command, properties) = head.split_once(' ').unwrap_or((head, ""));
    let unescape = |text: &str| {
        let text = text.replace("%3A", ":").replace("%2C", ",");
        text.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")
    };
    let properties = properties.split(',').map(|property| {
        let (key, value) = property.split_once('=').unwrap_or_else(|| panic!("{line}"));
        (key.to_owned(), unescape(value))
    });
    let message = message.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%");
    Annotation { command: command.to_owned(), properties: properties.collect(), message }
}

fn stdout(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said.lines().any(|line| line.trim_start().starts_with("::")), "{said}");
    String::from_utf8(output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"))
}

fn annotations(command: &mut Command) -> Vec<Annotation> {
    stdout(command).lines().map(annotation).collect()
}

const NESTED: &str = "Transform: AWS::Serverless-2016-10-31
Resources:
  Below:
    Type: AWS::Serverless::Application
    Properties: {Location: LOCATION}
";

/// A checkout with a project in a folder: faults in its template, its code, and a template that is
/// included by an included one.
fn checkout() -> Context {
    let context = Context::new("");
    let child = NESTED.replace("LOCATION", "deeper/grandchild.yaml");
    let fault = "  Wrong:\n    Type: AWS::Serverless::Functoin\n";
    let function = "  F:\n    Type: AWS::Serverless::Function\n    Properties: {Runtime: \
                    python3.13, Handler: app.handler, CodeUri: code/}\n";
    context.write("services/shop/esb.toml", "");
    context.write(
        "services/shop/template.yaml",
        &(NESTED.replace("LOCATION", "parts/child.yaml") + function + fault),
    );
    context.write("services/shop/code/app.py", "def handler(\n");
    context.write("services/shop/parts/child.yaml", &child);
    let grandchild = format!("Transform: AWS::Serverless-2016-10-31\nResources:\n{fault}");
    context.write("services/shop/parts/deeper/grandchild.yaml", &grandchild);
    context
}

#[test]
fn files_are_named_from_the_checkout_wherever_the_command_runs() {
    let context = checkout();
    let expected = BTreeSet::from(
        ["template.yaml", "code/app.py", "parts/deeper/grandchild.yaml"]
            .map(|name| format!("services/shop/{name}")),
    );
    let elsewhere = tempfile::tempdir().unwrap();
    let root = context.path();
    let template = root.join("services/shop/template.yaml");
    let folders =
        ["", "services", "services/shop", "services/shop/code"].map(|name| root.join(name));
    for folder in folders.iter().map(|folder| &**folder).chain([elsewhere.path()]) {
        let run = |format: &str, variable: &str| {
            let mut command = context.command(&["validate", "--format", format]);
            command.arg(&template).current_dir(folder).env(variable, root);
            stdout(&mut command)
        };
        let github = run("github", "GITHUB_WORKSPACE");
        let errors = github.lines().map(annotation).filter(|one| one.command == "error");
        let files: BTreeSet<String> = errors.map(|one| one.properties["file"].clone()).collect();
        assert_eq!(files, expected, "{} {github}", folder.display());
        let sarif: Value = serde_json::from_str(&run("sarif", "GITHUB_WORKSPACE")).unwrap();
        let files = of_each(&sarif["runs"][0]["results"], "error", "level", |result| {
            &result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        });
        assert_eq!(files, expected, "{}", folder.display());
        let report: Value = serde_json::from_str(&run("gitlab", "CI_PROJECT_DIR")).unwrap();
        let files = of_each(&report, "major", "severity", |entry| &entry["location"]["path"]);
        assert_eq!(files, expected, "{}", folder.display());
    }
}

fn of_each(
    list: &Value,
    level: &str,
    key: &str,
    name: impl Fn(&Value) -> &Value,
) -> BTreeSet<String> {
    let list = list.as_array().unwrap().iter().filter(|entry| entry[key] == level);
    list.map(|entry| name(entry).as_str().unwrap().to_owned()).collect()
}

/// Names that would be commands, or properties, if they were printed as they are.
const HOSTILE: [&str; 5] = [
    "::set-output name=x::y",
    "a\n::add-mask::b",
    "a\r\n  ::stop-commands::b",
    "%0A::error::c",
    "a,file=/etc/passwd,title=b: 50 %",
];

#[test]
fn nothing_in_a_template_is_a_workflow_command() {
    for hostile in HOSTILE {
        let quoted = serde_json::to_string(hostile).unwrap();
        let template = format!(
            "Transform: AWS::Serverless-2016-10-31\nResources:\n  {quoted}:\n    Type: {quoted}\n  F:\n    \
             Type: AWS::Serverless::Function\n    Properties:\n      Runtime: {quoted}\n      Handler: \
             {quoted}\n      CodeUri: {quoted}\n      {quoted}: 1\n      FunctionName: {quoted}\n      \
             Events:\n        {quoted}: {{Type: {quoted}}}\n"
        );
        let context = Context::new(&template);
        let found = annotations(&mut context.command(&["validate", "--format", "github"]));
        assert!(found.len() > 3, "{hostile:?}: {}", found.len());
        let known = ["col", "endColumn", "endLine", "file", "line", "title"];
        for one in &found {
            assert!(["error", "warning", "notice"].contains(&&*one.command), "{}", one.command);
            assert!(one.properties.keys().all(|key| known.contains(&&**key)), "{hostile:?}");
            assert_eq!(one.properties["file"], "template.yaml", "{hostile:?}");
        }
        // As people read it there.
        assert!(found.iter().any(|one| one.message.contains("::") || one.message.contains("50 %")));
    }
}

#[test]
fn names_of_files_and_places_are_read_back() {
    let name = "a,line=9::b 100%:c.yaml";
    let context = Context::new("");
    context
        .write(name, "Transform: AWS::Serverless-2016-10-31\nResources:\n  Ä: {Type: X, Y: Z}\n");
    context.write("broken.yaml", "Resources:\n  A:\n    Type: \"a\n");
    let mut command = context.command(&["validate", "--format", "github", "-t", name]);
    command.env("GITHUB_WORKSPACE", context.path());
    let found = annotations(&mut command);
    let place = |key: &str| found[0].properties.get(key).map(String::as_str);
    assert_eq!(place("file"), Some(name));
    assert_eq!((place("line"), place("endLine")), (Some("3"), Some("3")));
    // A range of lines ends where its last character does.
    assert!(found[0].message.contains("has no functions"), "{}", found[0].message);
    let column = |key: &str| place(key).unwrap().parse::<usize>().unwrap();
    assert_eq!((column("col"), column("endColumn")), (3, 21));
    // Several templates, and one that cannot be read.
    let mut command = context.command(&["validate", "--format", "github", name, "broken.yaml"]);
    let files: BTreeSet<_> =
        annotations(&mut command).into_iter().map(|one| one.properties["file"].clone()).collect();
    assert_eq!(files, BTreeSet::from([name.to_owned(), "broken.yaml".to_owned()]));
}

#[test]
fn a_finding_without_a_place_is_told_too() {
    let context = Context::new(
        "Transform: AWS::Serverless-2016-10-31\nResources:\n  T:\n    Type: \
         AWS::Serverless::SimpleTable\n",
    );
    let arguments = ["validate", "--parameter", "Nobody=1", "--format"];
    let github = annotations(&mut context.command(&[&arguments[..], &["github"]].concat()));
    let one = github.iter().find(|one| one.message.contains("Nobody")).unwrap();
    assert_eq!(one.command, "error");
    assert_eq!(one.properties.keys().collect::<Vec<_>>(), ["title"]);
    let report = stdout(&mut context.command(&[&arguments[..], &["gitlab"]].concat()));
    let report: Value = serde_json::from_str(&report).unwrap();
    let entries = report.as_array().unwrap();
    let is_it = |entry: &&Value| entry["description"].as_str().unwrap().contains("Nobody");
    let location = &entries.iter().find(is_it).unwrap()["location"];
    assert_eq!(*location, json!({"path": "template.yaml", "lines": {"begin": 1}}));
    // GitHub refuses a whole log for one result without a place.
    let log = stdout(&mut context.command(&[&arguments[..], &["sarif"]].concat()));
    let log: Value = serde_json::from_str(&log).unwrap();
    for result in log["runs"][0]["results"].as_array().unwrap() {
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "template.yaml", "{result}");
        assert!(place["region"]["startLine"].is_u64(), "{result}");
    }
}

#[test]
fn a_report_of_code_quality_has_what_gitlab_asks_for() {
    let fault = "  N:\n    Type: AWS::Serverless::Functoin\n";
    let two = fault.replace('N', "A") + &fault.replace('N', "B");
    let report = |template: &str| -> Vec<Value> {
        let context = Context::new(template);
        let text = stdout(&mut context.command(&["validate", "--format", "gitlab"]));
        serde_json::from_str(&text).unwrap()
    };
    let fingerprints = |entries: &[Value]| -> BTreeSet<String> {
        entries.iter().map(|entry| entry["fingerprint"].as_str().unwrap().to_owned()).collect()
    };
    let start = "Transform: AWS::Serverless-2016-10-31\nResources:\n";
    let entries = report(&format!("{start}{two}"));
    assert_eq!(entries.len(), 2, "{entries:#?}");
    for entry in &entries {
        assert!(entry["check_name"].as_str().unwrap().starts_with("esb::sam::"), "{entry}");
        assert!(entry["description"].as_str().unwrap().contains("; did you mean"), "{entry}");
        assert_eq!(
            (&entry["severity"], &entry["location"]["path"]),
            (&"major".into(), &"template.yaml".into())
        );
        assert!(entry["location"]["lines"]["begin"].is_u64(), "{entry}");
    }
    assert_eq!(fingerprints(&entries).len(), 2);
    // They are the same where the lines have moved.
    let moved = report(&format!("# one more\n{start}{two}"));
    assert_eq!(fingerprints(&entries), fingerprints(&moved));
    assert_ne!(entries[0]["location"], moved[0]["location"]);
    // Without findings the report is empty, and still a report.
    let none = report(&format!("{start}  T:\n    Type: AWS::Serverless::SimpleTable\n"));
    assert!(none.iter().all(|entry| entry["severity"] == "info"), "{none:#?}");
}

/// Arguments, the exit code, and what a host is told: words, file and line.
type Ended = (&'static [&'static str], i32, &'static str, Option<&'static str>, Option<u64>);

/// What ends a run before there are findings.
const ENDED: [Ended; 7] = [
    (
        &["validate", "--project-dir", "."],
        1,
        "`registri` is not a setting",
        Some("shop/esb.toml"),
        Some(2),
    ),
    (
        &["validate", "-t", "other/none.yaml"],
        1,
        "could not read the template",
        Some("shop/other/none.yaml"),
        None,
    ),
    (&["validate", "--env-file", "bad.env"], 1, "bad.env", Some("shop/bad.env"), Some(2)),
    (
        &["validate", "--parameters-file", "values.json", "-t", "other/template.yaml"],
        1,
        "values.json",
        Some("shop/values.json"),
        None,
    ),
    (&["validate", "--deny", "errors"], 2, "invalid value 'errors'", None, None),
    (&["validate", "--parameter", "x", "-t", "other/template.yaml"], 2, "has no value", None, None),
    (&["inspect", "other/template.yaml"], 2, "is for `esb validate` alone", None, None),
];

#[test]
fn an_error_that_ends_the_run_is_a_document_too() {
    let context = Context::new("");
    context.write("shop/esb.toml", "\nregistri = 'a'\n");
    context.write("shop/bad.env", "A=1\nB='\n");
    context.write("shop/values.json", "{");
    context.write("shop/other/esb.toml", "");
    context.write("shop/other/template.yaml", NESTED);
    let schema = schemas::root().join("fixtures/sarif/sarif-schema-2.1.0.json");
    let schema = std::fs::read_to_string(schema).unwrap();
    for (arguments, exit, words, file, line) in ENDED {
        let run = |format: &str, variable: &str| {
            let mut command = context.command(&[arguments, &["--format", format]].concat());
            command.current_dir(context.path().join("shop")).env(variable, context.path());
            let output = command.output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(exit), "{arguments:?}: {said}");
            (String::from_utf8(output.stdout).unwrap(), said)
        };
        let told: Vec<(String, String)> = ["github", "gitlab", "sarif"]
            .map(|format| {
                run(format, if format == "gitlab" { "CI_PROJECT_DIR" } else { "GITHUB_WORKSPACE" })
            })
            .into();
        if arguments[0] == "validate" {
            let (empty, as_text) = run("text", "CI");
            assert_eq!(empty, "", "{arguments:?}");
            assert!(told.iter().all(|(_, said)| *said == as_text), "{arguments:?}: {as_text}");
        }
        let [(github, _), (gitlab, _), (sarif, _)] = &told[..] else { panic!() };
        let [one] = &github.lines().map(annotation).collect::<Vec<_>>()[..] else {
            panic!("{arguments:?}: {github}")
        };
        assert!(one.command == "error" && one.message.contains(words), "{github}");
        assert!(!one.properties["title"].is_empty(), "{github}");
        assert_eq!(one.properties.get("file").map(String::as_str), file, "{github}");
        let number = one.properties.get("line").map(|line| line.parse().unwrap());
        assert_eq!(number, line, "{github}");
        let gitlab: Value = serde_json::from_str(gitlab).unwrap();
        let [entry] = gitlab.as_array().unwrap().as_slice() else { panic!("{gitlab}") };
        assert!(entry["description"].as_str().unwrap().contains(words), "{gitlab}");
        assert!(entry["fingerprint"].is_string() && entry["check_name"].is_string(), "{gitlab}");
        let location = &entry["location"];
        let template = arguments.last().filter(|name| name.ends_with("template.yaml"));
        let fallback = format!("shop/{}", template.unwrap_or(&"template.yaml"));
        assert_eq!(location["path"], file.unwrap_or(&fallback), "{arguments:?}");
        assert_eq!(location["lines"]["begin"], line.unwrap_or(1), "{gitlab}");
        let sarif: Value = serde_json::from_str(sarif).unwrap();
        schemas::by(&schema, &sarif);
        let run = &sarif["runs"][0];
        let invocation = &run["invocations"][0];
        assert_eq!((&run["results"], &invocation["exitCode"]), (&json!([]), &exit.into()));
        assert_eq!(invocation["executionSuccessful"], false);
        let notification = &invocation["toolExecutionNotifications"][0];
        assert!(notification["message"]["text"].as_str().unwrap().contains(words), "{sarif}");
        let place = &notification["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"].as_str(), file, "{sarif}");
        assert_eq!(place["region"]["startLine"].as_u64(), file.map(|_| line.unwrap_or(1)));
    }
}
