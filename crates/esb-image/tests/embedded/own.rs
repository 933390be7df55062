//! Dockerfiles of users, with build arguments and a target.

use std::error::Error as _;

use esb_model::{OwnDockerfile, Secret};

use crate::fixture::{Project, added, config, image};

const DOCKERFILE: &str = "ARG FILE=none\nFROM base:1 AS Built\nARG FILE\nARG SECRET=default\n\
                          COPY $FILE /made\nLABEL secret=$SECRET\nFROM base:1\nRUN true\n";

fn project(args: &[(&str, &str)], target: Option<&str>) -> Project {
    let mut project = Project::new(DOCKERFILE, "file f\nhush h");
    let args =
        args.iter().map(|(name, value)| ((*name).to_owned(), Secret::new((*value).to_owned())));
    let own = OwnDockerfile { args: args.collect(), target: target.map(str::to_owned), tag: None };
    project.recipe = project.recipe.clone().with_own(Some(own));
    project
}

#[test]
fn arguments_and_target_count() {
    let project = project(&[("FILE", "file"), ("SECRET", "hush-hush")], Some("built"));
    let made = image(&project.build().unwrap());
    assert_eq!(added(&made), "made 644 f");
    assert_eq!(config(&made).label("secret"), Some("hush-hush"));
    let history = String::from_utf8(config(&made).to_bytes()).unwrap();
    assert!(
        history.contains("\"ARG SECRET\"") && !history.contains("ARG SECRET=hush"),
        "{history}"
    );
}

#[test]
fn the_stage_that_is_built_is_checked() {
    let refused = |target| project(&[("FILE", "file")], target).build().unwrap_err();
    let said = |target| refused(target).source().map(ToString::to_string).unwrap_or_default();
    assert!(said(None).contains("line 8 of the Dockerfile: `RUN`"), "{}", said(None));
    let missing = refused(Some("other")).to_string();
    assert!(missing.contains("it has no stage `other`"), "{missing}");
}

#[test]
fn values_of_arguments_are_not_told() {
    let error = project(&[("FILE", "hush-hush")], Some("0")).build().unwrap_err();
    let text = format!("{error}: {error:?}");
    assert!(text.contains("$FILE") && !text.contains("hush-hush"), "{text}");
}
