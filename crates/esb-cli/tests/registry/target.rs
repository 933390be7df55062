//! The target of an environment's last deploy: a flag that is left out by mistake neither makes
//! functions.yml name images that nobody can pull, nor goes unseen.

use std::{
    fs,
    process::{Command, Output},
};

use esb_test::TerminalEnd;
use serde_json::Value;

use crate::{
    asked::on_terminal,
    project::{Place, Project, document},
};

const DEPLOY: [&str; 3] = ["deploy", "--config-to", "gateway"];

fn published(project: &Project) -> String {
    fs::read_to_string(project.path().join("gateway/functions.yml")).unwrap()
}

/// A deploy without a terminal.
fn deploy(project: &Project, more: &[&str]) -> Command {
    project.command("store", &[&DEPLOY[..], more].concat())
}

/// The exit code and the error of a deploy, and its warnings.
fn ended(project: &Project, more: &[&str]) -> (i32, Value, String) {
    let Output { status, stdout, stderr } = deploy(project, more).output().unwrap();
    let said: Value = serde_json::from_slice(&stdout).unwrap();
    (status.code().unwrap(), said["error"].clone(), String::from_utf8_lossy(&stderr).into())
}

#[test]
fn a_forgotten_registry_is_noticed() {
    let Some(place) = Place::start() else { return };
    let address = place.address();
    let project = Project::new(1);
    document(&mut deploy(&project, &["--registry", &address]));
    let before = published(&project);
    assert!(before.contains(&address));
    let refused = || {
        let (code, error, _) = ended(&project, &[]);
        assert_eq!(code, 1, "{error:#}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(&format!("pushed its images to `{address}`")), "{message}");
        let hint = error["hint"].as_str().unwrap();
        for words in [&*format!("--registry {address}"), "--to", "--yes", "esb.toml"] {
            assert!(hint.contains(words), "{words}: {hint}");
        }
        assert_eq!(published(&project), before);
    };
    refused();
    // What is published tells it where no run is remembered, as on another machine.
    fs::remove_file(project.path().join(".esb/dev/target.json")).unwrap();
    refused();
    // A dry run and a build say it, and end as ever.
    let (code, _, said) = ended(&project, &["--dry-run"]);
    assert_eq!(code, 0);
    assert!(said.contains("this one pushes nothing"), "{said}");

    let question = "? [y/N] ";
    let arguments = [&DEPLOY[..], &["-e", "dev"]].concat();
    let Some(mut asked) = on_terminal(&project, &arguments, 100) else { return };
    asked.expect("this one pushes nothing").unwrap();
    asked.expect(question).unwrap();
    asked.type_keys("n\r").unwrap();
    let TerminalEnd { code, shown, .. } = asked.wait().unwrap();
    assert_eq!(code, 1, "{shown}");
    assert_eq!(published(&project), before);

    // Whoever says so goes on, and is told.
    let (code, error, said) = ended(&project, &["--to", "oci"]);
    assert_eq!(code, 0, "{error:#}");
    assert!(said.contains(&format!("the last deploy pushed to `{address}`")), "{said}");
    assert!(!published(&project).contains(&address));
    // From now on that is the target.
    let (code, error, said) = ended(&project, &[]);
    assert_eq!(code, 0, "{error:#}");
    assert!(!said.contains("the last deploy"), "{said}");
    document(&mut deploy(&project, &["--registry", &address]));
    assert_eq!(ended(&project, &["--yes"]).0, 0);
}

#[test]
fn every_part_of_another_target_is_seen() {
    let Some(place) = Place::start() else { return };
    let project = Project::new(1);
    let address = place.address();
    let first = ["--registry", &address, "-p", "first"];
    document(&mut deploy(&project, &first));
    let (_, _, said) = ended(&project, &first);
    assert!(!said.contains("the last deploy"), "{said}");
    let Some(other) = Place::start() else { return };
    let registry = other.address();
    let second = ["deploy", "-p", "second", "--config-to", "elsewhere", "--registry", &registry];
    let output =
        project.command("store", &[&second[..], &["--dry-run"]].concat()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    for words in [
        format!("pushed to `{address}`, and this one pushes to `{registry}`"),
        "was for the compose project `first`, and this one is for `second`".to_owned(),
        "delivered the configuration to `gateway`, and this one delivers it to `elsewhere`".into(),
    ] {
        assert!(said.contains(&words), "{words}: {said}");
    }
    // Without its flags, to nowhere and for the project of the environment.
    let output = project.command("store", &["deploy", "--registry", &address]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    for words in ["this one is for `esb-dev`", "this one delivers it to no Gateway"] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn consent_that_is_always_needed_is_needed_without_a_terminal_too() {
    let project = Project::new(1);
    project.write("esb.toml", "application = 'shop'\nconfirm = 'always'\n");
    let to = ["--to", "oci"];
    let (code, error, _) = ended(&project, &to);
    assert_eq!(code, 1, "{error:#}");
    assert_eq!(error["code"], "confirm");
    assert!(error["hint"].as_str().unwrap().contains("--yes"), "{error:#}");
    assert!(!project.path().join("gateway").exists());
    assert_eq!(ended(&project, &["--to", "oci", "--yes"]).0, 0);
    // There is nothing to agree to.
    assert_eq!(ended(&project, &to).0, 0);
}

#[test]
fn removals_are_never_cut_and_nothing_is_said_twice() {
    let project = Project::new(45);
    let to = ["--to", "oci"];
    document(&mut deploy(&project, &to));
    let text = fs::read_to_string(project.path().join("template.yaml")).unwrap();
    let at = text.find("  F1:").unwrap();
    project.write("template.yaml", &text[..at]);
    let arguments = [&DEPLOY[..], &to, &["-e", "dev"]].concat();
    let Some(mut asked) = on_terminal(&project, &arguments, 100) else { return };
    asked.expect("? [y/N] ").unwrap();
    asked.type_keys("y\r").unwrap();
    let TerminalEnd { code, shown, .. } = asked.wait().unwrap();
    assert_eq!(code, 0, "{shown}");
    for number in 1..45 {
        let line = format!("- function `fn-{number}`");
        assert_eq!(shown.matches(&line).count(), 1, "{line}: {shown}");
    }
    assert!(!shown.contains(" more, which `--dry-run` lists"), "{shown}");
}
