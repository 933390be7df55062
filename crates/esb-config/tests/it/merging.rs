//! Several templates, several runs, and what others wrote.

use esb_config::{
    ChangeKind, Error, Merged, PublishedConfig, Remedy, Rendered, RunOwners, Section, merge, read,
    remove_owner,
};
use esb_model::{Application, Table, TemplateId};

use crate::sample::{app, owner, rendered, route, run_of, schedule, span};

/// Merges a run of one template.
fn run(published: &PublishedConfig, app: &Application, owner: &str) -> Result<Merged, Error> {
    merge(published, &rendered(app, owner), &run_of(owner))
}

fn published(merged: &Merged) -> PublishedConfig {
    PublishedConfig { config: merged.config.clone(), state: merged.state.clone() }
}

fn owners(merged: &Merged, section: Section, key: &str) -> Vec<String> {
    merged.state.owners.of(section, key).iter().map(ToString::to_string).collect()
}

fn functions(merged: &Merged) -> Vec<&str> {
    merged.config.functions.functions.keys().map(String::as_str).collect()
}

fn routes(merged: &Merged) -> Vec<String> {
    merged.config.routing.routes.iter().map(esb_config::RouteEntry::key).collect()
}

/// `kind entry` of each change.
fn changes(merged: &Merged) -> Vec<String> {
    let changes = merged.changes.iter();
    changes.map(|change| format!("{:?} {}", change.kind, change.entry)).collect()
}

/// A published folder with the given files.
fn folder(files: &[(&str, &str)]) -> PublishedConfig {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    read(dir.path()).unwrap()
}

#[test]
fn a_template_removes_only_its_own() {
    let mut a = app(&["A1", "A2"]);
    a.routes = vec![route("A1", "GET", "/a1"), route("A2", "GET", "/a2")];
    let mut b = app(&["B"]);
    b.routes = vec![route("B", "GET", "/b")];
    let first = run(&PublishedConfig::default(), &a, "a.yaml").unwrap();
    assert_eq!(
        changes(&first),
        [
            "Added function `A1`",
            "Added function `A2`",
            "Added route `GET /a1`",
            "Added route `GET /a2`",
        ]
    );
    let both = run(&published(&first), &b, "b.yaml").unwrap();
    assert_eq!(functions(&both), ["A1", "A2", "B"]);

    a.functions.pop();
    a.functions[0].timeout = Some(99);
    a.routes.pop();
    let less = run(&published(&both), &a, "a.yaml").unwrap();
    assert_eq!(functions(&less), ["A1", "B"]);
    assert_eq!(routes(&less), ["GET /a1", "GET /b"]);
    assert_eq!(
        changes(&less),
        ["Changed function `A1`", "Removed function `A2`", "Removed route `GET /a2`"]
    );
    assert_eq!(less.state.digests.keys().collect::<Vec<_>>(), ["A1", "B"]);
    assert!(less.state.owners.of(Section::Function, "A2").is_empty());

    let again = run(&published(&less), &a, "a.yaml").unwrap();
    assert_eq!(again.changes, []);
    assert_eq!(published(&again), published(&less));
}

#[test]
fn a_run_of_two_templates_moves_entries_between_them() {
    let both = RunOwners::new([owner("a.yaml"), owner("b.yaml")]);
    let first = run(&PublishedConfig::default(), &app(&["F"]), "a.yaml").unwrap();
    let moved = merge(&published(&first), &rendered(&app(&["F"]), "b.yaml"), &both).unwrap();
    assert_eq!(owners(&moved, Section::Function, "F"), ["shop:b.yaml"]);
    assert_eq!(moved.changes, []);
}

#[test]
fn two_templates_cannot_have_the_same() {
    let mut a = app(&["A"]);
    a.routes = vec![route("A", "GET", "/x/{id}")];
    let first = run(&PublishedConfig::default(), &a, "a.yaml").unwrap();

    let error = run(&published(&first), &app(&["A"]), "b.yaml").unwrap_err();
    assert_eq!(
        error.to_string(),
        "function `A` of `shop:b.yaml` is already published by `shop:a.yaml`"
    );
    let remove = Remedy::RenameOrRemove { published_by: owner("shop:a.yaml") };
    assert_eq!(error.remedy(), Some(remove), "{error:?}");

    let mut b = app(&["B"]);
    b.routes = vec![route("B", "GET", "/x/{other}")];
    let error = run(&published(&first), &b, "b.yaml").unwrap_err();
    assert_eq!(
        error.to_string(),
        "route `GET /x/{}` of `shop:b.yaml` is already published by `shop:a.yaml`"
    );
}

