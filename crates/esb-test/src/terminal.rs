//! Pseudo-terminals: programs that ask questions run on one as at a person's terminal.
//!
//! Each program is the leader of its own session, whose terminal is the pseudo-terminal: Ctrl-C
//! reaches it, and nothing that it does to its terminal reaches the one of the tests.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::unix::process::ExitStatusExt as _,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    fd::OwnedFd,
    fs::{Mode, OFlags},
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize},
};

use crate::{Error, Missing, find_program};

/// How long a program may be silent.
const LIMIT: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(20);

/// A program on a pseudo-terminal of its own. It is killed when this is dropped.
#[derive(Debug)]
pub struct Terminal {
    program: String,
    child: Child,
    master: File,
    /// Keeps the terminal's settings until they are read at the end.
    slave: Option<OwnedFd>,
    screen: Arc<Screen>,
    /// How much of it was expected already.
    seen: usize,
}

/// How a program on a terminal ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TerminalEnd {
    /// Its exit code; 128 and its number for a signal, as in a shell.
    pub code: i32,
    /// Everything that the terminal showed.
    pub shown: String,
    /// Whether the terminal shows what is typed.
    pub has_echo: bool,
}

/// The output of a program, as far as it was read.
#[derive(Debug, Default)]
struct Screen {
    output: Mutex<(Vec<u8>, bool)>,
    changed: Condvar,
}

impl Screen {
    fn output(&self) -> MutexGuard<'_, (Vec<u8>, bool)> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.output().0).into_owned()
    }

    /// Reads until no program holds the terminal.
    fn read(&self, mut master: File) {
        let mut bytes = [0; 4096];
        loop {
            let read = master.read(&mut bytes).unwrap_or(0);
            let mut output = self.output();
            output.0.extend_from_slice(&bytes[..read]);
            output.1 = read == 0;
            self.changed.notify_all();
            if read == 0 {
                return;
            }
        }
    }
}

impl Terminal {
    /// Starts a command on a terminal of that width; its own streams are not used.
    ///
    /// # Errors
    /// [`Error::Missing`] where no terminal can be had.
    pub fn start(command: &Command, columns: u16) -> Result<Self, Error> {
        let missing = |why: String| Error::from(Missing::new("pseudo-terminal", why));
        let setsid = find_program("setsid").ok_or_else(|| {
            missing("`setsid` of Debian's package `util-linux` is not there".into())
        })?;
        let (master, slave) =
            open(columns).map_err(|error| missing(format!("none can be opened: {error}")))?;
        let program = command.get_program().to_string_lossy().into_owned();
        let failed = |source| Error::Run { program: program.clone(), source };
        let stream = || slave.try_clone().map(Stdio::from).map_err(failed);
        let mut session = Command::new(setsid);
        session.arg("--ctty").arg(command.get_program()).args(command.get_args());
        session.stdin(stream()?).stdout(stream()?).stderr(stream()?);
        // What the command says of its environment is all that it gets.
        session.env_clear();
        session.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(folder) = command.get_current_dir() {
            session.current_dir(folder);
        }
        let child = session.spawn().map_err(failed)?;
        drop(session);
        let screen = Arc::new(Screen::default());
        let (reader, read) = (Arc::clone(&screen), master.try_clone().map_err(failed)?);
        thread::spawn(move || reader.read(read));
        Ok(Self { program, child, master, slave: Some(slave), screen, seen: 0 })
    }

    /// Waits until the terminal shows a text, after what was expected before.
    ///
    /// # Errors
    /// When the program ends first, or says nothing for too long.
    pub fn expect(&mut self, text: &str) -> Result<(), Error> {
        let start = Instant::now();
        loop {
            let ended = self.poll();
            // What a program wrote before its end can be read by now.
            thread::sleep(POLL);
            if self.finds(text) {
                return Ok(());
            }
            let program = self.program.clone();
            let log = || format!("{}\n(waited for `{text}`)", self.screen.text());
            if let Some(status) = ended {
                return Err(Error::Ended { program, status: status.to_string(), log: log() });
            }
            if start.elapsed() > LIMIT {
                return Err(Error::Silent { program, seconds: LIMIT.as_secs(), log: log() });
            }
        }
    }

