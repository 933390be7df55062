//! What the engines with a daemon have in common: where a daemon listens and how it is reached,
//! what a build sends to it, and what is said while it works.
//!
//! Owns a build as data ([`job::Job`]), the Dockerfile as a daemon gets it, and its progress
//! messages. Requests to a daemon are made by each engine's own modules.

pub(crate) mod address;
pub(crate) mod archive;
#[cfg(any(feature = "docker", test))]
pub(crate) mod bundle;
pub(crate) mod connect;
pub(crate) mod context;
pub(crate) mod credentials;
pub(crate) mod health;
pub(crate) mod job;
pub(crate) mod layer;
pub(crate) mod pipe;
pub(crate) mod progress;
#[cfg(feature = "ssh")]
pub(crate) mod ssh;

use std::{
    collections::BTreeMap,
    hash::{BuildHasher as _, Hasher as _, RandomState},
};

use esb_model::Secret;

/// Secrets by the `id` that a step's `--mount=type=secret` names.
pub(crate) type StepSecrets = BTreeMap<String, Secret<Vec<u8>>>;

/// A name for a session that no other session of a daemon has: a second one of one name is
/// refused.
pub(crate) fn session_name() -> String {
    let random = || RandomState::new().build_hasher().finish();
    format!("esb-{:x}-{:016x}{:016x}", std::process::id(), random(), random())
}

/// The text on one line, with nothing that acts on a terminal. Quotes stay as they are.
#[cfg(any(feature = "docker", feature = "ssh"))]
pub(crate) fn printable(text: &str) -> String {
    let mut printable = String::new();
    for c in text.chars() {
        match c {
            '"' | '\'' | '\\' => printable.push(c),
            c => printable.extend(c.escape_debug()),
        }
    }
    printable
}

/// An error with its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_have_names_of_their_own() {
        assert_ne!(session_name(), session_name());
    }
}
