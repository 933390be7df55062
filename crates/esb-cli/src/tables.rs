//! Tables on stdout.

use crate::{
    columns::{cut_middle, pad, width, wrap},
    escape,
    printer::{Printer, Style},
};

/// The fewest columns of a name in the first column, and of words in the last one.
const NAME: usize = 12;
const WORDS: usize = 24;

/// Prints a table.
pub(crate) fn print(printer: Printer, head: &[&str], rows: &[Vec<String>]) {
    let head: Vec<String> = head.iter().map(|name| (*name).to_owned()).collect();
    printer.out_as_it_is(&table(printer, &head, rows).join("\n"));
}

/// Columns that line up; numbers are not special, the last column is not padded. A terminal that is
/// too narrow for that gets the last column in several lines. Where that leaves too little, each row
/// of more than two columns is a paragraph with a line for each cell.
fn table(printer: Printer, head: &[String], rows: &[Vec<String>]) -> Vec<String> {
    let rows = &escaped(rows);
    let widths = widths(head, rows);
    let Some((last, before)) = widths.split_last() else { return Vec::new() };
    let before: usize = before.iter().map(|width| width + 2).sum();
    let room = printer.width.map_or(usize::MAX, |columns| columns.saturating_sub(before));
    let fits = |row: &Vec<String>| {
        let words = row.last().into_iter().flat_map(|cell| cell.split(' '));
        head.len() == 2 || words.map(width).all(|word| word <= room)
    };
    if room < *last && (room < WORDS || !rows.iter().all(fits)) {
        return paragraphs(printer, head, rows);
    }
    let line = |cells: &[String]| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| pad(cell, *width));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut lines = vec![printer.styled_out(&line(head), Style::Strong)];
    for row in rows {
        let mut row = row.clone();
        let words = row.pop().map(|cell| wrap(&cell, room, room)).unwrap_or_default();
        for (number, part) in words.into_iter().enumerate() {
            if number > 0 {
                row.fill(String::new());
            }
            let cells = [row.as_slice(), &[part]].concat();
            lines.push(line(&cells));
        }
    }
    lines
}

/// Cells that are safe to print, each in one line.
fn escaped(rows: &[Vec<String>]) -> Vec<Vec<String>> {
    let escaped = |row: &Vec<String>| row.iter().map(|cell| escape::line(cell).into()).collect();
    rows.iter().map(escaped).collect()
}

/// A table that a narrow terminal gets without the middle of the names in its first column, where
/// the words of the last one would have too little room.
pub(crate) fn fitted_table(printer: Printer, head: &[String], rows: &[Vec<String>]) -> Vec<String> {
    let rows = &escaped(rows);
    let widths = widths(head, rows);
    let (Some(columns), Some((last, before))) = (printer.width, widths.split_last()) else {
        return table(printer, head, rows);
    };
    let all = before.iter().map(|width| width + 2).sum::<usize>() + WORDS.min(*last);
    let name = widths[0].saturating_sub(all.saturating_sub(columns));
    let name = name.max(NAME.min(widths[0]));
    let others = before.iter().skip(1).map(|width| width + 2).sum::<usize>() + name + 2;
    let room = columns.saturating_sub(others).max(WORDS);
    let cut = |row: &Vec<String>| {
        let mut row = row.clone();
        if let Some(first) = row.first_mut() {
            *first = cut_middle(first, name);
        }
        if let Some(last) = row.last_mut() {
            let words = last.split(' ').map(|word| cut_middle(word, room));
            *last = words.collect::<Vec<_>>().join(" ");
        }
        row
    };
    table(printer, head, &rows.iter().map(cut).collect::<Vec<_>>())
}

/// The columns of the widest cell of each column.
fn widths(head: &[String], rows: &[Vec<String>]) -> Vec<usize> {
    let of = |column: usize| {
        let cells = rows.iter().map(|row| width(&row[column]));
        cells.chain([width(&head[column])]).max().unwrap_or(0)
    };
    (0..head.len()).map(of).collect()
}

/// The cells of each row below each other, with the name of their column; empty ones are left out.
fn paragraphs(printer: Printer, head: &[String], rows: &[Vec<String>]) -> Vec<String> {
    let widest = head.iter().map(|name| width(name)).max().unwrap_or(0);
    let room = printer.width.map_or(usize::MAX, |columns| columns.saturating_sub(widest + 2));
    let mut lines = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        if number > 0 {
            lines.push(String::new());
        }
        for (name, cell) in head.iter().zip(row).filter(|(_, cell)| !cell.is_empty()) {
            let name = printer.styled_out(&pad(name, widest), Style::Strong);
            let cell = wrap(cell, room, room);
            let cell = cell.join(&format!("\n{:widest$}  ", ""));
            lines.push(format!("{name}  {cell}"));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::printer::ProgressStyle;

    fn printer(width: Option<usize>) -> Printer {
        Printer { width, ..Printer::plain(ProgressStyle::None) }
    }

    #[test]
    fn a_cell_is_one_line_of_its_column() {
        let rows = [vec!["a\nfunction b".to_owned(), "c\u{9b}2J\td".to_owned()]];
        let head = ["one".to_owned(), "two".to_owned()];
        for width in [None, Some(60)] {
            let printer = Printer { width, ..Printer::plain(ProgressStyle::None) };
            let lines = table(printer, &head, &rows);
            assert_eq!(lines, ["one            two", "a\\nfunction b  c\\u{9b}2J\\td"]);
        }
    }

    #[test]
    fn a_narrow_terminal_gets_words_in_several_lines_and_less_of_names() {
        let check = |width, expected: &[&str]| {
            let head = ["image", "tag", "action"].map(str::to_owned);
            let row = ["esb-order-history", "latest", "build: `functions/orders/` changed"];
            let rows = [row.map(str::to_owned).to_vec()];
            assert_eq!(fitted_table(printer(width), &head, &rows), expected);
        };
        let whole = "esb-order-history  latest  build: `functions/orders/` changed";
        check(None, &["image              tag     action", whole]);
        let folded = [
            "image              tag     action",
            "esb-order-history  latest  build:",
            "                           `functions/orders/`",
            "                           changed",
        ];
        check(Some(51), &folded);
        let least = [
            "image         tag     action",
            "esb-or…story  latest  build:",
            "                      `functions/orders/`",
            "                      changed",
        ];
        check(Some(46), &least);
        let paragraphs = [
            "image   esb-or…story",
            "tag     latest",
            "action  build:\n        `functions/orders/`\n        changed",
        ];
        check(Some(32), &paragraphs);
    }

    #[test]
    fn a_table_that_does_not_fit_becomes_paragraphs() {
        let check = |width, expected: &[&str]| {
            let cells = |row: [&str; 3]| row.map(str::to_owned).to_vec();
            let rows = [cells(["esb-a:latest", "12 B", "built"]), cells(["b", "", "a\u{1b}[1m"])];
            assert_eq!(table(printer(width), &cells(["image", "sent", "action"]), &rows), expected);
        };
        let wide = [
            "image         sent  action",
            "esb-a:latest  12 B  built",
            "b                   a\\u{1b}[1m",
        ];
        check(None, &wide);
        check(Some(30), &wide);
        let narrow = [
            "image   esb-a:latest",
            "sent    12 B",
            "action  built",
            "",
            "image   b",
            "action  a\\u{1b}[1m",
        ];
        check(Some(29), &narrow);
    }
}
