//! `--dry-run` tells for each image what a run would do, and by its exit code whether there is
//! anything to do.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::project::{Place, Project};

/// The exit code of a plan, and the action and reason of each image by its repository.
fn plan(place: &Place, project: &Project, flags: &[&str]) -> (i32, BTreeMap<String, String>) {
    let arguments = [&["deploy", "--dry-run"], flags].concat();
    let mut command = project.command("store", &arguments);
    let output = command.env("CONTAINER_REGISTRY", place.proxy.address()).output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let images = document["images"].as_array().unwrap_or_else(|| panic!("{document:#}")).iter();
    let actions = images.map(|image| {
        let name = image["name"].as_str().unwrap().split(':').next().unwrap().to_owned();
        (
            name,
            format!("{}: {}", image["action"].as_str().unwrap(), image["reason"].as_str().unwrap()),
        )
    });
    (output.status.code().unwrap(), actions.collect())
}

#[test]
fn what_a_run_would_build_reuse_and_push() {
    let (Some(place), Some(empty)) = (Place::start(), Place::start()) else { return };
    let project = Project::new(2);
    let check = |place: &Place, flags: &[&str], code: i32, expected: [(&str, &str); 3]| {
        let (ended, actions) = plan(place, &project, flags);
        for (name, action) in expected {
            assert!(actions[name].starts_with(action), "{name}: {actions:#?}");
        }
        assert_eq!(ended, code, "{actions:#?}");
    };
    let detailed = ["--detailed-exitcode"];
    let (base, first, second) = ("esb-lambda-base", "esb-fn-0", "esb-fn-1");
    check(&place, &detailed, 8, [(base, "build"), (first, "build"), (second, "build")]);
    place.deploy(&project, "store", &[]);
    let reuse = "reuse: the registry has it";
    check(&place, &detailed, 0, [(base, reuse), (first, reuse), (second, reuse)]);
    let push = "push: the registry does not have it";
    check(&empty, &detailed, 8, [(base, push), (first, push), (second, push)]);
    check(&empty, &[], 0, [(base, push), (first, push), (second, push)]);
    what_is_sent_is_what_was_planned(&empty, &project);
    project.write("functions/f1/app.py", "handler = number = 'another'\n");
    check(&place, &detailed, 8, [(base, reuse), (first, reuse), (second, "build")]);
}

/// The sizes of a plan are those of its push, a base's layers included.
fn what_is_sent_is_what_was_planned(place: &Place, project: &Project) {
    let bytes = |document: &Value| -> BTreeMap<String, u64> {
        let images = document["images"].as_array().unwrap().iter();
        let size = |image: &Value| image["bytes"].as_u64().unwrap();
        images.map(|image| (image["name"].as_str().unwrap().to_owned(), size(image))).collect()
    };
    let mut command = project.command("store", &["deploy", "--dry-run"]);
    let output = command.env("CONTAINER_REGISTRY", place.proxy.address()).output().unwrap();
    let planned = bytes(&serde_json::from_slice(&output.stdout).unwrap());
    assert!(planned.values().all(|bytes| *bytes > 0), "{planned:?}");
    let copy = esb_test::or_skip(esb_test::Registry::start(&project.path().join("registry")));
    let Some(copy) = copy else { return };
    let mut command = project.command("store", &["deploy"]);
    let done = crate::project::document(command.env("CONTAINER_REGISTRY", copy.address()));
    let done = bytes(&done);
    let name = "esb-lambda-base:latest";
    assert_eq!(done[name], planned[name], "{done:?}");
    // What functions share is sent once, by whichever is first.
    assert!(done.values().sum::<u64>() <= planned.values().sum(), "{done:?} {planned:?}");
}