#[test]
fn a_shared_table_is_no_conflict_while_it_is_the_same() {
    let mut a = app(&[]);
    a.tables.push(Table {
        template: TemplateId(0),
        logical_id: "T".into(),
        span: span(0),
        name: "orders".into(),
        keys: Vec::new(),
        attributes: Vec::new(),
        indexes: Vec::new(),
        on_demand: true,
        throughput: None,
    });
    let first = run(&PublishedConfig::default(), &a, "a.yaml").unwrap();
    let second = run(&published(&first), &a, "b.yaml").unwrap();
    assert_eq!(second.changes, []);
    assert_eq!(owners(&second, Section::Table, "orders"), ["shop:a.yaml", "shop:b.yaml"]);
    // Whoever lets go of it first takes it from nobody.
    let table = a.tables.pop().unwrap();
    let without = merge(
        &published(&second),
        &rendered(&a, "a.yaml"),
        &RunOwners { adopt: true, ..run_of("a.yaml") },
    );
    let without = without.unwrap();
    assert_eq!(without.changes, []);
    assert_eq!(owners(&without, Section::Table, "orders"), ["shop:b.yaml"]);
    a.tables.push(Table { on_demand: false, ..table });
    run(&published(&first), &a, "b.yaml").unwrap_err();
    run(&published(&without), &a, "b.yaml").unwrap();
}

