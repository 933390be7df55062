//! `Metadata: BuildMethod` of layers.

use esb_model::Layer;

use crate::support::{
    Memory, With as _, application, copies, findings, function, layer, make, make_clean, only, path,
};

fn built(method: &str) -> Layer {
    Layer { build_method: Some(method.to_owned()), ..layer("Shared", path("shared")) }
}

#[test]
fn requirements_of_a_python_layer_are_installed() {
    let project =
        Memory::new(&["f/app.py", "shared/common.py"]).file("shared/requirements.txt", "six\n");
    let functions = vec![
        function("One", path("f")).runtime("python3.13").layers(&["Shared"]),
        function("Two", path("f")).runtime("nodejs22.x").layers(&["Shared"]),
    ];
    let made = make(&application(functions, vec![built("python3.12")]), &project);
    let of_function = |name: &str| {
        let mut images = made.images.iter();
        images.find(|image| image.repository.ends_with(name)).unwrap()
    };
    let (one, two) = (of_function("one"), of_function("two"));
    insta::assert_snapshot!(one.dockerfile, @r#"
    FROM esb-lambda-base:latest-python3.13

    # Layer Shared
    COPY .esb/dev/layer-packages/shared/python3.12-amd64/ /opt/python/
    COPY shared/ /opt/python/

    # Function code
    COPY f/ ${LAMBDA_TASK_ROOT}/

    CMD [ "lambda_function.lambda_handler" ]
    "#);
    insta::assert_snapshot!(copies(two), @r"
    COPY .esb/dev/layer-packages/shared/python3.12-amd64/ /opt/python/
    COPY shared/ /opt/python/
    COPY f/ ${LAMBDA_TASK_ROOT}/
    ");
    assert_eq!(one.layer_dependencies, two.layer_dependencies, "they are one piece of work");
    let [dependencies] = &*one.layer_dependencies else { panic!("{one:?}") };
    assert_eq!(dependencies.requirements.to_str(), Some("shared/requirements.txt"));
    assert_eq!(dependencies.runtime.name(), "python3.12", "the layer's, not the function's");
    assert!(one.dependencies.is_none());
    let kept = "!.esb/dev/layer-packages/shared/python3.12-amd64\n";
    assert!(one.dockerignore.contains(kept), "{}", one.dockerignore);
    assert_eq!(one.all_dependencies().count(), 1);
}

#[test]
fn what_was_built_is_taken_as_it_is() {
    let check = |method: &str, files: &[&str], text: &str, copy: &str| {
        let project = Memory::new(files).file("f/app.py", "").file("shared/requirements.txt", text);
        let project =
            if text.is_empty() { Memory::new(files).file("f/app.py", "") } else { project };
        let made = make_clean(
            vec![function("Hello", path("f")).layers(&["Shared"])],
            vec![built(method)],
            &project,
        );
        assert!(only(&made).layer_dependencies.is_empty(), "{method} {files:?}");
        assert!(copies(only(&made)).contains(copy), "{}", copies(only(&made)));
    };
    check("python3.12", &["shared/python/six-1.dist-info/RECORD"], "six", "shared/ /opt/\n");
    check("python3.12", &["shared/six.py", "shared/six-1.dist-info/R"], "six", "/opt/python/\n");
    check("python-uv", &["shared/data.json"], "", "shared/ /opt/python/\n");
    check("nodejs22.x", &["shared/nodejs/node_modules/x/index.js"], "", "shared/ /opt/\n");
    check("nodejs22.x", &["shared/x.js"], "", "shared/ /opt/nodejs/\n");
    check("makefile", &["shared/python/x.py"], "", "shared/ /opt/\n");
}

#[test]
fn what_cannot_be_built_is_told() {
    let told = |method: &str, name: &str, text: &str| {
        let project = Memory::new(&["f/app.py"]).file(&format!("shared/{name}"), text);
        let app = application(
            vec![function("Hello", path("f")).layers(&["Shared"])],
            vec![built(method)],
        );
        findings(&make(&app, &project))
    };
    insta::assert_snapshot!(told("makefile", "Makefile", "build-Shared:\n"), @r"warning esb::recipe::unbuilt-layer @1006: the content of layer `Shared` is not built, and is taken as it is: `BuildMethod: makefile` asks for what `Makefile` in `shared` makes | run `sam build` and deploy `.aws-sam/build/template.yaml`, or build the layer and name the result in `ContentUri`");
    insta::assert_snapshot!(told("java21", "pom.xml", "<project/>"), @r"warning esb::recipe::unbuilt-layer @1006: the content of layer `Shared` is not built, and is taken as it is: `BuildMethod: java21` asks for what `pom.xml` in `shared` makes | run `sam build` and deploy `.aws-sam/build/template.yaml`, or build the layer and name the result in `ContentUri`");
    insta::assert_snapshot!(told("pyton3.13", "requirements.txt", "six"), @r"warning esb::recipe::unbuilt-layer @1006: the content of layer `Shared` is taken as it is: its `BuildMethod`, `pyton3.13`, is unknown | did you mean `python3.13`?");
    let package = r#"{"dependencies": {"lodash": "^4", "uuid": "*"}}"#;
    insta::assert_snapshot!(told("nodejs22.x", "package.json", package), @r"warning esb::recipe::unbuilt-layer @1006: the content of layer `Shared` lacks the packages that `shared/package.json` asks for (`lodash` and 1 more): there is no `node_modules` | run `npm ci` in `shared` first");
    assert_eq!(told("nodejs22.x", "package.json", r#"{"dependencies": {}}"#), "");
}
