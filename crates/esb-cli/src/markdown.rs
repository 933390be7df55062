//! Shows Markdown on a terminal: prose in lines that fit, code as it is.

use crate::{
    columns::wrap,
    printer::{Printer, Style},
};

/// The widest prose: longer lines are hard to read.
const WIDEST: usize = 100;

/// A text for stdout; a file or another program gets it as it is.
pub(crate) fn shown(text: &str, printer: Printer) -> String {
    let Some(columns) = printer.width else { return text.to_owned() };
    let columns = columns.min(WIDEST);
    let mut lines = Vec::new();
    let mut is_code = false;
    for line in text.lines() {
        if line.starts_with("```") {
            is_code = !is_code;
        } else if is_code {
            lines.push(format!("    {line}").trim_end().to_owned());
        } else {
            let line = wrap(line, columns, columns).join("\n");
            lines.push(emphasized(&line, printer));
        }
    }
    let text = lines.join("\n");
    // Where a fence was there is a blank line already.
    text.replace("\n\n\n", "\n\n")
}

/// A text with its code in bold; without colours the backticks say what is code.
fn emphasized(text: &str, printer: Printer) -> String {
    if !printer.color_out || text.matches('`').count() % 2 == 1 {
        return text.to_owned();
    }
    let part = |(number, part): (usize, &str)| match number % 2 {
        0 => part.to_owned(),
        _ => printer.styled_out(part, Style::Strong),
    };
    text.split('`').enumerate().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::printer::ProgressStyle;

    const TEXT: &str = "A long line of prose with `some code` in it.\n\nWrong:\n\n```yaml\nA: a line of code \
                        that is too long\n\nB: 1\n```\n\nFix it.";

    #[test]
    fn prose_is_folded_and_code_is_not() {
        let check = |width, color_out, expected: &str| {
            let plain = Printer::plain(ProgressStyle::None);
            assert_eq!(shown(TEXT, Printer { color_out, width, ..plain }), expected);
        };
        check(None, false, TEXT);
        let narrow = "A long line of prose\nwith `some code` in\nit.\n\nWrong:\n\n    A: a line of code \
                      that is too long\n\n    B: 1\n\nFix it.";
        check(Some(20), false, narrow);
        let coloured = narrow.replace("`some code`", "\u{1b}[1msome code\u{1b}[0m");
        check(Some(20), true, &coloured);
    }
}
