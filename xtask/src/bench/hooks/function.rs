//! A function in a container, invoked over one connection.

use std::{
    thread,
    time::{Duration, Instant},
};

use esb_test::{Connection, DockerEngine};

use crate::checks::{Outcome, Trouble};

const INVOKE: &str = "/2015-03-31/functions/function/invocations";
const READY: Duration = Duration::from_secs(30);
const ANSWER: Duration = Duration::from_mins(2);

/// A running function; its container goes with it.
pub(super) struct Function<'a> {
    engine: &'a DockerEngine,
    id: String,
    connection: Connection,
}

impl<'a> Function<'a> {
    /// Starts a handler on an image, with its code in a volume, and invokes it once.
    pub(super) fn start(
        engine: &'a DockerEngine,
        volume: &str,
        image: &str,
        handler: &str,
        sink: Option<&str>,
        more: &[&str],
    ) -> Outcome<Self> {
        let mut arguments = vec!["run", "--detach", "--publish=127.0.0.1::8080"];
        arguments.extend(["--volume", volume, "--env", "AWS_LAMBDA_FUNCTION_NAME=bench"]);
        arguments.extend(more.iter().flat_map(|variable| ["--env", variable]));
        let variables =
            sink.map(|sink| [format!("VICTORIALOGS_URL={sink}"), format!("SINK={sink}")]);
        for variable in variables.iter().flatten() {
            arguments.extend(["--env", variable]);
        }
        arguments.extend([image, handler]);
        let id = engine.output(&arguments)?;
        let address = engine.output(["port", &id, "8080/tcp"])?;
        let address = address.lines().next().unwrap_or_default();
        let start = Instant::now();
        loop {
            // The port is open before anyone listens behind it.
            let mut connection = Connection::open(address, ANSWER)?;
            match connection.request("POST", INVOKE, &[], b"{}") {
                Ok(_) => return Ok(Self { engine, id, connection }),
                Err(error) if start.elapsed() > READY => return Err(error.into()),
                Err(_) => thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    /// The seconds of one invocation.
    pub(super) fn invoke(&mut self, event: &str) -> Outcome<f64> {
        let start = Instant::now();
        let answer = self.connection.request("POST", INVOKE, &[], event.as_bytes())?;
        let seconds = start.elapsed().as_secs_f64();
        let text = answer.text();
        if text.contains("\"seconds\"") {
            return Ok(seconds);
        }
        let log = self.engine.output(["logs", &self.id]).unwrap_or_default();
        Err(Trouble::Failed(format!("the function answered {text}\n{log}")))
    }
}

impl Drop for Function<'_> {
    fn drop(&mut self) {
        // The engine ends with its containers in any case.
        let _best_effort = self.engine.output(["rm", "--force", &self.id]);
    }
}
