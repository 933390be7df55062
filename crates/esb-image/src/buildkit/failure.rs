//! What went wrong with a solve, and whose fault it is: the build's own, a registry's, or the
//! daemon's, in which case another one may do it.

use bollard_buildkit_proto::google::rpc;
use prost::Message as _;
use serde_json::Value;
use tonic::{Code, Status};

use crate::daemon::chain;

/// Why a solve gave no image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failed {
    /// The daemon cannot; another one may.
    Daemon(String),
    /// A registry or the daemon refused what would be refused elsewhere too.
    Refused(String),
    /// A step of the Dockerfile.
    Step { step: String, log: String, line: Option<u64> },
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

impl Failed {
    /// `step` is the step that failed, with the end of its log, as far as the daemon told.
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
        match step {
            Some((step, log)) if of_step => Self::Step { step, log, line: line(status) },
            _ => Self::Refused(said),
        }
    }
}

/// Whether a step is no instruction of a Dockerfile but work of the daemon for itself.
fn is_daemons_own(name: &str) -> bool {
    ["[internal]", "exporting", "resolve image config", "importing", "pushing"]
        .iter()
        .any(|start| name.starts_with(start))
}

/// What a daemon or the connection to it says, in one line.
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

/// The line of the Dockerfile that a daemon blames: the details of its answer say it, in JSON.
fn line(status: &Status) -> Option<u64> {
    let details = rpc::Status::decode(status.details()).ok()?.details;
    details.iter().filter(|detail| detail.type_url.contains("errdefs.Source")).find_map(|detail| {
        let source: Value = serde_json::from_slice(&detail.value).ok()?;
        source["ranges"][0]["start"]["line"].as_u64()
    })
}

#[cfg(test)]
mod tests {
    use bollard_buildkit_proto::google::protobuf::Any;

    use super::*;

    fn step(name: &str, log: &str) -> (String, String) {
        (name.to_owned(), log.to_owned())
    }

    #[test]
    fn the_daemon_is_told_from_the_build() {
        let check = |code: Code, said: &str, step: Option<(String, String)>, expected: &str| {
            let failed = Failed::of(&Status::new(code, said), step);
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
        check(Code::Unknown, "failed to push r/x: 403 Forbidden", export(), "Refused");
        check(
            Code::Unknown,
            "failed to solve",
            Some(step("[internal] load metadata", "")),
            "Refused",
        );
        check(Code::Unknown, "failed to parse", None, "Refused");
    }

    #[test]
    fn the_line_is_in_the_details() {
        let source = br#"{"info":{"filename":"Dockerfile"},"ranges":[{"start":{"line":7}}]}"#;
        let detail = Any {
            type_url: "github.com/moby/buildkit/solver/errdefs.Source+json".to_owned(),
            value: source.to_vec(),
        };
        let details = rpc::Status { details: vec![detail], ..rpc::Status::default() };
        let status =
            Status::with_details(Code::Unknown, "exit code: 1", details.encode_to_vec().into());
        match Failed::of(&status, Some(step("RUN x", ""))) {
            Failed::Step { line, .. } => assert_eq!(line, Some(7)),
            other => panic!("{other:?}"),
        }
    }
}
