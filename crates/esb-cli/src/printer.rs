//! The only place that writes to the terminal: results on stdout, everything else on stderr.

use std::{
    io::{self, IsTerminal as _, Write as _},
    os::fd::AsFd,
    sync::OnceLock,
    time::Duration,
};

use serde::Serialize;

use crate::{
    cli::{Color, Format, GlobalArgs, Progress},
    columns::{fold, wrap},
    documents::{ProgressEvent, ProgressLine, Versioned},
    environment::Environment,
    escape,
    exit_code::Exit,
    secrets, timestamp,
};

/// Why a part of the result could not be written, if that happened.
static FAILURE: OnceLock<io::Error> = OnceLock::new();

/// The settings and streams of all output. Decided once; only code that has a printer can print.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "four independent facts about two streams")]
pub(crate) struct Printer {
    pub(crate) json: bool,
    pub(crate) quiet: bool,
    pub(crate) verbose: u8,
    pub(crate) color_out: bool,
    pub(crate) color_err: bool,
    pub(crate) progress: ProgressStyle,
    /// Columns of the terminal that stdout is; none for files and pipes.
    pub(crate) width: Option<usize>,
    /// The same of stderr.
    pub(crate) width_err: Option<usize>,
}

/// The style of progress output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProgressStyle {
    Bars,
    Lines,
    Json,
    None,
}

/// Emphasis of a piece of text.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Style {
    Error,
    Warning,
    Good,
    /// What is changed.
    Changed,
    /// What is removed.
    Removed,
    Strong,
    Faint,
}

#[expect(clippy::unused_self, reason = "to print is the right of who holds a printer")]
impl Printer {
    pub(crate) fn new(args: &GlobalArgs, environment: &Environment) -> Self {
        let terminal = io::stderr().is_terminal();
        let colored = |is_terminal| is_coloured(args.color, is_terminal, environment);
        let progress = match args.progress {
            Progress::None => ProgressStyle::None,
            Progress::Json => ProgressStyle::Json,
            _ if args.quiet => ProgressStyle::None,
            Progress::Auto if terminal && environment.get("CI").is_none() => ProgressStyle::Bars,
            Progress::Auto | Progress::Plain => ProgressStyle::Lines,
        };
        Self {
            json: args.format == Format::Json,
            quiet: args.quiet,
            verbose: args.verbose,
            color_out: colored(io::stdout().is_terminal()),
            color_err: colored(terminal),
            progress,
            width: columns(&io::stdout()),
            width_err: columns(&io::stderr()),
        }
    }

    /// A printer without colours, for files and for what is told before any setting is known.
    pub(crate) fn plain(progress: ProgressStyle) -> Self {
        Self {
            json: false,
            quiet: false,
            verbose: 0,
            color_out: false,
            color_err: false,
            progress,
            width: None,
            width_err: None,
        }
    }

    /// Lines of the result, in one piece, folded to the terminal.
    pub(crate) fn out(self, text: &str) {
        self.out_as_it_is(&fold(&secrets::hide(text), self.width));
    }

    /// Lines of the result that another program or a file may get by copying: code, and documents.
    /// Says whether there is still a reader.
    pub(crate) fn out_as_it_is(self, text: &str) -> bool {
        Self::out_bytes(format!("{}\n", escape::printed(text)).as_bytes())
    }

    /// The result as one JSON document.
    pub(crate) fn document(self, document: &impl Serialize) {
        self.document_as_it_is(&Versioned::new(document));
    }

    /// A document in the form of a standard, which has a version of its own.
    pub(crate) fn document_as_it_is(self, document: &impl Serialize) {
        let document = serde_json::to_string_pretty(document);
        let document = document.expect("texts, numbers and lists of them are JSON");
        self.out_as_it_is(&escape::json(&document));
    }

    /// A piece of the result, byte for byte. Says whether there is still a reader.
    pub(crate) fn out_bytes(bytes: &[u8]) -> bool {
        let mut out = io::stdout().lock();
        let written = out.write_all(bytes).and_then(|()| out.flush());
        written.map_err(|error| FAILURE.set(error)).is_ok()
    }

