//! Reads the command line. A wrong one is told in the form that it asks for.

use std::{
    ffi::OsString,
    io::{self, IsTerminal as _, Write as _},
    time::Instant,
};

use clap::{
    FromArgMatches as _, ValueEnum as _,
    builder::StyledStr,
    error::{ContextKind, ContextValue, ErrorKind},
};

use esb_deploy::TEMPLATE_NAMES;

use crate::{
    cli::{self, Cli, Color, Format},
    columns::fold,
    documents::{ErrorDocument, ErrorFields, ProgressEvent},
    environment::Environment,
    exit_code::Exit,
    failed_run::FailedRun,
    printer::{self, Printer, ProgressStyle},
    sam_cli::{self, Translated},
    secrets,
};

/// The command line, and warnings about it; when it is wrong, or help is all that it asks for, the
/// exit code.
pub(crate) fn parse(start: Instant) -> Result<(Cli, Vec<String>), Exit> {
    let Translated { arguments, warnings, error } = sam_cli::translate(std::env::args_os());
    let mut command = cli::help::command();
    let matches = match error {
        Some(text) => Err(command.error(ErrorKind::UnknownArgument, text)),
        None => command.try_get_matches_from_mut(&arguments),
    };
    let parsed = matches.and_then(|matches| Cli::from_arg_matches(&matches));
    parsed.map(|cli| (cli, warnings)).map_err(|error| report(&suggesting(error), &arguments, start))
}

/// Shows an error of the command line, or the help that it asks for.
fn report(error: &clap::Error, arguments: &[OsString], start: Instant) -> Exit {
    if !error.use_stderr() {
        show(error, arguments);
        return Exit::Success;
    }
    let fields = fields(error);
    let printer = Printer::plain(ProgressStyle::None);
    if value_of(arguments, "--progress") == Some("json") {
        printer.event(&ProgressEvent::Error { error: &fields });
        printer.end(Exit::Usage, start.elapsed());
    } else {
        show(error, arguments);
    }
    let format =
        value_of(arguments, "--format").and_then(|name| Format::from_str(name, false).ok());
    match format {
        Some(Format::Json) => {
            printer.document(&ErrorDocument { error: fields, findings: Vec::new() });
        }
        Some(format) => {
            let failed = FailedRun { error: &fields, place: None, template: TEMPLATE_NAMES[0] };
            failed.print(format, &Environment::capture(), printer);
        }
        None => {}
    }
    Exit::Usage
}

/// Prints what clap has to say, folded to the terminal.
fn show(error: &clap::Error, arguments: &[OsString]) {
    let is_error = error.use_stderr();
    let (is_terminal, columns) = if is_error {
        (io::stderr().is_terminal(), printer::columns(&io::stderr()))
    } else {
        (io::stdout().is_terminal(), printer::columns(&io::stdout()))
    };
    let color = value_of(arguments, "--color").and_then(|name| Color::from_str(name, false).ok());
    let color = color.unwrap_or(Color::Auto);
    let rendered = error.render();
    let text = if printer::is_coloured(color, is_terminal, &Environment::capture()) {
        rendered.ansi().to_string()
    } else {
        rendered.to_string()
    };
    let text = fold(&secrets::hide(&text), columns);
    if is_error {
        // Nobody could be told that it was not told.
        let _ = io::stderr().lock().write_all(text.as_bytes());
    } else {
        Printer::out_bytes(text.as_bytes());
    }
}

/// An error with the one command that is near, or with what stands in for one of SAM CLI.
fn suggesting(mut error: clap::Error) -> clap::Error {
    let lacks = |flag: &str| {
        error.kind() == ErrorKind::MissingRequiredArgument
            && matches!(error.get(ContextKind::InvalidArg), Some(ContextValue::Strings(missing))
                if missing.iter().any(|argument| argument.starts_with(flag)))
    };
    if lacks("--owner") {
        let tip =
            "`esb config ls` lists what is published with its owners, as `--owner` takes them";
        let tip = vec![StyledStr::from(tip)];
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tip));
        return error;
    }
    let Some(ContextValue::String(name)) = error.get(ContextKind::InvalidSubcommand) else {
        return error;
    };
    if let Some(instead) = sam_cli::instead_of_command(name) {
        error.remove(ContextKind::SuggestedSubcommand);
        let tip = vec![StyledStr::from(instead)];
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tip));
        return error;
    }
    if let Some(ContextValue::Strings(near)) = error.get(ContextKind::SuggestedSubcommand) {
        let nearest = near.iter().min_by_key(|near| strsim::osa_distance(name, near)).cloned();
        let nearest = ContextValue::Strings(nearest.into_iter().collect());
        error.insert(ContextKind::SuggestedSubcommand, nearest);
    }
    error
}

/// The value of a flag in a command line that could not be read.
fn value_of<'a>(arguments: &'a [OsString], flag: &str) -> Option<&'a str> {
    let texts = || {
        arguments.iter().skip(1).map_while(|text| text.to_str()).take_while(|text| *text != "--")
    };
    let apart = texts().zip(texts().skip(1)).find(|(name, _)| *name == flag);
    let joined = || texts().find_map(|text| text.strip_prefix(flag)?.strip_prefix('='));
    apart.map(|(_, value)| value).or_else(joined)
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
    let instead = match error.get(ContextKind::Suggested) {
        Some(ContextValue::StyledStrs(texts)) => texts.first().map(ToString::to_string),
        _ => None,
    };
    ErrorFields {
        code: "usage".to_owned(),
        exit: Exit::Usage as u8,
        message,
        causes: Vec::new(),
        list: Vec::new(),
        hint: suggested.map(|text| format!("did you mean `{text}`?")).or(instead),
        log: None,
        parts: Vec::new(),
    }
}
