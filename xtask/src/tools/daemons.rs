//! Daemons among the tools: on loopback, with their data below a folder that the caller gives.
//!
//! Owns their command lines and how each is known to be ready; each ends when its value is dropped.

use std::{
    fmt::Write as _,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use esb_test::{Daemon, free_port, request};

use crate::checks::Outcome;

const READY: Duration = Duration::from_mins(1);
const ANSWER: Duration = Duration::from_secs(2);
const GRACE: Duration = Duration::from_secs(5);

/// A running `VictoriaLogs`.
#[derive(Debug)]
pub(crate) struct VictoriaLogs {
    address: String,
    _daemon: Daemon,
}

impl VictoriaLogs {
    /// Starts it with its data and its log below `dir`, listening on loopback alone.
    pub(crate) fn start(dir: &Path) -> Outcome<Self> {
        Self::start_on("127.0.0.1", dir)
    }

    /// As [`VictoriaLogs::start`], listening on an address that containers reach.
    pub(crate) fn start_on(host: &str, dir: &Path) -> Outcome<Self> {
        let address = format!("{host}:{}", free_port()?);
        let mut command = Command::new(super::victoria_logs()?);
        command.arg(format!("-httpListenAddr={address}"));
        command.arg(format!("-storageDataPath={}", dir.join("data").display()));
        // Records may be of any time.
        command.arg("-retentionPeriod=100y");
        let mut daemon = Daemon::start(&command, &dir.join("victoria-logs.log"), GRACE)?;
        daemon.wait_ready(READY, || {
            let answer = request(&address, "GET", "/health", &[], &[], ANSWER);
            answer.is_ok_and(|response| response.status == 200)
        })?;
        Ok(Self { address, _daemon: daemon })
    }

    /// `HOST:PORT`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The records that a `LogsQL` query finds, once they are `count`, or what there is after
    /// twenty seconds: a record can be found about a second after it came.
    pub(crate) fn records(&self, query: &str, count: usize) -> Outcome<Vec<serde_json::Value>> {
        let start = Instant::now();
        let form = [("Content-Type", "application/x-www-form-urlencoded")];
        let mut body = "limit=1000000&query=".to_owned();
        for byte in query.bytes() {
            write!(body, "%{byte:02X}").expect("a String takes everything");
        }
        loop {
            let target = "/select/logsql/query";
            let answer = request(&self.address, "POST", target, &form, body.as_bytes(), READY)?;
            if answer.status != 200 {
                return Err(format!("the log store says {}", answer.text()).into());
            }
            let lines = answer.text();
            let found = lines.lines().map(serde_json::from_str).collect::<Result<Vec<_>, _>>();
            let found = found.map_err(|error| error.to_string())?;
            if found.len() >= count || start.elapsed() > Duration::from_secs(20) {
                return Ok(found);
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// How many records it has taken in since its start.
    pub(crate) fn ingested(&self) -> Outcome<u64> {
        let answer = request(&self.address, "GET", "/metrics", &[], &[], ANSWER)?;
        let text = answer.text();
        let counts = text.lines().filter(|line| line.starts_with("vl_rows_ingested_total"));
        Ok(counts.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum())
    }

    /// Waits until it has taken in that many.
    pub(crate) fn wait_for(&self, records: u64) -> Outcome {
        let start = Instant::now();
        while self.ingested()? < records {
            if start.elapsed() > READY {
                let has = self.ingested()?;
                return Err(format!("{has} of {records} records have arrived").into());
            }
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// How many records a `LogsQL` query finds, of all that was taken in.
    pub(crate) fn count(&self, query: &str) -> Outcome<u64> {
        request(&self.address, "GET", "/internal/force_flush", &[], &[], READY)?;
        let found = self.records(&format!("{query} | stats count() n"), 1)?;
        let number = found.first().and_then(|value| value["n"].as_str()?.parse().ok());
        Ok(number.ok_or_else(|| format!("no count in {found:?}"))?)
    }
}

/// A running moto server: services of AWS that behave, in one process's memory.
#[derive(Debug)]
pub(crate) struct Moto {
    address: String,
    _daemon: Daemon,
}

impl Moto {
    /// Starts it on loopback with an interpreter that has moto; its log lies below `dir`.
    pub(crate) fn start(python: &Path, dir: &Path) -> Outcome<Self> {
        let port = free_port()?;
        let address = format!("127.0.0.1:{port}");
        let mut command = Command::new(python);
        command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()]);
        let mut daemon = Daemon::start(&command, &dir.join("moto.log"), GRACE)?;
        daemon.wait_ready(READY, || {
            let answer = request(&address, "GET", "/moto-api/data.json", &[], &[], ANSWER);
            answer.is_ok_and(|response| response.status == 200)
        })?;
        Ok(Self { address, _daemon: daemon })
    }

    /// `HOST:PORT`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}
