//! Whose a content store is, what the umask changes, and waits for its locks.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use crate::{bases, context::Context};

const TEMPLATE: &str = r"Transform: AWS::Serverless-2016-10-31
Resources:
  One:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.13, Handler: app.handler, CodeUri: code/}
";

const DEPLOY: [&str; 7] = [
    "deploy",
    "--to",
    "oci:images",
    "--mirror",
    "public.ecr.aws=oci:bases",
    "--config-to",
    "served/config",
];

/// Somebody who is not root.
const NOBODY: u32 = 65534;

/// Installs one file, as the umask has it.
const UV: &str = r#"#!/bin/sh
while [ "$1" != --target ]; do shift || exit 3; done
mkdir -p "$2/six-1.dist-info" && echo "x = 1" > "$2/six.py" && echo "six.py,," > "$2/six-1.dist-info/RECORD"
"#;

fn project() -> Context {
    let project = Context::new(TEMPLATE);
    bases::write(&project.path().join("bases"), "amd64", "one");
    project.write("code/app.py", "handler = print\n");
    project.write("code/requirements.txt", "six==1\n");
    project.write("bin/uv", UV);
    let tool = project.path().join("bin/uv");
    fs::set_permissions(tool, fs::Permissions::from_mode(0o755)).unwrap();
    project
}

/// `esb` as a shell with that umask starts it.
fn command(project: &Context, umask: &str, arguments: &[&str]) -> Command {
    let whole = project.command(arguments);
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &format!("umask {umask}; exec \"$@\""), "sh"]);
    command.arg(whole.get_program()).args(whole.get_args()).current_dir(project.path());
    command.env_clear().envs(whole.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let tools = project.path().join("bin");
    command.env("PATH", format!("{}:/usr/bin:/bin", tools.display()));
    command
}

fn run(project: &Context, umask: &str, arguments: &[&str]) -> Output {
    command(project, umask, arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&*output.stdout, &*output.stderr].concat()).into_owned()
}

/// A folder and all below it, with their permissions.
fn modes(folder: &Path) -> Vec<(PathBuf, u32)> {
    let mut found = vec![(folder.to_owned(), mode(folder))];
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_symlink() {
                continue;
            }
            found.push((path.clone(), mode(&path)));
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    found
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

fn allow(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn nothing_that_is_made_may_be_written_by_every_user() {
    let project = project();
    allow(project.path(), 0o755);
    let output = run(&project, "0000", &DEPLOY);
    assert!(output.status.success(), "{}", said(&output));
    for folder in ["cache", ".esb", "images", "served"] {
        for (path, mode) in modes(&project.path().join(folder)) {
            assert_eq!(mode & 0o002, 0, "{}: {mode:o}", path.display());
        }
    }
    let cache = project.path().join("cache");
    allow(&cache, 0o777);
    allow(&cache.join("records"), 0o777);
    let output = run(&project, "0000", &DEPLOY);
    assert!(output.status.success(), "{}", said(&output));
    let words = "warning: every user of this machine could write to the content store";
    assert!(said(&output).contains(words), "{}", said(&output));
    assert!(modes(&cache).iter().all(|(_, mode)| mode & 0o002 == 0));
    let output = run(&project, "0000", &DEPLOY);
    assert!(output.status.success() && !said(&output).contains("warning: "), "{}", said(&output));
    // As a person trusts it.
    allow(&cache, 0o777);
    let trusted = run(&project, "0000", &[&DEPLOY[..], &["--trust-store"]].concat());
    assert!(trusted.status.success() && !said(&trusted).contains("warning: "));
    assert_eq!(mode(&cache), 0o777);
}

#[test]
fn a_group_keeps_what_it_shares() {
    let project = project();
    let cache = project.path().join("cache");
    fs::create_dir(&cache).unwrap();
    allow(&cache, 0o2775);
    let output = run(&project, "0002", &DEPLOY);
    assert!(output.status.success() && !said(&output).contains("warning: "), "{}", said(&output));
    for folder in ["", "blobs/sha256", "records", "tmp", "dependencies"] {
        let mode = mode(&cache.join(folder));
        assert_eq!(mode & 0o2022, 0o2020, "{folder}: {mode:o}");
    }
    assert_eq!(mode(&cache.join("records/image-4.log")) & 0o022, 0o020);
}

#[test]
fn what_others_read_can_be_read_whatever_the_umask_says() {
    let project = project();
    let output = run(&project, "0077", &DEPLOY);
    assert!(output.status.success(), "{}", said(&output));
    for folder in ["served", "images"] {
        for (path, mode) in modes(&project.path().join(folder)) {
            if path.ends_with(".deploy.lock") {
                continue;
            }
            let wanted = if path.is_dir() { 0o755 } else { 0o644 };
            assert_eq!(mode, wanted, "{}: {mode:o}", path.display());
        }
    }
}

#[test]
fn a_store_of_another_user_is_refused_until_it_is_trusted() {
    let project = project();
    if fs::metadata(project.path()).unwrap().uid() != 0 {
        return; // nobody else can give folders away
    }
    let output = run(&project, "0022", &DEPLOY);
    assert!(output.status.success(), "{}", said(&output));
    let cache = project.path().join("cache");
    chown(&cache, Some(NOBODY), Some(NOBODY)).unwrap();
    project.write(".env", "ESB_TRUST_STORE=1\n");
    for arguments in [&DEPLOY[..], &["cache"], &["cache", "gc"], &["cache", "verify"]] {
        let output = run(&project, "0022", arguments);
        let text = said(&output);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {text}");
        for part in ["belongs to user 65534, and this is user 0", "--trust-store", "ESB_CACHE_DIR"]
        {
            assert!(text.contains(part), "{arguments:?}: {text}");
        }
    }
    let output = run(&project, "0022", &[&DEPLOY[..], &["--trust-store"]].concat());
    assert!(output.status.success(), "{}", said(&output));
    let mut trusting = command(&project, "0022", &["cache"]);
    let output = trusting.env("ESB_TRUST_STORE", "1").output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn a_long_wait_says_for_what_and_for_whom() {
    let project = project();
    let output = run(&project, "0022", &DEPLOY);
    assert!(output.status.success(), "{}", said(&output));
    for name in ["cache/lock", "served/config/.deploy.lock"] {
        let path = project.path().join(name);
        let held = File::options().read(true).write(true).open(path).unwrap();
        held.lock().unwrap();
        project.write("code/app.py", &format!("handler = print # {name}\n"));
        let mut waiting = command(&project, "0022", &DEPLOY);
        let mut waiting = waiting.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        // It waits until the lock is released, and that is when its line has come.
        let mut lines = BufReader::new(waiting.stderr.take().unwrap()).lines();
        let told = lines.by_ref().map(Result::unwrap).find(|line| line.contains("waiting for"));
        let told = told.unwrap();
        assert!(told.contains(&format!("{name}`, which ")), "{told}");
        if Path::new("/proc/locks").exists() {
            let holder = format!("process {} (`", std::process::id());
            assert!(told.contains(&holder), "{told}");
        }
        drop(held);
        lines.for_each(drop);
        assert!(waiting.wait().unwrap().success());
    }
}
