//! Image functions with a Dockerfile of their own, without an engine and without a registry.

use std::path::Path;

use serde_json::Value;

use crate::{bases, context::Context, schemas};

const TEMPLATE: &str = "\
Transform: AWS::Serverless-2016-10-31
Parameters:
  Token: {Type: String, NoEcho: true, Default: hunter2-token}
Resources:
  Plain:
    Type: AWS::Serverless::Function
    Properties:
      PackageType: Image
      ImageConfig: {EntryPoint: [/run]}
    Metadata:
      DockerContext: plain
      Dockerfile: docker/Dockerfile.plain
      DockerBuildTarget: wanted
      DockerTag: v1
      DockerBuildArgs: {BASE: lambda/python, TOKEN: !Ref Token}
";

const RUNS: &str = "  Runs:
    Type: AWS::Serverless::Function
    Properties: {PackageType: Image}
    Metadata: {DockerContext: runs}
";

const DOCKERFILE: &str = "\
ARG BASE=nothing
ARG TAG=3.13
FROM $BASE:$TAG AS wanted
ARG TOKEN
COPY . /all/
ENV TOKEN_FILE=/tmp/token
CMD [\"app.handler\"]
FROM nothing:1
RUN false
";

fn context(template: &str) -> Context {
    let context = Context::new(template);
    bases::write(&context.path().join("bases"), "amd64", "one");
    context.write("plain/docker/Dockerfile.plain", DOCKERFILE);
    context.write("plain/docker/Dockerfile.plain.dockerignore", "docker\n*.md\n");
    context.write("plain/.dockerignore", "app.py\n");
    context.write("plain/app.py", "handler = 1\n");
    context.write("plain/notes.md", "notes\n");
    context.write("runs/Dockerfile", "FROM lambda/python:3.13\n\nRUN true\n");
    context
}

/// The exit code and the document of a run.
fn run(context: &Context, arguments: &[&str]) -> (i32, Value, String) {
    let mut command = context.command(&[arguments, &["-e", "dev", "--format", "json"]].concat());
    let mirror = format!("docker.io=oci:{}", context.path().join("bases").display());
    let output = command.env("ESB_MIRRORS", mirror).output().unwrap();
    let said = [&*output.stdout, &*output.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    assert!(!said.contains("hunter2"), "{said}");
    let document = serde_json::from_slice(&output.stdout).unwrap_or_default();
    if output.status.success() {
        schemas::check(&command, &document);
    }
    (output.status.code().unwrap(), document, said)
}

fn images(document: &Value) -> Vec<[String; 3]> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let images = document["images"].as_array().into_iter().flatten();
    images.map(|image| ["name", "action", "reason"].map(|field| text(&image[field]))).collect()
}

/// The config of the image that a layout has under a name.
fn config(layout: &Path, name: &str) -> Value {
    let read = |path: &str| -> Value {
        serde_json::from_slice(&std::fs::read(layout.join(path)).unwrap()).unwrap()
    };
    let blob = |descriptor: &Value| {
        read(&format!("blobs/{}", descriptor["digest"].as_str().unwrap().replace(':', "/")))
    };
    let index = read("index.json");
    let named = |entry: &&Value| entry["annotations"]["org.opencontainers.image.ref.name"] == name;
    let entry = index["manifests"].as_array().unwrap().iter().find(named);
    blob(&blob(entry.unwrap_or_else(|| panic!("{index:#}")))["config"])
}

#[test]
fn what_runs_nothing_is_built_without_an_engine() {
    let context = context(TEMPLATE);
    let (code, planned, said) = run(&context, &["build", "--to", "oci:out", "--dry-run"]);
    assert_eq!((code, images(&planned).len()), (0, 1), "{said}");
    for builder in
        [&["build", "--to", "oci:out"][..], &["build", "--builder", "embedded", "--to", "oci:out"]]
    {
        let (code, built, said) = run(&context, builder);
        assert_eq!(code, 0, "{said}");
        assert_eq!(images(&built)[0][0], "esb-plain:latest");
    }
    let layout = context.path().join("out");
    let made = config(&layout, "esb-plain:v1");
    assert_eq!(made, config(&layout, "esb-plain:latest"));
    let text = made.to_string();
    assert!(text.contains("ARG TOKEN") && !text.contains("hunter2"), "{text}");
    let made = &made["config"];
    assert_eq!(made["Entrypoint"], serde_json::json!(["/run"]));
    assert_eq!(made["Cmd"], serde_json::json!(["app.handler"]));
    assert_eq!(made["WorkingDir"], "/var/task");
    let lock = std::fs::read_to_string(context.path().join("esb.lock")).unwrap();
    assert!(lock.contains("lambda/python:3.13") && !lock.contains("nothing"), "{lock}");
}

#[test]
fn a_plan_marks_what_needs_an_engine() {
    let context = context(&[TEMPLATE, RUNS].concat());
    let (code, planned, said) = run(&context, &["build", "--to", "oci:out", "--dry-run"]);
    assert_eq!(code, 0, "{said}");
    let planned = images(&planned);
    assert_eq!(
        planned[1][1..],
        [
            "build".to_owned(),
            "needs a container engine: line 3 of the Dockerfile: `RUN`".to_owned(),
        ]
    );
    assert!(!planned[0][2].contains("engine"), "{planned:?}");
    let (code, _, said) = run(&context, &["build", "--to", "oci:out"]);
    assert_eq!(code, 4, "{said}");
    let why = "the embedded engine does not build `esb-runs`: line 3 of the Dockerfile: `RUN`";
    assert!(said.contains(why) && said.contains("name BuildKit daemons"), "{said}");
}

#[test]
fn a_base_that_is_nowhere_does_not_stop_a_plan() {
    let context = context(&TEMPLATE.replace("BASE: lambda/python", "BASE: lambda/other"));
    let (code, planned, said) =
        run(&context, &["build", "--to", "oci:out", "--dry-run", "--offline"]);
    assert_eq!(code, 0, "{said}");
    assert!(images(&planned)[0][2].contains("lambda/other:3.13"), "{planned:#}");
}

#[test]
fn a_build_needs_no_registry_for_external_images() {
    let external = "  Other:\n    Type: AWS::Serverless::Function\n    Properties: \
                    {PackageType: Image, ImageUri: 'ghcr.io/o/i:1'}\n";
    let context = context(&[TEMPLATE, external].concat());
    let (code, built, said) = run(&context, &["build", "--to", "oci:out"]);
    assert_eq!((code, images(&built).len()), (0, 1), "{said}");
    let staged = context.path().join(".esb/dev/config/functions.yml");
    let functions = std::fs::read_to_string(staged).unwrap_or_default();
    assert!(functions.is_empty() || functions.contains("ghcr.io/o/i:1"), "{functions}");
}
