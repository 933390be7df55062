//! Runs programs: shows or captures their output, and reports failures with it.

use std::{
    io::{self, Read as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    checks::{Outcome, Trouble},
    limit::{OF_COMMAND, output_within},
    steps::{holds_back, say},
};

/// The project's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the root").to_owned()
}

/// Everything that tasks make lies below it.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// A command in the project's root.
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root()).stdin(Stdio::null());
    command
}

/// The cargo that runs this task.
pub(crate) fn cargo() -> Command {
    command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// A program of the workspace with all features: what the tests have compiled is not compiled again.
/// `kind` is `bin` or `example`.
pub(crate) fn of_workspace(kind: &str, name: &str) -> Outcome<PathBuf> {
    let mut build = cargo();
    build.args(["build", "--quiet", "--workspace", "--all-features"]);
    run(build.arg(format!("--{kind}")).arg(name))?;
    let folder = target().join("debug");
    Ok(if kind == "bin" { folder } else { folder.join("examples") }.join(name))
}

/// Runs a command whose output everybody may see.
pub(crate) fn run(command: &mut Command) -> Outcome {
    if holds_back() {
        return held(command);
    }
    let status = command.status().map_err(|error| cannot(command, &error))?;
    if status.success() {
        Ok(())
    } else {
        Err(Trouble::Failed(format!("{} ended with {status}", words(command))))
    }
}

/// Runs a command whose output comes out among the lines that this thread holds back.
fn held(command: &mut Command) -> Outcome {
    let (mut reader, writer) = io::pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer);
    let child = command.spawn();
    // The command's own ends keep the pipe open otherwise.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = child.map_err(|error| cannot(command, &error))?;
    let mut said = Vec::new();
    reader.read_to_end(&mut said)?;
    let status = child.wait()?;
    let said = String::from_utf8_lossy(&said);
    if !said.trim().is_empty() {
        say(said.trim_end());
    }
    if status.success() {
        Ok(())
    } else {
        Err(Trouble::Failed(format!("{} ended with {status}", words(command))))
    }
}

/// Runs a command and gives what it wrote to stdout; its stderr is told when it fails.
pub(crate) fn output(command: &mut Command) -> Outcome<String> {
    let output = output_within(command, OF_COMMAND)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = if said.trim().is_empty() { String::from_utf8_lossy(&output.stdout) } else { said };
    Err(Trouble::Failed(format!("{} ended with {}:\n{said}", words(command), output.status)))
}

/// The command line, for a message.
pub(crate) fn words(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let mut words = vec![program.to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    format!("`{}`", words.join(" "))
}

fn cannot(command: &Command, error: &std::io::Error) -> Trouble {
    Trouble::Failed(format!("could not run {}: {error}", words(command)))
}
