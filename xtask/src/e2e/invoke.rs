//! Runs images with the engine's own client and asks them through the Runtime Interface Emulator.

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
    let mut arguments = vec!["run", "--detach", "--publish", "127.0.0.1::8080"];
    let pairs: Vec<String> =
        environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
    for pair in &pairs {
        arguments.extend(["--env", pair]);
    }
    arguments.push(image);
    let id = engine.output(&arguments)?;
    let answer = ask(engine, &id, headers, event);
    let log = engine.docker().args(["logs", &id]).output()?;
    engine.output(["rm", "--force", &id])?;
    answer.map_err(|trouble| match trouble {
        Trouble::Failed(text) => Trouble::Failed(format!(
            "{text}\n{}{}",
            String::from_utf8_lossy(&log.stdout),
            String::from_utf8_lossy(&log.stderr)
        )),
        missing @ Trouble::Missing(_) => missing,
    })
}

fn ask(engine: &DockerEngine, id: &str, headers: &[(&str, &str)], event: &Value) -> Outcome<Value> {
    let address = engine.output(["port", id, "8080/tcp"])?;
    let address = address.lines().next().unwrap_or_default().to_owned();
    let start = Instant::now();
    loop {
        let path = "/2015-03-31/functions/function/invocations";
        let body = event.to_string();
        match request(&address, "POST", path, headers, body.as_bytes(), READY) {
            Ok(response) => {
                return serde_json::from_slice(&response.body).map_err(|_| {
                    Trouble::Failed(format!("{} {}", response.status, response.text()))
                });
            }
            Err(_) if start.elapsed() < READY => std::thread::sleep(Duration::from_millis(100)),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Reads a JSON file.
pub(crate) fn json_file(path: &Path) -> Outcome<Value> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Trouble::Failed(format!("{}: {error}", path.display())))?;
    serde_json::from_str(&text)
        .map_err(|error| Trouble::Failed(format!("{}: {error}", path.display())))
}
