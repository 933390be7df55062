//! A stand-in for the log store that containers reach: it takes records and keeps them.
//!
//! Listens on the bridge's own address of this machine, because a container's loopback is another
//! one. Answers every request alike; what a real store makes of the records is checked elsewhere.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::checks::Outcome;

/// The most bytes of one batch.
const BODY_LIMIT: u64 = 16 * 1024 * 1024;

/// A running sink; its thread ends with the process.
pub(crate) struct Sink {
    url: String,
    records: Arc<Mutex<Vec<Value>>>,
}

impl Sink {
    /// Listens on a free port of an address of this machine.
    pub(crate) fn start(address: &str) -> Outcome<Self> {
        let listener = TcpListener::bind((address, 0))?;
        let url = format!("http://{}", listener.local_addr()?);
        let records = Arc::new(Mutex::default());
        let shared = Arc::clone(&records);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let records = Arc::clone(&shared);
                // A client that breaks off has nothing more to say.
                thread::spawn(move || serve(&stream, &records).ok());
            }
        });
        Ok(Self { url, records })
    }

    /// What `VICTORIALOGS_URL` has to be.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The records for which `wanted` holds, once there is one, or after five seconds.
    pub(crate) fn wait(&self, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        let start = Instant::now();
        loop {
            let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
            let found: Vec<Value> =
                records.iter().filter(|record| wanted(record)).cloned().collect();
            drop(records);
            if !found.is_empty() || start.elapsed() > Duration::from_secs(5) {
                return found;
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

fn serve(stream: &TcpStream, records: &Mutex<Vec<Value>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = String::new();
        reader.by_ref().take(length.min(BODY_LIMIT)).read_to_string(&mut body)?;
        let lines = body.lines().filter_map(|line| serde_json::from_str(line).ok());
        records.lock().unwrap_or_else(PoisonError::into_inner).extend(lines);
        let mut writer = stream;
        writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
    }
}
