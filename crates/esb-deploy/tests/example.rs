//! The example deploys a function into an OCI layout, by nothing but the library.

#![cfg(test)]

#[path = "../../esb-cli/tests/it/bases.rs"]
mod bases;
#[path = "../examples/deploy_to_layout.rs"]
#[expect(dead_code, reason = "an example has a main of its own")]
mod deploy_to_layout;

use std::fs;

use esb_deploy::{Kind, Revision};
use esb_oci::OciLayout;

const TEMPLATE: &str = "
Transform: AWS::Serverless-2016-10-31
Resources:
  Hello:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.13, Handler: app.handler, CodeUri: code/}
";

#[test]
fn a_template_becomes_an_image_in_a_layout() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir(root.join("code")).unwrap();
    fs::write(root.join("code/app.py"), "def handler(event, context): return 1\n").unwrap();
    fs::write(root.join("template.yaml"), TEMPLATE).unwrap();
    bases::write(&root.join("bases"), "amd64", "one");

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let paths = ["template.yaml", "bases", "images", "store"].map(|name| root.join(name));
    let deploy =
        || runtime.block_on(deploy_to_layout::deploy(paths.each_ref().map(|path| &**path)));
    let image = deploy().unwrap();
    assert!(image.starts_with("esb-hello:latest-"), "{image}");
    let layout = OciLayout::open(root.join("images")).unwrap();
    runtime.block_on(layout.image(&image, None, "amd64")).unwrap();
    assert_eq!(deploy().unwrap(), image, "the same files make the same image");

    fs::write(root.join("template.yaml"), TEMPLATE.replace("code/", "absent/")).unwrap();
    let error = deploy().unwrap_err();
    assert_eq!((error.kind, &*error.code), (Kind::Input, "template"), "{error:?}");
}

/// What a site needs can be kept and read again by a program of somebody else's.
#[test]
fn a_revision_is_a_plain_value() {
    fn is_plain<T: serde::Serialize + serde::de::DeserializeOwned + Clone + PartialEq>() {}
    is_plain::<Revision>();
}
