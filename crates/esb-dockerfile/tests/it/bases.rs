//! Which base images a run needs, and what they are made of.

use esb_model::{Architecture, BaseRef, Brand, StagedSource};

use crate::support::{
    Memory, With as _, application, findings, function, images, make, make_with, only, path,
};

#[test]
fn one_for_each_python_then_functions_by_name() {
    let project = Memory::new(&["a/app.py"]);
    let app = application(
        vec![
            function("Zeta", path("a")),
            function("Beta", path("a")).runtime("python3.13"),
            function("Alpha", path("a")).runtime("python3.13"),
            function("Old", path("a")).runtime("python3.8"),
        ],
        vec![],
    );
    let made = make_with(&app, &project, |settings| settings.tag = "v1");
    insta::assert_snapshot!(images(&made), @r"
    base esb-lambda-base:v1 linux/amd64 .esb/dev/base/python3.12 <- public.ecr.aws/lambda/python:3.12
    base esb-lambda-base:v1-python3.13 linux/amd64 .esb/dev/base/python3.13 <- public.ecr.aws/lambda/python:3.13
    function esb-alpha:v1 linux/amd64 .esb/dev/functions/Alpha <- esb-lambda-base:v1-python3.13
    function esb-beta:v1 linux/amd64 .esb/dev/functions/Beta <- esb-lambda-base:v1-python3.13
    function esb-old:v1 linux/amd64 .esb/dev/functions/Old <- public.ecr.aws/lambda/python:3.8
    function esb-zeta:v1 linux/amd64 .esb/dev/functions/Zeta <- esb-lambda-base:v1
    ");
}

#[test]
fn both_architectures() {
    let project = Memory::new(&["a/app.py"]);
    let mut arm = function("Arm", path("a"));
    arm.architectures = vec![Architecture::Arm64];
    let mut other = function("Other", path("a")).runtime("python3.13");
    other.architectures = vec![Architecture::Arm64];
    let app = application(vec![function("Intel", path("a")), arm, other], vec![]);
    insta::assert_snapshot!(images(&make(&app, &project)), @r"
    base esb-lambda-base:latest linux/amd64 .esb/dev/base/python3.12-amd64 <- public.ecr.aws/lambda/python:3.12
    base esb-lambda-base:latest linux/arm64 .esb/dev/base/python3.12-arm64 <- public.ecr.aws/lambda/python:3.12
    base esb-lambda-base:latest-python3.13 linux/arm64 .esb/dev/base/python3.13 <- public.ecr.aws/lambda/python:3.13
    function esb-arm:latest linux/arm64 .esb/dev/functions/Arm <- esb-lambda-base:latest
    function esb-intel:latest linux/amd64 .esb/dev/functions/Intel <- esb-lambda-base:latest
    function esb-other:latest linux/arm64 .esb/dev/functions/Other <- esb-lambda-base:latest-python3.13
    ");
    let forced = make_with(&app, &project, |settings| {
        settings.platform = Some("linux/arm64".parse().unwrap());
    });
    assert!(forced.images.iter().all(|image| image.platform.architecture == Architecture::Arm64));
    assert_eq!(forced.images.len(), 5);
}

#[test]
fn everything_follows_the_brand() {
    let project = Memory::new(&["a/app.py"]);
    let brand = Brand::new("acme").unwrap();
    let app = application(vec![function("Hello", path("a"))], vec![]);
    let settings = esb_dockerfile::RecipeSettings {
        brand: &brand,
        environment: "prod",
        registry_prefix: None,
        tag: "latest",
        template_folders: vec!["".into()],
        platform: None,
        follow_links: esb_model::FollowLinks::default(),
    };
    let made = esb_dockerfile::recipes(&app, &settings, &project);
    insta::assert_snapshot!(images(&made), @r"
    base acme-lambda-base:latest linux/amd64 .acme/prod/base/python3.12 <- public.ecr.aws/lambda/python:3.12
    function acme-hello:latest linux/amd64 .acme/prod/functions/Hello <- acme-lambda-base:latest
    ");
    assert!(made.images[1].dockerignore.contains("**/.acme\n"));
}

#[test]
fn the_base_carries_the_hooks() {
    let project = Memory::new(&["a/app.py"]);
    let app = application(vec![function("Hello", path("a")).runtime("python3.11")], vec![]);
    let made = make(&app, &project);
    let base = &made.images[0];
    assert_eq!(base.context.folder, base.folder);
    assert!(base.dockerfile.contains("\nARG PYTHON_VERSION=3.11\n"), "{}", base.dockerfile);
    assert!(!base.dockerfile.contains("3.12"), "{}", base.dockerfile);
    let hook = ".esb/dev/base/python3.11/extensions/sitecustomize/site-packages/sitecustomize.py";
    let hook = base.staged.iter().find(|staged| staged.target.to_str() == Some(hook)).unwrap();
    assert!(matches!(&hook.source, StagedSource::Content(bytes) if !bytes.is_empty()));
    assert!(base.staged.iter().all(|staged| staged.target.starts_with(&base.folder)));
    assert_eq!(base.dockerignore, "# Only the hooks\n*\n!extensions\n");
}

#[test]
fn runtimes_without_hooks_say_so_once() {
    let project = Memory::new(&["a/index.js"]);
    let app = application(
        vec![
            function("One", path("a")).runtime("nodejs20.x"),
            function("Two", path("a")).runtime("nodejs20.x"),
            function("Three", path("a")).runtime("provided.al2023"),
        ],
        vec![],
    );
    let made = make_with(&app, &project, |settings| settings.registry_prefix = Some("r:1"));
    insta::assert_snapshot!(findings(&made), @r"
    warning esb::platform::no-hooks @3: images of nodejs20.x are made from public.ecr.aws/lambda/nodejs:20 without the platform's hooks: no log shipping, no trace ids, no redirected AWS clients
    warning esb::platform::no-hooks @5: images of provided.al2023 are made from public.ecr.aws/lambda/provided:al2023 without the platform's hooks: no log shipping, no trace ids, no redirected AWS clients
    ");
    assert_eq!(made.images.len(), 3);
    let bases: Vec<_> = made.images.iter().map(|image| &image.base).collect();
    assert!(bases.iter().all(|base| matches!(base, BaseRef::External { .. })));
    assert!(made.images[0].dockerfile.starts_with("FROM public.ecr.aws/lambda/nodejs:20\n"));
}

#[test]
fn an_application_without_functions_needs_nothing() {
    let made = make(&application(vec![], vec![]), &Memory::default());
    assert!(made.images.is_empty() && made.findings.is_empty());
    let skipped = application(vec![function("A", path("missing"))], vec![]);
    assert!(make(&skipped, &Memory::default()).images.is_empty());
    let one = application(vec![function("A", path("a"))], vec![]);
    only(&make(&one, &Memory::new(&["a/x.py"])));
}
