//! Registries whose tags do not move, and `moving-tag = false`.

use std::fs;

use esb_test::{Fault, Rule, request};
use serde_json::Value;

use crate::project::{Place, Project, all, digests, writes};

const DEPLOY: [&str; 2] = ["--config-to", "gateway"];

/// What ECR says of a tag that is there.
fn immutable() -> Rule {
    let body = br#"{"errors":[{"code":"TAG_INVALID","message":"The image tag 'latest' already exists in the 'esb-fn-0' repository and cannot be overwritten because the tag is immutable."}]}"#;
    let fault = Fault::Answer { status: 400, headers: Vec::new(), body: body.to_vec() };
    Rule::new(|head| head.method == "PUT" && head.target.ends_with("/manifests/latest"), fault)
}

/// The images that functions.yml names, each of which is in the registry.
fn named(place: &Place, project: &Project) -> Vec<String> {
    let text = fs::read_to_string(project.path().join("gateway/functions.yml")).unwrap();
    let images = text.lines().filter_map(|line| line.trim().strip_prefix("\"image\": "));
    let images: Vec<String> = images.map(|image| image.trim_matches(['"', '\'']).into()).collect();
    assert!(!images.is_empty(), "{text}");
    for image in &images {
        let path = image.split_once('/').unwrap().1;
        let (name, target) = path.split_once('@').or_else(|| path.rsplit_once(':')).unwrap();
        let url = format!("/v2/{name}/manifests/{target}");
        let accept = [("Accept", "application/vnd.oci.image.manifest.v1+json")];
        let time = std::time::Duration::from_secs(10);
        let answer = request(&place.address(), "HEAD", &url, &accept, &[], time).unwrap();
        assert_eq!(answer.status, 200, "{image} is not there");
    }
    images
}

#[test]
fn an_immutable_tag_is_told_and_without_the_one_that_moves_all_is_found() {
    let Some(place) = Place::start() else { return };
    let project = Project::new(2);
    place.deploy(&project, "store", &DEPLOY);
    project.write("functions/f0/app.py", "handler = number = 'other'\n");
    place.proxy.inject(immutable());
    let mut command = project.command("store", &["deploy", "--config-to", "gateway"]);
    let output = command.env("CONTAINER_REGISTRY", place.proxy.address()).output().unwrap();
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(4), "{said:#}");
    let message = said["error"]["message"].as_str().unwrap();
    assert!(message.contains("immutable") && message.contains(":latest`"), "{message}");
    let hint = said["error"]["hint"].as_str().unwrap();
    assert!(hint.contains("`moving-tag = false`") && hint.contains("--image-ref"), "{hint}");

    project.write("esb.toml", "application = 'shop'\nmoving-tag = false\n");
    let (first, asked) = place.deploy(&project, "store", &DEPLOY);
    assert!(!asked.iter().any(|asked| asked.starts_with("PUT") && asked.ends_with("/latest")));
    for image in named(&place, &project) {
        assert!(image.contains(":latest-"), "{image}");
    }
    let (second, asked) = place.deploy(&project, "store", &DEPLOY);
    assert_eq!(digests(&second), digests(&first));
    assert!(all(&second, "action").iter().all(|action| *action == "skipped"), "{second:#}");
    assert_eq!(writes(&asked), [""; 0]);

    // Names by digest exist as well; plain ones do not, and are refused before anything happens.
    place.deploy(&project, "store", &[&DEPLOY[..], &["--image-ref", "digest"]].concat());
    assert!(named(&place, &project).iter().all(|image| image.contains("@sha256:")));
    let arguments = ["deploy", "--config-to", "gateway", "--image-ref", "tag"];
    let mut command = project.command("store", &arguments);
    place.proxy.clear();
    let output = command.env("CONTAINER_REGISTRY", place.proxy.address()).output().unwrap();
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said:#}");
    assert!(said["error"]["hint"].as_str().unwrap().contains("--image-ref content"), "{said:#}");
    assert!(
        writes(&place.proxy.requests().iter().map(|r| r.method.clone() + " ").collect::<Vec<_>>())
            .is_empty()
    );
}

#[test]
fn a_registry_that_never_had_a_plain_tag_gets_none_before_it_is_wanted() {
    let Some(place) = Place::start() else { return };
    let project = Project::new(2);
    project.write("esb.toml", "application = 'shop'\nmoving-tag = false\n");
    let (first, asked) = place.deploy(&project, "store", &DEPLOY);
    assert!(!asked.iter().any(|asked| asked.starts_with("PUT") && asked.ends_with("/latest")));
    named(&place, &project);
    // Another machine pushes what it makes anew under the same names.
    let (cold, asked) = place.deploy(&project, "cold", &DEPLOY);
    assert_eq!(digests(&cold), digests(&first));
    assert!(!asked.iter().any(|asked| asked.starts_with("PUT /v2/") && asked.contains("/blobs/")));

    project.write("esb.toml", "application = 'shop'\n");
    let (third, asked) = place.deploy(&project, "store", &DEPLOY);
    assert_eq!(digests(&third), digests(&first));
    let moved = asked.iter().filter(|asked| asked.starts_with("PUT") && asked.ends_with("/latest"));
    assert_eq!(moved.count(), 3, "two functions and the base: {asked:#?}");
    project.write("esb.toml", "application = 'shop'\nmoving-tag = false\n");
    project.write("functions/f1/app.py", "handler = number = 'new'\n");
    place.deploy(&project, "store", &DEPLOY);
    named(&place, &project);
    // The tag still leads to what was before, and is moved when it may be.
    project.write("esb.toml", "application = 'shop'\n");
    let (_, asked) = place.deploy(&project, "store", &DEPLOY);
    let moved = asked.iter().filter(|asked| asked.starts_with("PUT") && asked.ends_with("/latest"));
    assert_eq!(moved.count(), 1, "{asked:#?}");
}
