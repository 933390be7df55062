//! Applications on one platform, and a place that is a folder of the run's own.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::{Value, json};

use crate::{
    project::{Project, document},
    schemas,
};

/// A deploy of this project into a folder.
fn deploy(project: &Project, to: &Path, more: &[&str]) -> Command {
    let to = to.to_str().unwrap();
    project.command("store", &[&["deploy", "--to", "oci", "--config-to", to], more].concat())
}

/// Runs a deploy that is refused, and gives what it says as JSON; what is published stays.
fn refused(project: &Project, to: &Path, more: &[&str]) -> Value {
    let before = fs::read(to.join("functions.yml")).unwrap();
    let mut command = deploy(project, to, more);
    let Output { status, stdout, .. } = command.output().unwrap();
    let said: Value = serde_json::from_slice(&stdout).unwrap();
    schemas::check(&command, &said);
    assert_eq!(status.code(), Some(1), "{said:#}");
    assert_eq!(fs::read(to.join("functions.yml")).unwrap(), before);
    said["error"].clone()
}

/// Functions and their owners.
fn functions(to: &Path) -> Vec<String> {
    let entries = esb_config::read(to).unwrap().entries().into_iter();
    let functions = entries.filter(|(entry, _)| entry.section.noun() == "function");
    functions
        .map(|(entry, owners)| {
            let owners: Vec<String> = owners.iter().map(ToString::to_string).collect();
            format!("{} {}", entry.key, owners.join(" "))
        })
        .collect()
}

/// The project of `sam init`, as its samconfig.toml calls it.
fn of_sam_init(stack: &str, functions: usize, first: usize) -> Project {
    let project = Project::new(functions);
    project.write("esb.toml", "");
    let samconfig =
        format!("version = 0.1\n[default.global.parameters]\nstack_name = \"{stack}\"\n");
    project.write("samconfig.toml", &samconfig);
    let path = project.path().join("template.yaml");
    let mut text = fs::read_to_string(&path).unwrap();
    for number in (0..functions).rev() {
        text = text.replace(&format!("fn-{number}\n"), &format!("fn-{}\n", number + first));
    }
    fs::write(path, text).unwrap();
    project
}

#[test]
fn two_projects_of_sam_init_keep_what_is_theirs() {
    let shared = tempfile::tempdir().unwrap();
    let to = shared.path();
    let one = of_sam_init("sam-app", 2, 0);
    document(&mut deploy(&one, to, &[]));
    let own = ["fn-0 sam-app:template.yaml", "fn-1 sam-app:template.yaml"];
    assert_eq!(functions(to), own);

    // The same name and other functions.
    let two = of_sam_init("sam-app", 1, 2);
    let error = refused(&two, to, &[]);
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("`fn-0`") && message.contains("`fn-2`"), "{message}");
    let hint = error["hint"].as_str().unwrap();
    assert!(hint.contains("--adopt") && hint.contains("application ="), "{hint}");
    assert!(!two.path().join(".esb").exists(), "nothing is built before");
    two.write("esb.toml", "application = 'two'\n");
    let planned = document(&mut deploy(&two, to, &["--dry-run"]));
    assert_eq!(
        planned["owners"],
        json!([{"application": "two", "template": "template.yaml", "origin": "esb.toml"}])
    );
    document(&mut deploy(&two, to, &[]));
    assert_eq!(functions(to), [own[0], own[1], "fn-2 two:template.yaml"]);

    // Another name and the same function.
    let three = of_sam_init("three", 1, 1);
    let error = refused(&three, to, &[]);
    let message = "function `fn-1` of `three:template.yaml` is already published by \
                   `sam-app:template.yaml`";
    assert_eq!(error["message"], message);
    let done = document(&mut deploy(&three, to, &["--adopt"]));
    assert_eq!(done["adopted"][0]["from"]["application"], "sam-app", "{done:#}");
    assert_eq!(functions(to), [own[0], "fn-1 three:template.yaml", "fn-2 two:template.yaml"]);
    refused(&one, to, &[]);

    let listed =
        document(&mut one.command("store", &["config", "ls", "--config-to", to.to_str().unwrap()]));
    let listed = listed["entries"].as_array().unwrap().iter();
    let listed: Vec<&Value> = listed.filter(|entry| entry["section"] == "function").collect();
    assert_eq!(listed[1]["application"], "three");
    assert_eq!(listed[1]["owner"], "three:template.yaml");
    let remove = ["config", "rm", "--config-to", to.to_str().unwrap(), "--owner"];
    let other = one.command("store", &[&remove[..], &["two:other.yaml"]].concat()).output();
    assert_eq!(other.unwrap().status.code(), Some(1));
    document(&mut one.command("store", &[&remove[..], &["./template.yaml"]].concat()));
    assert_eq!(functions(to), ["fn-1 three:template.yaml", "fn-2 two:template.yaml"]);
}

