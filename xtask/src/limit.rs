//! Time limits: a task that hangs fails and says where.
//!
//! Owns how long a command or a check may take. Daemons that a check started end with the process
//! (see `esb-test`).

use std::{
    io::{self, Read},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use crate::{
    checks::{Outcome, Trouble},
    command::words,
    steps::wrong,
};

/// How long a command may take whose output is taken: a suite, a build, a run of `esb`.
pub(crate) const OF_COMMAND: Duration = Duration::from_mins(40);

/// How long one check may take, what it compiles included.
const OF_CHECK: Duration = Duration::from_hours(1);

/// After a command ended or was ended, how long its output is waited for: what it left running may
/// hold the pipes.
const OF_PIPES: Duration = Duration::from_secs(5);

const POLL: Duration = Duration::from_millis(20);

/// As [`Command::output`], but a command that takes longer than `limit` is ended, and what it wrote
/// until then is in the failure.
pub(crate) fn output_within(command: &mut Command, limit: Duration) -> Outcome<Output> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("could not run {}: {error}", words(command)))?;
    let stdout = child.stdout.take().map(collect);
    let stderr = child.stderr.take().map(collect);
    let status = wait(&mut child, limit)?;
    let stdout = stdout.map(Pipe::all).unwrap_or_default();
    let stderr = stderr.map(Pipe::all).unwrap_or_default();
    match status {
        Some(status) => Ok(Output { status, stdout, stderr }),
        None => Err(Trouble::Failed(format!(
            "{} did not end within {} s\n{}{}",
            words(command),
            limit.as_secs(),
            String::from_utf8_lossy(&stdout),
            String::from_utf8_lossy(&stderr)
        ))),
    }
}

/// Waits for a child, and ends it when the time is over.
fn wait(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(POLL);
    }
}

/// What a thread reads from a pipe.
struct Pipe {
    pieces: mpsc::Receiver<Vec<u8>>,
}

fn collect(mut pipe: impl Read + Send + 'static) -> Pipe {
    let (sender, pieces) = mpsc::channel();
    thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = pipe.read(&mut buffer) {
            if sender.send(buffer[..length].to_vec()).is_err() {
                return;
            }
        }
    });
    Pipe { pieces }
}

impl Pipe {
    fn all(self) -> Vec<u8> {
        let end = Instant::now() + OF_PIPES;
        let mut all = Vec::new();
        while let Ok(piece) =
            self.pieces.recv_timeout(end.saturating_duration_since(Instant::now()))
        {
            all.extend(piece);
        }
        all
    }
}

/// Watches a check until it is dropped; a check that takes too long ends the whole task.
#[expect(clippy::exit, reason = "the check's own thread cannot be ended")]
pub(crate) fn of_check(name: &str) -> Watch {
    let name = name.to_owned();
    Watch::start(OF_CHECK, move || {
        wrong(&format!("`{name}` did not end within {} min", OF_CHECK.as_secs() / 60));
        std::process::exit(1);
    })
}

/// Does something unless it is dropped in time.
pub(crate) struct Watch {
    _over: mpsc::Sender<()>,
}

impl Watch {
    fn start(limit: Duration, late: impl FnOnce() + Send + 'static) -> Self {
        let (over, waiting) = mpsc::channel();
        thread::spawn(move || {
            if waiting.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
                late();
            }
        });
        Self { _over: over }
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

    #[test]
    fn output_is_whole_and_a_hanging_command_is_ended() {
        let script = "head -c 300000 /dev/zero | tr '\\0' x; echo said >&2; exit 3";
        let done = output_within(&mut shell(script), OF_COMMAND).unwrap();
        assert_eq!(
            (done.status.code(), done.stdout.len(), &*done.stderr),
            (Some(3), 300_000, &b"said\n"[..])
        );
        let hangs = output_within(&mut shell("echo first; exec sleep 600"), Duration::from_secs(1));
        let Err(Trouble::Failed(text)) = hangs else { panic!("{hangs:?}") };
        assert!(text.contains("did not end within 1 s\nfirst"), "{text}");
    }

    #[test]
    fn a_check_that_hangs_is_told_and_one_that_ends_is_not() {
        let (sender, told) = mpsc::channel();
        let late = sender.clone();
        let watch = Watch::start(Duration::from_millis(1), move || late.send("late").unwrap());
        assert_eq!(told.recv_timeout(OF_PIPES), Ok("late"));
        drop(watch);
        drop(Watch::start(OF_CHECK, move || sender.send("never").unwrap()));
        assert_eq!(told.recv_timeout(OF_PIPES), Err(mpsc::RecvTimeoutError::Disconnected));
    }
}
