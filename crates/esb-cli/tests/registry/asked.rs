//! Questions on a terminal for what is not given, none where nobody can answer; and tables that fit
//! the terminal.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
};

use esb_test::{Missing, find_program, or_skip};

use crate::project::Project;

/// `esb build` on a terminal of its own, with what is typed; gives the exit code and what the
/// terminal showed.
fn typed(project: &Project, flags: &str, variable: (&str, &str), lines: &str) -> (i32, String) {
    let build = project.command("store", &["build", "--to", "oci"]);
    // Without the `-e dev` of others.
    let words = build.get_args().map(|word| word.to_str().unwrap());
    let words: Vec<&str> = words.filter(|word| !["-e", "dev"].contains(word)).collect();
    let program = build.get_program().to_str().unwrap();
    on_terminal(project, &format!("{program} {} {flags}", words.join(" ")), variable, lines)
}

/// Runs a command of a shell on a terminal of its own, by the program `script`.
fn on_terminal(
    project: &Project,
    command: &str,
    variable: (&str, &str),
    lines: &str,
) -> (i32, String) {
    let environment = project.command("store", &[]);
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", command, "/dev/null"]);
    script.current_dir(project.path()).env_clear().env(variable.0, variable.1);
    script.env("SHELL", "/bin/sh").env("PATH", "/usr/bin:/bin");
    script.envs(environment.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A project whose template asks for parameters; `None` where there is no terminal to be had.
fn project() -> Option<Project> {
    let script = find_program("script");
    or_skip(
        script.ok_or_else(|| Missing::new("`script`", "it is in Debian's package `bsdutils`")),
    )?;
    let project = Project::new(1);
    let template = fs::read_to_string(project.path().join("template.yaml")).unwrap();
    let declared = "Parameters:\n  Stage: {Type: String, Description: where to, AllowedValues: \
                    [dev, prod]}\n  Count: {Type: Number, Default: 7}\n  Key: {Type: String, \
                    NoEcho: true, Default: hidden}\n";
    project.write("template.yaml", &format!("{template}{declared}"));
    Some(project)
}

const NOBODY: (&str, &str) = ("NOBODY", "");

#[test]
fn what_nothing_says_is_asked_for_and_remembered() {
    let Some(project) = project() else { return };
    let path = project.path().join(".esb/config.yaml");

    for (flags, variable) in [("--no-input", NOBODY), ("", ("CI", "true"))] {
        let (code, shown) = typed(&project, flags, variable, "\n\nprod\n\ny\n");
        assert_eq!(code, 1, "{shown}");
        assert!(shown.contains("--parameter Stage=VALUE"), "{shown}");
        assert!(!shown.contains("environment ["), "{shown}");
    }
    let (code, shown) = typed(&project, "", NOBODY, "dev\n\nprod\n\nn\n");
    assert_eq!(code, 1, "{shown}");
    assert!(shown.contains("nothing was begun"), "{shown}");
    assert!(!path.exists());
    // What is not allowed is asked for again.
    let (code, shown) =
        typed(&project, "", NOBODY, "no/name\nblue\nother\ncontainerd\nelse\nprod\n8\ny\n");
    assert_eq!(code, 0, "{shown}");
    for expected in [
        "environment [default]: ",
        "`no/name` cannot be taken",
        "mode, docker or containerd [docker]: ",
        "  Count [7]: ",
        "`Stage` of template.yaml: where to",
        "  one of dev, prod",
        "template     template.yaml",
        "environment  blue",
        "mode         containerd",
        "parameter    Count = 8",
        "parameter    Stage = prod",
        "begin? [Y/n]",
    ] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    assert!(!shown.contains("Key"), "{shown}");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!fs::read_to_string(&path).unwrap().contains("hidden"));
    assert!(project.path().join(".esb/blue/functions").exists());

    // Answers of before prefill the next questions, and are no values without them.
    let (code, shown) = typed(&project, "", NOBODY, "\n\n\n\n\n");
    assert_eq!(code, 0, "{shown}");
    for expected in ["environment [blue]", "containerd [containerd]", "Count [8]", "Stage [prod]"] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    assert!(shown.contains("the template's default is 7"), "{shown}");
    let (code, shown) = typed(&project, "--no-input -e blue", NOBODY, "");
    assert_eq!(code, 1, "{shown}");

    // What is given is not asked for.
    let all = "-e blue -m docker --parameter Stage=dev --parameter Count=1";
    let (code, shown) = typed(&project, all, NOBODY, "");
    assert_eq!(code, 0, "{shown}");
    assert!(!shown.contains("begin?"), "{shown}");
}

#[test]
fn a_template_further_down_is_offered() {
    let Some(project) = project() else { return };
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
    let (code, shown) = typed(&project, "", NOBODY, "3\n1\ndev\ndocker\ndev\n\ny\n");
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("  1  apps/one"), "{shown}");
    assert!(shown.contains("  2  two"), "{shown}");
    assert!(shown.contains("template     apps/one/template.yaml"), "{shown}");
    let (code, shown) = typed(&project, "--no-input", NOBODY, "");
    assert_eq!(code, 1, "{shown}");
    assert!(shown.contains("--template PATH"), "{shown}");
}

#[test]
fn secrets_of_the_earlier_file_do_not_stay() {
    let Some(project) = project() else { return };
    let root = fs::canonicalize(project.path()).unwrap().display().to_string();
    let earlier = format!(
        "version: 1\nbuild_defaults:\n  {root}/template.yaml:\n    env: prod\n    mode: docker\n    \
         params: {{Stage: prod, Key: s3cr3t}}\n"
    );
    project.write(".esb/config.yaml", &earlier);
    let (code, shown) = typed(&project, "", NOBODY, "\n\n\n\n\n");
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("environment [prod]"), "{shown}");
    assert!(shown.contains("Stage [prod]"), "{shown}");
    let text = fs::read_to_string(project.path().join(".esb/config.yaml")).unwrap();
    assert!(!text.contains("s3cr3t") && text.contains("\"Stage\": \"prod\""), "{text}");
}

#[test]
fn tables_fit_a_narrow_terminal() {
    let Some(project) = project() else { return };
    let esb = env!("CARGO_BIN_EXE_esb");
    let all = "-e dev --no-input --parameter Stage=dev --to oci";
    for (columns, first) in [(60, "action  build"), (200, "action  image")] {
        let (code, shown) = on_terminal(
            &project,
            &format!("stty cols {columns}; {esb} deploy --dry-run --color never {all}"),
            NOBODY,
            "",
        );
        assert_eq!(code, 0, "{shown}");
        let lines: Vec<&str> = shown.lines().map(str::trim_end).collect();
        assert!(lines.iter().any(|line| line.starts_with(first)), "{columns}: {shown}");
        assert!(!shown.contains('\u{1b}'), "{shown}");
    }
    // A file has no width.
    let words = format!("stty cols 60; {esb} deploy --dry-run {all} > log 2>&1");
    let (code, shown) = on_terminal(&project, &words, NOBODY, "");
    assert_eq!((code, shown.trim()), (0, ""));
    let log = fs::read_to_string(project.path().join("log")).unwrap();
    assert!(log.contains("action  image") && !log.contains(['\u{1b}', '\r']), "{log}");
}