#[test]
fn the_first_deploy_records_the_folder_s_name() {
    let shared = tempfile::tempdir().unwrap();
    let to = shared.path();
    let project = Project::new(1);
    project.write("esb.toml", "");
    let name = project.path().file_name().unwrap().to_str().unwrap().to_owned();
    let lock = |project: &Project| fs::read_to_string(project.path().join("esb.lock")).unwrap();
    document(&mut deploy(&project, to, &["--dry-run"]));
    assert!(!project.path().join("esb.lock").exists());
    document(&mut project.command("store", &["build", "--to", "oci"]));
    assert!(!lock(&project).contains("application"), "nothing is published yet");
    // Its absence does not fail a locked run.
    document(&mut deploy(&project, to, &["--locked"]));
    assert!(!lock(&project).contains("application"));
    document(&mut deploy(&project, to, &[]));
    assert!(lock(&project).contains(&format!("application = \"{name}\"")));

    let clone = Project::new(1);
    clone.write("esb.toml", "");
    let message = refused(&clone, to, &[])["message"].as_str().unwrap().to_owned();
    assert!(message.contains(&format!("already published by `{name}:template.yaml`")), "{message}");
    assert!(!clone.path().join("esb.lock").exists());
    clone.write("esb.lock", &lock(&project));
    let done = document(&mut deploy(&clone, to, &["--locked"]));
    assert_eq!(done["changes"], json!([]), "{done:#}");
    assert_eq!(functions(to), [format!("fn-0 {name}:template.yaml")]);
}

#[test]
fn what_was_published_before_applications_is_adopted_where_it_agrees() {
    let shared = tempfile::tempdir().unwrap();
    let to = shared.path();
    let old = of_sam_init("old", 2, 0);
    document(&mut deploy(&old, to, &[]));
    let path = to.join("state.json");
    let mut state: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    state["version"] = 1.into();
    for section in state["owners"].as_object_mut().unwrap().values_mut() {
        for owner in section.as_object_mut().unwrap().values_mut() {
            *owner = owner["template"].take();
        }
    }
    fs::write(&path, state.to_string()).unwrap();

    let stranger = of_sam_init("stranger", 1, 5);
    let hint = refused(&stranger, to, &[])["hint"].as_str().unwrap().to_owned();
    assert!(hint.contains("--adopt"), "{hint}");
    // Half of it is gone from the template, and stays published.
    let less = of_sam_init("old", 1, 0);
    let output = deploy(&less, to, &[]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("took over what `template.yaml` published before"), "{said}");
    assert!(said.contains("config rm --owner ':template.yaml'"), "{said}");
    assert_eq!(functions(to), ["fn-0 old:template.yaml", "fn-1 template.yaml"]);
    document(&mut deploy(&stranger, to, &["--adopt"]));
    assert_eq!(functions(to).len(), 3);

    fs::write(&path, "{\"version\": 9}").unwrap();
    let error = refused(&less, to, &[]);
    assert!(
        error.to_string().contains("version 9, and this program reads versions 1 to 2"),
        "{error}"
    );
    fs::write(&path, "{").unwrap();
    assert!(refused(&less, to, &[])["message"].as_str().unwrap().contains("state.json"));
}

