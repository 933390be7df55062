//! What is given for parameters: it is checked before anything is asked, asked once for all
//! templates, and what was taken without a question is told everywhere.

use std::{
    fs,
    process::{Command, Stdio},
};

use crate::{
    asked::on_terminal,
    project::{Place, Project, document},
};

fn declare(project: &Project, template: &str, declared: &str) {
    let text = fs::read_to_string(project.path().join("template.yaml")).unwrap();
    project.write(template, &format!("{text}Parameters:\n{declared}"));
}

/// The exit code of a command without a terminal, and what it says on stderr.
fn plain(project: &Project, arguments: &[&str]) -> (i32, String) {
    let output = project.command("store", arguments).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn what_is_given_wrong_is_told_before_anything_is_asked() {
    let project = Project::new(1);
    let declared = "  Stage: {Type: String}\n  Size: {Type: Number, MaxValue: 4, Default: 1}\n";
    declare(&project, "template.yaml", declared);
    for (given, words) in [("Stagee=dev", "did you mean `Stage`"), ("Size=7", "at most 4")] {
        let arguments = ["build", "--to", "oci", "--parameter", given];
        let Some(terminal) = on_terminal(&project, &arguments, 100) else { return };
        let end = terminal.wait().unwrap();
        assert_eq!(end.code, 1, "{}", end.shown);
        assert!(end.shown.contains(words), "{given}: {}", end.shown);
        assert!(!end.shown.contains("Parameter `Stage` of"), "{given}: {}", end.shown);
    }
}

#[test]
fn defaults_are_told_without_a_terminal_too() {
    let project = Project::new(1);
    declare(&project, "template.yaml", "  Stage: {Type: String, Default: dev}\n");
    let (code, said) = plain(&project, &["build", "--to", "oci"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("Using defaults: Stage = dev\n"), "{said}");
    let given = ["build", "--to", "oci", "--parameter", "Stage=x"];
    for arguments in [&given[..], &["build", "--to", "oci", "--quiet"]] {
        let (code, said) = plain(&project, arguments);
        assert_eq!(code, 0, "{said}");
        assert!(!said.contains("Using defaults"), "{said}");
    }
}

#[test]
fn a_parameter_of_two_templates_is_asked_for_once() {
    let project = Project::new(1);
    declare(&project, "two/template.yaml", "  Stage: {Type: String, MaxLength: 4}\n");
    let text = fs::read_to_string(project.path().join("two/template.yaml")).unwrap();
    project.write(
        "two/template.yaml",
        &text
            .replace("fn-0", "fn-2")
            .replace("functions/", "../functions/")
            .replace("ContentUri: layer/", "ContentUri: ../layer/"),
    );
    declare(&project, "template.yaml", "  Stage: {Type: String, MinLength: 2}\n");
    let arguments = ["build", "--to", "oci", "-t", "template.yaml", "-t", "two/template.yaml"];
    let Some(mut terminal) = on_terminal(&project, &arguments, 100) else { return };
    terminal.expect("Parameter `Stage` of template.yaml and two/template.yaml").unwrap();
    // It has to fit both.
    for answer in ["x\r", "toolong\r", "dev\r"] {
        terminal.expect("Stage: ").unwrap();
        terminal.type_keys(answer).unwrap();
    }
    let end = terminal.wait().unwrap();
    assert_eq!(end.code, 0, "{}", end.shown);
    assert_eq!(end.shown.matches("Parameter `Stage`").count(), 1, "{}", end.shown);
    let saved = fs::read_to_string(project.path().join(".esb/config.yaml")).unwrap();
    assert_eq!(saved.matches("\"Stage\": \"dev\"").count(), 2, "{saved}");
    // Answers are no values where nobody is asked, and named there.
    let command = [&arguments[..], &["--no-input", "-e", "default"]].concat();
    let end = on_terminal(&project, &command, 100).unwrap().wait().unwrap();
    assert_eq!(end.code, 1, "{}", end.shown);
    assert!(end.shown.contains("`--parameter Stage=dev`"), "{}", end.shown);
}

#[test]
fn a_broken_samconfig_is_placed() {
    let project = Project::new(1);
    project.write("esb.toml", "");
    project.write("samconfig.toml", "version = 0.1\n[default.deploy\nx = 1\n");
    for command in ["validate", "deploy", "inspect"] {
        let (code, said) = plain(&project, &[command]);
        assert_eq!(code, 1, "{said}");
        let words = ["could not read `samconfig.toml`", "line 2, column ", "correct the file"];
        assert!(words.iter().all(|word| said.contains(word)), "{command}: {said}");
        assert!(!said.contains("stack_name"), "{said}");
    }
}

/// Work that a signal ends: it says what is left, and gives the terminal back.
#[test]
fn signals_end_work_wherever_it_is() {
    let Some(place) = Place::start() else { return };
    let project = Project::new(2);
    document(project.command("store", &["build", "--to", "oci"]).stdin(Stdio::null()));
    for signal in ["TERM", "HUP", "INT", "QUIT"] {
        // A registry that answers nothing holds the run as long as it takes.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = silent.local_addr().unwrap().to_string();
        let deploy = project.command("store", &["deploy", "--registry", &address]);
        let (code, said) = interrupted(deploy, &silent, signal);
        assert_eq!(code, Some(130), "{signal}: {said}");
        assert!(said.contains("interrupted; nothing was published"), "{signal}: {said}");
        let prune = ["image", "prune", "--in", "registry", "--yes", "--registry", &address];
        project.write(
            "gateway/functions.yml",
            &format!("functions: {{\"fn-0\": {{image: \"{address}/esb-fn-0:latest\"}}}}"),
        );
        let owners = "{\"version\": 2, \"owners\": {\"function\": {\"fn-0\": {\"application\": \
                      \"shop\", \"template\": \"template.yaml\"}}}}";
        project.write("gateway/state.json", owners);
        let mut prune = project.command("store", &prune);
        prune.args(["--config-to", "gateway"]);
        let (code, said) = interrupted(prune, &silent, signal);
        assert_eq!(code, Some(130), "{signal}: {said}");
        assert!(said.contains("interrupted; nothing was removed"), "{signal}: {said}");
    }
    // The next run goes on.
    document(&mut project.command("store", &["deploy", "--registry", &place.address()]));
}

/// The exit code and stderr of a command that gets a signal while it waits for a silent server.
fn interrupted(
    mut command: Command,
    silent: &std::net::TcpListener,
    signal: &str,
) -> (Option<i32>, String) {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let held = silent.accept().unwrap();
    let kill = Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status();
    assert!(kill.unwrap().success());
    let output = child.wait_with_output().unwrap();
    drop(held);
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}