#[test]
fn what_the_earlier_tool_left_is_adopted_or_kept() {
    let old = folder(&[
        (
            "functions.yml",
            r#"
defaults:
  environment: {LOG_LEVEL: DEBUG, AWS_DEFAULT_REGION: "ap-northeast-1", MINE: "1"}
  scaling: {idle_timeout: 60}
functions:
  F: {image: "127.0.0.1:5010/esb-f:latest"}
  gone: {image: "127.0.0.1:5010/esb-gone:latest", handler: x.y}
"#,
        ),
        (
            "routing.yml",
            r#"
routes:
  - {path: "/{proxy+}", method: "GET", function: "F"}
  - {path: "", method: "", function: "F"}
  - {path: "/gone", method: "", function: "gone"}
"#,
        ),
        (
            "resources.yml",
            r"
resources:
  dynamodb: [{TableName: z, StreamSpecification: {StreamEnabled: true}}, {Name: nameless}]
  sqs: [{QueueName: q}]
",
        ),
        ("image-import.json", r#"{"version": "1", "push_target": "h:1", "images": []}"#),
    ]);
    let mut app = app(&["F"]);
    app.region = "eu-west-1".into();
    app.routes = vec![route("F", "GET", "/{proxy+}")];
    app.schedules = vec![schedule("F", "rate(1 day)")];
    let merged = run(&old, &app, "t.yaml").unwrap();
    assert_eq!(functions(&merged), ["F", "gone"]);
    assert_eq!(routes(&merged), ["GET /gone", "GET /{+}"]);
    let expected =
        ["Changed function `F`", "Changed route `GET /{+}`", "Added schedule `F rate(1 day)`"];
    assert_eq!(changes(&merged), expected);
    let unowned: Vec<String> = merged.unowned.iter().map(ToString::to_string).collect();
    assert_eq!(unowned, ["function `gone`", "route `GET /gone`", "table `z`"]);
    assert_eq!(merged.kept_defaults, ["environment.LOG_LEVEL", "scaling.idle_timeout"]);
    let function = &merged.config.functions.functions["F"].environment.0;
    assert_eq!(function["AWS_REGION"].template(), "eu-west-1");
    assert!(!merged.config.functions.defaults.environment.0.contains_key("AWS_REGION"));
    let text = merged.config.functions.to_yaml();
    for line in [
        "\"AWS_DEFAULT_REGION\": \"ap-northeast-1\"",
        "\"AWS_REGION\": \"eu-west-1\"",
        "\"LOG_LEVEL\": \"DEBUG\"",
        "\"MINE\": \"1\"",
        "\"idle_timeout\": 60",
        "\"acquire_timeout\": 30.0",
        "\"handler\": \"x.y\"",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    let text = merged.config.resources.to_yaml();
    for line in ["\"StreamEnabled\": true", "\"Name\": \"nameless\"", "\"QueueName\": \"q\""] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn a_published_region_stays_and_another_one_goes_into_own_functions() {
    let mut first = app(&["A"]);
    first.region = "ap-northeast-1".into();
    let merged = run(&PublishedConfig::default(), &first, "a.yaml").unwrap();
    assert_eq!(merged.own_region, None, "the first one goes into the defaults");

    let mut second = app(&["B", "C"]);
    second.region = "eu-west-1".into();
    let merged = run(&published(&merged), &second, "b.yaml").unwrap();
    let of = |merged: &Merged, name: &str| {
        let functions = &merged.config.functions;
        let own = functions.functions[name].environment.0.get("AWS_REGION");
        let region = own.or_else(|| functions.defaults.environment.0.get("AWS_REGION"));
        region.unwrap().template().to_owned()
    };
    assert_eq!(
        ["A", "B", "C"].map(|name| of(&merged, name)),
        ["ap-northeast-1", "eu-west-1", "eu-west-1"]
    );
    let own = merged.own_region.as_ref().unwrap();
    assert_eq!((&*own.published, &*own.own), ("ap-northeast-1", "eu-west-1"));
    assert_eq!(changes(&merged), ["Added function `B`", "Added function `C`"]);

    // The same run again changes nothing, and the first one's region neither.
    let again = run(&published(&merged), &second, "b.yaml").unwrap();
    assert!(again.changes.is_empty() && again.config == merged.config, "{:?}", again.changes);
    let first = run(&published(&again), &first, "a.yaml").unwrap();
    assert_eq!(first.own_region, None);
    assert_eq!(of(&first, "B"), "eu-west-1");

    // Even who is alone does not change the defaults: somebody may have counted on them.
    second.region = "us-east-1".into();
    let moved = run(&published(&first), &second, "b.yaml").unwrap();
    assert_eq!(of(&moved, "B"), "us-east-1");
    assert_eq!(of(&moved, "A"), "ap-northeast-1");
    assert!(
        moved
            .changes
            .iter()
            .any(|c| c.details.contains(&"env AWS_REGION changed: `us-east-1`".to_owned()))
    );
}

#[test]
fn an_owner_can_be_removed() {
    let first = run(&PublishedConfig::default(), &app(&["A"]), "a.yaml").unwrap();
    let both = run(&published(&first), &app(&["B"]), "b.yaml").unwrap();
    let left = remove_owner(&published(&both), &owner("a.yaml"));
    assert_eq!(functions(&left), ["B"]);
    assert_eq!(left.config.functions.defaults, both.config.functions.defaults);
    assert_eq!(left.state.defaults, both.state.defaults);
    assert_eq!(left.changes.len(), 1);
    assert_eq!(left.changes[0].kind, ChangeKind::Removed);
    assert_eq!(remove_owner(&published(&both), &owner("c.yaml")).changes, []);
}

#[test]
fn nothing_is_published_for_an_empty_run() {
    let merged =
        merge(&PublishedConfig::default(), &Rendered::default(), &RunOwners::default()).unwrap();
    assert_eq!(merged.config.functions.to_yaml(), "\"functions\": {}\n");
    assert_eq!(merged.changes, []);
}

#[test]
fn another_image_under_the_same_reference_is_a_change() {
    let first = run(&PublishedConfig::default(), &app(&["A"]), "a.yaml").unwrap();
    let mut next = rendered(&app(&["A"]), "a.yaml");
    next.state.digests.insert("A".into(), "sha256:other".into());
    let next = merge(&published(&first), &next, &run_of("a.yaml")).unwrap();
    assert_eq!(changes(&next), ["Changed function `A`"]);
    assert_eq!(next.state.digests["A"], "sha256:other");
}
