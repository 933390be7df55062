//! Classifies a failed solve: the build's own fault, a registry's, or the daemon's, in which case
//! another daemon may succeed.

use tonic::{Code, Status};

use crate::daemon::chain;

/// The error of a solve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SolveError {
    /// The daemon cannot; another one may.
    Daemon(String),
    /// A registry does not know who asks, or does not let who asks.
    Denied(String),
    /// A registry or the daemon refused what would be refused elsewhere too.
    Refused(String),
    /// A step of the Dockerfile.
    Step { step: String, log: String },
}

/// Words of a daemon that cannot build, although it answers.
const DAEMON: [&str; 12] = [
    "no space left on device",
    "disk quota exceeded",
    "no active session",
    "session healthcheck failed",
    "context canceled",
    "connection refused",
    "connection reset",
    "no such host",
    "i/o timeout",
    "network is unreachable",
    "no route to host",
    "server gave HTTP response to HTTPS client",
];

/// Words of a daemon that a registry does not let in.
const DENIED: [&str; 3] =
    ["no basic auth credentials", "authorization failed", "failed to authorize"];
/// Or it tells the status, with whatever the registry says beside the number.
const STATUS: &str = "unexpected status";
const DENIED_STATUS: [&str; 2] = [": 401", ": 403"];

impl SolveError {
    /// `step` is the step that failed, with the end of its log, as far as the daemon sent them.
    pub(super) fn of(status: &Status, step: Option<(String, String)>) -> Self {
        let said = words(status);
        // Only a connection has causes; what a daemon says comes without.
        let broken = std::error::Error::source(status).is_some();
        let lost = matches!(status.code(), Code::Unavailable | Code::Cancelled);
        if broken || lost {
            return Self::Daemon(said);
        }
        let log = step.as_ref().map_or("", |(_, log)| log);
        let of_step = step.as_ref().is_some_and(|(name, _)| !is_daemons_own(name));
        let hit = |text: &str| DAEMON.iter().any(|word| text.contains(word));
        // A program in a step may say such words of its own; a full disk is the daemon's all the same.
        if hit(&said) || (log.contains(DAEMON[0]) && of_step) {
            return Self::Daemon(said);
        }
        // What a step's own program is denied is the step's affair.
        let of_registry = !of_step || step.as_ref().is_some_and(|(name, _)| is_base(name));
        if of_registry && is_denied(&said) {
            return Self::Denied(said);
        }
        match step {
            Some((step, log)) if of_step => Self::Step { step, log },
            _ => Self::Refused(said),
        }
    }
}

/// Whether a step is no instruction of a Dockerfile but work of the daemon for itself.
fn is_daemons_own(name: &str) -> bool {
    ["[internal]", "[context ", "exporting", "resolve image config", "importing", "pushing"]
        .iter()
        .any(|start| name.starts_with(start))
}

fn is_denied(said: &str) -> bool {
    let hit = |words: &[&str]| words.iter().any(|word| said.contains(word));
    hit(&DENIED) || said.contains(STATUS) && hit(&DENIED_STATUS)
}

/// Whether a step is the reading of a base: `[2/4] FROM …`.
fn is_base(name: &str) -> bool {
    name.split_once("] ").is_some_and(|(_, step)| step.starts_with("FROM "))
}

/// Formats the message of a daemon or of the connection to it in one line.
pub(super) fn words(status: &Status) -> String {
    let mut text = status.message().trim().escape_debug().to_string();
    if let Some(cause) = std::error::Error::source(status) {
        let cause = chain(cause);
        if text.is_empty() || cause.contains(&text) {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    if text.is_empty() { status.code().description().to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(name: &str, log: &str) -> (String, String) {
        (name.to_owned(), log.to_owned())
    }

    #[test]
    fn the_daemon_is_told_from_the_build() {
        let check = |code: Code, said: &str, step: Option<(String, String)>, expected: &str| {
            let failed = SolveError::of(&Status::new(code, said), step);
            let kind = format!("{failed:?}");
            assert!(kind.starts_with(expected), "{said}: {kind}");
        };
        let run = || Some(step("[2/2] RUN false", "said"));
        check(Code::Unknown, "process \"false\" did not complete: exit code: 1", run(), "Step");
        check(Code::Unavailable, "error reading from server: EOF", run(), "Daemon");
        check(Code::Unknown, "write /x: no space left on device", run(), "Daemon");
        check(
            Code::Unknown,
            "exit code: 1",
            Some(step("RUN x", "cp: /x: no space left on device")),
            "Daemon",
        );
        let export = || Some(step("exporting to image", ""));
        check(
            Code::Unknown,
            "failed to push r/x: dial tcp: connection refused",
            export(),
            "Daemon",
        );
        let status = |said: &str| {
            format!("failed to push r/x: unexpected status from POST request to http://r: {said}")
        };
        check(Code::Unknown, &status("401 Unauthorized"), export(), "Denied");
        check(Code::Unknown, &status("403"), export(), "Denied");
        check(Code::Unknown, &status("400 Bad Request"), export(), "Refused");
        check(Code::Unknown, "failed to push r/x: no basic auth credentials", export(), "Denied");
        let base = || Some(step("[1/2] FROM r/x@sha256:0", ""));
        let denied = "pull access denied: insufficient_scope: authorization failed";
        check(Code::Unknown, denied, base(), "Denied");
        check(Code::Unknown, "r/x@sha256:0: not found", base(), "Step");
        check(Code::Unknown, "process \"curl\": 401 Unauthorized", run(), "Step");
        check(
            Code::Unknown,
            "failed to solve",
            Some(step("[internal] load metadata", "")),
            "Refused",
        );
        check(Code::Unknown, "failed to parse", None, "Refused");
    }
}
