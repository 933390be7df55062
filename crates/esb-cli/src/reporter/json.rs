//! Events as JSON, with the bytes that were moved.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use esb_model::{Activity, Event, ImageChange, ImageRole};

use crate::{documents::ProgressEvent, escape};

/// The bytes that were moved for what goes on now.
#[derive(Debug, Default)]
pub(super) struct MovedBytes(Mutex<BTreeMap<(String, Activity), u64>>);

impl MovedBytes {
    /// Gives what an event is as JSON, when it is something.
    pub(super) fn follow(&self, event: &Event<'_>, tell: impl FnOnce(ProgressEvent<'_>)) {
        let mut moved = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let event = match *event {
            Event::Progress { subject, action, done, .. } if action != Activity::BuildSteps => {
                moved.insert((subject.to_owned(), action), done);
                of(event, None)
            }
            Event::Finished { subject, action, .. } | Event::Failed { subject, action } => {
                of(event, moved.remove(&(subject.to_owned(), action)))
            }
            Event::Output { subject, line } => {
                let line = &*escape::program(line);
                return tell(ProgressEvent::Output { subject, line });
            }
            _ => of(event, None),
        };
        if let Some(event) = event {
            tell(event);
        }
    }
}

fn of<'a>(event: &Event<'a>, moved: Option<u64>) -> Option<ProgressEvent<'a>> {
    Some(match *event {
        Event::Started { subject, action } => {
            ProgressEvent::Started { kind: action.name(), subject }
        }
        Event::Progress { subject, action, done, total } => {
            let (bytes, steps) = match action {
                Activity::BuildSteps => (None, Some(done)),
                _ => (Some(done), None),
            };
            ProgressEvent::Progress {
                kind: action.name(),
                subject,
                bytes,
                total_bytes: bytes.and(total),
                steps,
                total_steps: steps.and(total),
            }
        }
        Event::Finished { subject, action, detail } => {
            ProgressEvent::Finished { kind: action.name(), subject, bytes: moved, detail }
        }
        Event::Failed { subject, action } => {
            ProgressEvent::Failed { kind: action.name(), subject, bytes: moved }
        }
        Event::Image(image) => ProgressEvent::Image {
            kind: match image.role {
                ImageRole::Base => "base",
                ImageRole::Function => "function",
            },
            subject: image.name,
            change: match image.change {
                ImageChange::Built => "built",
                ImageChange::Pushed => "pushed",
                ImageChange::UpToDate => "up to date",
            },
            reason: image.reason,
            bytes: image.bytes,
            seconds: image.time.as_secs_f64(),
        },
        Event::Decided { subject, decision } => ProgressEvent::Decided { subject, decision },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_prints_has_no_colours_and_moves_nothing() {
        let output = "\u{1b}[31m10 %\r20 %\u{1b}[0m \u{9b}2J\u{202e}";
        let event = Event::Output { subject: "esb-a", line: output };
        let mut told = String::new();
        MovedBytes::default().follow(&event, |event| {
            told = serde_json::to_string(&event).unwrap();
        });
        assert!(told.contains(r"20 % \\u{9b}2J\\u{202e}"), "{told}");
    }
}
