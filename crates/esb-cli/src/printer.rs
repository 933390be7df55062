//! The only place that writes to the terminal: results on stdout, everything else on stderr.

use std::{
    fmt::Write as _,
    io::{self, IsTerminal as _, Write as _},
};

use esb_deploy::Error;

use crate::{
    cli::{Color, Format, GlobalArgs, Progress},
    environment::Environment,
    escape, hints,
};

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
    /// Columns of the terminal that stderr is.
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
    Strong,
    Faint,
}

#[expect(clippy::unused_self, reason = "to print is the right of who holds a printer")]
impl Printer {
    pub(crate) fn new(args: &GlobalArgs, environment: &Environment) -> Self {
        let terminal = io::stderr().is_terminal();
        let colored = |is_terminal: bool| match args.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto if environment.get("NO_COLOR").is_some() => false,
            Color::Auto if environment.get("CLICOLOR_FORCE").is_some_and(|on| on != "0") => true,
            Color::Auto => is_terminal && environment.get("TERM") != Some("dumb"),
        };
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

    /// Lines of the result, in one piece. A reader that went away is no failure.
    pub(crate) fn out(self, text: &str) {
        self.out_while_read(text);
    }

    /// As [`Printer::out`]; says whether there is still a reader.
    pub(crate) fn out_while_read(self, text: &str) -> bool {
        io::stdout().lock().write_all(format!("{text}\n").as_bytes()).is_ok()
    }

    /// The result as one JSON document.
    pub(crate) fn document(self, document: &impl serde::Serialize) {
        let document = serde_json::to_string_pretty(document);
        self.out(&escape::json(&document.expect("texts, numbers and lists of them are JSON")));
    }

    /// A piece of the result, byte for byte.
    pub(crate) fn out_bytes(bytes: &[u8]) {
        let mut out = io::stdout().lock();
        let _ = out.write_all(bytes);
        let _ = out.flush();
    }

    /// Whether a person sees the results, and not a program or a file.
    pub(crate) fn shows_results() -> bool {
        io::stdout().is_terminal()
    }

    /// A line that `--quiet` hides.
    pub(crate) fn note(self, text: &str) {
        if !self.quiet {
            self.err(text);
        }
    }

    /// A line on stderr.
    pub(crate) fn err(self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// A warning that belongs to no place in a file.
    pub(crate) fn warning(self, text: &str) {
        let head = self.styled_err("warning", Style::Warning);
        self.err(&format!("{head}: {}", escape::terminal(text)));
    }

    /// Text with emphasis for stderr.
    pub(crate) fn styled_err(self, text: &str, style: Style) -> String {
        styled(self.color_err, text, style)
    }

    /// Text with emphasis for stdout.
    pub(crate) fn styled_out(self, text: &str, style: Style) -> String {
        styled(self.color_out, text, style)
    }

    /// A error with its causes, its log and what to do.
    pub(crate) fn error(self, error: &Error) {
        for part in &error.parts {
            self.error(part);
        }
        let head = self.styled_err("error", Style::Error);
        let code = match &error.code {
            code if code.starts_with("IMAGE_") && error.parts.is_empty() => format!("{code}: "),
            _ => String::new(),
        };
        let mut text = format!("{head}: {code}{}", escape::terminal(&error.message));
        for cause in &error.causes {
            text.push_str("\n  caused by: ");
            text.push_str(&escape::terminal(cause).replace('\n', "\n    "));
        }
        if let Some(log) = &error.log {
            for line in log.lines() {
                text.push_str("\n  | ");
                text.push_str(&escape::terminal(line));
            }
        }
        if let Some(hint) = &error.hint {
            let head = self.styled_err("hint", Style::Good);
            let _ = write!(text, "\n{head}: {}", escape::terminal(&hints::of_error(hint)));
        }
        self.err(&text);
    }
}

/// The width in columns of the terminal that a stream is.
pub(crate) fn columns(stream: &impl std::os::fd::AsFd) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(stream).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// Columns that line up; numbers are not special, the last column is not padded. On a terminal
/// that is too narrow for that, each row is a paragraph with a line for each cell.
pub(crate) fn table(printer: Printer, head: &[String], rows: &[Vec<String>]) -> Vec<String> {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([head[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: &[String]| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let all: usize = widths.iter().sum::<usize>() + 2 * head.len().saturating_sub(1);
    if printer.width.is_some_and(|width| all > width) {
        return paragraphs(printer, head, rows);
    }
    let mut lines = vec![printer.styled_out(&line(head), Style::Strong)];
    lines.extend(rows.iter().map(|row| escape::terminal(&line(row)).into_owned()));
    lines
}

/// The cells of each row below each other, with the name of their column; empty ones are left out.
fn paragraphs(printer: Printer, head: &[String], rows: &[Vec<String>]) -> Vec<String> {
    let width = head.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        if number > 0 {
            lines.push(String::new());
        }
        for (name, cell) in head.iter().zip(row).filter(|(_, cell)| !cell.is_empty()) {
            let name = printer.styled_out(&format!("{name:width$}"), Style::Strong);
            lines.push(format!("{name}  {}", escape::terminal(cell)));
        }
    }
    lines
}

fn styled(on: bool, text: &str, style: Style) -> String {
    if !on {
        return text.to_owned();
    }
    let code = match style {
        Style::Error => "1;31",
        Style::Warning => "1;33",
        Style::Good => "1;32",
        Style::Strong => "1",
        Style::Faint => "2",
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_does_not_fit_becomes_paragraphs() {
        let check = |width, expected: &[&str]| {
            let printer = Printer {
                json: false,
                quiet: false,
                verbose: 0,
                color_out: false,
                color_err: false,
                progress: ProgressStyle::None,
                width,
                width_err: None,
            };
            let cells = |row: [&str; 3]| row.map(str::to_owned).to_vec();
            let rows = [cells(["esb-a:latest", "12 B", "built"]), cells(["b", "", "a\u{1b}[1m"])];
            assert_eq!(table(printer, &cells(["image", "sent", "action"]), &rows), expected);
        };
        let wide = [
            "image         sent  action",
            "esb-a:latest  12 B  built",
            "b                   a\\u{1b}[1m",
        ];
        check(None, &wide);
        check(Some(26), &wide);
        let narrow = [
            "image   esb-a:latest",
            "sent    12 B",
            "action  built",
            "",
            "image   b",
            "action  a\\u{1b}[1m",
        ];
        check(Some(25), &narrow);
    }
}