    /// Why a part of the result could not be written. A reader that went away is no failure: it had
    /// what it wanted.
    pub(crate) fn failure() -> Option<&'static io::Error> {
        FAILURE.get().filter(|error| error.kind() != io::ErrorKind::BrokenPipe)
    }

    /// Whether a person sees the results, and not a program or a file.
    pub(crate) fn shows_results() -> bool {
        io::stdout().is_terminal()
    }

    /// A line of `--progress json`.
    pub(crate) fn event(self, event: &ProgressEvent<'_>) {
        let line = serde_json::to_string(&ProgressLine { time: timestamp::now(), event });
        let line = line.expect("texts and numbers are JSON");
        let _ = writeln!(io::stderr().lock(), "{}", escape::json(&line));
    }

    /// The last line of `--progress json`.
    pub(crate) fn end(self, exit: Exit, time: Duration) {
        self.event(&ProgressEvent::End { exit: exit as u8, seconds: time.as_secs_f64() });
    }

    /// A line that `--quiet` hides.
    pub(crate) fn note(self, text: &str) {
        if !self.quiet {
            self.err(text);
        }
    }

    /// Lines on stderr, folded to the terminal.
    pub(crate) fn err(self, text: &str) {
        let is_event = self.progress == ProgressStyle::Json;
        self.err_as_it_is(&fold(&secrets::hide(text), self.width_err.filter(|_| !is_event)));
    }

    /// Lines on stderr that have their form already, or are those of a program.
    pub(crate) fn err_as_it_is(self, text: &str) {
        if self.progress == ProgressStyle::Json {
            return self.event(&ProgressEvent::Note { text });
        }
        let text = secrets::hide(text);
        let _ = writeln!(io::stderr().lock(), "{}", escape::printed(&text));
    }

    /// A warning that belongs to no place in a file.
    pub(crate) fn warning(self, text: &str) {
        if self.progress == ProgressStyle::Json {
            return self.event(&ProgressEvent::Warning { text });
        }
        let head = self.styled_err("warning", Style::Warning);
        self.err(&format!("{head}: {}", escape::terminal(text)));
    }

    /// Text with emphasis for stderr.
    pub(crate) fn styled_err(self, text: &str, style: Style) -> String {
        styled(self.color_err, text, style)
    }

    /// Text for stderr in lines that a terminal need not break: the first stands after so many
    /// `used` columns, and the others are indented.
    pub(crate) fn wrapped_err(self, text: &str, used: usize, indent: usize) -> String {
        wrapped(self.width_err, text, used, indent)
    }

    /// Text with emphasis for stdout.
    pub(crate) fn styled_out(self, text: &str, style: Style) -> String {
        styled(self.color_out, text, style)
    }
}

fn wrapped(width: Option<usize>, text: &str, used: usize, indent: usize) -> String {
    let width = width.unwrap_or(usize::MAX);
    let lines = wrap(text, width.saturating_sub(used), width.saturating_sub(indent));
    lines.join(&format!("\n{}", " ".repeat(indent)))
}

/// Whether a stream gets colours.
pub(crate) fn is_coloured(color: Color, is_terminal: bool, environment: &Environment) -> bool {
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto if environment.get("NO_COLOR").is_some_and(|on| !on.is_empty()) => false,
        Color::Auto if environment.get("CLICOLOR_FORCE").is_some_and(|on| on != "0") => true,
        Color::Auto => is_terminal && environment.get("TERM") != Some("dumb"),
    }
}

/// The width in columns of the terminal that a stream is.
pub(crate) fn columns(stream: &impl AsFd) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(stream).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

fn styled(on: bool, text: &str, style: Style) -> String {
    if !on {
        return text.to_owned();
    }
    let code = match style {
        Style::Error => "1;91",
        Style::Warning => "1;33",
        Style::Good => "1;32",
        Style::Changed => "33",
        Style::Removed => "31",
        Style::Strong => "1",
        Style::Faint => "2",
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}
