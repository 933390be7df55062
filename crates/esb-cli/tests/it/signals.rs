//! What a signal ends: programs, what they started, and temporary folders.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{bases, context::Context};

const TEMPLATE: &str = "
Transform: AWS::Serverless-2016-10-31
Resources:
  One:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.13, Handler: app.handler, CodeUri: f/}
";

/// Stands for uv: starts another program, which ignores what the terminal sends, and waits.
const UV: &str = r#"#!/bin/sh
here=$(dirname "$0")
sh -c 'trap "" INT TERM HUP; echo $$ > '"$here"'/inner.new; mv '"$here"'/inner.new '"$here"'/inner
while :; do : > "$PWD/written"; sleep 1000 & wait; done' &
echo $$ > "$here/outer"
wait
"#;

const LIMIT: Duration = Duration::from_mins(1);

#[track_caller]
fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < LIMIT, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn is_running(id: &str) -> bool {
    let state = fs::read_to_string(format!("/proc/{}/stat", id.trim()));
    state.is_ok_and(|stat| !stat.contains(") Z "))
}

fn signal(child: &Child, name: &str) {
    let kill = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
    assert!(kill.unwrap().success());
}

/// The folders below one that nobody names for good.
fn temporary(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        let is_unfinished = Path::new(&name).extension().is_some_and(|it| it == "tmp");
        if name.starts_with("installing-") || is_unfinished {
            found.push(name);
        } else if entry.file_type().unwrap().is_dir() {
            found.extend(temporary(&entry.path()));
        }
    }
    found
}

fn project() -> Context {
    let context = Context::new(TEMPLATE);
    bases::write(&context.path().join("bases"), "amd64", "one");
    context.write("f/app.py", "def handler(event, context): return 1\n");
    context.write("f/requirements.txt", "six==1\n");
    context.write("bin/uv", UV);
    let tool = context.path().join("bin/uv");
    fs::set_permissions(tool, fs::Permissions::from_mode(0o755)).unwrap();
    context
}

/// A build that waits for its packages.
fn build(context: &Context, shell: &str) -> Child {
    build_to(context, shell, "oci")
}

fn build_to(context: &Context, shell: &str, target: &str) -> Child {
    let arguments =
        format!("build --to {target} --mirror public.ecr.aws=oci:bases --platform linux/amd64");
    let esb = context.command(&[]);
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &format!("{shell} exec {} {arguments}", env!("CARGO_BIN_EXE_esb"))]);
    command.current_dir(context.path()).env_clear();
    command.envs(esb.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("PATH", format!("{}:/usr/bin:/bin", context.path().join("bin").display()));
    for name in ["inner", "outer"] {
        let _ = fs::remove_file(context.path().join("bin").join(name));
    }
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for("the packages are not installed", || context.path().join("bin/inner").is_file());
    child
}

#[test]
fn nothing_stays_of_what_a_signal_ends() {
    let context = project();
    for name in ["INT", "TERM", "HUP", "QUIT"] {
        let child = build(&context, "");
        let ids = ["inner", "outer"]
            .map(|id| fs::read_to_string(context.path().join("bin").join(id)).unwrap());
        assert!(ids.iter().all(|id| is_running(id)), "{name}");
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(130), "{name}: {said}");
        assert!(said.contains("interrupted"), "{name}: {said}");
        for id in &ids {
            wait_for("a program is left", || !is_running(id));
        }
        assert_eq!(temporary(context.path()), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn a_hang_up_below_nohup_ends_nothing() {
    let context = project();
    let child = build(&context, "trap '' HUP;");
    signal(&child, "HUP");
    thread::sleep(Duration::from_millis(300));
    let inner = fs::read_to_string(context.path().join("bin/inner")).unwrap();
    assert!(is_running(&inner));
    signal(&child, "TERM");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    wait_for("a program is left", || !is_running(&inner));
}

/// A credential helper is waited for on a thread of its own.
#[test]
fn a_credential_helper_ends_with_what_it_started() {
    let context = project();
    fs::rename(context.path().join("bin/uv"), context.path().join("bin/docker-credential-slow"))
        .unwrap();
    context.write("docker/config.json", r#"{"credsStore": "slow"}"#);
    // A registry that asks for credentials.
    let registry = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = registry.local_addr().unwrap();
    thread::spawn(move || {
        for stream in registry.incoming() {
            use std::io::{Read as _, Write as _};
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 4096]);
            let answer = "HTTP/1.1 401 no\r\nWWW-Authenticate: Basic realm=\"r\"\r\n\
                          Content-Length: 0\r\nConnection: close\r\n\r\n";
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    fs::remove_file(context.path().join("f/requirements.txt")).unwrap();
    let set = format!(
        "DOCKER_CONFIG={}; export DOCKER_CONFIG; ESB_REGISTRY={address}; export ESB_REGISTRY;",
        context.path().join("docker").display()
    );
    let child = build_to(&context, &set, "registry");
    let ids = ["inner", "outer"]
        .map(|id| fs::read_to_string(context.path().join("bin").join(id)).unwrap());
    signal(&child, "TERM");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    for id in &ids {
        wait_for("a program is left", || !is_running(id));
    }
}

/// Nobody writes to the pipe that a command was given.
#[test]
fn a_command_that_reads_from_a_silent_pipe_ends() {
    let context = Context::new(TEMPLATE);
    context.write("f/app.py", "def handler(event, context): pass\n");
    let pipe = context.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // Held open, so that the read begins and does not end.
    let silent = fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    let file = pipe.to_str().unwrap();
    for arguments in [
        &["deploy", "--dry-run", "--parameters-file", file][..],
        &["build", "--to", "oci:images", "--env-vars", file],
        &["invoke", "One", "--event", file],
    ] {
        for name in ["INT", "TERM"] {
            let mut child = context.command(arguments);
            let mut child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            thread::sleep(Duration::from_millis(500));
            signal(&child, name);
            let mut status = None;
            wait_for(&format!("{arguments:?} {name}"), || {
                status = child.try_wait().unwrap();
                status.is_some()
            });
            // Of itself, or of the signal where the command has not begun to work yet.
            assert!(matches!(status.unwrap().code(), Some(130) | None), "{arguments:?} {status:?}");
        }
    }
    drop(silent);
}
