//! The HTTP client of a Gateway, which keeps connections open and checks each before it uses it
//! again.

use std::{
    collections::HashMap,
    io,
    sync::Mutex,
    time::{Duration, Instant},
};

use super::locked;
use crate::{Connection, Error};

/// The longest time for a connection and for each wait.
const LIMIT: Duration = Duration::from_secs(30);
/// Connections that were not used for so long are not used again.
const EXPIRY: Duration = Duration::from_secs(5);
const PATH: &str = "/2015-03-31/functions/function/invocations";
/// An answer with words about an error counts as one up to that size.
const ERROR_LIMIT: usize = 10_000;

/// Connections by address.
#[derive(Default)]
pub(super) struct Client {
    kept: Mutex<HashMap<String, Vec<(Connection, Instant)>>>,
}

/// What a worker said.
pub(super) enum Reply {
    Answered(String),
    /// Nobody listens at the address.
    Refused,
    Failed(String),
}

impl Client {
    pub(super) fn invoke(&self, address: &str, payload: &[u8]) -> Reply {
        let kept = self.take(address);
        let is_new = kept.is_none();
        let connection = match kept {
            Some(connection) => Ok(connection),
            None => Connection::open(address, LIMIT),
        };
        let mut connection = match connection {
            Ok(connection) => connection,
            Err(Error::Net { source, .. }) if source.kind() == io::ErrorKind::ConnectionRefused => {
                return Reply::Refused;
            }
            Err(error) => return Reply::Failed(told("connect", &error)),
        };
        let response = match connection.request("POST", PATH, &[], payload) {
            Ok(response) => response,
            Err(error) => {
                let which = if is_new { "a new connection" } else { "a kept connection" };
                return Reply::Failed(told(which, &error));
            }
        };
        let mut kept = locked(&self.kept);
        kept.entry(address.to_owned()).or_default().push((connection, Instant::now()));
        let text = response.text();
        let is_error = text.len() < ERROR_LIMIT
            && text.trim_start().starts_with('{')
            && ["\"errorType\"", "\"errorMessage\""].iter().any(|word| text.contains(word));
        if response.status >= 500
            || response.header("X-Amz-Function-Error").is_some()
            || (response.status == 200 && is_error)
        {
            return Reply::Failed(format!("the function failed: {} {text}", response.status));
        }
        Reply::Answered(text)
    }

    /// A connection that is still good; closes all that are not.
    fn take(&self, address: &str) -> Option<Connection> {
        let mut all = locked(&self.kept);
        for kept in all.values_mut() {
            kept.retain(|(connection, used)| used.elapsed() < EXPIRY && connection.is_quiet());
        }
        all.get_mut(address).and_then(Vec::pop).map(|(connection, _)| connection)
    }
}

fn told(what: &str, error: &Error) -> String {
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    format!("{what}: {error}: {cause}")
}
