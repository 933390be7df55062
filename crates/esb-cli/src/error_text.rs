//! Words an error for people: what failed, its causes, what a program said, and what to do.

use esb_deploy::Error;

use crate::{
    documents::ProgressEvent,
    escape, hints,
    printer::{Printer, ProgressStyle, Style},
};

/// The indentation of what belongs to a message.
const INDENT: usize = 2;

/// What stands before a line of a program.
const LOG: &str = "  | ";

/// Prints an error, after the errors that it sums up.
pub(crate) fn print(error: &Error, printer: Printer) {
    if printer.progress == ProgressStyle::Json {
        return printer.event(&ProgressEvent::Error { error: &error.into() });
    }
    for part in &error.parts {
        print(part, printer);
    }
    printer.err_as_it_is(&text(error, printer));
}

fn text(error: &Error, printer: Printer) -> String {
    let code = match &error.code {
        code if code.starts_with("IMAGE_") && error.parts.is_empty() => format!("{code}: "),
        _ => String::new(),
    };
    let mut lines = Vec::new();
    let message = format!("{code}{}", error.message);
    lines.push(titled("error", Style::Error, &message, printer));
    for cause in &error.causes {
        lines.push(indented("caused by: ", cause, printer));
    }
    for one in &error.list {
        lines.push(indented("- ", one, printer));
    }
    if let Some(log) = &error.log {
        let log = escape::program(log.trim_end());
        lines.extend(log.lines().map(|line| {
            let text = printer.wrapped_err(line, LOG.len(), 0);
            format!("{LOG}{}", text.replace('\n', &format!("\n{LOG}  ")))
        }));
    }
    if let Some(hint) = &error.hint {
        lines.push(titled("hint", Style::Good, &hints::of_error(hint), printer));
    }
    lines.join("\n")
}

/// `error: …`; further lines stand below the text's own indentation.
fn titled(title: &str, style: Style, text: &str, printer: Printer) -> String {
    let text = printer.wrapped_err(&escape::terminal(text), title.len() + 2, INDENT);
    format!("{}: {text}", printer.styled_err(title, style))
}

/// A line that belongs to the message, below it.
fn indented(mark: &str, text: &str, printer: Printer) -> String {
    let indent = INDENT + mark.len().min(INDENT);
    let text = printer.wrapped_err(&escape::terminal(text), INDENT + mark.len(), indent);
    format!("{}{mark}{text}", " ".repeat(INDENT))
}

#[cfg(test)]
mod tests {
    use esb_deploy::Kind;

    use super::*;
    use crate::printer::ProgressStyle;

    fn error() -> Error {
        let mut error = Error::new(Kind::Build, "IMAGE_PULL_FAILED", "could not find the image");
        error.list = vec!["oci:layout: it is not there".to_owned(), "r.example/a: no".to_owned()];
        error.log = Some("\u{1b}[31mno\u{1b}[0m\r\n10 %\r20 %\n\u{1b}[2Ahidden\n".to_owned());
        error.hint("give a copy")
    }

    #[test]
    fn several_causes_are_a_list_and_a_log_is_as_it_was() {
        let expected = "error: IMAGE_PULL_FAILED: could not find the image
  - oci:layout: it is not there
  - r.example/a: no
  | no
  | 20 %
  | \\u{1b}[2Ahidden
hint: give a copy";
        assert_eq!(text(&error(), Printer::plain(ProgressStyle::None)), expected);
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let printer = Printer { width_err: Some(30), ..Printer::plain(ProgressStyle::None) };
        let mut error = error();
        error.causes.push("the connection to the registry failed".to_owned());
        let text = text(&error, printer);
        let expected = "error: IMAGE_PULL_FAILED:
  could not find the image
  caused by: the connection to
    the registry failed
  - oci:layout: it is not
    there
  - r.example/a: no
  | no
  | 20 %
  | \\u{1b}[2Ahidden
hint: give a copy";
        assert_eq!(text, expected);
    }
}
