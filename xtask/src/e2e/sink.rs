//! A server in place of the log store and of the platform's services: it keeps the requests of
//! containers and the log records in them.
//!
//! Listens on the bridge's own address of this machine, because a container's loopback is another
//! one. Answers every request alike; what a real store makes of the records is checked elsewhere.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::listen::listen;
use crate::checks::Outcome;

/// The most bytes of one batch.
const BODY_LIMIT: u64 = 16 * 1024 * 1024;

/// A running sink; its thread ends with the process.
pub(crate) struct Sink {
    url: String,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    /// Each line of each body that is JSON.
    records: Vec<Value>,
    requests: Vec<Request>,
}

/// A request that came.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    /// `POST /path?query`.
    pub(crate) line: String,
    /// Each header as `name: value`, the name in lower case.
    pub(crate) headers: Vec<String>,
}

impl Sink {
    /// Listens on a free port of an address of this machine.
    pub(crate) fn start(address: &str) -> Outcome<Self> {
        let kept: Arc<Mutex<Kept>> = Arc::default();
        let shared = Arc::clone(&kept);
        let address = listen(address, move |stream| serve(stream, &shared))?;
        Ok(Self { url: format!("http://{address}"), kept })
    }

    /// What `VICTORIALOGS_URL` has to be.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Every request so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).requests.clone()
    }

    /// The records for which `wanted` holds, once there is one, or after five seconds.
    pub(crate) fn wait(&self, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        let start = Instant::now();
        loop {
            let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            let found: Vec<Value> =
                kept.records.iter().filter(|record| wanted(record)).cloned().collect();
            drop(kept);
            if !found.is_empty() || start.elapsed() > Duration::from_secs(5) {
                return found;
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

fn serve(stream: &TcpStream, kept: &Mutex<Kept>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut writer = stream;
        let mut request = Request::default();
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            if request.line.is_empty() {
                line.trim_end_matches(" HTTP/1.1").clone_into(&mut request.line);
                continue;
            }
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            let (name, value) = (name.to_ascii_lowercase(), value.trim());
            match &*name {
                "content-length" => length = value.parse().unwrap_or(0),
                "expect" => writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?,
                _ => {}
            }
            request.headers.push(format!("{name}: {value}"));
        }
        let mut body = String::new();
        reader.by_ref().take(length.min(BODY_LIMIT)).read_to_string(&mut body)?;
        let lines = body.lines().filter_map(|line| serde_json::from_str(line).ok());
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.records.extend(lines);
        kept.requests.push(request);
        drop(kept);
        writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
    }
}