/// `esb` with this place as `CONFIG_DIR`, which does not wait for any lock.
fn with_config_dir(project: &Project, place: &str, arguments: &[&str]) -> Value {
    let mut command = project.command("store", arguments);
    document(command.env("CONFIG_DIR", place).env("ESB_LOCK_WAIT", "0"))
}

#[test]
fn staging_is_the_place() {
    let staging = ".esb/staging/esb-dev/dev/config";
    let deploy = ["deploy", "--to", "oci"];
    let names: [fn(&Project) -> String; 5] = [
        |_| ".esb/staging/esb-dev/dev/config".to_owned(),
        |_| "./.esb/dev/../staging/esb-dev/dev/config/".to_owned(),
        |project| project.path().join(".esb/staging/esb-dev/dev/config").display().to_string(),
        |project| {
            // It leads to nothing before the first deploy.
            symlink(project.path().join(".esb/staging/esb-dev"), project.path().join("runtime"))
                .unwrap();
            "runtime/dev/config".to_owned()
        },
        // Beside the folder itself.
        |_| ".esb/staging/esb-dev/dev".to_owned(),
    ];
    for name in names {
        let project = Project::new(1);
        let place = name(&project);
        let done = with_config_dir(&project, &place, &deploy);
        assert!(done["config"]["delivered"].is_string(), "{place}: {done:#}");
        assert_eq!(functions(&project.path().join(&place)).len(), 1, "{place}");
        assert_eq!(functions(&project.path().join(staging)).len(), 1, "{place}");
        let again = with_config_dir(&project, &place, &deploy);
        assert_eq!(again["config"]["changed"], json!([]), "{place}");
        with_config_dir(&project, &place, &["config", "rm", "--owner", "template.yaml"]);
        assert_eq!(functions(&project.path().join(&place)).len(), 0, "{place}");
    }
}

#[test]
fn one_place_by_two_names() {
    let project = Project::new(1);
    let place = project.path().join("gateway");
    fs::create_dir(&place).unwrap();
    symlink(&place, project.path().join("link")).unwrap();
    with_config_dir(&project, "link", &["deploy", "--to", "oci"]);
    let done = with_config_dir(&project, "gateway", &["deploy", "--to", "oci"]);
    assert_eq!(done["config"]["changed"], json!([]), "{done:#}");
    // Who publishes there is seen under both names.
    let _held = esb_config::Lock::acquire(&place, std::time::Duration::ZERO).unwrap();
    for name in ["link", "gateway"] {
        let mut command = project.command("store", &["deploy", "--to", "oci"]);
        let output = command.env("CONFIG_DIR", name).env("ESB_LOCK_WAIT", "0").output().unwrap();
        assert_eq!(output.status.code(), Some(5), "{name}");
    }
}

#[test]
fn what_builds_generate_is_no_place_and_a_place_is_no_output() {
    let project = Project::new(1);
    let run = |arguments: &[&str], place: Option<&str>| {
        let mut command = project.command("store", arguments);
        if let Some(place) = place {
            command.env("CONFIG_DIR", place);
        }
        command.output().unwrap()
    };
    let deploy = ["deploy", "--to", "oci"];
    // Before the folders are there, and after.
    for _ in 0..2 {
        symlink(".esb/dev", project.path().join("generated")).unwrap();
        for place in [
            ".esb/dev/config",
            ".esb/later/config",
            "generated/config/below",
            ".esb/dev/functions/x",
            ".esb/dev/images",
            ".esb/later/images",
            "store",
            "store/conf",
            ".git",
            ".git/conf",
        ] {
            let output = run(&deploy, Some(place));
            assert_eq!(output.status.code(), Some(1), "{place}");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(said.contains("cannot be where a Gateway reads"), "{said}");
        }
        fs::remove_file(project.path().join("generated")).unwrap();
        assert!(run(&deploy, Some("gateway")).status.success());
    }
    let published = |folder: &str| fs::read(project.path().join(folder).join("functions.yml"));
    let before = published("gateway").unwrap();
    let place: PathBuf = project.path().join("gateway");
    fs::create_dir_all(project.path().join("out/dev")).unwrap();
    symlink(&place, project.path().join("out/dev/config")).unwrap();
    let (link, replaces) = ("is not followed", "would replace the published configuration");
    for (command, output, reason) in [
        ("deploy", "out", link),
        ("build", "out", link),
        ("deploy", ".esb/staging/esb-dev", replaces),
        ("build", ".esb/staging/esb-dev", replaces),
    ] {
        let arguments = [command, "--to", "oci", "--output", output];
        let done = run(&arguments, Some("gateway"));
        assert_eq!(done.status.code(), Some(1), "{arguments:?}");
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(said.contains(reason), "{said}");
    }
    assert_eq!(published("gateway").unwrap(), before);
    // The folder of generated files itself needs no copy.
    assert!(run(&["deploy", "--to", "oci", "--output", ".esb"], Some("gateway")).status.success());
    assert!(project.path().join(".esb/dev/functions/fn-0/Dockerfile").exists());
    assert_eq!(published("gateway").unwrap(), before);
}

