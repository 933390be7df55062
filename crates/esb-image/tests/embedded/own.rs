//! Dockerfiles of users, with build arguments and a target.

use std::error::Error as _;

use esb_image::Builder as _;
use esb_model::{ImageOverrides, OwnDockerfile, Secret};

use crate::fixture::{Project, added, config, image};

const DOCKERFILE: &str = "ARG FILE=none\nFROM base:1 AS Built\nARG FILE\nARG SECRET=default\n\
                          COPY $FILE /made\nLABEL secret=$SECRET\nFROM base:1\nRUN true\n";

fn project(args: &[(&str, &str)], target: Option<&str>) -> Project {
    let mut project = Project::new(DOCKERFILE, "file f\nhush h");
    let args =
        args.iter().map(|(name, value)| ((*name).to_owned(), Secret::new((*value).to_owned())));
    let own = OwnDockerfile {
        args: args.collect(),
        target: target.map(str::to_owned),
        ..OwnDockerfile::default()
    };
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

#[test]
fn arguments_are_not_in_the_history() {
    let mut project = project(&[("FILE", "hush-hush")], Some("0"));
    project.write("hush-hush f");
    let made = config(&image(&project.build().unwrap()));
    let text = String::from_utf8(made.to_bytes()).unwrap();
    assert!(text.contains("COPY $FILE /made") && !text.contains("hush"), "{text}");
    project.recipe.own.as_mut().unwrap().args.insert("FILE".to_owned(), Secret::new("file".into()));
    assert!(!project.build().unwrap().reason.contains("hush"));
}

#[test]
fn image_config_replaces_what_it_names() {
    let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
    let of = |target: &str, overrides: ImageOverrides| {
        let mut project =
            Project::new("FROM base:1 AS one\nFROM base:1 AS two\nCMD [\"two\"]\nRUN true\n", "");
        let own = OwnDockerfile {
            target: Some(target.to_owned()),
            overrides,
            ..OwnDockerfile::default()
        };
        project.recipe = project.recipe.clone().with_own(Some(own));
        let supports = project.builder.supports(&project.recipe);
        supports.is_ok().then(|| {
            let made = image(&project.build().unwrap());
            (config(&made), added(&made))
        })
    };
    let entry = ImageOverrides { entry_point: words(&["/run"]), ..ImageOverrides::default() };
    let (made, files) = of("one", entry.clone()).unwrap();
    assert_eq!(made.list("Entrypoint"), Some(vec!["/run"]));
    assert_eq!(made.list("Cmd"), Some(vec!["base.cmd"]));
    assert_eq!((made.text("WorkingDir"), &*files), ("/var/task", ""));
    let all = ImageOverrides {
        command: words(&["$x"]),
        working_directory: Some("/new $dir".to_owned()),
        ..entry
    };
    let (made, files) = of("one", all.clone()).unwrap();
    assert_eq!(made.list("Cmd"), Some(vec!["$x"]));
    assert_eq!((made.text("WorkingDir"), &*files), ("/new $dir", "new $dir/ 755"));
    let command = ImageOverrides { entry_point: None, working_directory: None, ..all };
    let (made, _) = of("one", command.clone()).unwrap();
    assert_eq!(made.list("Entrypoint"), Some(vec!["/entry"]));
    assert!(of("two", command).is_none());
}

#[test]
fn an_image_of_settings_alone_has_a_layer() {
    let made = Project::new("FROM scratch\nLABEL a=b\n", "").image();
    assert_eq!((made.layers.len(), added(&made)), (1, String::new()));
    assert_eq!(config(&made).diff_ids().len(), 1);
    let again = Project::new("FROM scratch\nLABEL a=b\n", "").image();
    assert_eq!(made.digest(), again.digest());
}
