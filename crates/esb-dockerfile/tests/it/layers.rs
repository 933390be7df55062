//! Layers: order, nesting, staging, and what is left out.

use esb_model::{Code, LayerRef};

use crate::support::{
    Memory, With as _, application, copies, findings, function, layer, make, make_clean, only,
    path, staged,
};

#[test]
fn keep_their_order_and_names() {
    let project = Memory::new(&["f/app.py", "b/python/b.py", "a/python/a.py"]);
    let mut named = layer("LayerA", path("a"));
    named.name = Some("shared tools".to_owned());
    let made = make_clean(
        vec![function("Hello", path("f")).layers(&["LayerB", "LayerA"])],
        vec![named, layer("LayerB", path("b"))],
        &project,
    );
    insta::assert_snapshot!(only(&made).dockerfile, @r#"
    FROM esb-lambda-base:latest

    # Layer LayerB
    COPY b/ /opt/

    # Layer shared tools
    COPY a/ /opt/

    # Function code
    COPY f/ ${LAMBDA_TASK_ROOT}/

    CMD [ "lambda_function.lambda_handler" ]
    "#);
}

#[test]
fn bare_python_is_nested_for_python_only() {
    let project = Memory::new(&[
        "f/app.py",
        "modules/common.py",
        "package/common/__init__.py",
        "packed/site-packages/x.py",
        "tools/bin/tool",
        "deep/data/x/y.py",
    ]);
    let layers = ["modules", "package", "packed", "tools", "deep"];
    let app = application(
        vec![
            function("Hello", path("f")).layers(&layers),
            function("Node", path("f")).runtime("nodejs20.x").layers(&layers),
        ],
        layers.map(|name| layer(name, path(name))).into(),
    );
    let made = make(&app, &project);
    insta::assert_snapshot!(copies(&made.images[1]), @r"
    COPY modules/ /opt/python/
    COPY package/ /opt/python/
    COPY packed/ /opt/python/lib/python3.12/
    COPY tools/ /opt/
    COPY deep/ /opt/
    COPY f/ ${LAMBDA_TASK_ROOT}/
    ");
    insta::assert_snapshot!(copies(&made.images[2]), @r"
    COPY modules/ /opt/
    COPY package/ /opt/
    COPY packed/ /opt/
    COPY tools/ /opt/
    COPY deep/ /opt/
    COPY f/ ${LAMBDA_TASK_ROOT}/
    ");
}

#[test]
fn archives_are_unpacked_once_for_all_functions() {
    let project = Memory::new(&["f/app.py"])
        .archive("l/tools.zip", &["python/", "python/tools.py"])
        .archive("l/bare.zip", &["bare.py"]);
    let made = make_clean(
        vec![
            function("One", path("f")).layers(&["Tools"]),
            function("Two", path("f")).layers(&["Tools", "Bare"]),
        ],
        vec![layer("Tools", path("l/tools.zip")), layer("Bare", path("l/bare.zip"))],
        &project,
    );
    let (one, two) = (&made.images[1], &made.images[2]);
    assert_eq!(one.staged[0], two.staged[0]);
    insta::assert_snapshot!(staged(two), @r"
    .esb/dev/layers/tools <- unpack l/tools.zip
    .esb/dev/layers/bare <- unpack l/bare.zip
    ");
    insta::assert_snapshot!(copies(two), @r"
    COPY .esb/dev/layers/tools/ /opt/
    COPY .esb/dev/layers/bare/ /opt/python/
    COPY f/ ${LAMBDA_TASK_ROOT}/
    ");
    assert!(one.dockerignore.ends_with("**/*.pyc\n!.esb/dev/layers/tools\n"));
}

#[test]
fn staged_layers_of_one_name_do_not_meet() {
    let mut project = Memory::new(&["f/app.py"]);
    let mut layers = Vec::new();
    for (index, name) in ["Common Lib", "common.lib", "common-lib", "層", "!"].iter().enumerate() {
        let file = format!("l/{index}.zip");
        project = project.archive(&file, &["python/x.py"]);
        let mut layer = layer(&format!("L{index}"), path(&file));
        layer.name = Some((*name).to_owned());
        layers.push(layer);
    }
    let hello = function("Hello", path("f")).layers(&["L0", "L1", "L2", "L3", "L4"]);
    let made = make_clean(vec![hello], layers, &project);
    insta::assert_snapshot!(staged(only(&made)), @r"
    .esb/dev/layers/common-lib <- unpack l/0.zip
    .esb/dev/layers/common.lib <- unpack l/1.zip
    .esb/dev/layers/common-lib-2 <- unpack l/2.zip
    .esb/dev/layers/layer <- unpack l/3.zip
    .esb/dev/layers/layer-2 <- unpack l/4.zip
    ");
}

#[test]
fn outside_the_root_they_are_copied_in() {
    let project = Memory::new(&["f/app.py", "/outside/common/common.py"]);
    let made = make_clean(
        vec![function("Hello", path("f")).layers(&["Common"])],
        vec![layer("Common", path("../outside/common"))],
        &project,
    );
    assert!(copies(only(&made)).starts_with("COPY .esb/dev/layers/common/ /opt/python/\n"));
    assert!(staged(only(&made)).starts_with(".esb/dev/layers/common <- copy `/outside/common`"));
}

#[test]
fn what_cannot_be_had_is_left_out_with_a_warning() {
    let project = Memory::new(&["f/app.py", "l/requirements.txt"]);
    let s3 = Code::S3 { uri: "s3://bucket/layer.zip".to_owned(), span: None };
    let mut hello = function("Hello", path("f")).layers(&["Remote", "Unbuilt", "Nowhere"]);
    hello = hello.zip(|package| {
        package.layers.push(LayerRef::Arn("arn:aws:lambda:x:1:layer:y:2".to_owned()));
        package.layers.push(LayerRef::Unknown("!ImportValue L".to_owned()));
    });
    let again = function("Again", path("f")).layers(&["Remote", "Unbuilt"]);
    let layers = vec![layer("Remote", s3), layer("Unbuilt", path("l"))];
    let made = make(&application(vec![hello, again], layers), &project);
    insta::assert_snapshot!(findings(&made), @r"
    warning esb::platform::s3-content @1006: the content of layer `Remote` is in S3 (`s3://bucket/layer.zip`); images are made without it
    warning esb::recipe::layer-requirements @1007: the content of layer `Unbuilt` has a requirements.txt that nothing installs | add `Metadata: {BuildMethod: python3.x}` to the layer, which has them installed, or install the packages into its `python/` folder
    warning esb::recipe::missing-layer @5: the image of `Hello` lacks the layer `Nowhere`, which its template does not have
    warning esb::platform::published-layer @5: the image of `Hello` lacks the layer `arn:aws:lambda:x:1:layer:y:2`, which cannot be fetched without AWS
    warning esb::platform::published-layer @5: the image of `Hello` lacks the layer `!ImportValue L`, which only AWS knows
    ");
    assert_eq!(copies(&made.images[2]), "COPY l/ /opt/\nCOPY f/ ${LAMBDA_TASK_ROOT}/");
}

#[test]
fn a_wrong_layer_is_told_once() {
    let project = Memory::new(&["f/app.py"]);
    let app = application(
        vec![
            function("One", path("f")).layers(&["Gone"]),
            function("Two", path("f")).layers(&["Gone"]),
            function("Free", path("f")),
        ],
        vec![layer("Gone", path("layers/gone"))],
    );
    let made = make(&app, &project);
    insta::assert_snapshot!(findings(&made), @"error esb::recipe::missing-code @1004: the content of layer `Gone` does not exist: there is no `layers/gone` | paths are relative to the template's folder");
    assert_eq!(only(&made).repository, "esb-free");
}
