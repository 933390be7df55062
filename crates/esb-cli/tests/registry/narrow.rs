//! What commands print on a terminal of 60 columns: no line is wider, and none ends within a word.

use std::fs;

use esb_test::TerminalEnd;

use crate::{
    asked::{on_terminal, on_terminal_with},
    project::{Place, Project},
};

const COLUMNS: u16 = 60;

/// What the terminal showed, without colours and movements of the cursor.
fn plain(shown: &str) -> String {
    let mut parts = shown.split("\u{1b}[");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| c.is_ascii_alphabetic()).map_or(part.len(), |at| at + 1);
        text.push_str(&part[end..]);
    }
    text
}

/// Whether a word may be longer than a line: a path, an address, or a choice of values.
fn may_be_long(word: &str) -> bool {
    word.chars().count() > 30 && word.contains(['/', '|', '.', ':'])
}

/// Fails on the first line that the terminal had to break.
fn check(arguments: &[&str], shown: &str) {
    for line in plain(shown).split(['\n', '\r']) {
        let is_code = line.starts_with("    ") && arguments.first() == Some(&"explain");
        let is_wide = line.chars().count() > usize::from(COLUMNS);
        assert!(
            !is_wide || is_code || line.split(' ').any(may_be_long),
            "{arguments:?}: {line}\n{shown}"
        );
    }
}

fn run(project: &Project, arguments: &[&str]) -> Option<TerminalEnd> {
    let end = on_terminal(project, arguments, COLUMNS)?.wait().unwrap();
    check(arguments, &end.shown);
    Some(end)
}

/// A project with routes, a schedule, a secret and several findings.
fn project() -> Project {
    let project = Project::new(3);
    let template = fs::read_to_string(project.path().join("template.yaml")).unwrap();
    let events = "      Environment: {Variables: {PASSWORD: !Ref Password}}\n      Events:\n        Any: {Type: \
                  Api, Properties: {Path: '/orders/{proxy+}', Method: any}}\n        Nightly: {Type: \
                  Schedule, Properties: {Schedule: 'cron(0 3 * * ? *)'}}\nParameters:\n  Password: \
                  {Type: String, NoEcho: true}\n  Stage: {Type: String, Default: dev}\n";
    project.write("template.yaml", &format!("{template}{events}"));
    project
}

const DEPLOY: [&str; 9] = [
    "deploy",
    "-e",
    "dev",
    "--to",
    "oci:images",
    "--config-to",
    "gateway",
    "--parameter",
    "Password=not-a-secret",
];

#[test]
fn what_commands_say() {
    let project = project();
    let Some(end) = run(&project, &DEPLOY) else { return };
    assert_eq!(end.code, 0, "{}", end.shown);
    project.write("functions/f1/app.py", "handler = number = 100\n");
    for arguments in [
        &[&DEPLOY[..], &["--dry-run"]].concat()[..],
        &[&DEPLOY[..], &["--dry-run", "-v"]].concat(),
        &[&DEPLOY[..], &["-v"]].concat(),
        &[&DEPLOY[..], &["--secret-env", "F1.PASSWORD"]].concat(),
        &["build", "-e", "dev", "--to", "oci", "--no-input"],
        &["validate"],
        &["inspect"],
        &["init"],
        &["config", "show"],
        &["config", "show", "--origin"],
        &["config", "ls", "-e", "dev", "--config-to", "gateway"],
        &["config", "ls", "-e", "other"],
        &["config", "rm", "--owner", "nobody", "-e", "dev", "--config-to", "gateway"],
        &["config", "rm", "--owner", "template.yaml", "-e", "dev", "--dry-run"],
        &["image", "ls", "-e", "dev"],
        &["image", "ls", "-e", "dev", "--all"],
        &["image", "verify", "-e", "dev", "--config-to", "gateway"],
        &["image", "verify", "-e", "never"],
        &["image", "prune", "-e", "dev", "--dry-run"],
        &["image", "import", "no-such-file.json"],
        &["image", "fetch", "--to", "oci:fetched"],
        &["cache"],
        &["cache", "gc"],
        &["invoke", "F1", "-e", "dev"],
        &["invoke", "NoSuchFunction"],
        &["logs", "F1"],
        &["version"],
        &["explain"],
        &["explain", "no-such-code-as-this-one"],
        &["delpoy"],
        &["local", "invoke"],
        &["deploy", "--stack-name", "shop"],
        &["validate", "--capabilities", "CAPABILITY_IAM"],
        &["deploy", "--jobs", "none"],
        &["deploy", "--to", "registry", "--registry", "127.0.0.1:9", "--parameter", "Password=x"],
        &["deploy", "--parameter", "Password=x", "--parameter", "Unknown=1", "--to", "oci"],
    ] {
        run(&project, arguments);
    }
    // Folded or not, what is asked for can be read.
    let list = run(&project, &["config", "ls", "-e", "dev", "--config-to", "gateway"]).unwrap();
    for entry in ["ANY /orders/{proxy+}", "cron(0 3 * * ? *)"] {
        assert!(list.shown.contains(entry), "{}", list.shown);
    }
}

