//! Folders that a run writes into, inside of what images are made of.

use std::{fs, os::unix::fs::symlink, process::Output};

use crate::project::{Project, digests, document};

const DEPLOY: [&str; 3] = ["deploy", "--to", "oci"];

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn what_a_run_writes_is_no_part_of_an_image() {
    let project = Project::new(1);
    symlink("functions/f0", project.path().join("link")).unwrap();
    let layout = ["deploy", "--to", "oci:functions/f0/out"];
    let staged = ["deploy", "--to", "oci", "--output", "layer/python"];
    let configured = ["deploy", "--to", "oci", "--config-to", "link/lib/config"];
    for (arguments, place, store) in [
        (&layout[..], "functions/f0/out", "store"),
        (&staged[..], "layer/python/dev", "store"),
        (&configured[..], "functions/f0/lib/config", "store"),
        (&DEPLOY[..], "", "layer/store"),
        (&["build", "--dry-run", "--to", "oci:layer"][..], "layer/index.json", "store"),
    ] {
        let output = project.command(store, arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", said(&output));
        let text = said(&output);
        assert!(text.contains("which becomes part of the image `esb-fn-0`"), "{text}");
        assert!(text.contains(".samignore"), "{text}");
        assert!(place.is_empty() || !project.path().join(place).exists(), "{place}");
        assert!(!project.path().join(".esb/dev").exists(), "before anything was made");
    }
    let mut command = project.command("store", &DEPLOY);
    let output = command.env("CONFIG_DIR", "functions/f0/config").output().unwrap();
    assert!(said(&output).contains("the folder where a Gateway reads"), "{}", said(&output));
}

#[test]
fn what_is_left_out_of_an_image_may_be_written_into() {
    let project = Project::new(1);
    let template = fs::read_to_string(project.path().join("template.yaml")).unwrap();
    project.write("template.yaml", &template.replace("CodeUri: functions/f0/", "CodeUri: ."));
    project.write("app.py", "handler = print\n");
    let run = || {
        let mut command = project.command("store", &["deploy", "--to", "oci:out"]);
        command.env("CONFIG_DIR", "config").output().unwrap()
    };
    assert_eq!(run().status.code(), Some(1));
    project.write(".samignore", "/config\nout\nstore\nbase\n");
    assert!(run().status.success(), "{}", said(&run()));
    let again = |place: &str| {
        let mut command = project.command("store", &["deploy", "--to", "oci:out"]);
        digests(&document(command.env("CONFIG_DIR", place)))
    };
    assert_eq!(again("config"), again("config"));
    // Ours is never part of an image.
    assert_eq!(again(".esb/staging/esb-dev"), again("config"));
}

#[test]
fn a_dockerfile_says_what_it_takes() {
    let project = Project::new(0);
    project.write(
        "template.yaml",
        "Transform: AWS::Serverless-2016-10-31\nResources:\n  F:\n    Type: \
         AWS::Serverless::Function\n    Properties:\n      FunctionName: own\n      PackageType: \
         Image\n    Metadata:\n      Dockerfile: Dockerfile\n      DockerContext: .\n",
    );
    project.write("src/app.py", "handler = number = 1\n");
    let run = |copied: &str| {
        let text = format!(
            "FROM public.ecr.aws/lambda/python:3.12\nCOPY {copied} ./\nCMD [\"app.handler\"]\n"
        );
        project.write("Dockerfile", &text);
        let mut command = project.command("store", &DEPLOY);
        command.env("CONFIG_DIR", "config").output().unwrap()
    };
    let built = run("src/");
    assert!(built.status.success(), "{}", said(&built));
    let refused = run(".");
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains(".dockerignore"), "{}", said(&refused));
    project.write(".dockerignore", "config\nstore\n");
    let built = run(".");
    assert!(built.status.success(), "{}", said(&built));
}
