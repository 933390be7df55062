//! Image functions that are built from a Dockerfile of the user.

use std::collections::BTreeMap;

use esb_model::{
    BaseRef, DockerBuild, EnvValue, Function, ImageOverrides, ImagePackage, Package, Secret,
};

use crate::support::{Memory, application, findings, function, make, make_with, only, path};

fn image_function(
    id: &str,
    build: DockerBuild,
    change: impl FnOnce(&mut ImagePackage),
) -> Function {
    let mut package = ImagePackage { build: Some(build), ..ImagePackage::default() };
    change(&mut package);
    let mut function = function(id, path("unused"));
    function.package = Package::Image(package);
    function
}

fn in_context(context: &str) -> DockerBuild {
    DockerBuild { context: Some(context.to_owned()), ..DockerBuild::default() }
}

#[test]
fn the_dockerfile_is_taken_as_it_is() {
    let project = Memory::new(&["app/app.py"])
        .file("app/docker/Dockerfile", "FROM python:3.13\nCOPY app.py /\n")
        .file("app/.dockerignore", "*.md\n");
    let build = DockerBuild {
        dockerfile: Some("docker/Dockerfile".to_owned()),
        tag: Some("python3.13-v1".to_owned()),
        args: BTreeMap::from([
            ("A".to_owned(), EnvValue::Known("b c".to_owned())),
            ("S".to_owned(), EnvValue::Secret(Secret::new("hunter2".to_owned()))),
            ("U".to_owned(), EnvValue::Symbolic("!GetAtt X.Y".to_owned())),
        ]),
        target: Some("run".to_owned()),
        ..in_context("app")
    };
    let app = application(vec![image_function("Hello", build, |_| ())], vec![]);
    let made = make(&app, &project);
    insta::assert_snapshot!(findings(&made), @"warning esb::recipe::secret-argument @5: the build argument `S` of `Hello` holds a NoEcho value, and an image's history shows the arguments that its `RUN` steps used");
    let recipe = only(&made);
    assert_eq!((&*recipe.repository, &*recipe.tag), ("esb-hello", "latest"));
    assert_eq!(recipe.base, BaseRef::InDockerfile);
    assert_eq!(recipe.dockerfile, "FROM python:3.13\nCOPY app.py /\n");
    assert_eq!(recipe.dockerignore, "**/.esb\n*.md\n");
    assert_eq!(recipe.context.folder.to_str(), Some("app"));
    assert_eq!(recipe.folder.to_str(), Some(".esb/dev/functions/Hello"));
    let own = recipe.own.as_ref().unwrap();
    assert_eq!(own.target.as_deref(), Some("run"));
    assert_eq!(own.tag.as_deref(), Some("python3.13-v1"));
    let args: Vec<_> = own.args.iter().map(|(name, v)| (&**name, &**v.reveal())).collect();
    assert_eq!(args, [("A", "b c"), ("S", "hunter2")]);
    assert!(!format!("{made:?}").contains("hunter2"));
}

#[test]
fn exclusions_named_after_the_dockerfile_win() {
    let project = Memory::new(&["app.py"])
        .file("Dockerfile", "FROM scratch\n")
        .file("Dockerfile.dockerignore", "a")
        .file(".dockerignore", "b");
    let app = application(vec![image_function("Hello", in_context("."), |_| ())], vec![]);
    assert_eq!(only(&make(&app, &project)).dockerignore, "**/.esb\na");
}

#[test]
fn image_config_is_left_to_the_builder() {
    let text = "FROM a AS b\nFROM c";
    let project = Memory::new(&[]).file("Dockerfile", text);
    let build = DockerBuild { target: Some("b".to_owned()), ..in_context(".") };
    let overrides = ImageOverrides {
        command: Some(vec!["app.other".to_owned()]),
        working_directory: Some("/my $dir".to_owned()),
        ..ImageOverrides::default()
    };
    let hello = image_function("Hello", build, |package| package.overrides = overrides.clone());
    let made = make(&application(vec![hello], vec![]), &project);
    assert_eq!(findings(&made), "");
    assert_eq!(only(&made).dockerfile, text);
    let own = only(&made).own.as_ref().unwrap();
    assert_eq!((own.target.as_deref(), &own.overrides), (Some("b"), &overrides));
}

#[test]
fn what_is_wrong_is_said() {
    let long = "x".repeat(2 << 20);
    let project = Memory::new(&["empty/", "file", "folder/Dockerfile/"])
        .file("long/Dockerfile", &long)
        .file("ok/Dockerfile", "FROM scratch\n");
    let build = |id: &str, context: &str| image_function(id, in_context(context), |_| ());
    let mut tagged = in_context("ok");
    tagged.tag = Some("not a tag".to_owned());
    let app = application(
        vec![
            build("A", "missing"),
            build("B", "file"),
            build("C", "empty"),
            build("D", "folder"),
            build("E", "long"),
            image_function("Tagged", tagged, |_| ()),
            image_function("Words", in_context("ok"), |package| {
                package.overrides.working_directory = Some("/a\nRUN x".to_owned());
            }),
            image_function("tagged", in_context("ok"), |_| ()),
        ],
        vec![],
    );
    let made = make(&app, &project);
    insta::assert_snapshot!(findings(&made));
    assert_eq!(made.images.len(), 1);
    assert_eq!(only(&made).own.as_ref().unwrap().tag, None);
}

#[test]
fn the_run_s_own_tag_is_not_given_twice() {
    let project = Memory::new(&[]).file("Dockerfile", "FROM scratch\n");
    let mut build = in_context(".");
    build.tag = Some("v1".to_owned());
    let app = application(vec![image_function("Hello", build, |_| ())], vec![]);
    let made = make_with(&app, &project, |settings| settings.tag = "v1");
    let recipe = only(&made);
    assert_eq!((&*recipe.tag, recipe.own.as_ref().unwrap().tag.as_deref()), ("v1", None));
}