#[test]
fn help_and_explanations() {
    let project = project();
    let commands = [
        &[][..],
        &["deploy"],
        &["build"],
        &["validate"],
        &["inspect"],
        &["invoke"],
        &["logs"],
        &["init"],
        &["cache"],
        &["cache", "gc"],
        &["config"],
        &["config", "show"],
        &["config", "ls"],
        &["config", "rm"],
        &["image"],
        &["image", "ls"],
        &["image", "prune"],
        &["image", "import"],
        &["image", "verify"],
        &["image", "fetch"],
        &["explain"],
        &["version"],
        &["completions"],
    ];
    for command in commands {
        for flag in ["-h", "--help", "--no-such-flag"] {
            if run(&project, &[command, &[flag]].concat()).is_none() {
                return;
            }
        }
    }
    let list = run(&project, &["explain"]).unwrap();
    let codes: Vec<&str> = list
        .shown
        .lines()
        .filter_map(|line| line.strip_prefix("esb::")?.split(' ').next())
        .collect();
    assert!(codes.len() > 80, "{}", list.shown);
    for code in codes {
        let end = run(&project, &["explain", code]).unwrap();
        assert!(end.code == 0 && !end.shown.contains("```"), "{code}: {}", end.shown);
    }
}

#[test]
fn questions_and_the_plan() {
    let project = project();
    project.write("esb.toml", "application = 'shop'\nconfirm = 'always'\n");
    let Some(place) = Place::start() else { return };
    let registry = place.address();
    let arguments = ["deploy", "-e", "dev", "--registry", &registry];
    let mut terminal = on_terminal(&project, &arguments, COLUMNS).unwrap();
    for (question, answer) in [
        ("Password (hidden): ", ""),
        ("is required", "x"),
        ("? [y/N] ", "perhaps"),
        ("? [y/N] ", "y"),
    ] {
        terminal.expect(question).unwrap();
        terminal.type_keys(&format!("{answer}\r")).unwrap();
    }
    let end = terminal.wait().unwrap();
    assert_eq!(end.code, 0, "{}", end.shown);
    check(&arguments, &end.shown);
}

#[test]
fn colours_of_the_plan() {
    let project = project();
    for (variable, is_coloured) in
        [(("TERM", "xterm"), true), (("NO_COLOR", "1"), false), (("TERM", "dumb"), false)]
    {
        project.write("esb.toml", "application = 'shop'\nconfirm = 'always'\n");
        let started = on_terminal_with(&project, &DEPLOY, COLUMNS, variable);
        let Some(mut terminal) = started else { return };
        terminal.expect("? [y/N] ").unwrap();
        terminal.type_keys("n\r").unwrap();
        let end = terminal.wait().unwrap();
        let sign = if is_coloured { "\u{1b}[1;32m+\u{1b}[0m function" } else { "  + function" };
        assert!(end.shown.contains(sign), "{variable:?}: {}", end.shown);
    }
}
