//! Events as JSON, one document for each.

use esb_model::{Event, ImageChange, ImageRole};
use serde_json::{Value, json};

/// The document of an event; none for what is told in words.
pub(super) fn of(event: &Event<'_>) -> Option<Value> {
    Some(match *event {
        Event::Started { subject, action } => {
            json!({"event": "started", "subject": subject, "action": action.name()})
        }
        Event::Progress { subject, action, done, total } => json!({
            "event": "progress", "subject": subject, "action": action.name(), "done": done,
            "total": total
        }),
        Event::Finished { subject, action, detail } => json!({
            "event": "finished", "subject": subject, "action": action.name(), "detail": detail
        }),
        Event::Failed { subject, action } => {
            json!({"event": "failed", "subject": subject, "action": action.name()})
        }
        Event::Image(image) => json!({
            "event": "image",
            "subject": image.name,
            "kind": match image.role {
                ImageRole::Base => "base",
                ImageRole::Function => "function",
            },
            "change": match image.change {
                ImageChange::Built => "built",
                ImageChange::Pushed => "pushed",
                ImageChange::UpToDate => "up to date",
            },
            "reason": image.reason,
            "bytes": image.bytes,
            "seconds": image.time.as_secs_f64(),
        }),
        Event::Output { subject, line } => {
            json!({"event": "output", "subject": subject, "line": line})
        }
        Event::Decided { subject, decision } => {
            json!({"event": "decided", "subject": subject, "decision": decision})
        }
        _ => return None,
    })
}
