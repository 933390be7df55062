//! Asks questions on a terminal.
//!
//! Decides when a person may be asked, and has the forms of a question. Never asks without a
//! terminal. What is asked before a run is in `questions.rs`.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use esb_deploy::{Error, Kind};

use crate::{cli::GlobalArgs, environment::Environment, escape};

/// How often a value that is not allowed is asked for again.
const TRIES: usize = 5;

/// Whether a person can be asked.
pub(crate) fn may_ask(global: &GlobalArgs, environment: &Environment) -> bool {
    io::stdin().is_terminal()
        && io::stderr().is_terminal()
        && !global.no_input
        && environment.get("CI").is_none()
}

/// Asks a question that is answered by yes or no; an empty line is `otherwise`.
pub(crate) fn agreed(question: &str, otherwise: bool) -> Result<bool, Error> {
    let choice = if otherwise { "[Y/n]" } else { "[y/N]" };
    let answer = line(&format!("{question} {choice} "))?;
    Ok(match answer.as_deref() {
        None => false,
        Some("") => otherwise,
        Some(answer) => matches!(answer, "y" | "Y" | "yes"),
    })
}

/// Shows lines for the person who is asked.
pub(crate) fn tell<'a>(lines: impl IntoIterator<Item = &'a str>) {
    let mut err = io::stderr().lock();
    for line in lines {
        let _ = writeln!(err, "{}", shown(line));
    }
}

/// Asks for a text that fits; an empty line is the default, where there is one. None when the
/// input ends, or when nothing that fits was typed after some tries.
pub(crate) fn text(
    name: &str,
    default: Option<&str>,
    fits: impl Fn(&str) -> bool,
) -> Result<Option<String>, Error> {
    let shown_default = default.map(|value| format!(" [{}]", shown(value))).unwrap_or_default();
    let question = format!("{}{shown_default}: ", shown(name));
    for _ in 0..TRIES {
        let Some(answer) = line(&question)? else { return Ok(None) };
        let value = match (answer.as_str(), default) {
            ("", Some(default)) => default.to_owned(),
            _ => answer,
        };
        if fits(&value) {
            return Ok(Some(value));
        }
        let shown = if value.is_empty() { "nothing".to_owned() } else { format!("`{value}`") };
        tell([format!("  {shown} cannot be taken").as_str()]);
    }
    Ok(None)
}

fn shown(text: &str) -> String {
    escape::terminal(text).replace('\n', " ")
}

/// A line, or nothing at the end of the input.
fn line(question: &str) -> Result<Option<String>, Error> {
    let mut err = io::stderr().lock();
    let _ = write!(err, "{question}");
    let _ = err.flush();
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer).map_err(|error| {
        Error::of(Kind::Local, "input", &error).during("could not read the answer")
    })?;
    Ok((read > 0).then(|| answer.trim().to_owned()))
}
