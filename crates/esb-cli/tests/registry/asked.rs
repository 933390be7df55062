//! Questions on a terminal: for values that nothing gives, and never where nobody can answer.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
};

use esb_test::find_program;

use crate::project::Project;

/// `esb build` on a terminal of its own, by the program `script`, with what is typed; gives the exit
/// code and what the terminal showed.
fn typed(project: &Project, flags: &str, variable: (&str, &str), lines: &str) -> (i32, String) {
    let build = project.command("store", &["build", "--to", "oci"]);
    let mut script = Command::new("script");
    let words = build.get_args().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ");
    let command = format!("{} {words} {flags}", build.get_program().to_str().unwrap());
    script.args(["--quiet", "--return", "--command", &command, "/dev/null"]);
    script.current_dir(project.path()).env_clear().env(variable.0, variable.1);
    script.env("SHELL", "/bin/sh").env("PATH", "/usr/bin:/bin");
    script.envs(build.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn a_value_is_asked_for_and_remembered() {
    if find_program("script").is_none() {
        println!("skipped: there is no `script` (Debian's package `bsdutils`)");
        return;
    }
    let project = Project::new(1);
    let template = fs::read_to_string(project.path().join("template.yaml")).unwrap();
    let declared = "Parameters:\n  Stage: {Type: String, Description: where to, AllowedValues: \
                    [dev, prod]}\n  Key: {Type: String, NoEcho: true, Default: hidden}\n";
    project.write("template.yaml", &format!("{template}{declared}"));
    let nobody = ("NOBODY", "");

    for (flags, variable) in [("--no-input", nobody), ("", ("CI", "true"))] {
        let (code, shown) = typed(&project, flags, variable, "prod\ny\n");
        assert_eq!(code, 1, "{shown}");
        assert!(shown.contains("--parameter Stage=VALUE"), "{shown}");
    }
    let (code, shown) = typed(&project, "", nobody, "prod\nn\n");
    assert_eq!(code, 1, "{shown}");
    assert!(!project.path().join(".esb/config.yaml").exists());
    // What is not allowed is asked for again.
    let (code, shown) = typed(&project, "", nobody, "else\nprod\ny\n");
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("`Stage` of template.yaml: where to"), "{shown}");
    assert!(shown.contains("one of dev, prod"), "{shown}");
    assert!(shown.contains("begin with Stage=prod?"), "{shown}");
    let path = project.path().join(".esb/config.yaml");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!fs::read_to_string(&path).unwrap().contains("hidden"));
    let (code, shown) = typed(&project, "", nobody, "\n\n");
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("Stage [prod]"), "{shown}");
}