    /// Whether the terminal shows a text; what precedes it is not looked at again.
    fn finds(&mut self, text: &str) -> bool {
        let output = self.screen.output();
        let mut new = output.0[self.seen..].windows(text.len());
        let Some(found) = new.position(|part| part == text.as_bytes()) else { return false };
        self.seen += found + text.len();
        true
    }

    /// Types a text as it is; `\r` is the Enter key, `\u{3}` Ctrl-C, `\u{4}` Ctrl-D.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn type_keys(&mut self, text: &str) -> Result<(), Error> {
        let written = self.master.write_all(text.as_bytes());
        written.map_err(|source| Error::Run { program: self.program.clone(), source })
    }

    /// Sends a signal to the program.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ended = kill_process(pid, signal);
        }
    }

    /// Whether the terminal shows what is typed.
    pub fn has_echo(&self) -> bool {
        let settings = self.slave.as_ref().and_then(|slave| tcgetattr(slave).ok());
        settings.is_some_and(|settings| settings.local_modes.contains(LocalModes::ECHO))
    }

    /// Waits until the program is stopped, as Ctrl-Z does.
    ///
    /// # Errors
    /// When it is not for too long.
    pub fn wait_stopped(&self) -> Result<(), Error> {
        let start = Instant::now();
        let path = format!("/proc/{}/stat", self.child.id());
        while !std::fs::read_to_string(&path).is_ok_and(|stat| stat.contains(") T ")) {
            if start.elapsed() > LIMIT {
                let (program, seconds) = (self.program.clone(), LIMIT.as_secs());
                return Err(Error::Silent { program, seconds, log: self.screen.text() });
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// Waits for the end of the program.
    ///
    /// # Errors
    /// When it says nothing for too long.
    pub fn wait(mut self) -> Result<TerminalEnd, Error> {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.poll() {
                break status;
            }
            if start.elapsed() > LIMIT {
                let (program, seconds) = (self.program.clone(), LIMIT.as_secs());
                return Err(Error::Silent { program, seconds, log: self.screen.text() });
            }
            thread::sleep(POLL);
        };
        let has_echo = self.has_echo();
        // The reader comes to an end when nobody holds the terminal any more.
        drop(self.slave.take());
        let mut output = self.screen.output();
        while !output.1 && start.elapsed() < LIMIT {
            let waited = self.screen.changed.wait_timeout(output, POLL);
            output = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let shown = String::from_utf8_lossy(&output.0).replace("\r\n", "\n");
        drop(output);
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
        Ok(TerminalEnd { code, shown, has_echo })
    }

    fn poll(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// The two ends of a new terminal.
fn open(columns: u16) -> rustix::io::Result<(File, OwnedFd)> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let name = ptsname(&master, Vec::new())?;
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let slave = rustix::fs::open(name, flags, Mode::empty())?;
    let size = Winsize { ws_row: 40, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&slave, size)?;
    Ok((master.into(), slave))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::or_skip;

    fn start(script: &str) -> Option<Terminal> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).env("PATH", "/usr/bin:/bin");
        or_skip(Terminal::start(&command, 60))
    }

    #[test]
    fn a_question_is_answered() {
        let Some(mut terminal) = start("stty size; printf 'name? '; read n; echo \"<$n>\"; exit 3")
        else {
            return;
        };
        terminal.expect("40 60").unwrap();
        terminal.expect("name? ").unwrap();
        assert!(terminal.has_echo());
        terminal.type_keys("é\r").unwrap();
        let end = terminal.wait().unwrap();
        assert_eq!((end.code, end.has_echo), (3, true));
        assert!(end.shown.ends_with("name? é\n<é>\n"), "{end:?}");
    }

    #[test]
    fn keys_are_signals_and_the_echo_is_seen() {
        let Some(mut terminal) = start("stty -echo; echo ready; exec sleep 60") else { return };
        terminal.expect("ready").unwrap();
        assert!(!terminal.has_echo());
        terminal.type_keys("\u{3}").unwrap();
        let end = terminal.wait().unwrap();
        assert_eq!((end.code, end.has_echo), (130, false));
    }

    #[test]
    fn a_program_that_ends_early_is_an_error() {
        let Some(mut terminal) = start("echo words; exit 1") else { return };
        let error = terminal.expect("never").unwrap_err().to_string();
        assert!(error.contains("words") && error.contains("never"), "{error}");
    }
}
