//! Checks that the hooks of the base image run in a function's container: its log records arrive,
//! once each, with the ids of the invocation.

use esb_test::DockerEngine;
use serde_json::Value;

use super::{
    deploy::Deployed,
    invoke::{invoke_with, json_file},
    parts::Parts,
    sink::Sink,
};
use crate::checks::{Outcome, Trouble};

/// A trace id as the Gateway passes it on: the text of a header, in base64 JSON.
pub(super) const TRACE_ID: &str = "Root=1-67891233-abcdef012345678912345678;Sampled=1";
pub(super) const CLIENT_CONTEXT: &str = "eyJjdXN0b20iOnsidHJhY2VfaWQiOiJSb290PTEtNjc4OTEyMzMtYWJjZGVmMDEyMzQ1Njc4OTEyMzQ1Njc4O1NhbXBsZWQ9MSJ9fQ==";

/// One function of the fixture, and what it logs for its event.
pub(crate) fn records_arrive(
    parts: &Parts,
    deployed: &Deployed,
    logical_id: &str,
    message: &str,
) -> Outcome {
    let sink = Sink::start(&bridge(&parts.engine)?)?;
    let function = deployed.functions.iter().find(|function| function.logical_id == logical_id);
    let function = function.ok_or("the fixture lacks the function")?;
    let event = json_file(&deployed.root.join(format!("events/{logical_id}.json")))?;
    let mut environment = function.environment.clone();
    environment.push(("VICTORIALOGS_URL".to_owned(), sink.url().to_owned()));
    let headers = [("X-Amz-Client-Context", CLIENT_CONTEXT)];
    invoke_with(&parts.engine, &function.image, &environment, &headers, &event)?;

    let found = sink.wait(|record| record["message"] == message);
    let [record] = found.as_slice() else {
        return Err(Trouble::Failed(format!(
            "`{message}` arrived {} times: {found:?}",
            found.len()
        )));
    };
    let expected = [
        ("container_name", function.name.as_str()),
        ("job", "lambda"),
        ("level", "INFO"),
        ("trace_id", TRACE_ID),
    ];
    for (key, value) in expected {
        if record[key] != value {
            return Err(Trouble::Failed(format!("{key} is not {value} in {record}")));
        }
    }
    let is_text = |key: &str| record[key].as_str().is_some_and(|text| !text.is_empty());
    if !is_text("_time") || !is_text("aws_request_id") || record["_time"] == Value::Null {
        return Err(Trouble::Failed(format!("{record} lacks its time or request")));
    }
    Ok(())
}

/// The address under which containers reach this machine.
pub(crate) fn bridge(engine: &DockerEngine) -> Outcome<String> {
    let format = "{{(index .IPAM.Config 0).Gateway}}";
    Ok(engine.output(["network", "inspect", "bridge", "--format", format])?)
}
