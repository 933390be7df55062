//! `esb explain`: what a finding means, with an example and what to do.

use esb_deploy::{
    Error, Kind,
    levels::{code, nearest_code},
};
use serde_json::{Value, json};

use crate::{
    explain::{self, Explanation},
    printer::{Printer, Style, table},
};

pub(crate) fn run(wanted: Option<&str>, printer: Printer) -> Result<(), Error> {
    let Some(wanted) = wanted else {
        list(printer);
        return Ok(());
    };
    let found = explain::of(wanted).ok_or_else(|| unknown(wanted))?;
    if printer.json {
        let mut document = json(found);
        document["schema"] = 1.into();
        document["text"] = found.text.into();
        printer.document(&document);
        return Ok(());
    }
    let fixed = if found.entry.is_fixed { ", fixed: its errors cannot be allowed" } else { "" };
    let head = printer.styled_out(found.entry.code.0, Style::Strong);
    printer.out(&format!("{head} ({}{fixed})\n\n{}", found.severity, found.text));
    Ok(())
}

fn list(printer: Printer) {
    if printer.json {
        let codes: Vec<Value> = explain::all().iter().map(json).collect();
        printer.document(&json!({"schema": 1, "codes": codes}));
        return;
    }
    let cells = |row: [&str; 3]| row.map(str::to_owned).to_vec();
    let row =
        |found: &Explanation| cells([found.entry.code.0, found.severity, found.entry.meaning]);
    let rows: Vec<Vec<String>> = explain::all().iter().map(row).collect();
    let head = cells(["code", "severity", "meaning"]);
    printer.out(&table(printer, &head, &rows).join("\n"));
}

fn json(found: &Explanation) -> Value {
    json!({
        "code": found.entry.code.0,
        "severities": found.severity.split(", ").collect::<Vec<_>>(),
        "fixed": found.entry.is_fixed,
        "meaning": found.entry.meaning,
    })
}

/// The error for a code that does not exist.
fn unknown(wanted: &str) -> Error {
    let error = Error::new(
        Kind::Usage,
        "unknown-code",
        format!("there is no finding `{}`", wanted.escape_debug()),
    );
    let hint = match nearest_code(wanted) {
        Some(code) => format!("did you mean `{code}`?"),
        None => "`esb explain` lists all codes".to_owned(),
    };
    error.hint(hint)
}

/// A code of the command line.
///
/// # Errors
/// When there is no such code, with the nearest one.
pub(crate) fn parse_code(text: &str) -> Result<String, String> {
    if code(text).is_some() {
        return Ok(text.to_owned());
    }
    Err(match nearest_code(text) {
        Some(code) => format!("there is no such finding; did you mean `{code}`?"),
        None => "there is no such finding; `esb explain` lists all codes".to_owned(),
    })
}
