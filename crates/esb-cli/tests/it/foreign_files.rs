//! Files of a project that are links to devices, pipes, or files that are none of the project's:
//! nothing waits, nothing is read without end, and no message quotes what lies outside.

use std::{
    fs,
    io::Read as _,
    os::unix::fs::symlink,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::{bases, context::Context};

const TEMPLATE: &str = "Transform: AWS::Serverless-2016-10-31\nResources:\n  F:\n    Type: \
    AWS::Serverless::Function\n    Properties: {Runtime: python3.13, Handler: app.handler, CodeUri: f/}\n";

/// What a file outside of the project says, in no language that is read.
const OUTSIDE: &str = "root-LEAK:$6$LEAK:19000\n  LEAK: [LEAK\nLEAK-KEY = LEAK\nLEAK me\n";

const DRY_RUN: [&str; 6] = ["deploy", "-e", "dev", "--dry-run", "--to", "oci"];

fn project() -> Context {
    let context = Context::new(TEMPLATE);
    context.write("f/app.py", "handler = print\n");
    fs::write(context.path().join("huge"), "").unwrap();
    let huge = fs::File::options().write(true).open(context.path().join("huge")).unwrap();
    huge.set_len(20 << 30).unwrap();
    let mode = Mode::from_bits_truncate(0o600);
    mknodat(CWD, context.path().join("pipe"), FileType::Fifo, mode, 0).unwrap();
    context
}

/// Puts a link in the place of a file.
fn link(context: &Context, name: &str, target: &str) {
    let path = context.path().join(name);
    fs::remove_file(&path).ok();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    symlink(target, path).unwrap();
}

/// A program that waits for ever, or takes all memory, ends with the test.
fn end(mut child: Child) -> (Option<i32>, String) {
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() && started.elapsed() < Duration::from_mins(1) {
        thread::sleep(Duration::from_millis(20));
    }
    child.kill().ok();
    let code = child.wait().unwrap().code();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    (code, said)
}

fn run(context: &Context, arguments: &[&str]) -> (Option<i32>, String) {
    let plain = context.command(arguments);
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -d 200000 && exec \"$0\" \"$@\""])
        .arg(plain.get_program())
        .args(plain.get_args())
        .current_dir(context.path())
        .env_clear()
        .envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    end(command.spawn().unwrap())
}

#[test]
fn what_is_no_regular_file_is_not_read() {
    for name in ["esb.toml", ".env", "samconfig.toml"] {
        for target in ["/dev/zero", "pipe", "f", "huge"] {
            let context = project();
            let target = if target.starts_with('/') {
                target.to_owned()
            } else {
                context.path().join(target).display().to_string()
            };
            link(&context, name, &target);
            let (code, said) = run(&context, &DRY_RUN);
            // SAM CLI's file is looked for, and only a file is one.
            if name == "samconfig.toml" && code == Some(0) {
                continue;
            }
            assert_eq!(code, Some(1), "{name} {target}: {said}");
            let told = ["it is not a regular file", "it has more than"];
            assert!(told.iter().any(|words| said.contains(words)), "{name} {target}: {said}");
        }
    }
    // A layout's list of images.
    for target in ["/dev/zero", "pipe", "huge"] {
        let context = project();
        let layout = context.path().join("bases");
        bases::write(&layout, "amd64", "one");
        fs::remove_file(layout.join("index.json")).unwrap();
        let target =
            if target.starts_with('/') { target.into() } else { context.path().join(target) };
        symlink(target, layout.join("index.json")).unwrap();
        let build = ["build", "--to", "oci", "--mirror", "public.ecr.aws=oci:bases", "--offline"];
        let (code, said) = run(&context, &build);
        assert_eq!(code, Some(9), "{said}");
        let told = ["`index.json`: it is not a regular file", "`index.json`: it has more than"];
        assert!(told.iter().any(|words| said.contains(words)), "{said}");
    }
}

#[test]
fn no_message_quotes_a_file_outside_of_the_project() {
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret");
    fs::write(&secret, OUTSIDE).unwrap();
    let settings = outside.path().join("settings");
    fs::write(&settings, "'LEAK me' = 'LEAK'\n").unwrap();
    let files = [
        "esb.toml",
        ".env",
        "template.yaml",
        "f/app.py",
        "samconfig.toml",
        "f/requirements.txt",
        "esb.lock",
    ];
    for name in files {
        for target in [&secret, &settings] {
            let context = project();
            link(&context, name, target.to_str().unwrap());
            for format in ["text", "json"] {
                let (code, said) = run(&context, &[&DRY_RUN[..], &["--format", format]].concat());
                assert!(code.is_some_and(|code| code < 128), "{name}: {code:?} {said}");
                assert!(!said.contains("LEAK"), "{name}: {said}");
            }
        }
    }
}

#[test]
fn what_a_person_names_may_be_a_pipe() {
    let context = project();
    let inspect = |arguments: &str| {
        let plain = context.command(&[]);
        let script = format!("{} inspect {arguments}", plain.get_program().to_str().unwrap());
        let mut command = Command::new("bash");
        command
            .args(["-c", &script])
            .current_dir(context.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .stdin(Stdio::null());
        end(command.spawn().unwrap())
    };
    let (code, said) = inspect("--env-file <(echo A=b) --parameter P=@<(echo value)");
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = inspect("--parameter P=@/dev/stdin < <(echo value)");
    assert_eq!(code, Some(0), "{said}");
    for endless in ["--env-file /dev/zero", "--env-file <(cat /dev/zero)"] {
        let (code, said) = inspect(endless);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("it has more than 16777216 bytes"), "{said}");
    }
}
