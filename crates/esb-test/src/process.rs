//! Daemons: started with a log, stopped with all their child processes.
//!
//! Owns the process group of each daemon. Refuses to know what a daemon is for.
//!
//! A daemon must not outlive its test, not even a test that was killed, and a process cannot act
//! on its own death. So each daemon runs under a small shell that holds the reading end of a pipe:
//! when this process goes, for whatever reason, the pipe closes and the shell ends the daemon.

use crate::Error;
use rustix::process::{Pid, Signal, kill_process_group};
use std::{
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// `$1` is the grace in seconds, the rest is the daemon's command line.
const SUPERVISOR: &str = r#"
grace=$1; shift
exec 3<&0 </dev/null
"$@" 3<&- &
daemon=$!
( read -r _ <&3; kill -s TERM "$daemon"; sleep "$grace"; kill -s KILL 0 ) 2>/dev/null &
watcher=$!
exec 3<&-
wait "$daemon"
code=$?
kill "$watcher" 2>/dev/null
exit "$code"
"#;

const POLL: Duration = Duration::from_millis(20);
const LOG_TAIL_BYTES: u64 = 16 * 1024;
const LOG_TAIL_LINES: usize = 12;

/// A running daemon, which ends when this is dropped.
#[derive(Debug)]
pub struct Daemon {
    supervisor: Child,
    program: String,
    log: PathBuf,
    grace: Duration,
    ended: Option<ExitStatus>,
}

impl Daemon {
    /// Starts `command` with its output appended to `log`.
    ///
    /// Takes the program, the arguments, the environment changes and the folder of `command`, and
    /// gives it an empty standard input. `grace` (whole seconds) is what it gets between being
    /// asked to end and being killed.
    pub fn start(command: &Command, log: &Path, grace: Duration) -> Result<Self, Error> {
        let program = command.get_program().to_string_lossy().into_owned();
        if let Some(parent) = log.parent() {
            fs::create_dir_all(parent).map_err(Error::file("make folder", parent))?;
        }
        let output = File::options()
            .create(true)
            .append(true)
            .open(log)
            .map_err(Error::file("open log", log))?;
        let errors = output.try_clone().map_err(Error::file("open log", log))?;
        let mut shell = Command::new("sh");
        shell
            .args(["-c", SUPERVISOR, "sh"])
            .arg(grace.as_secs().to_string())
            .arg(command.get_program())
            .args(command.get_args())
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            .process_group(0);
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            shell.current_dir(folder);
        }
        let supervisor =
            shell.spawn().map_err(|source| Error::Run { program: program.clone(), source })?;
        Ok(Self { supervisor, program, log: log.to_owned(), grace, ended: None })
    }

    /// Waits until `ready` says so, at most `limit`.
    ///
    /// # Errors
    /// [`Error::Ended`] when the daemon ends first, [`Error::Silent`] when the time is over; both
    /// with the end of the log.
    pub fn wait_ready(
        &mut self,
        limit: Duration,
        mut ready: impl FnMut() -> bool,
    ) -> Result<(), Error> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.poll() {
                return Err(Error::Ended {
                    program: self.program.clone(),
                    status: status.to_string(),
                    log: self.log_tail(),
                });
            }
            if ready() {
                return Ok(());
            }
            if start.elapsed() > limit {
                return Err(Error::Silent {
                    program: self.program.clone(),
                    seconds: limit.as_secs(),
                    log: self.log_tail(),
                });
            }
            thread::sleep(POLL);
        }
    }

    /// Whether the daemon still runs.
    pub fn is_running(&mut self) -> bool {
        self.poll().is_none()
    }

    /// The process group of the daemon, for signals.
    pub fn group(&self) -> u32 {
        self.supervisor.id()
    }

    /// The file with everything that the daemon wrote.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The last lines of the log, escaped, for an error message.
    pub fn log_tail(&self) -> String {
        let tail = File::open(&self.log).and_then(|mut file| {
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL_BYTES)))?;
            let mut bytes = Vec::new();
            file.take(LOG_TAIL_BYTES).read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        });
        let Ok(tail) = tail else { return "(no log)".to_owned() };
        let lines: Vec<String> = tail.lines().map(|line| line.escape_debug().to_string()).collect();
        let from = lines.len().saturating_sub(LOG_TAIL_LINES);
        lines[from..].join("\n")
    }

    /// Ends the daemon: asks it, gives it its grace, then kills its process group.
    pub fn stop(&mut self) {
        drop(self.supervisor.stdin.take());
        let start = Instant::now();
        while self.poll().is_none() && start.elapsed() < self.grace + Duration::from_secs(1) {
            thread::sleep(POLL);
        }
        self.kill();
    }

    /// Kills the daemon and its process group without asking, as a power cut would.
    pub fn kill(&mut self) {
        let group = i32::try_from(self.supervisor.id()).ok().and_then(Pid::from_raw);
        if let Some(group) = group {
            // The group is gone already when all went well.
            let _gone = kill_process_group(group, Signal::KILL);
        }
        if self.ended.is_none() {
            self.ended = self.supervisor.wait().ok();
        }
    }

    fn poll(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.supervisor.try_wait().ok().flatten();
        }
        self.ended
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn running(pid: &str) -> bool {
        let state = fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
        state.is_ok_and(|stat| !stat.contains(") Z "))
    }

    #[test]
    fn a_daemon_that_ends_at_once_is_an_error_with_its_log() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("deep/log");
        let command = shell("echo first; echo 'no \x1b[31mport' >&2; exit 3");
        let mut daemon = Daemon::start(&command, &log, Duration::from_secs(1)).unwrap();
        let error = daemon.wait_ready(Duration::from_secs(20), || false).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`sh` ended with exit status: 3 before it answered; its log ends with: first\n\
             no \\u{1b}[31mport"
        );
    }

    #[test]
    fn a_daemon_that_says_nothing_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let mut daemon =
            Daemon::start(&shell("exec sleep 60"), &log, Duration::from_secs(1)).unwrap();
        let error = daemon.wait_ready(Duration::ZERO, || false).unwrap_err();
        assert!(matches!(error, Error::Silent { .. }), "{error}");
        assert!(daemon.is_running());
        daemon.stop();
        assert!(!daemon.is_running());
    }

    #[test]
    fn stopping_ends_what_the_daemon_started_and_what_ignores_the_request() {
        let dir = tempfile::tempdir().unwrap();
        let pid = dir.path().join("pid");
        let script = format!(
            "trap '' TERM; sh -c 'trap \"\" TERM; echo $$ > {0}.new; mv {0}.new {0}; \
             while :; do sleep 1; done'",
            pid.display()
        );
        let log = dir.path().join("log");
        let mut daemon = Daemon::start(&shell(&script), &log, Duration::from_secs(0)).unwrap();
        daemon.wait_ready(Duration::from_secs(20), || pid.exists()).unwrap();
        let inner = fs::read_to_string(&pid).unwrap();
        assert!(running(&inner));
        drop(daemon);
        assert!(!running(&inner));
    }

    #[test]
    fn a_daemon_ends_when_its_holder_dies() {
        let dir = tempfile::tempdir().unwrap();
        let command = shell("exec sleep 60");
        let log = dir.path().join("log");
        let mut daemon = Daemon::start(&command, &log, Duration::from_secs(1)).unwrap();
        assert!(daemon.is_running());
        drop(daemon.supervisor.stdin.take()); // all that the system does for a process that is killed
        let deadline = Instant::now() + Duration::from_secs(20);
        while daemon.is_running() && Instant::now() < deadline {
            thread::sleep(POLL);
        }
        assert!(!daemon.is_running());
    }

    #[test]
    fn environment_and_folder_are_passed_on() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let mut command = shell("echo \"$WORD\" > here; exec sleep 60");
        command.env("WORD", "hello").current_dir(dir.path());
        let here = dir.path().join("here");
        let mut daemon = Daemon::start(&command, &log, Duration::from_secs(1)).unwrap();
        let said = || fs::read_to_string(&here).unwrap_or_default();
        daemon.wait_ready(Duration::from_secs(20), || said() == "hello\n").unwrap();
    }
}
