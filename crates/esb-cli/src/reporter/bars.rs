//! Spinners and bars for what goes on now, on a terminal.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use esb_model::{Activity, Event};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use rustix::termios::tcgetwinsize;

use super::bytes;
use crate::{
    columns::{cut_middle, width},
    escape,
};

/// The columns of a terminal that does not say how many it has.
const COLUMNS: usize = 80;

/// The columns of a bar, without its borders.
const BAR: usize = 16;

/// The fewest columns of a name beside a bar.
const NAME: usize = 20;

/// The bars of what goes on now.
#[derive(Default)]
pub(super) struct Bars {
    all: MultiProgress,
    open: Mutex<BTreeMap<(String, Activity), ProgressBar>>,
}

impl Bars {
    /// Runs something that prints, without tearing bars.
    pub(super) fn suspend(&self, print: impl FnOnce()) {
        self.all.suspend(print);
    }

    /// The columns of the terminal now.
    #[expect(clippy::unused_self, reason = "the columns of this terminal")]
    pub(super) fn columns(&self) -> usize {
        let size = tcgetwinsize(std::io::stderr()).map_or(0, |size| size.ws_col);
        if size == 0 { COLUMNS } else { usize::from(size) }
    }

    /// Opens, moves and closes bars.
    pub(super) fn show(&self, event: &Event<'_>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        match *event {
            Event::Started { subject, action } => {
                let bar = self.all.add(ProgressBar::new_spinner());
                if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
                    bar.set_style(style);
                }
                bar.set_message(self.text(action, subject, &[]));
                bar.enable_steady_tick(Duration::from_millis(120));
                open.insert((subject.to_owned(), action), bar);
            }
            Event::Progress { subject, action, done, total } => {
                if let Some(bar) = open.get(&(subject.to_owned(), action)) {
                    let moved = moved(done, total, bar.elapsed());
                    bar.set_message(self.text(action, subject, &moved));
                }
            }
            Event::Finished { subject, action, .. } | Event::Failed { subject, action } => {
                if let Some(bar) = open.remove(&(subject.to_owned(), action)) {
                    bar.finish_and_clear();
                    self.all.remove(&bar);
                }
            }
            Event::Output { subject, line } => {
                for ((own, action), bar) in open.iter() {
                    if own == subject {
                        let line = escape::program(line).replace(['\n', '\t'], " ");
                        let text = self.text(*action, subject, &[]);
                        let left = self.columns().saturating_sub(width(&text) + 5);
                        bar.set_message(format!("{text}  {}", cut_middle(&line, left)));
                    }
                }
            }
            _ => {}
        }
    }

    /// What is done to what, and how far it is: the longest form that leaves columns for the name.
    fn text(&self, action: Activity, subject: &str, moved: &[String]) -> String {
        let verb = verb(action);
        let name = escape::line(name(subject));
        // The spinner and its space, and the last column, where a cursor would wrap.
        let left = self.columns().saturating_sub(3 + width(verb) + 1);
        let fits = |moved: &&String| width(moved) + 2 + width(&name).min(NAME) <= left;
        match moved.iter().find(fits) {
            Some(moved) => {
                let name = cut_middle(&name, left - width(moved) - 2);
                format!("{verb} {name}  {moved}")
            }
            None => format!("{verb} {}", cut_middle(&name, left)),
        }
    }
}

/// The word for what goes on.
fn verb(action: Activity) -> &'static str {
    match action {
        Activity::Index => "reading base image",
        Activity::Install => "installing packages of",
        Activity::Load => "loading",
        Activity::Pull => "pulling",
        Activity::PullBase => "pulling base image",
        Activity::Push => "pushing",
        Activity::Sync => "copying",
        Activity::Upload => "uploading",
        Activity::Context => "sending files of",
        _ => "building",
    }
}

/// The short name of a subject: of one in a registry the last part, without its digest.
fn name(subject: &str) -> &str {
    let name = subject.split_once('@').map_or(subject, |(name, _)| name);
    match name.rsplit_once('/') {
        Some((_, last)) if subject.contains('@') => last,
        _ => name,
    }
}

/// How far something is, and how fast, from the longest form to the shortest:
/// `[=====>   ] 1.0 MB of 4.7 MB, 2.1 MB/s`.
fn moved(done: u64, total: Option<u64>, time: Duration) -> Vec<String> {
    let rate = u128::from(done) * 1000 / time.as_millis().max(1);
    let rate = bytes(u64::try_from(rate).unwrap_or(u64::MAX));
    match total.filter(|total| *total > 0) {
        Some(total) => {
            let bar = bar(done, total);
            let moved = format!("{} of {}", bytes(done), bytes(total));
            vec![format!("{bar} {moved}, {rate}/s"), format!("{bar} {moved}"), moved]
        }
        None => vec![format!("{}, {rate}/s", bytes(done)), bytes(done)],
    }
}

fn bar(done: u64, total: u64) -> String {
    let full = u128::from(done.min(total)) * BAR as u128 / u128::from(total);
    let full = usize::try_from(full).unwrap_or(BAR);
    let head = if full < BAR { ">" } else { "" };
    let empty = BAR.saturating_sub(full + head.len());
    format!("[{}{head}{}]", "=".repeat(full), " ".repeat(empty))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_and_how_fast() {
        let check = |done, total, millis, expected: &[&str]| {
            assert_eq!(moved(done, total, Duration::from_millis(millis)), expected);
        };
        let quarter = "[====>           ] 1.0 MB of 4.0 MB";
        let with_rate = format!("{quarter}, 2.0 MB/s");
        check(1_000_000, Some(4_000_000), 500, &[&with_rate, quarter, "1.0 MB of 4.0 MB"]);
        check(999, None, 1000, &["999 B, 999 B/s", "999 B"]);
        check(0, Some(0), 0, &["0 B, 0 B/s", "0 B"]);
        assert_eq!(bar(7, 7), "[================]");
    }

    #[test]
    fn a_blob_is_named_by_its_repository() {
        assert_eq!(name("127.0.0.1:5010/x/esb-a@sha256:00"), "esb-a");
        assert_eq!(name("public.ecr.aws/lambda/python:3.12"), "public.ecr.aws/lambda/python:3.12");
        assert_eq!(name("esb-a"), "esb-a");
    }
}
