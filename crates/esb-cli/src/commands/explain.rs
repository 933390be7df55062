//! `esb explain`: what a finding means, with an example and what to do.

use esb_deploy::{Error, Kind, levels::nearest_code};

use crate::{
    documents::{ExplainDocument, ExplainedCode},
    explain::{self, Explanation},
    markdown,
    printer::{Printer, Style},
};

/// The most codes that are suggested.
const SUGGESTED: usize = 6;

pub(crate) fn run(wanted: Option<&str>, printer: Printer) -> Result<(), Error> {
    let Some(wanted) = wanted else {
        list(printer);
        return Ok(());
    };
    let found = explain::of(wanted).ok_or_else(|| unknown(wanted))?;
    if printer.json {
        printer.document(&ExplainDocument::Code { code: code(found), text: found.text });
        return Ok(());
    }
    let fixed = if found.entry.is_fixed { ", fixed: its errors cannot be allowed" } else { "" };
    let head = printer.styled_out(found.entry.code.0, Style::Strong);
    let text = markdown::shown(found.text, printer);
    printer.out(&format!("{head} ({}{fixed})\n", found.severity));
    printer.out_as_it_is(&text);
    Ok(())
}

fn list(printer: Printer) {
    if printer.json {
        let codes = explain::all().iter().map(code).collect();
        printer.document(&ExplainDocument::Codes { codes });
        return;
    }
    let text = |found: &Explanation| {
        let code = printer.styled_out(found.entry.code.0, Style::Strong);
        format!("{code} ({})\n  {}", found.severity, found.entry.meaning)
    };
    printer.out(&explain::all().iter().map(text).collect::<Vec<_>>().join("\n"));
}

fn code(found: &Explanation) -> ExplainedCode {
    ExplainedCode {
        code: found.entry.code.0,
        severities: found.severity.split(", ").collect(),
        fixed: found.entry.is_fixed,
        meaning: found.entry.meaning,
    }
}

/// The error for a code that does not exist.
fn unknown(wanted: &str) -> Error {
    let error = Error::new(
        Kind::Usage,
        "unknown-code",
        format!("there is no finding `{}`", wanted.escape_debug()),
    );
    error.hint(suggestion(wanted))
}

/// The codes that may be meant: those that end so, else those that have the word, else the nearest.
fn suggestion(wanted: &str) -> String {
    let mut found = explain::ending(wanted);
    if found.is_empty() {
        found = explain::containing(wanted);
    }
    let mut codes: Vec<&str> = found.iter().map(|found| found.entry.code.0).collect();
    if codes.is_empty() {
        codes.extend(nearest_code(wanted));
    }
    let codes: Vec<String> = codes.iter().map(|code| format!("`{code}`")).collect();
    match codes.as_slice() {
        [code] => format!("did you mean {code}?"),
        [codes @ .., last] if codes.len() < SUGGESTED => {
            format!("did you mean {} or {last}?", codes.join(", "))
        }
        _ => "`esb explain` lists all codes".to_owned(),
    }
}

/// A code of the command line, in full.
///
/// # Errors
/// When there is no such code, with the nearest one.
pub(crate) fn parse_code(text: &str) -> Result<String, String> {
    match explain::of(text) {
        Some(found) => Ok(found.entry.code.0.to_owned()),
        None => Err(format!("there is no such finding; {}", suggestion(text))),
    }
}
