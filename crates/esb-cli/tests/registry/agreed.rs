//! The plan of a deploy on a terminal and the consent to it, and what else asks before it removes
//! something.

use std::{fs, process::Command};

use esb_test::{Terminal, TerminalEnd};

use crate::{
    asked::on_terminal,
    project::{Place, Project},
};

const DEPLOY: [&str; 7] = ["deploy", "-e", "dev", "--to", "oci", "--config-to", "gateway"];

/// The end after one answer to a question.
fn answered(mut terminal: Terminal, question: &str, answer: &str) -> TerminalEnd {
    terminal.expect(question).unwrap();
    terminal.type_keys(answer).unwrap();
    terminal.wait().unwrap()
}

/// Removes the last function of a project's template.
fn remove_function(project: &Project, number: usize) {
    let text = fs::read_to_string(project.path().join("template.yaml")).unwrap();
    let at = text.find(&format!("  F{number}:")).unwrap();
    project.write("template.yaml", &text[..at]);
}

fn published(project: &Project) -> String {
    fs::read_to_string(project.path().join("gateway/functions.yml")).unwrap()
}

/// `esb` without a terminal.
fn plain(project: &Project, arguments: &[&str]) {
    let mut command = project.command("store", &[]);
    let program = command.get_program().to_owned();
    let mut own = Command::new(program);
    own.args(arguments).current_dir(project.path()).env_clear();
    own.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = own.stdin(std::process::Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    command.env_clear();
}

#[test]
fn a_deploy_that_removes_is_agreed_to() {
    let project = Project::new(3);
    let Some(first) = on_terminal(&project, &DEPLOY, 100) else { return };
    // What only adds to this machine is shown and not asked for.
    let end = first.wait().unwrap();
    assert_eq!(end.code, 0, "{}", end.shown);
    let expected =
        ["Plan for shop, environment dev:", "  project   esb-dev", "  folder    gateway"];
    for expected in [&expected[..], &["  + function `fn-2`", "  build esb-fn-0:latest"]].concat() {
        assert!(end.shown.contains(expected), "{expected}: {}", end.shown);
    }
    assert!(!end.shown.contains("[y/N]"), "{}", end.shown);
    // An empty plan is no plan.
    let end = on_terminal(&project, &DEPLOY, 100).unwrap().wait().unwrap();
    assert_eq!(end.code, 0, "{}", end.shown);
    assert!(!end.shown.contains("Plan for"), "{}", end.shown);

    remove_function(&project, 2);
    let before = published(&project);
    let question = "Deploy to ";
    for (answer, code) in
        [("n\r", 1), ("No\r", 1), ("\r", 1), ("\u{4}", 1), ("\u{3}", 130), ("maybe\r\u{4}", 1)]
    {
        let end = answered(on_terminal(&project, &DEPLOY, 60).unwrap(), "? [y/N] ", answer);
        assert_eq!((end.code, end.has_echo), (code, true), "{answer:?}: {}", end.shown);
        assert!(end.shown.contains("  - function `fn-2`"), "{}", end.shown);
        assert!(
            end.shown.contains(question) && end.shown.contains("gateway? [y/N]"),
            "{}",
            end.shown
        );
        let words = if code == 1 { "Cancelled." } else { "interrupted" };
        assert!(end.shown.contains(words), "{answer:?}: {}", end.shown);
        if answer.starts_with("maybe") {
            assert!(end.shown.contains("`maybe` is neither yes nor no"), "{}", end.shown);
            assert_eq!(end.shown.matches("[y/N]").count(), 2, "{}", end.shown);
        }
        assert_eq!(published(&project), before, "{answer:?}");
    }
    let end = answered(on_terminal(&project, &DEPLOY, 100).unwrap(), question, "YES\r");
    assert_eq!(end.code, 0, "{}", end.shown);
    assert!(!published(&project).contains("fn-2"));
}

#[test]
fn who_does_not_want_to_be_asked_is_not() {
    let project = Project::new(1);
    let functions = "functions: {\"fn-0\": {image: \"r/a:1\"}}";
    let state = "{\"version\": 1, \"owners\": {\"function\": {\"fn-0\": \"other.yaml\"}}}";
    let reset = || {
        project.write("gateway/functions.yml", functions);
        project.write("gateway/state.json", state);
        let _ = fs::remove_dir_all(project.path().join(".esb"));
    };
    let takes_over = |flags: &[&str], settings: &str| {
        reset();
        project.write("esb.toml", &format!("application = 'shop'\n{settings}"));
        let arguments = [&DEPLOY[..], flags].concat();
        on_terminal(&project, &arguments, 60)
    };
    for (flag, settings) in [
        ("--yes", ""),
        ("--no-input", ""),
        ("-v", "confirm = 'never'"),
        ("--dry-run", "confirm = 'always'"),
    ] {
        let Some(ended) = takes_over(&[flag, "--adopt"], settings) else { return };
        let end = ended.wait().unwrap();
        assert_eq!(end.code, 0, "{flag}: {}", end.shown);
        assert!(!end.shown.contains("[y/N]"), "{flag}: {}", end.shown);
    }
    project.write(".env", "ESB_YES=1\n");
    let end = takes_over(&["--adopt"], "confirm = 'always'").unwrap().wait().unwrap();
    assert_eq!(end.code, 0, "{}", end.shown);
    fs::remove_file(project.path().join(".env")).unwrap();
    let end = answered(takes_over(&["--adopt"], "").unwrap(), "? [y/N] ", "n\r");
    assert_eq!(end.code, 1, "{}", end.shown);
    assert!(end.shown.contains("would take over"), "{}", end.shown);
    let shown = end.shown.split_once("Plan for").unwrap().1;
    let lines = shown.lines().filter(|line| !line.contains("esb_hooks"));
    let longest = lines.map(|line| line.chars().count()).max();
    assert!(longest.is_some_and(|longest| longest <= 60), "{shown}");
}

#[test]
fn a_deploy_to_another_machine_is_agreed_to() {
    let Some(place) = Place::start() else { return };
    let project = Project::new(1);
    let port = place.address().rsplit_once(':').unwrap().1.to_owned();
    // By its name alone this is not this machine.
    let registry = format!("0.0.0.0:{port}");
    let plain_http = ["--registry-insecure", &registry];
    let deploy = ["deploy", "-e", "dev", "--to", "registry", "--config-to", "none"];
    let to = |registry: &str| {
        let arguments = [&deploy[..], &plain_http, &["--registry", registry]].concat();
        on_terminal(&project, &arguments, 60)
    };
    let Some(first) = to(&place.address()) else { return };
    let end = first.wait().unwrap();
    assert_eq!(end.code, 0, "{}", end.shown);
    assert!(!end.shown.contains("[y/N]"), "{}", end.shown);

    let question = format!("Deploy to {registry}, esb-dev,");
    let end = answered(to(&registry).unwrap(), &question, "n\r");
    assert_eq!(end.code, 1, "{}", end.shown);
    assert!(end.shown.contains(&format!("  registry  {registry}")), "{}", end.shown);
    let end = answered(to(&registry).unwrap(), &question, "y\r");
    assert_eq!(end.code, 0, "{}", end.shown);
    // Nothing is left to do, and to ask for.
    let end = to(&registry).unwrap().wait().unwrap();
    assert_eq!(end.code, 0, "{}", end.shown);
    assert!(!end.shown.contains("[y/N]"), "{}", end.shown);
}

#[test]
fn a_plan_that_changes_while_it_is_read_is_shown_again() {
    let project = Project::new(4);
    plain(&project, &DEPLOY);
    remove_function(&project, 3);
    let Some(mut waiting) = on_terminal(&project, &DEPLOY, 100) else { return };
    waiting.expect("? [y/N] ").unwrap();
    // Nothing is held meanwhile: others deploy, and the store is collected.
    let other = [&["deploy", "-e", "dev", "--to", "oci", "--config-to", "gateway"][..]].concat();
    plain(&project, &["cache", "gc"]);
    remove_function(&project, 2);
    waiting.type_keys("y\r").unwrap();
    waiting.expect("The plan has changed since it was shown.").unwrap();
    waiting.expect("- function `fn-2`").unwrap();
    waiting.expect("? [y/N] ").unwrap();
    // Another run does the same.
    plain(&project, &other);
    waiting.type_keys("y\r").unwrap();
    let end = waiting.wait().unwrap();
    assert_eq!(end.code, 0, "{}", end.shown);
    assert_eq!(end.shown.matches("[y/N]").count(), 2, "{}", end.shown);
}

#[test]
fn removals_of_an_owner_are_agreed_to() {
    let project = Project::new(2);
    plain(&project, &DEPLOY);
    let place = ["--config-to", "gateway", "-e", "dev"];
    let remove = [&["config", "rm", "--owner", "shop:template.yaml"][..], &place].concat();
    let dry = [&remove[..], &["--dry-run", "--color", "never"]].concat();
    let before = published(&project);
    let Some(first) = on_terminal(&project, &dry, 100) else { return };
    let end = first.wait().unwrap();
    assert_eq!(end.code, 0, "{}", end.shown);
    assert!(end.shown.contains("- function `fn-1`"), "{}", end.shown);
    plain(&project, &dry);
    for (answer, code) in [("\r", 1), ("\u{4}", 1), ("\u{3}", 130)] {
        let end =
            answered(on_terminal(&project, &remove, 100).unwrap(), "Remove it? [y/N] ", answer);
        assert_eq!((end.code, end.has_echo), (code, true), "{answer:?}: {}", end.shown);
        assert!(end.shown.contains("- function `fn-0`"), "{}", end.shown);
        assert_eq!(published(&project), before);
    }
    let end = answered(on_terminal(&project, &remove, 100).unwrap(), "Remove it? [y/N] ", "y\r");
    assert_eq!(end.code, 0, "{}", end.shown);
    assert!(!published(&project).contains("fn-0"));
    plain(&project, &DEPLOY);
    let end =
        on_terminal(&project, &[&remove[..], &["--yes"]].concat(), 100).unwrap().wait().unwrap();
    assert_eq!(end.code, 0, "{}", end.shown);
    assert!(!end.shown.contains("[y/N]") && !published(&project).contains("fn-0"), "{}", end.shown);
}

#[test]
fn removals_of_images_are_agreed_to() {
    let project = Project::new(1);
    let build = ["build", "-e", "dev", "--to", "oci"];
    plain(&project, &build);
    let prune = ["image", "prune", "--in", "store", "-e", "dev"];
    for (answer, code) in [("\r", 1), ("\u{4}", 1), ("\u{3}", 130)] {
        let Some(asked) = on_terminal(&project, &prune, 100) else { return };
        let end = answered(asked, "? [y/N] ", answer);
        assert_eq!((end.code, end.has_echo), (code, true), "{answer:?}: {}", end.shown);
    }
    let mut waiting = on_terminal(&project, &prune, 100).unwrap();
    waiting.expect("? [y/N] ").unwrap();
    // Builds go on meanwhile.
    plain(&project, &build);
    waiting.type_keys("y\r").unwrap();
    let end = waiting.wait().unwrap();
    assert_eq!(end.code, 0, "{}", end.shown);
    assert!(end.shown.contains("removed"), "{}", end.shown);
}
