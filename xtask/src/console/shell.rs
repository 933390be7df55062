//! A shell in which the commands of a page run one after the other, each in a process of its own, so
//! that each has its output, its exit code and a time limit. Folder and variables pass from one to
//! the next.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::{checks::Outcome, limit::output_within};

/// What a command of a page may take.
const LIMIT: Duration = Duration::from_mins(10);

/// Runs `COMMAND` with the folder, the variables and `$?` of the one before.
const SCRIPT: &str = r#"
. "$STATE/environment" 2>/dev/null
cd "$(cat "$STATE/folder")" || exit 125
(exit "$(cat "$STATE/code")")
eval "$COMMAND"
code=$?
unset COMMAND
echo "$code" > "$STATE/code"
pwd > "$STATE/folder"
export -p > "$STATE/environment"
exit "$code"
"#;

pub(crate) struct Shell {
    state: PathBuf,
    environment: Command,
}

impl Shell {
    /// A shell whose variables are those of `environment`.
    pub(crate) fn new(state: PathBuf, environment: Command, folder: &Path) -> Outcome<Self> {
        fs::create_dir_all(&state)?;
        let shell = Self { state, environment };
        shell.enter(folder)?;
        Ok(shell)
    }

    /// Goes to a folder.
    pub(crate) fn enter(&self, folder: &Path) -> Outcome {
        fs::write(self.state.join("code"), "0")?;
        Ok(fs::write(self.state.join("folder"), folder.as_os_str().as_encoded_bytes())?)
    }

    /// The folder of the next command.
    pub(crate) fn folder(&self) -> Outcome<PathBuf> {
        Ok(fs::read_to_string(self.state.join("folder"))?.trim_end().into())
    }

    /// Runs a command; its exit code, and what it wrote to both streams.
    pub(crate) fn run(&self, line: &str) -> Outcome<(i32, String)> {
        let mut bash = Command::new("bash");
        bash.env_clear();
        for (name, value) in self.environment.get_envs() {
            if let Some(value) = value {
                bash.env(name, value);
            }
        }
        // Both streams in one, as on a terminal.
        bash.args(["-c", &format!("exec 2>&1\n{SCRIPT}")]);
        let output = output_within(bash.env("STATE", &self.state).env("COMMAND", line), LIMIT)?;
        let code = output.status.code().ok_or_else(|| format!("`{line}` was ended by a signal"))?;
        let mut written = String::from_utf8_lossy(&output.stdout).into_owned();
        written.push_str(&String::from_utf8_lossy(&output.stderr));
        Ok((code, written))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_variables_and_exit_code_pass_on() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("sub")).unwrap();
        let mut environment = Command::new("none");
        environment.env("PATH", std::env::var_os("PATH").unwrap());
        let shell = Shell::new(folder.path().join("state"), environment, folder.path()).unwrap();
        assert_eq!(shell.run("cd sub && export A='b  c'").unwrap(), (0, String::new()));
        assert!(shell.folder().unwrap().ends_with("sub"));
        let (code, written) = shell.run("echo \"$A\"; echo wrong >&2; exit 7").unwrap();
        assert_eq!((code, &*written), (7, "b  c\nwrong\n"));
    }

    #[test]
    fn the_last_exit_code_is_known_to_the_next_command() {
        let folder = tempfile::tempdir().unwrap();
        let mut environment = Command::new("none");
        environment.env("PATH", std::env::var_os("PATH").unwrap());
        let shell = Shell::new(folder.path().join("state"), environment, folder.path()).unwrap();
        assert_eq!(shell.run("false # on purpose").unwrap().0, 1);
        assert_eq!(shell.run("echo $?").unwrap(), (0, "1\n".to_owned()));
        assert_eq!(shell.run("echo $?").unwrap(), (0, "0\n".to_owned()));
    }
}
