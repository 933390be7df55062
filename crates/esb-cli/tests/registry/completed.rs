//! Completion in real shells.

use std::{fs, path::Path, process::Command};

use esb_test::{Missing, Terminal, find_program, or_skip};

use crate::project::Project;

/// A project with two environments, something that is published, and a folder of `esb` for `PATH`.
fn project() -> Project {
    let project = Project::new(2);
    project.write("esb.toml", "application = 'shop'\n[env.prod]\nregistry = 'r:1'\n");
    let mut deploy = project.command("store", &["deploy", "--to", "oci", "--config-to", "none"]);
    assert!(deploy.output().unwrap().status.success());
    fs::create_dir(project.path().join("bin")).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_esb"));
    std::os::unix::fs::symlink(program, project.path().join("bin/esb")).unwrap();
    project
}

/// A shell of a project on a terminal.
fn shell(project: &Project, program: &str, arguments: &[&str]) -> Option<Terminal> {
    let missing = || Missing::new(format!("`{program}`"), "it is not installed");
    let found = or_skip(find_program(program).ok_or_else(missing))?;
    let mut command = Command::new(found);
    let path = format!("{}/bin:/usr/bin:/bin", project.path().display());
    command.args(arguments).current_dir(project.path()).env("PATH", path).env("TERM", "dumb");
    command.env("HOME", project.path()).env("ESB_CACHE_DIR", project.store("store"));
    or_skip(Terminal::start(&command, 200))
}

/// What is typed before a tab, and what the shell makes of it.
const COMPLETED: [(&str, &str); 6] = [
    ("esb deploy -e pr", "esb deploy -e prod"),
    ("esb deploy -e d", "esb deploy -e dev"),
    ("esb deploy --dry", "esb deploy --dry-run"),
    ("esb validate templ", "esb validate template.yaml"),
    ("esb invoke -e prod F", "esb invoke -e prod F"),
    ("esb config rm -e dev --owner sho", "esb config rm -e dev --owner shop"),
];

fn complete(mut shell: Terminal, install: &str) {
    shell.type_keys(&format!("{install}; echo ins''talled\r")).unwrap();
    shell.expect("installed").unwrap();
    for (typed, expected) in COMPLETED {
        // Ctrl-U removes what is left of the line before.
        shell.type_keys(&format!("\u{15}{typed}\t")).unwrap();
        shell.expect(expected).unwrap();
    }
    // Both functions begin alike: the second tab lists them.
    shell.type_keys("\u{15}esb invoke F\t\t").unwrap();
    shell.expect("F1").unwrap();
    shell.type_keys("\u{15}exit\r").unwrap();
    shell.wait().unwrap();
}

#[test]
fn in_bash() {
    let project = project();
    let Some(shell) = shell(&project, "bash", &["--norc", "--noprofile", "-i"]) else { return };
    complete(shell, "source <(esb completions bash)");
}

#[test]
fn a_colon_in_bash() {
    let project = project();
    let Some(mut shell) = shell(&project, "bash", &["--norc", "--noprofile", "-i"]) else { return };
    shell.type_keys("source <(esb completions bash); echo ins''talled\r").unwrap();
    shell.expect("installed").unwrap();
    for typed in ["shop:", "shop:te", "shop:template.y"] {
        shell.type_keys(&format!("\u{15}esb config rm -e dev --owner {typed}\t")).unwrap();
        shell.expect("--owner shop:template.yaml").unwrap();
    }
}

/// A flag's value after a space, after `=` and after another flag, in a folder below the project's.
#[test]
fn flags_and_folders_in_bash() {
    let project = project();
    let template = fs::read_to_string(project.path().join("template.yaml")).unwrap();
    project.write("deep/er/other.yaml", &template.replace("  F0:", "  Other:"));
    let Some(mut shell) = shell(&project, "bash", &["--norc", "--noprofile", "-i"]) else { return };
    shell.type_keys("source <(esb completions bash); echo ins''talled\r").unwrap();
    shell.expect("installed").unwrap();
    shell.type_keys("cd deep/er\r").unwrap();
    for (typed, expected) in [
        ("esb deploy --env pr", "esb deploy --env prod"),
        ("esb deploy --env=pr", "esb deploy --env=prod"),
        ("esb --env=prod invoke F", "esb --env=prod invoke F"),
        ("esb invoke -t other.yaml O", "esb invoke -t other.yaml Other"),
        ("esb invoke --template=other.yaml O", "esb invoke --template=other.yaml Other"),
        ("esb invoke --template=other.yaml --env=dev O", "--env=dev Other"),
        ("esb config rm --env=dev --owner=sho", "--owner=shop:template.yaml"),
        // Nothing to offer is no failure.
        ("esb invoke --project-dir /no/such/folder x", "folder x"),
    ] {
        shell.type_keys(&format!("\u{15}{typed}\t")).unwrap();
        shell.expect(expected).unwrap();
    }
    shell.type_keys("\u{15}esb invoke --project-dir ../.. F\t\t").unwrap();
    shell.type_keys("\u{15}exit\r").unwrap();
    let shown = shell.wait().unwrap().shown;
    assert!(!shown.contains("panicked"), "{shown}");
}

#[test]
fn in_zsh() {
    let project = project();
    let Some(shell) = shell(&project, "zsh", &["-f", "-i"]) else { return };
    complete(shell, "autoload -U compinit; compinit -u; source <(esb completions zsh)");
}

#[test]
fn in_fish() {
    let project = project();
    let Some(mut shell) = shell(&project, "fish", &["--no-config", "--private"]) else { return };
    // The line editor of fish redraws: its own command says what it would offer.
    shell.type_keys("esb completions fish | source; echo ins''talled\r").unwrap();
    shell.expect("installed").unwrap();
    for (typed, expected) in [
        ("esb deploy -e ", "prod"),
        ("esb invoke -e prod ", "F1"),
        ("esb config rm -e dev --owner ", "shop:template.yaml"),
        ("esb validate t", "template.yaml"),
    ] {
        shell.type_keys(&format!("complete -C '{typed}'\r")).unwrap();
        shell.expect(expected).unwrap();
    }
    shell.type_keys("exit\r").unwrap();
    shell.wait().unwrap();
}
