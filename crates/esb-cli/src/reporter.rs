//! Shows progress events: bars on a terminal, plain lines or JSON elsewhere.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use esb_model::{Activity, Event, Reporter};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle as BarStyle};

use crate::{
    escape,
    printer::{Printer, ProgressStyle, Style},
};

/// The bars of what goes on now.
type OpenBars = BTreeMap<(String, Activity), ProgressBar>;

/// A reporter that shows events according to the printer's settings.
pub(crate) struct TerminalReporter {
    printer: Printer,
    bars: MultiProgress,
    open: Mutex<OpenBars>,
}

impl TerminalReporter {
    pub(crate) fn new(printer: Printer) -> Arc<Self> {
        Arc::new(Self { printer, bars: MultiProgress::new(), open: Mutex::default() })
    }

    /// Prints a line without tearing bars.
    pub(crate) fn line(&self, text: &str) {
        self.bars.suspend(|| self.printer.note(text));
    }

    fn bars(&self, event: &Event<'_>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        match *event {
            Event::Started { subject, action } => {
                let bar = self.bars.add(ProgressBar::new_spinner());
                let template = "{spinner} {prefix:8} {wide_msg}";
                if let Ok(style) = BarStyle::with_template(template) {
                    bar.set_style(style);
                }
                bar.set_prefix(action.name());
                bar.set_message(escape::terminal(subject).into_owned());
                bar.enable_steady_tick(Duration::from_millis(120));
                open.insert((subject.to_owned(), action), bar);
            }
            Event::Progress { subject, action, done, total } => {
                if let Some(bar) = open.get(&(subject.to_owned(), action)) {
                    let moved = moved(done, total, bar.elapsed());
                    // What a narrow terminal cuts off is the name.
                    bar.set_message(format!("{moved}  {}", escape::terminal(subject)));
                }
            }
            Event::Finished { subject, action, detail } => {
                self.close(&mut open, subject, action);
                drop(open);
                self.finished(subject, action, detail);
            }
            Event::Failed { subject, action } => self.close(&mut open, subject, action),
            Event::Output { subject, line } => {
                for ((own, _), bar) in open.iter() {
                    if own == subject {
                        bar.set_message(format!(
                            "{}  {}",
                            escape::terminal(subject),
                            escape::terminal(line).replace(['\n', '\t'], " ")
                        ));
                    }
                }
                drop(open);
                self.output(subject, line);
            }
            _ => {
                drop(open);
                self.lines(event);
            }
        }
    }

    fn close(&self, open: &mut OpenBars, subject: &str, action: Activity) {
        if let Some(bar) = open.remove(&(subject.to_owned(), action)) {
            bar.finish_and_clear();
            self.bars.remove(&bar);
        }
    }

    fn lines(&self, event: &Event<'_>) {
        match *event {
            Event::Finished { subject, action, detail } => self.finished(subject, action, detail),
            Event::Output { subject, line } => self.output(subject, line),
            Event::Decided { subject, decision } if self.printer.verbose > 0 => {
                self.line(&format!(
                    "{}: {}",
                    escape::terminal(subject),
                    escape::terminal(decision)
                ));
            }
            _ => {}
        }
    }

    fn finished(&self, subject: &str, action: Activity, detail: &str) {
        // A blob, and a base image that an engine needs, are parts of an image with its own line.
        let is_part = matches!(action, Activity::Load | Activity::PullBase | Activity::Upload);
        if is_part && self.printer.verbose == 0 {
            return;
        }
        let head = self.printer.styled_err(&format!("{action:>8}"), Style::Good);
        let detail = match detail {
            "" => String::new(),
            detail => {
                format!("  {}", self.printer.styled_err(&escape::terminal(detail), Style::Faint))
            }
        };
        self.line(&format!("{head} {}{detail}", escape::terminal(subject)));
    }

    fn output(&self, subject: &str, line: &str) {
        if self.printer.verbose > 0 {
            self.line(&format!("{}: {}", escape::terminal(subject), escape::terminal(line)));
        }
    }

    fn json(&self, event: &Event<'_>) {
        let value = match *event {
            Event::Started { subject, action } => {
                serde_json::json!({"event": "started", "subject": subject, "action": action.name()})
            }
            Event::Progress { subject, action, done, total } => serde_json::json!({
                "event": "progress", "subject": subject, "action": action.name(), "done": done,
                "total": total
            }),
            Event::Finished { subject, action, detail } => serde_json::json!({
                "event": "finished", "subject": subject, "action": action.name(), "detail": detail
            }),
            Event::Failed { subject, action } => {
                serde_json::json!({"event": "failed", "subject": subject, "action": action.name()})
            }
            Event::Output { subject, line } => {
                serde_json::json!({"event": "output", "subject": subject, "line": line})
            }
            Event::Decided { subject, decision } => {
                serde_json::json!({"event": "decided", "subject": subject, "decision": decision})
            }
            _ => return,
        };
        self.printer.err(&value.to_string());
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
            ProgressStyle::Bars => self.bars(event),
            ProgressStyle::Lines => self.lines(event),
            ProgressStyle::Json => self.json(event),
            ProgressStyle::None => {}
        }
    }
}

/// How far something is, and how fast: `1.0 MB of 4.7 MB, 2.1 MB/s`.
fn moved(done: u64, total: Option<u64>, time: Duration) -> String {
    let total = total.map(|total| format!(" of {}", bytes(total))).unwrap_or_default();
    let rate = u128::from(done) * 1000 / time.as_millis().max(1);
    format!("{}{total}, {}/s", bytes(done), bytes(u64::try_from(rate).unwrap_or(u64::MAX)))
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
    fn bytes_and_rate() {
        let check = |done, total, millis, expected: &str| {
            assert_eq!(moved(done, total, Duration::from_millis(millis)), expected);
        };
        check(1_000_000, Some(4_000_000), 500, "1.0 MB of 4.0 MB, 2.0 MB/s");
        check(999, None, 1000, "999 B, 999 B/s");
        check(0, Some(7), 0, "0 B of 7 B, 0 B/s");
    }
}
