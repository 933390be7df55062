//! Reads the command line. A wrong one is told in the form that it asks for.

use std::{ffi::OsString, time::Instant};

use clap::{
    FromArgMatches as _,
    error::{ContextKind, ContextValue, ErrorKind},
};

use crate::{
    cli::{self, Cli},
    documents::{ErrorDocument, ErrorFields, ProgressEvent},
    exit_code::Exit,
    printer::{Printer, ProgressStyle},
};

/// The command line; when it is wrong, or help is all that it asks for, the exit code.
pub(crate) fn parse(start: Instant) -> Result<Cli, Exit> {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let matches = cli::help::command().try_get_matches_from(&arguments);
    matches.and_then(|matches| Cli::from_arg_matches(&matches)).map_err(|error| {
        // Nothing can be done about a closed stream.
        let print = || drop(error.print());
        if !error.use_stderr() {
            print();
            return Exit::Success;
        }
        let fields = fields(&error);
        let printer = Printer::plain(ProgressStyle::None);
        if asks_for_json(&arguments, "--progress") {
            printer.event(&ProgressEvent::Error { error: &fields });
            printer.end(Exit::Usage, start.elapsed());
        } else {
            print();
        }
        if asks_for_json(&arguments, "--format") {
            printer.document(&ErrorDocument { error: fields, findings: Vec::new() });
        }
        Exit::Usage
    })
}

/// Whether a flag has the value `json` in a command line that could not be read.
fn asks_for_json(arguments: &[OsString], flag: &str) -> bool {
    let texts = || {
        arguments.iter().skip(1).map_while(|text| text.to_str()).take_while(|text| *text != "--")
    };
    let apart = texts().zip(texts().skip(1)).any(|(name, value)| name == flag && value == "json");
    apart || texts().any(|text| text.strip_prefix(flag) == Some("=json"))
}

fn fields(error: &clap::Error) -> ErrorFields {
    let text = error.render().to_string();
    // What stands above the first blank line says what is wrong; the rest is help.
    let message = if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        "a command is missing".to_owned()
    } else {
        let head = text.split("\n\n").next().unwrap_or(&text);
        let lines = head.trim_start_matches("error: ").lines().map(str::trim);
        lines.collect::<Vec<_>>().join(" ")
    };
    let kinds =
        [ContextKind::SuggestedArg, ContextKind::SuggestedValue, ContextKind::SuggestedSubcommand];
    let suggested = kinds.into_iter().find_map(|kind| match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::Strings(texts) if !texts.is_empty() => Some(texts.join("`, `")),
        _ => None,
    });
    ErrorFields {
        code: "usage".to_owned(),
        exit: Exit::Usage as u8,
        message,
        causes: Vec::new(),
        list: Vec::new(),
        hint: suggested.map(|text| format!("did you mean `{text}`?")),
        log: None,
        parts: Vec::new(),
    }
}
