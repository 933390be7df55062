//! `esb.toml` and `esb config`.

use insta::assert_snapshot;

use crate::context::Context;

const TEMPLATE: &str = "Transform: AWS::Serverless-2016-10-31\nResources: {}\n";

const SETTINGS: &str = r#"
registry = "registry:5010"
mirrors = ["public.ecr.aws=mirror.local:5000/aws"]
builder = "embedded"

[env.prod]
registry = "registry.prod:5010/team"
"#;

/// A folder that a Gateway reads, with entries of two templates and a hand-written one.
fn published() -> Context {
    let context = Context::new(TEMPLATE);
    let functions =
        r#"functions: {"a": {image: "r/a:1"}, "b": {image: "r/b:1"}, "mine": {image: "r/m:1"}}"#;
    context.write("gateway/functions.yml", functions);
    let routes = r#"routes: [{path: "/a", method: "GET", function: "a"}]"#;
    context.write("gateway/routing.yml", routes);
    let owners = r#"{"function": {"a": "old/template.yaml", "b": "template.yaml"},
                     "route": {"GET /a": "old/template.yaml"}}"#;
    let state = format!("{{\"version\": 1, \"owners\": {owners}}}");
    context.write("gateway/state.json", &state);
    context
}

#[test]
fn where_settings_come_from() {
    let context = Context::new(TEMPLATE);
    context.write("esb.toml", SETTINGS);
    context.write(".env", "ESB_TAG=v1\n");
    assert_snapshot!(context.esb(&["config", "show", "--format", "json", "-e", "prod"]));
    let table = context.esb(&["config", "show", "--origin", "-e", "prod"]);
    assert!(table.contains("registry.prod:5010/team               esb.toml [env]"), "{table}");
}

#[test]
fn passwords_in_refused_settings_are_not_shown() {
    let context = Context::new(TEMPLATE);
    let build = ["build", "-e", "dev", "--builder", "docker"];
    let mirror = ["--mirror", "public.ecr.aws=user:s3cret@h"];
    let buildkit = ["--buildkit", "tcp://user:s3cret@h:1"];
    let host = ["--buildkit", "tcp://h:1", "--buildkit-registry", "user:s3cret@h"];
    for (arguments, variable, value) in [
        (&mirror[..], "A", ""),
        (&buildkit, "A", ""),
        (&host, "A", ""),
        (&[], "CONTAINER_REGISTRY", "http://user:s3cret@h/x"),
        (&[], "BUILDKIT_HOST", "tcp://user:s3cret@h"),
    ] {
        let mut command = context.command(&build);
        let output = command.args(arguments).env(variable, value).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{arguments:?} {variable}");
        assert!(said.contains("****@h") && !said.contains("s3cret"), "{said}");
    }
    let settings = "registry = 'user:s3cret@h'\nmirrors = ['a=user:s3cret@h']\n";
    context.write("esb.toml", settings);
    for format in ["text", "json"] {
        let mut command = context.command(&["config", "show", "--origin", "--format", format]);
        command.env("HOST_REGISTRY_ADDR", "user:s3cret@h");
        let output = command.env("BUILDKIT_HOST", "tcp://user:s3cret@h").output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(said.matches("****@h").count(), 4, "{said}");
        assert!(!said.contains("s3cret"), "{said}");
    }
}

#[test]
fn an_unknown_setting() {
    let context = Context::new(TEMPLATE);
    context.write("esb.toml", "registri = 'a'\n");
    assert_snapshot!(context.esb(&["validate"]));
}

#[test]
fn another_version_is_wanted() {
    let context = Context::new(TEMPLATE);
    context.write("esb.toml", "new-key = 1\nrequired-version = '>=99'\n");
    let said = context.esb(&["validate"]);
    for words in [
        "exit: 1",
        "`[FOLDER]/esb.toml`",
        "line 2, column 20: it needs esb >=99, and this is [VERSION]",
        "install a release that fits",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(!said.contains("new-key"), "{said}");
    let said = context.esb(&["validate", "--format", "json"]);
    assert!(said.contains("\"code\": \"required-version\""), "{said}");
    context.write("esb.toml", "required-version = 'new'\n");
    let said = context.esb(&["validate"]);
    assert!(said.contains("exit: 1") && said.contains("line 1, column 20"), "{said}");
    assert!(said.contains("write versions as in"), "{said}");
    assert!(context.esb(&["version"]).contains("exit: 0"));
}

#[test]
fn templates_and_brand_of_the_project() {
    let context = Context::new("not a template");
    context.write("esb.toml", "templates = ['sub/one.yaml', 'sub']\nbrand = 'Acme'\n");
    context.write("sub/one.yaml", TEMPLATE);
    context.write("sub/template.yaml", TEMPLATE);
    let said = context.esb(&["inspect", "--format", "json"]);
    assert!(said.contains("sub/one.yaml") && said.contains("sub/template.yaml"), "{said}");
    let said = context.esb(&["config", "show", "--format", "json"]);
    assert!(said.contains("acme-default"), "{said}");
}

#[test]
fn owners_of_what_is_published() {
    assert_snapshot!(published().esb(&["config", "ls", "--config-to", "gateway"]));
}

#[test]
fn an_owner_is_removed() {
    let context = published();
    let arguments = ["config", "rm", "--owner", ":old/template.yaml", "--config-to", "gateway"];
    assert_snapshot!(context.esb(&arguments));
    let left = context.esb(&["config", "ls", "--config-to", "gateway"]);
    assert!(!left.contains("old/template.yaml") && left.contains("mine"), "{left}");
    let again = context.esb(&arguments);
    assert!(
        again.contains("nothing is published by") && again.contains("template.yaml"),
        "{again}"
    );
}

#[test]
fn the_cache_folder_is_the_one_that_is_used() {
    let context = Context::new("Resources: {}\n");
    let show = |variable: Option<(&str, &str)>| {
        let mut command = context.command(&["config", "show", "--format", "json"]);
        command.env_remove("ESB_CACHE_DIR").env("HOME", "/home/me").envs(variable);
        let output = command.output().unwrap();
        let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let mut settings = shown["settings"].as_array().unwrap().iter();
        settings.find(|one| one["name"] == "cache-dir").unwrap()["value"].clone()
    };
    assert_eq!(show(None), "/home/me/.cache/esb");
    assert_eq!(show(Some(("XDG_CACHE_HOME", "/cache"))), "/cache/esb");
    assert_eq!(show(Some(("ESB_CACHE_DIR", "/mine"))), "/mine");
}

#[test]
fn what_is_published_and_cannot_be_read_is_no_wrong_input() {
    let context = Context::new("Resources: {}\n");
    let verify = ["image", "verify", "--mode", "containerd", "--config-to", "published"];
    let said = context.esb(&verify);
    assert!(said.starts_with("exit: 1"), "{said}");
    context.write("published/routing.yml", "");
    // The disk's own error, whoever runs this.
    let file = context.path().join("published/functions.yml");
    std::os::unix::fs::symlink("functions.yml", file).unwrap();
    let said = context.esb(&verify);
    assert!(said.starts_with("exit: 9"), "{said}");
    assert!(said.contains("could not look for `published/functions.yml`"), "{said}");
}
