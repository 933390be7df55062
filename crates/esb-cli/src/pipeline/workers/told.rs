//! What a summary says about workers.

use serde_json::{Value, json};

use super::Replaced;
use crate::escape;

impl Replaced {
    /// For people.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if !self.idle.is_empty() {
            lines.push(format!("workers replaced: {}", self.idle.join(", ")));
        }
        if self.cut > 0 {
            lines.push(format!("calls that began in the moment of a replacement: {}", self.cut));
        }
        if !self.busy.is_empty() {
            let names = self.busy.join(", ");
            lines.push(format!("workers that are still busy with old code: {names}"));
        }
        // A restart of the Gateway ends them all.
        for (name, reason) in self.kept.iter().filter(|_| self.restarted.is_none()) {
            lines.push(format!("worker {name} was not replaced: {reason}"));
        }
        for (name, reason) in &self.lost {
            lines.push(format!(
                "worker {name} is gone, and the Gateway may call another container in its place: \
                 {reason}"
            ));
        }
        lines.extend(self.none_found.clone());
        if let Some(gateway) = &self.restarted {
            lines.push(format!("Gateway `{gateway}` was restarted, and all workers with it"));
        }
        if let Some(command) = &self.command {
            lines.push(match (self.lost.is_empty(), self.busy.is_empty()) {
                (false, _) => format!("run now: {command}"),
                (_, false) => {
                    format!("the next deploy replaces them; now, and with their calls: {command}")
                }
                _ => format!("workers run old code until: {command} (`--restart-gateway` runs it)"),
            });
        }
        lines.iter().map(|line| escape::terminal(line).into_owned()).collect()
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        json!({
            "replaced": self.idle,
            "busy": self.busy,
            "kept": reasons(&self.kept),
            "lost": reasons(&self.lost),
            "cut": self.cut,
            "restarted": self.restarted,
            "none_found": self.none_found,
            "command": self.command,
        })
    }
}

/// Names of workers with what hindered.
fn reasons(workers: &[(String, String)]) -> Value {
    let one = |(name, reason): &(String, String)| json!({ "name": name, "reason": reason });
    workers.iter().map(one).collect()
}
