//! The events of `--progress json` in a run that builds and pushes.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    project::{Place, Project, base},
    schemas,
};

#[test]
fn a_deploy_tells_what_it_moves_and_how_it_ends() {
    let Some(place) = Place::start() else { return };
    let project = Project::new(1);
    base(&project.path().join("base"));
    let mut command = project.command("store", &["deploy", "--progress", "json", "-v"]);
    let output = command.env("CONTAINER_REGISTRY", place.address()).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{text}");
    schemas::check(&command, &serde_json::from_slice(&output.stdout).unwrap());
    let mut open: BTreeMap<(String, String), i64> = BTreeMap::new();
    let mut sent = 0;
    let mut last = Value::Null;
    for line in text.lines() {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        schemas::valid("progress", &event);
        let time = event["time"].as_str().unwrap();
        assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
        let key = || {
            let text = |name: &str| event[name].as_str().unwrap().to_owned();
            (text("kind"), text("subject"))
        };
        match event["event"].as_str().unwrap() {
            "started" => *open.entry(key()).or_default() += 1,
            "finished" | "failed" => {
                *open.entry(key()).or_default() -= 1;
                sent += event["bytes"].as_u64().unwrap_or(0);
            }
            _ => {}
        }
        last = event;
    }
    assert!(!open.is_empty() && open.values().all(|count| *count == 0), "{open:#?}");
    assert!(sent > 0, "{text}");
    assert_eq!((&last["event"], &last["exit"]), (&"end".into(), &0.into()));
}
