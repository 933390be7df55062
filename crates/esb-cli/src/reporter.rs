//! Shows progress events: bars on a terminal, plain lines or JSON elsewhere.

mod bars;
mod json;
mod lines;

use std::sync::Arc;

use esb_model::{Event, Reporter};

use crate::printer::{Printer, ProgressStyle};

/// A reporter that shows events according to the printer's settings.
pub(crate) struct TerminalReporter {
    printer: Printer,
    bars: bars::Bars,
    /// What was moved so far, where no bars count it.
    moved: json::MovedBytes,
}

impl TerminalReporter {
    pub(crate) fn new(printer: Printer) -> Arc<Self> {
        Arc::new(Self { printer, bars: bars::Bars::default(), moved: json::MovedBytes::default() })
    }

    /// Prints a line without tearing bars.
    fn line(&self, text: &str) {
        self.bars.suspend(|| self.printer.note(text));
    }
}

impl Reporter for TerminalReporter {
    fn event(&self, event: &Event<'_>) {
        match *event {
            Event::Note { text } => return self.line(text),
            Event::Warning { text } => return self.bars.suspend(|| self.printer.warning(text)),
            _ => {}
        }
        match self.printer.progress {
            ProgressStyle::Bars => {
                self.bars.show(event);
                // A line that a narrow terminal wraps tears the bars below it.
                let columns = self.bars.columns();
                if let Some(line) = lines::of(event, self.printer, Some(columns)) {
                    self.line(&line);
                }
            }
            ProgressStyle::Lines => {
                if let Some(line) = lines::of(event, self.printer, None) {
                    self.line(&line);
                }
            }
            ProgressStyle::Json => {
                self.moved.follow(event, |event| self.printer.event(&event));
            }
            ProgressStyle::None => {}
        }
    }
}

/// A number of bytes as people read it: `4.7 MB`.
pub(crate) fn bytes(count: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let value = count as f64;
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{:.1} kB", value / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", value / 1e6),
        _ => format!("{:.2} GB", value / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_as_people_read_them() {
        let shown = [999, 1_000, 4_700_000, 2_500_000_000].map(bytes);
        assert_eq!(shown, ["999 B", "1.0 kB", "4.7 MB", "2.50 GB"]);
    }
}
