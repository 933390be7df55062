//! `ImageConfig` of functions whose images others built.

use std::{fs, time::Duration};

use esb_test::request;
use serde_json::{Value, json};

use crate::project::{Place, Project, writes};

/// A document of the registry.
fn read(place: &Place, path: &str) -> Value {
    let accept = [("Accept", "application/vnd.oci.image.manifest.v1+json")];
    let limit = Duration::from_secs(10);
    let answer = request(&place.address(), "GET", path, &accept, &[], limit).unwrap();
    assert_eq!(answer.status, 200, "{path}");
    serde_json::from_slice(&answer.body).unwrap()
}

/// The manifest and the settings of an image of the registry.
fn image(place: &Place, repository: &str, tag: &str) -> (Value, Value) {
    let manifest = read(place, &format!("/v2/{repository}/manifests/{tag}"));
    let config = manifest["config"]["digest"].as_str().unwrap();
    let config = read(place, &format!("/v2/{repository}/blobs/{config}"));
    (manifest, config["config"].clone())
}

#[test]
fn a_copy_of_an_external_image_gets_what_is_named() {
    let Some(place) = Place::start() else { return };
    let project = Project::new(1);
    place.deploy(&project, "store", &[]);
    let (plain, settings) = image(&place, "esb-fn-0", "latest");
    let uri = format!("{}/esb-fn-0:latest", place.proxy.address());
    let function = |id: &str, config: &str| {
        format!(
            "  {id}:\n    Type: AWS::Serverless::Function\n    Properties:\n      PackageType: Image\n      \
             ImageUri: '{uri}'\n      ImageConfig: {config}\n"
        )
    };
    let template = [
        "Transform: AWS::Serverless-2016-10-31\nResources:\n".to_owned(),
        function("Same", "{Command: []}"),
        function("Other", "{Command: [other.handler]}"),
    ];
    project.write("template.yaml", &template.concat());
    let (_, asked) = place.deploy(&project, "store", &["--yes"]);
    assert!(!writes(&asked).is_empty());
    let functions = fs::read_to_string(project.path().join(".esb/dev/config/functions.yml"));
    let functions = functions.unwrap();
    let (_, tag) = functions.split_once("esb-fn-0:latest-config-").expect(&functions);
    let tag = format!("latest-config-{}", &tag[..12]);
    let (made, configured) = image(&place, "esb-fn-0", &tag);
    assert_eq!(made["layers"].as_array().unwrap().len(), plain["layers"].as_array().unwrap().len());
    assert_eq!(configured["Cmd"], json!(["other.handler"]));
    for same in ["Entrypoint", "WorkingDir", "Env"] {
        assert_eq!(configured[same], settings[same], "{same}");
    }
    assert!(functions.contains(&format!("\"{uri}\"")), "{functions}");
    let (_, again) = place.deploy(&project, "store", &["--yes"]);
    assert!(writes(&again).is_empty(), "{again:?}");
}
