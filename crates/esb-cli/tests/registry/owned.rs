//! Several templates, clones and tools publish into one folder: who owns what, and what stays.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use esb_config::{Owner, PublishedConfig};
use serde_json::Value;

use crate::project::{Project, base, document};

/// A deploy of this project that publishes into a folder, or into staging alone.
fn deploy(project: &Project, to: &str, more: &[&str]) -> Command {
    project.command("store", &[&["deploy", "--to", "oci", "--config-to", to], more].concat())
}

/// What a folder has: each function and route with its owner.
fn entries(folder: &Path) -> Vec<String> {
    let entries = published(folder).entries().into_iter();
    let told = entries.filter(|(entry, _)| ["function", "route"].contains(&entry.section.noun()));
    let template = |owners: BTreeSet<Owner>| {
        owners.first().map(|owner| owner.template().to_owned()).unwrap_or_default()
    };
    let mut told: Vec<String> =
        told.map(|(entry, owners)| format!("{} {}", entry.key, template(owners))).collect();
    told.sort();
    told
}

fn published(folder: &Path) -> PublishedConfig {
    esb_config::read(folder).unwrap()
}

/// A template without one of the functions of [`Project::new`].
fn without(project: &Project, function: &str) {
    let path = project.path().join("template.yaml");
    let text = fs::read_to_string(&path).unwrap();
    let start = text.find(&format!("  {function}:\n")).unwrap();
    let end = text[start..].find("CodeUri").unwrap() + start;
    let end = text[end..].find('\n').unwrap() + end + 1;
    fs::write(&path, [&text[..start], &text[end..]].concat()).unwrap();
}

fn second_template(project: &Project, name: &str, function: &str) {
    let text = format!(
        "Transform: AWS::Serverless-2016-10-31\nResources:\n  {function}:\n    \
         Type: AWS::Serverless::Function\n    Properties:\n      FunctionName: {function}\n      \
         Runtime: python3.12\n      Handler: app.handler\n      CodeUri: second/\n      \
         Events: {{Http: {{Type: HttpApi, Properties: {{Path: /{function}, Method: GET}}}}}}\n"
    );
    project.write(name, &text);
    project.write("second/app.py", "handler = second = True\n");
}

#[test]
fn clones_in_different_folders_share_what_is_published() {
    let (here, there) = (Project::new(2), Project::new(2));
    let shared = tempfile::tempdir().unwrap();
    let to = shared.path().to_str().unwrap();
    second_template(&here, "second.yaml", "other");
    document(&mut deploy(&here, to, &["-t", "second.yaml"]));
    document(&mut deploy(&here, to, &[]));
    let all =
        ["GET /other second.yaml", "fn-0 template.yaml", "fn-1 template.yaml", "other second.yaml"];
    assert_eq!(entries(shared.path()), all);

    // The other clone never saw what this one did, and owns the same.
    let done = document(&mut deploy(&there, to, &[]));
    assert_eq!(done["changes"], serde_json::json!([]), "{done:#}");
    without(&there, "F1");
    document(&mut deploy(&there, to, &[]));
    assert_eq!(entries(shared.path()), [all[0], all[1], all[3]]);
    // What this clone's staging remembers does not count.
    document(&mut deploy(&here, to, &[]));
    assert_eq!(entries(shared.path()), all);
}

