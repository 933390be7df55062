//! Folders that this user may read and not write: a content store that another user filled, a
//! project, a Gateway's folder.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::Path,
    process::{Command, Output},
};

use tempfile::TempDir;

use crate::{bases, context::Context};

const TEMPLATE: &str = r"Transform: AWS::Serverless-2016-10-31
Resources:
  One:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.13, Handler: app.handler, CodeUri: code/}
";

const DEPLOY: [&str; 6] =
    ["deploy", "--quiet", "--to", "oci", "--mirror", "public.ecr.aws=oci:bases"];

/// Somebody who is not root.
const NOBODY: u32 = 65534;

fn each(folder: &Path, act: &impl Fn(&Path)) {
    act(folder);
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { each(&path, act) } else { act(&path) }
    }
}

fn allow(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A project with the content of another one, and its store, which may only be read.
struct Reader {
    folder: TempDir,
    project: Context,
    is_root: bool,
}

impl Reader {
    fn new() -> Self {
        let project = Context::new(TEMPLATE);
        bases::write(&project.path().join("bases"), "amd64", "one");
        project.write("code/app.py", "handler = number = 1\n");
        let made = project.esb(&DEPLOY);
        assert!(made.starts_with("exit: 0"), "{made}");
        for gone in [".esb", "esb.lock"] {
            let path = project.path().join(gone);
            if path.is_dir() {
                fs::remove_dir_all(path).unwrap();
            } else {
                fs::remove_file(path).unwrap();
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store");
        let is_root = folder.path().metadata().unwrap().uid() == 0;
        fs::rename(project.path().join("cache"), &store).unwrap();
        each(&store, &|path| allow(path, if path.is_dir() { 0o555 } else { 0o444 }));
        if is_root {
            // No permission holds root back: somebody else runs, and has to reach it all.
            allow(folder.path(), 0o755);
            fs::copy(env!("CARGO_BIN_EXE_esb"), folder.path().join("esb")).unwrap();
            each(project.path(), &|path| chown(path, Some(NOBODY), Some(NOBODY)).unwrap());
        }
        Self { folder, project, is_root }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = self.project.command(arguments);
        if self.is_root {
            let mut other = Command::new(self.folder.path().join("esb"));
            other.args(arguments).current_dir(self.project.path()).env_clear();
            other.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
            other.uid(NOBODY).gid(NOBODY);
            command = other;
        }
        command.env("ESB_CACHE_DIR", self.folder.path().join("store")).output().unwrap()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        each(&self.folder.path().join("store"), &|path| allow(path, 0o755));
    }
}

#[test]
fn what_is_there_is_used_and_what_cannot_be_written_is_told() {
    let reader = Reader::new();
    let said = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    for _ in 0..2 {
        let output = reader.run(&DEPLOY);
        assert!(output.status.success(), "{}", said(&output));
    }
    assert!(reader.run(&["cache"]).status.success());
    reader.project.write("code/app.py", "handler = number = 2\n");
    for arguments in [&DEPLOY[..], &["cache", "gc"], &["cache", "gc", "--max-size", "1B"]] {
        let output = reader.run(arguments);
        let text = said(&output);
        assert_eq!(output.status.code(), Some(9), "{arguments:?}: {text}");
        assert!(text.contains("/store/"), "{arguments:?}: {text}");
        assert!(text.contains("give this user the right to, or name another"), "{text}");
    }
    // The store is whole as it was.
    reader.project.write("code/app.py", "handler = number = 1\n");
    assert!(reader.run(&DEPLOY).status.success());
}

/// A folder that a flag names may be another one; the project's own may not.
#[test]
fn a_folder_that_cannot_be_written_has_a_hint_that_fits() {
    let reader = Reader::new();
    let project = reader.project.path();
    fs::create_dir(project.join("gateway")).unwrap();
    allow(&project.join("gateway"), 0o555);
    let hint = |arguments: &[&str]| {
        let output = reader.run(arguments);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(9), "{arguments:?}: {text}");
        let hint = text.lines().find_map(|line| line.strip_prefix("hint: "));
        hint.unwrap_or_else(|| panic!("{arguments:?}: {text}")).to_owned()
    };
    let to_gateway = [&DEPLOY[..], &["--config-to", "gateway"]].concat();
    let said = hint(&to_gateway);
    assert!(said.contains("/gateway`") && said.contains("`--config-to DIR`"), "{said}");
    fs::remove_dir_all(project.join(".esb")).unwrap_or_default();
    fs::remove_file(project.join("esb.toml")).unwrap();
    allow(project, 0o555);
    let to_nobody = [&DEPLOY[..], &["--config-to", "none"]].concat();
    for arguments in [&["init"][..], &["init", "--schema"], &["build", "--to", "oci"], &to_nobody] {
        let said = hint(arguments);
        let is_told = ["and its files writable for this user", "give this user the right to"];
        assert!(is_told.iter().any(|end| said.ends_with(end)), "{arguments:?}: {said}");
    }
    allow(project, 0o755);
    // The schema is as it has to be, and the settings cannot be added.
    fs::write(project.join("esb.toml"), "").unwrap();
    reader.project.esb(&["init", "--schema"]);
    fs::remove_file(project.join("esb.toml")).unwrap();
    allow(project, 0o555);
    assert!(hint(&["init"]).ends_with("and its files writable for this user"));
    allow(project, 0o755);
}
