//! Asks questions on a terminal.
//!
//! Decides when a person may be asked, and has the forms of a question. Never asks without a
//! terminal, and never takes a default for an answer that does not fit. A question is awaited like
//! other work, so that a signal ends it; the terminal is then as it was before.

use std::{
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use esb_deploy::{Error, Kind};
use rustix::{
    io::Errno,
    termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr},
};

use crate::{
    cli::{GlobalArgs, Progress},
    columns::fold,
    environment::Environment,
    escape,
    printer::columns,
    runtime,
};

/// The code of the error that ends a command which a person cancelled.
pub(crate) const CANCELLED: &str = "cancelled";

/// Whether a person can be asked.
pub(crate) fn may_ask(global: &GlobalArgs, environment: &Environment) -> bool {
    io::stdin().is_terminal()
        && io::stderr().is_terminal()
        && !global.no_input
        && global.progress != Progress::Json
        && environment.get("CI").is_none()
}

/// Asks for consent until the answer is yes or no.
///
/// # Errors
/// When the answer is no, an empty line or the end of the input: the command is cancelled.
pub(crate) async fn consent(question: &str) -> Result<(), Error> {
    loop {
        let answer = line(&format!("{} [y/N]", shown(question)), false).await?;
        match answer.to_lowercase().as_str() {
            "y" | "yes" => return Ok(()),
            "" | "n" | "no" => return Err(cancelled()),
            _ => tell([format!("`{answer}` is neither yes nor no: type y or n").as_str()]),
        }
    }
}

/// A question for a text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) name: &'a str,
    /// What an empty line stands for.
    pub(crate) default: Option<&'a str>,
    /// Whether what is typed stays invisible.
    pub(crate) is_secret: bool,
}

impl Question<'_> {
    /// Asks until the answer fits; `check` says what is wrong with one.
    ///
    /// # Errors
    /// At the end of the input, which cancels the command.
    pub(crate) async fn ask(
        &self,
        check: impl Fn(&str) -> Result<(), String>,
    ) -> Result<String, Error> {
        let hidden = if self.is_secret { " (hidden)" } else { "" };
        let default = self.default.map(|value| format!(" [{}]", shown(value))).unwrap_or_default();
        let prompt = format!("{}{hidden}{default}:", shown(self.name));
        loop {
            let answer = line(&prompt, self.is_secret).await?;
            let value = match (answer.as_str(), self.default) {
                ("", Some(default)) => default.to_owned(),
                _ => answer,
            };
            match check(&value) {
                Ok(()) => return Ok(value),
                Err(reason) => tell(reason.lines().map(|line| format!("  {line}"))),
            }
        }
    }
}

/// Shows lines for the person who is asked.
pub(crate) fn tell(lines: impl IntoIterator<Item = impl AsRef<str>>) {
    let columns = columns(&io::stderr());
    let mut err = io::stderr().lock();
    for line in lines {
        let _ = writeln!(err, "{}", fold(&shown(line.as_ref()), columns));
    }
}

fn shown(text: &str) -> String {
    escape::line(text).into_owned()
}

fn cancelled() -> Error {
    Error::new(Kind::Input, CANCELLED, CANCELLED)
}

/// Whether a thread waits for an answer.
static IS_READING: AtomicBool = AtomicBool::new(false);

/// Whether a thread waits for an answer, which nothing but one ends.
pub(crate) fn is_reading() -> bool {
    IS_READING.load(Ordering::SeqCst)
}

/// The next line after a question; what surrounds it is removed, except from a secret.
async fn line(question: &str, is_secret: bool) -> Result<String, Error> {
    loop {
        // The answer begins on the question's last line.
        let columns = columns(&io::stderr()).map(|columns| columns.saturating_sub(2));
        let mut prompt = Prompt::show(format!("{} ", fold(question, columns)), is_secret);
        // The thread may wait for ever: it ends with the process.
        IS_READING.store(true, Ordering::SeqCst);
        let read = tokio::task::spawn_blocking(read_line).await;
        IS_READING.store(false, Ordering::SeqCst);
        let read = read.map_err(|error| Error::of(Kind::Local, "input", &error))?;
        let read = read.map_err(|error| {
            Error::of(Kind::Local, "input", &error).during("could not read the answer")
        })?;
        let Some(bytes) = read else { return Err(cancelled()) };
        prompt.is_answered = true;
        drop(prompt);
        match String::from_utf8(bytes) {
            Ok(answer) if is_secret => return Ok(answer),
            Ok(answer) => return Ok(answer.trim().to_owned()),
            Err(_) => tell(["  this is not UTF-8 text"]),
        }
    }
}

/// A line without its end, or nothing at the end of the input: also of a terminal that is gone.
fn read_line() -> io::Result<Option<Vec<u8>>> {
    let mut answer = Vec::new();
    match io::stdin().lock().read_until(b'\n', &mut answer) {
        Err(error) if error.raw_os_error() != Some(Errno::IO.raw_os_error()) => return Err(error),
        _ => {}
    }
    let Some(line) = answer.strip_suffix(b"\n") else { return Ok(None) };
    Ok(Some(line.strip_suffix(b"\r").unwrap_or(line).to_vec()))
}

/// A prompt that waits for its answer. Dropped, it leaves the terminal as it was, with the cursor at
/// the start of a line.
struct Prompt {
    is_answered: bool,
}

/// The prompt that hides what is typed now. A terminal is the process's, and so is this: a signal
/// that stops the process finds here how it was.
static HIDDEN: Mutex<Option<Hidden>> = Mutex::new(None);

struct Hidden {
    question: String,
    /// The terminal's settings before its echo was turned off.
    before: Termios,
}

impl Prompt {
    fn show(question: String, is_secret: bool) -> Self {
        if is_secret {
            runtime::stop_with_echo();
            let before = without_echo();
            put(&question);
            with_hidden(|hidden| *hidden = before.map(|before| Hidden { question, before }));
        } else {
            put(&question);
        }
        Self { is_answered: false }
    }
}

impl Drop for Prompt {
    fn drop(&mut self) {
        let hidden = with_hidden(Option::take);
        if let Some(Hidden { before, .. }) = &hidden {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
        if hidden.is_some() || !self.is_answered {
            put("\n");
        }
    }
}

/// Gives the terminal back while the process is stopped.
pub(crate) fn suspend() {
    with_hidden(|hidden| {
        if let Some(Hidden { before, .. }) = hidden {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    });
}

/// Asks again when the process goes on.
pub(crate) fn resume() {
    with_hidden(|hidden| {
        if let Some(Hidden { question, .. }) = hidden {
            without_echo();
            put(question);
        }
    });
}

fn with_hidden<T>(work: impl FnOnce(&mut Option<Hidden>) -> T) -> T {
    work(&mut HIDDEN.lock().unwrap_or_else(PoisonError::into_inner))
}

fn put(text: &str) {
    let mut err = io::stderr().lock();
    let _ = write!(err, "{text}");
    let _ = err.flush();
}

/// Turns the terminal's echo off, and gives the settings of before.
fn without_echo() -> Option<Termios> {
    let before = tcgetattr(io::stdin()).ok()?;
    let mut hidden = before.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    tcsetattr(io::stdin(), OptionalActions::Now, &hidden).ok()?;
    Some(before)
}
