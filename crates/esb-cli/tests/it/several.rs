//! Several runs of one project: who comes second waits, and ends with a code of its own.

use std::fs::{self, File};

use crate::context::Context;

const TEMPLATE: &str = "Transform: AWS::Serverless-2016-10-31\nResources: {}\n";

/// Runs `esb` while a lock is held, and wants words in what it says; then without the lock.
#[track_caller]
fn check(arguments: &[&str], held: &str, words: &[&str], after: i32) {
    let context = Context::new(TEMPLATE);
    context.write(".esb/staging/esb-dev/dev/config/.deploy.lock", "4711");
    fs::create_dir_all(context.path().join(".esb/dev")).unwrap();
    let mut command = context.command(arguments);
    command.env("ESB_LOCK_WAIT", "0");
    let lock = File::open(context.path().join(held)).unwrap();
    lock.lock().unwrap();
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(5), "{said}");
    for word in words {
        assert!(said.contains(word), "`{word}` is not in {said}");
    }
    drop(lock);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(after), "{said}");
}

const STAGING: &str = ".esb/staging/esb-dev/dev/config/.deploy.lock";

#[test]
fn a_folder_that_another_run_publishes_into_is_locked() {
    let deploy = ["deploy", "-e", "dev", "--to", "oci", "--config-to", "none"];
    let words = [".deploy.lock` is held by another run", "4711"];
    check(&deploy, STAGING, &words, 0);
    // Nobody owns anything, which is the input's fault.
    check(&["config", "rm", "-e", "dev", "--owner", "template.yaml"], STAGING, &words, 1);
}

#[test]
fn files_that_another_run_generates_are_locked() {
    check(&["build", "-e", "dev", "--to", "oci"], ".esb/dev", &["another run works in `"], 0);
}

#[test]
fn a_time_that_is_none_is_told() {
    let context = Context::new(TEMPLATE);
    let mut command = context.command(&["build", "--to", "oci"]);
    let output = command.env("ESB_LOCK_WAIT", "soon").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("ESB_LOCK_WAIT is `soon`, which is not a number of seconds"), "{said}");
}