#[test]
fn another_project_of_the_name_removes_nothing() {
    let shared = tempfile::tempdir().unwrap();
    let to = shared.path();
    let one = of_sam_init("sam-app", 2, 0);
    document(&mut deploy(&one, to, &[]));
    let lock = fs::read_to_string(one.path().join("esb.lock")).unwrap();
    let named = |lock: &str| {
        let line = lock.lines().find(|line| line.starts_with("project = ")).unwrap();
        line.trim_start_matches("project = ").trim_matches('"').to_owned()
    };

    // Untouched, its template has one of both functions.
    let two = of_sam_init("sam-app", 1, 0);
    two.write("functions/f0/app.py", "handler = of_two = True\n");
    for more in [&[][..], &["--dry-run"]] {
        let error = refused(&two, to, more);
        let message = error["message"].as_str().unwrap();
        let words = ["would remove function `fn-1` of `sam-app:template.yaml`", &named(&lock)];
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
        let hint = error["hint"].as_str().unwrap();
        assert!(hint.contains("--adopt") && hint.contains("esb.lock"), "{hint}");
        assert!(!two.path().join(".esb").exists(), "nothing is built before");
    }
    // A clone of the same project removes what it has no longer, also when it may write no lock.
    let clone = of_sam_init("sam-app", 1, 0);
    clone.write("esb.lock", &lock);
    document(&mut deploy(&clone, to, &["--locked"]));
    assert_eq!(functions(to), ["fn-0 sam-app:template.yaml"]);
    // Nothing would be lost: the other one deploys, and is told.
    let output = deploy(&two, to, &[]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("replaced what another project of the same name"), "{said}");
    let of_two = named(&fs::read_to_string(two.path().join("esb.lock")).unwrap());
    assert_ne!(of_two, named(&lock));
    // It is its own from now on.
    document(&mut deploy(&two, to, &[]));
    assert_eq!(esb_config::read(to).unwrap().state.projects["fn-0"], of_two);

    document(&mut deploy(&one, to, &[]));
    let message = refused(&two, to, &[])["message"].as_str().unwrap().to_owned();
    assert!(message.contains(&named(&lock)) && message.contains(&of_two), "{message}");
    document(&mut deploy(&two, to, &["--adopt"]));
    assert_eq!(functions(to), ["fn-0 sam-app:template.yaml"]);
    // A name that esb.toml sets is meant.
    document(&mut deploy(&one, to, &[]));
    let meant = of_sam_init("other", 1, 0);
    meant.write("esb.toml", "application = 'sam-app'\n");
    document(&mut deploy(&meant, to, &[]));
    assert_eq!(functions(to), ["fn-0 sam-app:template.yaml"]);
    assert!(
        !meant.path().join("esb.lock").exists()
            || !fs::read_to_string(meant.path().join("esb.lock")).unwrap().contains("project =")
    );
}

