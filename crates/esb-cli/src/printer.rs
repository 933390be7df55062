//! The only place that writes to the terminal: results on stdout, everything else on stderr.

use std::{
    io::{self, IsTerminal as _, Write as _},
    os::fd::AsFd,
    time::Duration,
};

use serde::Serialize;

use crate::{
    cli::{Color, Format, GlobalArgs, Progress},
    columns::{cut_middle, pad, width as width_of},
    documents::{ProgressEvent, ProgressLine, Versioned},
    environment::Environment,
    escape,
    exit_code::Exit,
    timestamp,
    wrap::wrap,
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

    /// Lines of the result, in one piece. A reader that went away is no failure.
    pub(crate) fn out(self, text: &str) {
        self.out_while_read(text);
    }

    /// As [`Printer::out`]; says whether there is still a reader.
    pub(crate) fn out_while_read(self, text: &str) -> bool {
        io::stdout().lock().write_all(format!("{text}\n").as_bytes()).is_ok()
    }

    /// The result as one JSON document.
    pub(crate) fn document(self, document: &impl Serialize) {
        self.document_as_it_is(&Versioned::new(document));
    }

    /// A document in the form of a standard, which has a version of its own.
    pub(crate) fn document_as_it_is(self, document: &impl Serialize) {
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

    /// A line on stderr.
    pub(crate) fn err(self, text: &str) {
        if self.progress == ProgressStyle::Json {
            return self.event(&ProgressEvent::Note { text });
        }
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// A warning that belongs to no place in a file.
    pub(crate) fn warning(self, text: &str) {
        if self.progress == ProgressStyle::Json {
            return self.event(&ProgressEvent::Warning { text });
        }
        let head = self.styled_err("warning", Style::Warning);
        self.err(&format!("{head}: {}", self.wrapped_err(&escape::terminal(text), 9, 2)));
    }

    /// Text with emphasis for stderr.
    pub(crate) fn styled_err(self, text: &str, style: Style) -> String {
        styled(self.color_err, text, style)
    }

    /// Text for stdout in lines that a terminal need not break: the first stands after so many
    /// columns, and the others are indented by as many.
    pub(crate) fn wrapped_out(self, text: &str, indent: usize) -> String {
        wrapped(self.width, text, indent, indent)
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

/// The width in columns of the terminal that a stream is.
pub(crate) fn columns(stream: &impl AsFd) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(stream).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// Columns that line up; numbers are not special, the last column is not padded. On a terminal
/// that is too narrow for that, each row is a paragraph with a line for each cell.
pub(crate) fn table(printer: Printer, head: &[String], rows: &[Vec<String>]) -> Vec<String> {
    let widths: Vec<usize> = (0..head.len()).map(|column| widest(head, rows, column)).collect();
    let line = |cells: &[String]| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| pad(cell, *width));
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

/// The fewest columns of a name, and of words in the last column, that a table cuts.
const NAME: usize = 12;
const WORDS: usize = 24;

/// A table that a narrow terminal gets with less of the words in its last column, then without the
/// middle of the names in its first one.
pub(crate) fn fitted_table(printer: Printer, head: &[String], rows: &[Vec<String>]) -> Vec<String> {
    let (Some(columns), Some(last)) = (printer.width, head.len().checked_sub(1)) else {
        return table(printer, head, rows);
    };
    let widths = (0..head.len()).map(|column| widest(head, rows, column));
    let mut widths: Vec<usize> = widths.collect();
    for (column, fewest) in [(last, WORDS), (0, NAME)] {
        let all = widths.iter().sum::<usize>() + 2 * last;
        let left = widths[column].saturating_sub(all.saturating_sub(columns));
        widths[column] = left.max(fewest.min(widths[column]));
    }
    let cut = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths);
        cells.map(|(cell, width)| cut_middle(cell, *width)).collect()
    };
    table(printer, head, &rows.iter().map(cut).collect::<Vec<_>>())
}

/// The columns of the widest cell of a column.
fn widest(head: &[String], rows: &[Vec<String>], column: usize) -> usize {
    let cells = rows.iter().map(|row| width_of(&row[column]));
    cells.chain([width_of(&head[column])]).max().unwrap_or(0)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_terminal_gets_less_of_names_and_words() {
        let check = |width, expected: &[&str]| {
            let printer = Printer { width, ..Printer::plain(ProgressStyle::None) };
            let head = ["image", "tag", "action"].map(str::to_owned);
            let row = ["esb-order-history", "latest", "build: `functions/orders/` changed"];
            assert_eq!(fitted_table(printer, &head, &[row.map(str::to_owned).to_vec()]), expected);
        };
        let whole = "esb-order-history  latest  build: `functions/orders/` changed";
        check(None, &["image              tag     action", whole]);
        let less = "esb-order-history  latest  build: `funct…ers/` changed";
        check(Some(54), &["image              tag     action", less]);
        let least = "esb-or…story  latest  build: `func…s/` changed";
        check(Some(46), &["image         tag     action", least]);
        let paragraphs =
            ["image   esb-or…story", "tag     latest", "action  build: `func…s/` changed"];
        check(Some(40), &paragraphs);
    }

    #[test]
    fn a_table_that_does_not_fit_becomes_paragraphs() {
        let check = |width, expected: &[&str]| {
            let printer = Printer { width, ..Printer::plain(ProgressStyle::None) };
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