#[test]
fn a_renamed_template_is_told_how_to_take_over() {
    let project = Project::new(1);
    let shared = tempfile::tempdir().unwrap();
    let to = shared.path().to_str().unwrap();
    document(&mut deploy(&project, to, &[]));
    fs::rename(project.path().join("template.yaml"), project.path().join("api.yaml")).unwrap();

    let before = fs::read(shared.path().join("functions.yml")).unwrap();
    let refused = deploy(&project, to, &["-t", "api.yaml"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let said: Value = serde_json::from_slice(&refused.stdout).unwrap();
    let error = &said["error"];
    assert_eq!(
        error["message"],
        "function `fn-0` of `shop:api.yaml` is already published by `shop:template.yaml`",
        "{said:#}"
    );
    let hint = error["hint"].as_str().unwrap();
    assert!(hint.contains("config rm --owner 'shop:template.yaml'"), "{hint}");
    assert_eq!(fs::read(shared.path().join("functions.yml")).unwrap(), before);

    let remove = ["config", "rm", "--owner", "template.yaml", "--config-to", to];
    document(&mut project.command("store", &remove));
    document(&mut deploy(&project, to, &["-t", "api.yaml"]));
    assert_eq!(entries(shared.path()), ["fn-0 api.yaml"]);
    assert_eq!(fs::read(shared.path().join("functions.yml")).unwrap(), before);
}

#[test]
fn staging_of_the_earlier_tool_is_adopted() {
    let project = Project::new(2);
    let staging = ".esb/staging/esb-dev/dev/config";
    let image = "image: \"127.0.0.1:5010/esb-f:latest\"";
    project.write(
        &format!("{staging}/functions.yml"),
        &format!("functions:\n  fn-0: {{{image}}}\n  theirs: {{{image}}}\n"),
    );
    project.write(
        &format!("{staging}/routing.yml"),
        "routes: [{path: /theirs, method: GET, function: theirs}]\n",
    );
    let folder = project.path().join(staging);
    let kept = ["GET /theirs ", "fn-0 template.yaml", "fn-1 template.yaml", "theirs "];
    let unowned = serde_json::json!(["function `theirs`", "route `GET /theirs`"]);
    let planned = document(&mut deploy(&project, "none", &["--dry-run"]));
    assert_eq!(planned["unowned"], unowned, "{planned:#}");
    let done = document(&mut deploy(&project, "none", &[]));
    assert_eq!(done["unowned"], unowned, "{done:#}");
    assert_eq!(entries(&folder), kept);
    assert!(
        !published(&folder).config.functions.to_yaml().contains("fn-0\":\n    \"image\": \"127")
    );

    // Adopted: it goes when the template no longer has it.
    without(&project, "F0");
    document(&mut deploy(&project, "none", &[]));
    assert_eq!(entries(&folder), [kept[0], kept[2], kept[3]]);
}

#[test]
fn quickstart_and_a_second_template() {
    let quickstart = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/quickstart");
    let folder = tempfile::tempdir().unwrap();
    copy(&quickstart, folder.path());
    // Packages of an index are not what this is about.
    fs::remove_file(folder.path().join("functions/label_order/requirements.txt")).unwrap();
    let project = Project { folder };
    base(&project.path().join("base"));
    second_template(&project, "second.yaml", "stats");
    let (shared, anew) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let to = shared.path().to_str().unwrap();
    document(&mut deploy(&project, to, &["-t", "template.yaml"]));
    document(&mut deploy(&project, to, &["-t", "second.yaml"]));
    let before = published(shared.path());

    let text = fs::read_to_string(project.path().join("template.yaml")).unwrap();
    let route = "      Events:\n        GetOrder:\n          Type: Api\n          Properties:\n            \
                 Path: /orders/{id}\n            Method: get\n";
    let (start, end) =
        (text.find("  # POST /orders/quote").unwrap(), text.find("  # GET /labels").unwrap());
    let less = [&text[..start], &text[end..]].concat().replace(route, "");
    assert_eq!(text.len() - less.len(), route.len() + end - start);
    project.write("template.yaml", &less);
    let done = document(&mut deploy(&project, to, &["-t", "template.yaml"]));
    let changes = done["changes"].as_array().unwrap().iter();
    let changes: Vec<String> =
        changes.map(|change| format!("{} {}", change["change"], change["entry"])).collect();
    let gone = [
        "\"removed\" \"function `QuoteOrderFunction`\"",
        "\"removed\" \"route `GET /orders/{}`\"",
        "\"removed\" \"route `POST /orders/quote`\"",
    ];
    assert_eq!(changes, gone);

    // All that is left is as it was.
    let mut expected = before.config;
    expected.functions.functions.remove("QuoteOrderFunction").unwrap();
    expected.routing.routes.retain(|route| {
        route.path != "/orders/quote" && (route.path != "/orders/{id}" || route.method != "GET")
    });
    let after = published(shared.path()).config;
    assert_eq!(after.functions.to_yaml(), expected.functions.to_yaml());
    assert_eq!(after.routing.to_yaml(), expected.routing.to_yaml());
    // And as if nothing else had ever been there.
    let fresh = anew.path().to_str().unwrap();
    document(&mut deploy(&project, fresh, &["-t", "second.yaml"]));
    document(&mut deploy(&project, fresh, &["-t", "template.yaml"]));
    for name in ["functions.yml", "routing.yml", "resources.yml", "image-import.json", "state.json"]
    {
        let text = |folder: &Path| fs::read_to_string(folder.join(name)).unwrap();
        assert_eq!(text(shared.path()), text(anew.path()), "{name}");
    }
}

#[test]
fn generated_files_lie_in_the_output_folder_too() {
    let project = Project::new(2);
    let build = |output: &str| project.command("store", &["build", "--to", "oci", "-o", output]);
    document(&mut build("out"));
    let same = |path: &str| {
        let own = fs::read(project.path().join(".esb/dev").join(path)).unwrap();
        assert_eq!(fs::read(project.path().join("out/dev").join(path)).unwrap(), own, "{path}");
    };
    for name in ["functions.yml", "routing.yml", "resources.yml", "image-import.json"] {
        same(&format!("config/{name}"));
    }
    same("functions/fn-0/Dockerfile");
    same("functions/fn-1/Dockerfile.dockerignore");
    without(&project, "F1");
    project.write("out/dev/functions/mine/notes", "stay");
    document(&mut build("out"));
    assert!(!project.path().join("out/dev/functions/fn-1").exists());
    assert!(project.path().join("out/dev/functions/mine/notes").exists());
    same("config/functions.yml");

    // The generated folder itself keeps what no run made, whatever its name.
    let functions = project.path().join(".esb/dev/functions");
    assert!(!functions.join("fn-1").exists());
    for name in ["mine/Dockerfile", "mine/code/app.py"] {
        project.write(&format!(".esb/dev/functions/{name}"), "stay");
    }
    project.write(".esb/.gitignore", "*\n!dev/config\n");
    document(&mut build("out"));
    let ignored = fs::read_to_string(project.path().join(".esb/.gitignore")).unwrap();
    assert_eq!(ignored, "*\n!dev/config\n");
    assert!(functions.join("mine/Dockerfile").exists() && functions.join("mine/code").exists());

    for inside in ["layer", "functions/f0/../f0/out"] {
        let refused = build(inside).output().unwrap();
        assert_eq!(refused.status.code(), Some(1), "{inside}");
        let said: Value = serde_json::from_slice(&refused.stdout).unwrap();
        assert_eq!(said["error"]["code"], "output", "{said:#}");
    }
}

fn copy(from: &Path, to: &Path) {
    let paths: Vec<PathBuf> =
        fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()).collect();
    for path in paths {
        let name = path.file_name().unwrap();
        if path.is_dir() && name != ".esb" {
            fs::create_dir(to.join(name)).unwrap();
            copy(&path, &to.join(name));
        } else if path.is_file() && name != "esb.lock" {
            fs::copy(&path, to.join(name)).unwrap();
        }
    }
}
