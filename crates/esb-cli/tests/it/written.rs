//! What happens when the result cannot be written.

use std::{fs::File, process::Stdio};

use crate::context::Context;

const TEMPLATE: &str = "Transform: AWS::Serverless-2016-10-31
Resources: {Bucket: {Type: AWS::S3::Bucket}}
";

const COMMANDS: [&[&str]; 13] = [
    &["inspect"],
    &["inspect", "--format", "json"],
    &["inspect", "--format", "mermaid"],
    &["validate"],
    &["validate", "--format", "json"],
    &["validate", "--format", "sarif"],
    &["config", "show"],
    &["explain"],
    &["--help"],
    &["deploy", "-h"],
    &["--version"],
    &["version", "--format", "json"],
    &["completions", "bash"],
];

#[test]
fn a_full_disk_is_an_error() {
    let context = Context::new(TEMPLATE);
    for command in COMMANDS {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = context.command(command).stdout(full).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(9), "{command:?}: {said}");
        let words = "error: could not write to stdout\n  caused by: No space left on device";
        assert!(said.contains(words), "{command:?}: {said}");
    }
    // What was wrong before stays what the exit code tells.
    let full = File::options().write(true).open("/dev/full").unwrap();
    let wrong = ["inspect", "-t", "nowhere.yaml", "--format", "json"];
    let output = context.command(&wrong).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_reader_that_went_away_is_none() {
    let context = Context::new(TEMPLATE);
    for command in COMMANDS {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = context.command(command).stdout(Stdio::from(writer)).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{command:?}: {said}");
        assert!(!said.contains("error"), "{command:?}: {said}");
    }
}
