//! Checks of Java functions: with the wrapper and the agent they answer as they do without, and
//! their log records and requests reach the platform.

use serde_json::{Value, json};

use super::{
    deploy::{Deployed, Function, finish},
    hooks::{CLIENT_CONTEXT, TRACE_ID, bridge},
    invoke::{Worker, invoke_with, json_file},
    parts::Parts,
    sink::Sink,
};
use crate::{
    checks::{Outcome, Trouble},
    java,
};

/// Builds the fixture with Maven and deploys it.
pub(crate) fn deploy(parts: &Parts) -> Outcome<Deployed> {
    let root = parts.fixture("java", "java")?;
    java::maven(&root, &java::jdk()?, &["package"])?;
    let mut command = parts.esb_to_registry(&root, "main");
    finish(command.args(["deploy", "-e", "dev", "--format", "json"]), root)
}

/// The same answers, errors too, as AWS's runtime gives for the function's own handler.
pub(crate) fn answers_are_the_runtimes(parts: &Parts, deployed: &Deployed) -> Outcome {
    let sink = Sink::start(&bridge(&parts.engine)?)?;
    let failing = json!({"pathParameters": {"id": "none"}});
    for (logical_id, handler, failing) in [
        ("EchoFunction", "shop.Echo", None),
        ("OrderFunction", "shop.OrderApi::handleRequest", Some(failing)),
    ] {
        let function = function(parts, deployed, logical_id)?;
        let event = json_file(&deployed.root.join(format!("events/{logical_id}.json")))?;
        let events: Vec<Value> = [event.clone(), event].into_iter().chain(failing).collect();
        let mut bare = function.environment.clone();
        for (name, value) in &mut bare {
            if name == "JAVA_TOOL_OPTIONS" {
                *value = value.rsplit(' ').next().unwrap_or_default().to_owned();
            }
        }
        if !bare.iter().any(|(name, _)| name == "JAVA_TOOL_OPTIONS") {
            bare.push(("JAVA_TOOL_OPTIONS".to_owned(), String::new()));
        }
        let mut hooked = function.environment.clone();
        hooked.push(("VICTORIALOGS_URL".to_owned(), sink.url().to_owned()));
        let wanted = answers(parts, &function.image, &[handler], &bare, &events)?;
        let got = answers(parts, &function.image, &[], &hooked, &events)?;
        if wanted != got {
            let text = format!("`{logical_id}` answered\n{got:#?}\ninstead of\n{wanted:#?}");
            return Err(Trouble::Failed(text));
        }
        let first = &wanted[0];
        if first["greeting"] != "Grüezi" && first["statusCode"] != 200 {
            return Err(Trouble::Failed(format!("`{logical_id}` answered {first}")));
        }
    }
    Ok(())
}

/// The answers of one container.
fn answers(
    parts: &Parts,
    image: &str,
    command: &[&str],
    environment: &[(String, String)],
    events: &[Value],
) -> Outcome<Vec<Value>> {
    let worker = Worker::start_as(&parts.engine, image, command, environment)?;
    events.iter().map(|event| worker.ask(&[], event)).collect()
}

/// Each way to log gives one record, with the ids of its invocation.
pub(crate) fn records_arrive(parts: &Parts, deployed: &Deployed) -> Outcome {
    let sink = Sink::start(&bridge(&parts.engine)?)?;
    let function = function(parts, deployed, "OrderFunction")?;
    let event = json_file(&deployed.root.join("events/OrderFunction.json"))?;
    hooked(parts, &function, &sink, &event)?;
    for (message, level, logger) in [
        ("printed 42", "INFO", Value::Null),
        ("ERROR: warned of 42", "ERROR", Value::Null),
        ("looked up 42", "WARNING", json!("shop.OrderApi")),
        ("counted 42", "ERROR", json!("shop.jul")),
    ] {
        let found = sink.wait(|record| record["message"] == message);
        let [record] = found.as_slice() else {
            let text = format!("`{message}` arrived {} times: {found:?}", found.len());
            return Err(Trouble::Failed(text));
        };
        let expected = [
            ("container_name", json!("shop-order")),
            ("job", json!("lambda")),
            ("level", json!(level)),
            ("logger", logger),
            ("trace_id", json!(TRACE_ID)),
        ];
        let right = expected.iter().all(|(key, value)| record[key] == *value);
        let ids = ["_time", "aws_request_id"].iter().all(|key| record[key].is_string());
        if !right || !ids {
            return Err(Trouble::Failed(format!("{record} is not {expected:?}")));
        }
    }
    let all = sink.wait(|record| record["container_name"] == "shop-order");
    if all.len() == 4 {
        return Ok(());
    }
    Err(Trouble::Failed(format!("{} records instead of 4: {all:?}", all.len())))
}

/// The SDK's clients talk to the platform, S3 by path, and hand the trace id on.
pub(crate) fn clients_reach_the_platform(parts: &Parts, deployed: &Deployed) -> Outcome {
    let platform = Sink::start(&bridge(&parts.engine)?)?;
    let mut function = function(parts, deployed, "ReceiptFunction")?;
    for name in ["S3_ENDPOINT", "DYNAMODB_ENDPOINT", "GATEWAY_INTERNAL_URL"] {
        function.environment.retain(|(other, _)| other != name);
        function.environment.push((name.to_owned(), platform.url().to_owned()));
    }
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"] {
        function.environment.retain(|(other, _)| other != name);
        function.environment.push((name.to_owned(), "eu-west-1".to_owned()));
    }
    let event = json_file(&deployed.root.join("events/ReceiptFunction.json"))?;
    let answer = hooked(parts, &function, &platform, &event)?;
    if answer != json!({"stored": true, "listed": true, "told": 200}) {
        return Err(Trouble::Failed(format!("it answered {answer}")));
    }
    let requests: Vec<_> = platform
        .requests()
        .into_iter()
        .filter(|request| !request.line.contains("/insert/jsonline"))
        .collect();
    let lines: Vec<&str> = requests.iter().map(|request| &*request.line).collect();
    let expected =
        ["PUT /receipts/r-1.json", "POST /", "POST /2015-03-31/functions/mail/invocations"];
    if lines != expected {
        return Err(Trouble::Failed(format!("{lines:?} instead of {expected:?}")));
    }
    for header in [
        "x-amz-invocation-type: Event".to_owned(),
        format!("x-amz-client-context: {CLIENT_CONTEXT}"),
        format!("x-amzn-trace-id: {TRACE_ID}"),
    ] {
        if !requests[2].headers.contains(&header) {
            return Err(Trouble::Failed(format!("{:?} lacks `{header}`", requests[2].headers)));
        }
    }
    Ok(())
}

/// Invokes a function once, with a client context, as the Gateway would.
fn hooked(parts: &Parts, function: &Function, sink: &Sink, event: &Value) -> Outcome<Value> {
    let mut environment = function.environment.clone();
    environment.push(("VICTORIALOGS_URL".to_owned(), sink.url().to_owned()));
    let headers = [("X-Amz-Client-Context", CLIENT_CONTEXT)];
    invoke_with(&parts.engine, &function.image, &environment, &headers, event)
}

fn function(parts: &Parts, deployed: &Deployed, logical_id: &str) -> Outcome<Function> {
    let found = deployed.functions.iter().find(|function| function.logical_id == logical_id);
    let function = found.ok_or("the fixture lacks the function")?.clone();
    parts.engine.output(["pull", "--quiet", &function.image])?;
    Ok(function)
}
