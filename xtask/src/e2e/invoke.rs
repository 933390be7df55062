//! Runs images with the engine's own client and invokes them through the Runtime Interface
//! Emulator.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use esb_test::{DockerEngine, request};
use serde_json::Value;

use crate::checks::{Outcome, Trouble};

const READY: Duration = Duration::from_secs(30);

/// Starts a container of an image, sends it an event and gives the response.
pub(crate) fn invoke(
    engine: &DockerEngine,
    image: &str,
    environment: &[(String, String)],
    event: &Value,
) -> Outcome<Value> {
    invoke_with(engine, image, environment, &[], event)
}

/// As [`invoke`], with further headers of the invocation.
pub(crate) fn invoke_with(
    engine: &DockerEngine,
    image: &str,
    environment: &[(String, String)],
    headers: &[(&str, &str)],
    event: &Value,
) -> Outcome<Value> {
    Worker::start(engine, image, environment)?.ask(headers, event)
}

/// A container of a function, removed when this is dropped.
pub(crate) struct Worker<'a> {
    engine: &'a DockerEngine,
    id: String,
    address: String,
}

impl<'a> Worker<'a> {
    /// Starts a container with the Runtime Interface Emulator published on loopback.
    pub(crate) fn start(
        engine: &'a DockerEngine,
        image: &str,
        environment: &[(String, String)],
    ) -> Outcome<Self> {
        Self::start_as(engine, image, &[], environment)
    }

    /// As [`Worker::start`], with another command than the image's; empty: the image's.
    pub(crate) fn start_as(
        engine: &'a DockerEngine,
        image: &str,
        command: &[&str],
        environment: &[(String, String)],
    ) -> Outcome<Self> {
        let mut arguments = vec!["run", "--detach", "--publish", "127.0.0.1::8080"];
        let pairs: Vec<String> =
            environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
        for pair in &pairs {
            arguments.extend(["--env", pair]);
        }
        arguments.push(image);
        arguments.extend(command);
        let id = engine.output(&arguments)?;
        let mut worker = Self { engine, id, address: String::new() };
        let address = engine.output(["port", &worker.id, "8080/tcp"])?;
        address.lines().next().unwrap_or_default().clone_into(&mut worker.address);
        Ok(worker)
    }

    /// Sends an event, again while nobody answers, and gives the response.
    pub(crate) fn ask(&self, headers: &[(&str, &str)], event: &Value) -> Outcome<Value> {
        let start = Instant::now();
        let body = event.to_string();
        let answer = loop {
            let path = "/2015-03-31/functions/function/invocations";
            match request(&self.address, "POST", path, headers, body.as_bytes(), READY) {
                Ok(response) => break response,
                Err(_) if start.elapsed() < READY => std::thread::sleep(Duration::from_millis(100)),
                Err(error) => return Err(self.with_log(&crate::checks::chain(&error))),
            }
        };
        serde_json::from_slice(&answer.body)
            .map_err(|_| self.with_log(&format!("{} {}", answer.status, answer.text())))
    }

    fn with_log(&self, text: &str) -> Trouble {
        match self.engine.docker().args(["logs", &self.id]).output() {
            Ok(log) => Trouble::Failed(format!(
                "{text}\n{}{}",
                String::from_utf8_lossy(&log.stdout),
                String::from_utf8_lossy(&log.stderr)
            )),
            Err(error) => error.into(),
        }
    }
}

impl Drop for Worker<'_> {
    fn drop(&mut self) {
        // The engine's own end removes what is left.
        self.engine.output(["rm", "--force", &self.id]).ok();
    }
}

/// Reads a JSON file.
pub(crate) fn json_file(path: &Path) -> Outcome<Value> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Trouble::Failed(format!("{}: {error}", path.display())))?;
    serde_json::from_str(&text)
        .map_err(|error| Trouble::Failed(format!("{}: {error}", path.display())))
}
