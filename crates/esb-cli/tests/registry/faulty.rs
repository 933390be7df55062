//! Deploys to registries that fail: at the first request, at every third, or without saying so.

use std::{fs, process::Output};

use esb_test::{Fault, Rule};
use serde_json::Value;

use crate::project::{Place, Project, document};

const DEPLOY: [&str; 3] = ["deploy", "--config-to", "gateway"];

fn published(project: &Project) -> String {
    fs::read_to_string(project.path().join("gateway/functions.yml")).unwrap()
}

/// The exit code of a deploy through the proxy, and its error.
fn ended(place: &Place, project: &Project, more: &[&str]) -> (i32, Value) {
    let mut command = project.command("store", &[&DEPLOY[..], more].concat());
    command.env("CONTAINER_REGISTRY", place.proxy.address());
    let Output { status, stdout, .. } = command.output().unwrap();
    let said: Value = serde_json::from_slice(&stdout).unwrap();
    (status.code().unwrap(), said["error"].clone())
}

#[test]
fn a_registry_that_keeps_nothing_leads_to_no_configuration() {
    let Some(place) = Place::start() else { return };
    let project = Project::new(2);
    let deploy = || {
        let mut command = project.command("store", &DEPLOY);
        document(command.env("CONTAINER_REGISTRY", place.proxy.address()))
    };
    deploy();
    let before = published(&project);
    project.write("functions/f1/app.py", "handler = number = 'other'\n");
    place.proxy.inject(Rule::on("PUT", "/manifests/", Fault::Swallow));
    place.proxy.clear();
    let (code, error) = ended(&place, &project, &[]);
    assert_eq!(code, 4, "{error:#}");
    let message = error["message"].as_str().unwrap();
    assert!(
        message.contains("accepted `") && message.contains("and does not have it"),
        "{message}"
    );
    assert!(error["hint"].as_str().unwrap().contains("check the storage of"), "{error:#}");
    assert_eq!(published(&project), before);
    place.proxy.heal();
    deploy();
    assert_ne!(published(&project), before);
}

#[test]
fn a_fault_of_the_first_request_is_survived() {
    let Some(place) = Place::start() else { return };
    for (number, fault) in [
        Fault::status(500),
        Fault::status(503),
        Fault::status(429),
        Fault::ResetRequest { after: 0 },
        Fault::ResetResponse { after: 0 },
    ]
    .into_iter()
    .enumerate()
    {
        let project = Project::new(1);
        project.write("functions/f0/app.py", &format!("handler = number = {number}\n"));
        for _ in 0..2 {
            place.proxy.inject(Rule::new(|_| true, fault.clone()).times(1));
            let (code, error) = ended(&place, &project, &[]);
            assert_eq!(code, 0, "{fault:?}: {error:#}");
            place.proxy.heal();
        }
    }
}

/// Faults of three kinds, three of ten requests: cold and warm runs, with a change in between.
#[test]
fn with_three_of_ten_requests_failing_runs_end_well() {
    let Some(place) = Place::start() else { return };
    let mut harmed = 0;
    for run in 1..=4 {
        let project = Project::new(2);
        for part in 0..2 {
            let text = format!("handler = number = {run}{part}\n");
            project.write("functions/f1/app.py", &text);
            let faults = [
                Fault::status(500),
                Fault::ResetRequest { after: 0 },
                Fault::Truncate { after: 10 },
            ];
            for (at, fault) in faults.into_iter().enumerate() {
                let seed = run * 100 + part * 10 + at as u64;
                place.proxy.inject(Rule::new(|_| true, fault).chance(11, seed));
            }
            place.proxy.clear();
            let (code, error) = ended(&place, &project, &[]);
            assert_eq!(code, 0, "{run} {part}: {error:#}");
            harmed += place.proxy.requests().iter().filter(|request| request.harmed).count();
            place.proxy.heal();
        }
    }
    assert!(harmed > 20, "{harmed}");
}

/// What was only asked for a token or a limit is not called absent, and nothing is built for it.
#[test]
fn what_a_registry_says_is_the_headline() {
    let Some(place) = Place::start() else { return };
    let project = Project::new(1);
    for (status, headline) in [
        (401, "requires credentials"),
        (413, "or a proxy before it takes nothing of this size"),
        (507, "has no space left"),
    ] {
        let page = b"<html><body>no</body></html>".to_vec();
        let fault = Fault::Answer { status, headers: Vec::new(), body: page };
        place.proxy.inject(Rule::on("POST", "/blobs/uploads/", fault));
        let (code, error) = ended(&place, &project, &[]);
        assert_eq!(code, 4, "{error:#}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(headline), "{message}");
        assert!(!error.to_string().contains("<html>"), "{error:#}");
        place.proxy.heal();
    }
}
