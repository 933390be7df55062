//! Questions on a terminal.
//!
//! Owns when a person may be asked and how: for the values of parameters that nothing else gives,
//! then whether to begin. Refuses to ask where nobody sits, and for secrets, which a terminal
//! would show.

use std::{
    collections::BTreeMap,
    io::{self, BufRead as _, IsTerminal as _, Write as _},
};

use esb_sam::Parameter;

use crate::{
    cli::GlobalArgs,
    environment::Environment,
    escape,
    exit::{Exit, Failure},
};

/// How often a value that is not allowed is asked for again.
const TRIES: usize = 5;

/// Values by the name of their parameter, for each template by its number.
pub(crate) type Answers = BTreeMap<usize, BTreeMap<String, String>>;

/// Whether there is somebody to ask.
pub(crate) fn may_ask(global: &GlobalArgs, environment: &Environment) -> bool {
    io::stdin().is_terminal()
        && io::stderr().is_terminal()
        && !global.no_input
        && environment.get("CI").is_none()
}

/// Asks a question that is answered by yes or no; an empty line is `otherwise`.
pub(crate) fn agreed(question: &str, otherwise: bool) -> Result<bool, Failure> {
    let choice = if otherwise { "[Y/n]" } else { "[y/N]" };
    let answer = line(&format!("{question} {choice} "))?;
    Ok(match answer.as_deref() {
        None => false,
        Some("") => otherwise,
        Some(answer) => matches!(answer, "y" | "Y" | "yes"),
    })
}

/// Asks for each parameter, with what was answered before, and whether to begin with it all.
///
/// What is not answered stays without a value.
pub(crate) fn parameters(
    missing: &[(usize, Parameter)],
    names: &[String],
    before: &BTreeMap<String, BTreeMap<String, String>>,
) -> Result<Answers, Failure> {
    let mut answers = Answers::new();
    for (template, parameter) in missing.iter().filter(|(_, parameter)| !parameter.no_echo) {
        let file = names.get(*template).map_or("", String::as_str);
        let saved = before.get(file).and_then(|values| values.get(&parameter.name));
        let Some(value) = parameter_value(parameter, file, saved.map(String::as_str))? else {
            return Ok(Answers::new());
        };
        answers.entry(*template).or_default().insert(parameter.name.clone(), value);
    }
    let given = answers.values().flatten();
    let given: Vec<String> = given.map(|(name, value)| format!("{name}={value}")).collect();
    if given.is_empty() || agreed(&format!("begin with {}?", shown(&given.join(", "))), true)? {
        return Ok(answers);
    }
    Err(Failure::new(Exit::Input, "parameters", "nothing was begun"))
}

fn parameter_value(
    parameter: &Parameter,
    file: &str,
    saved: Option<&str>,
) -> Result<Option<String>, Failure> {
    let allowed = &parameter.allowed;
    let saved = saved.filter(|value| allowed.is_empty() || allowed.iter().any(|one| one == value));
    let mut err = io::stderr().lock();
    let about = parameter.description.as_deref().map(|text| format!(": {text}"));
    let about = format!("`{}` of {file}{}", parameter.name, about.unwrap_or_default());
    let _ = writeln!(err, "{}", shown(&about));
    if !allowed.is_empty() {
        let _ = writeln!(err, "  one of {}", shown(&allowed.join(", ")));
    }
    drop(err);
    let default = saved.map(|value| format!(" [{}]", shown(value))).unwrap_or_default();
    let question = format!("  {}{default}: ", shown(&parameter.name));
    for _ in 0..TRIES {
        let Some(answer) = line(&question)? else { return Ok(None) };
        let value = match (answer.as_str(), saved) {
            ("", Some(saved)) => saved.to_owned(),
            _ => answer,
        };
        let is_allowed = allowed.is_empty() && !value.is_empty() || allowed.contains(&value);
        if is_allowed {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

fn shown(text: &str) -> String {
    escape::terminal(text).replace('\n', " ")
}

/// A line, or nothing at the end of the input.
fn line(question: &str) -> Result<Option<String>, Failure> {
    let mut err = io::stderr().lock();
    let _ = write!(err, "{question}");
    let _ = err.flush();
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer).map_err(|error| {
        Failure::of(Exit::Local, "input", &error).during("could not read the answer")
    })?;
    Ok((read > 0).then(|| answer.trim().to_owned()))
}
