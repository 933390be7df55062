//! Questions on a terminal for what is required and not given, none where nobody can answer; and
//! tables that fit the terminal.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Command};

use esb_test::{Terminal, TerminalEnd, or_skip};
use rustix::process::Signal;

use crate::project::Project;

/// `esb` of a project on a terminal, without the flags that the tests of others give; `None` where
/// there is no terminal to be had.
pub(crate) fn on_terminal(project: &Project, arguments: &[&str], columns: u16) -> Option<Terminal> {
    on_terminal_with(project, arguments, columns, ("NOBODY", ""))
}

pub(crate) fn on_terminal_with(
    project: &Project,
    arguments: &[&str],
    columns: u16,
    variable: (&str, &str),
) -> Option<Terminal> {
    let own = project.command("store", &[]);
    let mut command = Command::new(own.get_program());
    command.args(arguments).current_dir(project.path()).env("PATH", "/usr/bin:/bin");
    command.envs(own.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if variable.0 != "TERM" {
        command.env("NO_COLOR", "1");
    }
    command.env(variable.0, variable.1);
    or_skip(Terminal::start(&command, columns))
}

/// Answers questions in order, and gives the end.
fn answered(mut terminal: Terminal, answers: &[(&str, &str)]) -> TerminalEnd {
    for (question, answer) in answers {
        terminal.expect(question).unwrap();
        terminal.type_keys(answer).unwrap();
        terminal.type_keys("\r").unwrap();
    }
    terminal.wait().unwrap()
}

/// A project whose template has parameters.
fn project() -> Project {
    let project = Project::new(1);
    let template = fs::read_to_string(project.path().join("template.yaml")).unwrap();
    let declared = "Parameters:\n  Stage: {Type: String, Description: where to, AllowedValues: \
                    [dev, prod]}\n  Count: {Type: Number, Default: 7}\n  Key: {Type: String, \
                    NoEcho: true, Default: hidden}\n";
    project.write("template.yaml", &format!("{template}{declared}"));
    project
}

const BUILD: [&str; 3] = ["build", "--to", "oci"];

#[test]
fn only_what_is_required_is_asked_for() {
    let project = project();
    for (flags, variable) in [(&["--no-input"][..], ("NOBODY", "")), (&[], ("CI", "true"))] {
        let arguments = [&BUILD[..], flags].concat();
        let Some(terminal) = on_terminal_with(&project, &arguments, 100, variable) else { return };
        let end = terminal.wait().unwrap();
        assert_eq!(end.code, 1, "{}", end.shown);
        assert!(end.shown.contains("--parameter Stage=VALUE"), "{}", end.shown);
        assert!(!end.shown.contains("Parameter `Stage`"), "{}", end.shown);
    }
    let Some(terminal) = on_terminal(&project, &BUILD, 100) else { return };
    // What is not allowed is asked for again, with the reason, however often.
    let wrong = [("Stage: ", "blue"), ("Stage: ", ""), ("Stage: ", "x"), ("Stage: ", "y")];
    let more = [("Stage: ", "z"), ("Stage: ", "Prod"), ("Stage: ", "prod")];
    let end = answered(terminal, &[&wrong[..], &more].concat());
    assert_eq!(end.code, 0, "{}", end.shown);
    for expected in [
        "Parameter `Stage` of template.yaml: where to",
        "  one of dev, prod",
        "the value `blue` of parameter `Stage`",
        "  a value is required",
        "Using defaults: environment default, mode docker, Count = 7, Key = ****",
    ] {
        assert!(end.shown.contains(expected), "{expected}: {}", end.shown);
    }
    assert!(!end.shown.contains("Environment ["), "{}", end.shown);
    let path = project.path().join(".esb/config.yaml");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(fs::read_to_string(&path).unwrap().contains("\"Stage\": \"prod\""));

    // What is given is not asked for, and no default is told that was not taken.
    let all = ["-e", "blue", "-m", "docker", "--parameter", "Stage=dev", "--parameter", "Count=1"];
    let arguments = [&BUILD[..], &all, &["--parameter", "Key=k"]].concat();
    let end = on_terminal(&project, &arguments, 100).unwrap().wait().unwrap();
    assert_eq!(end.code, 0, "{}", end.shown);
    assert!(!end.shown.contains("Stage: ") && !end.shown.contains("Using"), "{}", end.shown);
}

#[test]
fn everything_is_asked_for_on_demand() {
    let project = project();
    let arguments = [&BUILD[..], &["--ask"]].concat();
    let Some(terminal) = on_terminal(&project, &arguments, 100) else { return };
    let end = answered(
        terminal,
        &[
            ("Environment [default]: ", "no/name"),
            ("Environment [default]: ", "blue"),
            ("Mode (docker, containerd) [docker]: ", "other"),
            ("Mode (docker, containerd) [docker]: ", "containerd"),
            ("Stage: ", "prod"),
            ("Count [7]: ", "many"),
            ("Count [7]: ", "8"),
            ("Key (hidden) [****]: ", ""),
        ],
    );
    assert_eq!(end.code, 0, "{}", end.shown);
    for expected in ["`other` is not one of docker, containerd", "the value `many` of parameter"] {
        assert!(end.shown.contains(expected), "{expected}: {}", end.shown);
    }
    assert!(project.path().join(".esb/blue/functions").exists());
    let saved = fs::read_to_string(project.path().join(".esb/config.yaml")).unwrap();
    assert!(!saved.contains("Key") && saved.contains("\"Count\": \"8\""), "{saved}");

    // Answers of before prefill the next questions, and are no values without them.
    let terminal = on_terminal(&project, &arguments, 100).unwrap();
    let end = answered(
        terminal,
        &[
            ("Environment [blue]: ", ""),
            ("[containerd]: ", ""),
            ("Stage [prod]: ", ""),
            ("the template's default is 7", ""),
            ("Key (hidden)", ""),
        ],
    );
    assert_eq!(end.code, 0, "{}", end.shown);
    let arguments = [&BUILD[..], &["--no-input", "-e", "blue"]].concat();
    let end = on_terminal(&project, &arguments, 100).unwrap().wait().unwrap();
    assert_eq!(end.code, 1, "{}", end.shown);
}

#[test]
fn values_are_checked_as_they_are_typed() {
    let project = Project::new(1);
    let template = fs::read_to_string(project.path().join("template.yaml")).unwrap();
    let declared = "Parameters:\n  Name: {Type: String, AllowedPattern: '[a-z]+', MaxLength: 4}\n  \
                    Size: {Type: Number, MinValue: 2, MaxValue: 4}\n  Ports: {Type: \
                    List<Number>}\n";
    project.write("template.yaml", &format!("{template}{declared}"));
    let arguments = [&BUILD[..], &["--no-save-defaults"]].concat();
    let Some(terminal) = on_terminal(&project, &arguments, 60) else { return };
    let end = answered(
        terminal,
        &[
            ("Name: ", "ABC"),
            ("Name: ", "abcde"),
            ("Name: ", "abc"),
            ("Size: ", "two"),
            ("Size: ", "1"),
            ("Size: ", "5"),
            ("Size: ", "3"),
            ("Ports: ", "1,x"),
            ("Ports: ", "1,2"),
        ],
    );
    assert_eq!(end.code, 0, "{}", end.shown);
    assert!(!project.path().join(".esb/config.yaml").exists());
    for expected in ["[a-z]+", "must have at most 4", "be at least 2", "be at most 4", "`x`"] {
        assert!(end.shown.contains(expected), "{expected}: {}", end.shown);
    }
}

#[test]
fn secrets_are_not_shown() {
    let project = Project::new(1);
    let template = fs::read_to_string(project.path().join("template.yaml")).unwrap();
    let declared = "Parameters:\n  Key: {Type: String, NoEcho: true, MinLength: 8}\n";
    project.write("template.yaml", &format!("{template}{declared}"));
    let Some(mut terminal) = on_terminal(&project, &BUILD, 100) else { return };
    for answer in ["s3cr3t\r", " s3cr3t-long \r"] {
        terminal.expect("Key (hidden): ").unwrap();
        assert!(!terminal.has_echo());
        terminal.type_keys(answer).unwrap();
    }
    let end = terminal.wait().unwrap();
    assert_eq!((end.code, end.has_echo), (0, true), "{}", end.shown);
    assert!(
        end.shown.contains("at least 8 characters") && !end.shown.contains("s3cr3t"),
        "{}",
        end.shown
    );
    let saved = fs::read_to_string(project.path().join(".esb/config.yaml"));
    assert!(!saved.is_ok_and(|saved| saved.contains("s3cr3t")));
}

#[test]
fn every_question_can_be_left() {
    let project = Project::new(1);
    let template = fs::read_to_string(project.path().join("template.yaml")).unwrap();
    let declared = "Parameters:\n  Stage: {Type: String}\n  Key: {Type: String, NoEcho: true}\n";
    project.write("template.yaml", &format!("{template}{declared}"));
    let questions = ["Environment [default]: ", "Mode (docker", "Stage: ", "Key (hidden): "];
    let arguments = [&BUILD[..], &["--ask"]].concat();
    let ways: [(&str, Option<Signal>, i32); 6] = [
        ("\u{3}", None, 130),
        ("\u{1c}", None, 130),
        ("", Some(Signal::TERM), 130),
        ("", Some(Signal::HUP), 130),
        ("\u{4}", None, 1),
        // Half a line, and then its end and the end of the input.
        ("ab\u{4}\u{4}", None, 1),
    ];
    for (number, question) in questions.iter().enumerate() {
        for (keys, signal, code) in ways {
            let Some(mut terminal) = on_terminal(&project, &arguments, 100) else { return };
            for (before, answer) in questions.iter().zip(["", "", "dev", ""]).take(number) {
                terminal.expect(before).unwrap();
                terminal.type_keys(&format!("{answer}\r")).unwrap();
            }
            terminal.expect(question).unwrap();
            terminal.type_keys(keys).unwrap();
            if let Some(signal) = signal {
                terminal.signal(signal);
            }
            let end = terminal.wait().unwrap();
            let shown = &end.shown;
            assert_eq!((end.code, end.has_echo), (code, true), "{question} {keys:?}: {shown}");
            let word = if code == 1 { "\nCancelled.\n" } else { "interrupted" };
            assert!(shown.contains(word), "{question} {keys:?}: {shown}");
            assert!(!project.path().join(".esb").exists(), "{question} {keys:?}");
        }
    }
}

/// Ctrl-Z leaves the terminal to the shell, and the question is asked again after `fg`.
#[test]
fn a_hidden_question_can_be_stopped() {
    let project = Project::new(1);
    let template = fs::read_to_string(project.path().join("template.yaml")).unwrap();
    let declared = "Parameters:\n  Key: {Type: String, NoEcho: true}\n  Other: {Type: String}\n";
    project.write("template.yaml", &format!("{template}{declared}"));
    let Some(mut terminal) = on_terminal(&project, &BUILD, 100) else { return };
    for _ in 0..2 {
        terminal.expect("Key (hidden): ").unwrap();
        assert!(!terminal.has_echo());
        terminal.type_keys("half\u{1a}").unwrap();
        terminal.wait_stopped().unwrap();
        assert!(terminal.has_echo());
        terminal.signal(Signal::CONT);
    }
    terminal.expect("Key (hidden): ").unwrap();
    terminal.type_keys("s3cr3t-key\r").unwrap();
    // Where nothing is hidden it is the same.
    terminal.expect("Other: ").unwrap();
    terminal.type_keys("\u{1a}").unwrap();
    terminal.wait_stopped().unwrap();
    terminal.signal(Signal::CONT);
    terminal.type_keys("other\r").unwrap();
    let end = terminal.wait().unwrap();
    assert_eq!((end.code, end.has_echo), (0, true), "{}", end.shown);
    assert!(!end.shown.contains("s3cr3t-key") && !end.shown.contains("half"), "{}", end.shown);
}

#[test]
fn a_hang_up_that_is_ignored_stays_so() {
    let project = project();
    let own = project.command("store", &[]);
    let mut command = Command::new("/bin/sh");
    let words = format!("trap '' HUP; exec {} build --to oci", env!("CARGO_BIN_EXE_esb"));
    command.args(["-c", &words]).current_dir(project.path());
    command.envs(own.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let Some(mut terminal) = or_skip(Terminal::start(&command, 100)) else { return };
    terminal.expect("Stage: ").unwrap();
    terminal.signal(Signal::HUP);
    terminal.type_keys("dev\r").unwrap();
    let end = terminal.wait().unwrap();
    assert_eq!(end.code, 0, "{}", end.shown);
}

#[test]
fn a_template_further_down_is_offered() {
    let project = project();
    let text = fs::read_to_string(project.path().join("template.yaml")).unwrap();
    fs::remove_file(project.path().join("template.yaml")).unwrap();
    project.write("esb.toml", "");
    for name in ["two", "apps/one"] {
        for entry in ["functions", "layer"] {
            let (from, to) = (project.path().join(entry), project.path().join(name).join(entry));
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            assert!(Command::new("cp").arg("-r").args([from, to]).status().unwrap().success());
        }
        project.write(&format!("{name}/template.yaml"), &text);
    }
    let Some(terminal) = on_terminal(&project, &BUILD, 100) else { return };
    let question = "Number or path: ";
    let end =
        answered(terminal, &[(question, "3"), (question, ""), (question, "1"), ("Stage: ", "dev")]);
    assert_eq!(end.code, 0, "{}", end.shown);
    for expected in [
        "  1  apps/one",
        "  2  two",
        "`3` is neither a number from 1 to 2 nor a file",
        "Parameter `Stage` of apps/one/template.yaml",
    ] {
        assert!(end.shown.contains(expected), "{expected}: {}", end.shown);
    }
    for (keys, code) in [("\u{3}", 130), ("\u{4}", 1)] {
        let mut terminal = on_terminal(&project, &BUILD, 100).unwrap();
        terminal.expect(question).unwrap();
        terminal.type_keys(keys).unwrap();
        assert_eq!(terminal.wait().unwrap().code, code);
    }
    let arguments = [&BUILD[..], &["--no-input"]].concat();
    let end = on_terminal(&project, &arguments, 100).unwrap().wait().unwrap();
    assert_eq!(end.code, 1, "{}", end.shown);
    assert!(end.shown.contains("--template PATH"), "{}", end.shown);
}

#[test]
fn secrets_of_the_earlier_file_do_not_stay() {
    let project = project();
    let root = fs::canonicalize(project.path()).unwrap().display().to_string();
    let earlier = format!(
        "version: 1\nbuild_defaults:\n  {root}/template.yaml:\n    env: prod\n    mode: docker\n    \
         params: {{Stage: prod, Key: s3cr3t}}\n"
    );
    project.write(".esb/config.yaml", &earlier);
    let arguments = [&BUILD[..], &["--ask"]].concat();
    let Some(terminal) = on_terminal(&project, &arguments, 100) else { return };
    let end = answered(
        terminal,
        &[("[prod]: ", ""), ("[docker]: ", ""), ("Stage [prod]: ", ""), ("[7]: ", ""), ("Key", "")],
    );
    assert_eq!(end.code, 0, "{}", end.shown);
    let text = fs::read_to_string(project.path().join(".esb/config.yaml")).unwrap();
    assert!(!text.contains("s3cr3t") && text.contains("\"Stage\": \"prod\""), "{text}");
}

#[test]
fn tables_fit_a_narrow_terminal() {
    let project = project();
    let all = ["-e", "dev", "--no-input", "--parameter", "Stage=dev", "--to", "oci"];
    let plain = ["deploy", "--dry-run", "--color", "never"];
    for (columns, first) in [(60, "esb-fn-0"), (200, "image  ")] {
        let arguments = [&plain[..], &all].concat();
        let Some(terminal) = on_terminal(&project, &arguments, columns) else { return };
        let TerminalEnd { code, shown, .. } = terminal.wait().unwrap();
        assert_eq!(code, 0, "{shown}");
        let lines: Vec<&str> = shown.lines().map(str::trim_end).collect();
        assert!(lines.iter().any(|line| line.starts_with(first)), "{columns}: {shown}");
        assert!(!shown.contains('\u{1b}'), "{shown}");
        assert!(
            lines.iter().all(|line| line.chars().count() <= usize::from(columns)),
            "{columns}: {shown}"
        );
    }
    // A file has no width.
    let esb = env!("CARGO_BIN_EXE_esb");
    let words = format!("{esb} deploy --dry-run {} > log 2>&1", all.join(" "));
    let own = project.command("store", &[]);
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &words]).current_dir(project.path());
    command.envs(own.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let end = Terminal::start(&command, 60).unwrap().wait().unwrap();
    assert_eq!((end.code, end.shown.trim()), (0, ""));
    let log = fs::read_to_string(project.path().join("log")).unwrap();
    assert!(
        log.contains("image            tag     action") && !log.contains(['\u{1b}', '\r']),
        "{log}"
    );
}