#[test]
fn a_renamed_application_takes_over_its_resources_too() {
    let shared = tempfile::tempdir().unwrap();
    let to = shared.path();
    let project = of_sam_init("old", 1, 0);
    let template = project.path().join("template.yaml");
    let table = "  Orders:\n    Type: AWS::DynamoDB::Table\n    Properties:\n      TableName: orders\n      \
                 AttributeDefinitions: [{AttributeName: id, AttributeType: S}]\n      \
                 KeySchema: [{AttributeName: id, KeyType: HASH}]\n      \
                 BillingMode: PAY_PER_REQUEST\n";
    let text = fs::read_to_string(&template).unwrap();
    fs::write(&template, format!("{text}{table}")).unwrap();
    document(&mut deploy(&project, to, &[]));
    project.write(
        "samconfig.toml",
        &fs::read_to_string(project.path().join("samconfig.toml")).unwrap().replace("old", "new"),
    );
    let plan = ["--adopt", "--dry-run", "--detailed-exitcode"];
    let planned = deploy(&project, to, &plan).output().unwrap();
    assert_eq!(planned.status.code(), Some(8), "{}", String::from_utf8_lossy(&planned.stdout));
    document(&mut deploy(&project, to, &["--adopt"]));
    for (entry, owners) in esb_config::read(to).unwrap().entries() {
        let owners: Vec<String> = owners.iter().map(ToString::to_string).collect();
        assert_eq!(owners, ["new:template.yaml"], "{entry}");
    }
    // The table goes with the only one that has it.
    fs::write(&template, text).unwrap();
    document(&mut deploy(&project, to, &[]));
    let entries = esb_config::read(to).unwrap().entries();
    assert!(entries.iter().all(|(entry, _)| entry.section.noun() != "table"), "{entries:?}");
}

#[test]
fn a_project_keeps_what_is_its_own_under_another_name() {
    let shared = tempfile::tempdir().unwrap();
    let to = shared.path();
    let project = of_sam_init("old", 1, 0);
    let replace = |file: &str, from: &str, by: &str| {
        let text = fs::read_to_string(project.path().join(file)).unwrap();
        project.write(file, &text.replace(from, by));
    };
    document(&mut deploy(&project, to, &[]));
    // The only function, then the stack, then both.
    replace("template.yaml", "fn-0\n", "fn-1\n");
    document(&mut deploy(&project, to, &[]));
    assert_eq!(functions(to), ["fn-1 old:template.yaml"]);
    replace("samconfig.toml", "\"old\"", "\"new\"");
    let plan = ["--dry-run", "--detailed-exitcode"];
    assert_eq!(deploy(&project, to, &plan).output().unwrap().status.code(), Some(8));
    let done = document(&mut deploy(&project, to, &[]));
    assert_eq!(done["adopted"][0]["from"]["application"], "old", "{done:#}");
    assert_eq!(functions(to), ["fn-1 new:template.yaml"]);
    replace("samconfig.toml", "\"new\"", "\"newest\"");
    replace("template.yaml", "fn-1\n", "fn-2\n");
    document(&mut deploy(&project, to, &[]));
    assert_eq!(functions(to), ["fn-2 newest:template.yaml"]);
    // A name that esb.toml sets.
    project.write("esb.toml", "application = 'set'\n");
    document(&mut deploy(&project, to, &[]));
    replace("template.yaml", "fn-2\n", "fn-3\n");
    document(&mut deploy(&project, to, &[]));
    assert_eq!(functions(to), ["fn-3 set:template.yaml"]);

    // For another environment the same folder is another one's: nothing of the first is removed.
    project.write("esb.toml", "");
    let mut other = project.command("store", &[]);
    let words = ["deploy", "--to", "oci", "--config-to", to.to_str().unwrap(), "-e", "other"];
    let program = other.get_program().to_owned();
    let mut other_environment = Command::new(program);
    other_environment.args(words).current_dir(project.path()).env_clear();
    other_environment.envs(other.get_envs().filter_map(|(name, value)| Some((name, value?))));
    assert_eq!(other_environment.output().unwrap().status.code(), Some(1));
    other.env_clear();
    assert_eq!(functions(to), ["fn-3 set:template.yaml"]);
    // A twin of the same name and another folder is another one.
    let twin = of_sam_init("set", 1, 7);
    refused(&twin, to, &[]);
}
