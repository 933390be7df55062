//! The requests that went through a proxy.
//!
//! Owns the record of each exchange. An entry exists from the moment its request's head is read,
//! and its counts grow before the bytes are passed on, so that whoever has seen a byte of an answer
//! finds it recorded.

use super::RequestHead;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One request and its answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exchange {
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The request's headers, as they came.
    pub headers: Vec<(String, String)>,
    /// `None` while no answer has been passed on.
    pub status: Option<u16>,
    /// Payload bytes of the request that the proxy has read.
    pub request_bytes: u64,
    /// Payload bytes of the answer that the proxy has passed on.
    pub response_bytes: u64,
    /// How many requests were under way when this one came, itself included.
    pub beside: usize,
    /// Whether a fault was applied to it.
    pub harmed: bool,
}

impl Exchange {
    /// The request's first header of that name, in whatever case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.as_str())
    }
}

/// An exchange that is still going on.
pub(super) type SharedExchange = Arc<Mutex<Exchange>>;

/// All exchanges, in the order in which their requests came.
#[derive(Debug, Default)]
pub(super) struct Log(Mutex<Vec<SharedExchange>>);

impl Log {
    pub(super) fn begin(&self, request: &RequestHead, beside: usize) -> SharedExchange {
        let entry = Arc::new(Mutex::new(Exchange {
            method: request.method.clone(),
            target: request.target.clone(),
            headers: request.headers.clone(),
            beside,
            ..Exchange::default()
        }));
        lock(&self.0).push(Arc::clone(&entry));
        entry
    }

    pub(super) fn snapshot(&self) -> Vec<Exchange> {
        lock(&self.0).iter().map(|entry| lock(entry).clone()).collect()
    }

    pub(super) fn clear(&self) {
        lock(&self.0).clear();
    }
}

/// A lock whose data stays good whatever its last holder did.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
