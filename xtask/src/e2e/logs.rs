//! Checks which records the real log store has of functions that log in every way: from init,
//! handler, thread and task, each record once and with the ids of its invocation.

use std::{collections::BTreeMap, fs};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    deploy::{self, Deployed, Function},
    hooks::bridge,
    invoke::Worker,
    parts::Parts,
    sink::Sink,
};
use crate::{
    checks::{Outcome, Trouble},
    command::root,
    tools::VictoriaLogs,
};

const TEMPLATE: &str = "\
Transform: AWS::Serverless-2016-10-31
Globals:
  Function:
    Runtime: python3.13
    CodeUri: src/
Resources:
  Everything:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: everything
      Handler: app.everything
  Calls:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: calls
      Handler: app.calls
";

/// What the handler `everything` says in each invocation, after the event's name.
const SAID: [&str; 8] = ["line", "json", "record", "caught", "thread", "task", "executor", "begun"];

/// The name of each event, and the trace id that comes with it.
const EVENTS: [(&str, Option<&str>); 3] = [
    ("one", Some("Root=1-00000001-abcdef012345678912345678;Sampled=1")),
    ("two", None),
    ("three", Some("Root=1-00000003-abcdef012345678912345678;Sampled=1")),
];

/// Deploys the handlers of the hook suites, invokes them, and reads the store.
pub(crate) fn stored_once(parts: &Parts) -> Outcome {
    let host = bridge(&parts.engine)?;
    let store = VictoriaLogs::start_on(&host, &parts.work.join("victoria-logs"))?;
    let project = parts.work.join("projects/hooks");
    fs::create_dir_all(project.join("src"))?;
    fs::copy(root().join("runtime/python/tests/handlers/app.py"), project.join("src/app.py"))?;
    fs::write(project.join("esb.toml"), "")?;
    fs::write(project.join("template.yaml"), TEMPLATE)?;
    let mut command = parts.esb_to_registry(&project, "main");
    let deployed =
        deploy::finish(command.args(["deploy", "-e", "dev", "--format", "json"]), project.clone())?;
    everything(parts, &deployed, &store)?;
    log_events(parts, &deployed, &store)
}

fn everything(parts: &Parts, deployed: &Deployed, store: &VictoriaLogs) -> Outcome {
    let worker = worker(parts, deployed, "Everything", store, &[("LOG_LEVEL", "DEBUG")])?;
    for (name, trace) in EVENTS {
        let answer = ask(&worker, trace, &json!({ "name": name }))?;
        if answer != "ok" {
            return Err(Trouble::Failed(format!("`everything` answered {answer}")));
        }
    }
    let all = r#"container_name:"everything" AND job:"lambda""#;
    // Beside these: the line of the init phase, and one of the hooks for each traced invocation.
    let found = store.records(all, EVENTS.len() * SAID.len() + 3)?;
    let mut requests = BTreeMap::new();
    for (name, trace) in EVENTS {
        let own: Vec<&Value> = found
            .iter()
            .filter(|record| text(record, "_msg").starts_with(&format!("{name} ")))
            .collect();
        let mut said: Vec<&str> = own.iter().map(|record| text(record, "_msg")).collect();
        said.sort_unstable();
        let mut expected: Vec<String> = SAID.iter().map(|word| format!("{name} {word}")).collect();
        expected.sort_unstable();
        if said != expected {
            return Err(Trouble::Failed(format!("the store has {said:?} of `{name}`")));
        }
        for record in own {
            requests.insert(text(record, "aws_request_id").to_owned(), name);
            if text(record, "trace_id") != trace.unwrap_or_default() {
                return Err(Trouble::Failed(format!("another trace id: {record}")));
            }
        }
    }
    if requests.len() != EVENTS.len() || requests.contains_key("") {
        return Err(Trouble::Failed(format!("request ids: {requests:?}")));
    }
    let init: Vec<&Value> =
        found.iter().filter(|record| text(record, "_msg") == "init None").collect();
    if init.len() != 1 || !init[0]["aws_request_id"].is_null() {
        return Err(Trouble::Failed(format!("the init phase: {init:?}")));
    }
    let caught = found.iter().find(|record| text(record, "_msg") == "two caught");
    let trace = caught.map_or("", |record| text(record, "exc_info"));
    if !trace.ends_with("ValueError: two") {
        return Err(Trouble::Failed(format!("the traceback of `two caught`: {trace:?}")));
    }
    // What the platform's own check asks for: a DEBUG record of a trace, found by its bare id.
    let debug =
        store.records(r#"trace_id:"1-00000003-abcdef012345678912345678" AND level:"DEBUG""#, 1)?;
    if debug.is_empty() {
        return Err(Trouble::Failed("there is no DEBUG record of a traced invocation".to_owned()));
    }
    Ok(())
}

fn log_events(parts: &Parts, deployed: &Deployed, store: &VictoriaLogs) -> Outcome {
    // Stands in for the Gateway, which the handler asks to invoke another function.
    let gateway = Sink::start(&bridge(&parts.engine)?)?;
    let environment = [
        ("LOG_LEVEL", "DEBUG"),
        ("GATEWAY_INTERNAL_URL", gateway.url()),
        ("AWS_DEFAULT_REGION", "ap-northeast-1"),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ];
    let worker = worker(parts, deployed, "Calls", store, &environment)?;
    let (_, trace) = EVENTS[0];
    let answer = ask(&worker, trace, &json!({}))?;
    let query = r#"logger:"cloudwatch.logs.python" AND log_group:"g" AND log_stream:"s""#;
    let mut found: Vec<(String, String)> = store
        .records(query, 4)?
        .iter()
        .filter(|record| text(record, "trace_id") == trace.unwrap_or_default())
        .filter(|record| text(record, "container_name") == "calls")
        .map(|record| (text(record, "level").to_owned(), text(record, "_msg").to_owned()))
        .collect();
    found.sort();
    let expected = [
        ("DEBUG", "DEBUG text"),
        ("ERROR", "ERROR text"),
        ("INFO", "INFO text"),
        ("INFO", "no prefix"),
    ];
    let same = found.iter().map(|(level, said)| (level.as_str(), said.as_str())).eq(expected);
    if same && answer == "mock-token" {
        return Ok(());
    }
    Err(Trouble::Failed(format!("`calls` answered {answer}, and the store has {found:?}")))
}

fn worker<'a>(
    parts: &'a Parts,
    deployed: &Deployed,
    logical_id: &str,
    store: &VictoriaLogs,
    more: &[(&str, &str)],
) -> Outcome<Worker<'a>> {
    let function = deployed.functions.iter().find(|function| function.logical_id == logical_id);
    let Function { image, environment, .. } = function.ok_or("a function is missing")?;
    let mut environment = environment.clone();
    environment.push(("VICTORIALOGS_URL".to_owned(), format!("http://{}", store.address())));
    let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    environment.extend(more);
    Worker::start(&parts.engine, image, &environment)
}

fn ask(worker: &Worker<'_>, trace: Option<&str>, event: &Value) -> Outcome<Value> {
    let context =
        trace.map(|trace| STANDARD.encode(json!({"custom": {"trace_id": trace}}).to_string()));
    let headers: Vec<(&str, &str)> =
        context.iter().map(|context| ("X-Amz-Client-Context", context.as_str())).collect();
    worker.ask(&headers, event)
}

fn text<'a>(record: &'a Value, key: &str) -> &'a str {
    record[key].as_str().unwrap_or_default()
}
