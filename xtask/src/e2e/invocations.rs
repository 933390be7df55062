//! `esb invoke` of functions that fail in every way, and `esb logs` of what they logged.

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    deploy,
    hooks::bridge,
    invoke::Worker,
    parts::{Parts, Said, expect},
};
use crate::{
    checks::{Outcome, Trouble},
    tools::VictoriaLogs,
};

const CODE: &str = r#"
import os, signal, time

def good(event, context):
    print("hello from good", event.get("word"))
    print("second line")
    print("no line feed", end="", flush=True)
    return {"got": event}

def slow(event, context):
    print("before the wait")
    time.sleep(60)

def leaves(event, context):
    os._exit(3)

def killed(event, context):
    os.kill(os.getpid(), signal.SIGKILL)

def stops(event, context):
    # The container's first process is the emulator.
    os.kill(1, signal.SIGKILL)
    os.kill(1, signal.SIGTERM)
    time.sleep(60)

def deep(event):
    return event["absent"]

def raises(event, context):
    print("before the fault")
    return deep(event)
"#;

const HANDLERS: [(&str, &str); 7] = [
    ("Good", "app.good"),
    ("Slow", "app.slow"),
    ("Leaves", "app.leaves"),
    ("Killed", "app.killed"),
    ("Stops", "app.stops"),
    ("Raises", "app.raises"),
    ("Init", "broken.handler"),
];

fn write(root: &Path) -> Outcome {
    let mut template = "Transform: AWS::Serverless-2016-10-31\nResources:\n".to_owned();
    for (id, handler) in HANDLERS {
        let _ = write!(
            template,
            "  {id}:\n    Type: AWS::Serverless::Function\n    Properties:\n      FunctionName: \
             fn-{}\n      Runtime: python3.13\n      Handler: {handler}\n      Timeout: 2\n      \
             CodeUri: src/\n",
            id.to_lowercase()
        );
    }
    fs::create_dir_all(root.join("src"))?;
    fs::write(root.join("esb.toml"), "")?;
    fs::write(root.join("template.yaml"), template)?;
    fs::write(root.join("src/app.py"), CODE)?;
    fs::write(
        root.join("src/broken.py"),
        "import not_there\n\n\ndef handler(event, context):\n    pass\n",
    )?;
    Ok(())
}

/// What is told of each kind of failure, and which streams have it.
pub(crate) fn failures_are_told(parts: &Parts) -> Outcome {
    let root = parts.work.join("projects/invocations");
    write(&root)?;
    let mut deploy = parts.esb_to_registry(&root, "main");
    deploy::finish(deploy.args(["deploy", "-e", "dev", "--format", "json"]), root.clone())?;
    let invoke = |arguments: &[&str]| {
        let mut command = parts.esb_to_registry(&root, "main");
        command.args(["invoke", "-e", "dev"]).args(arguments);
        command
    };
    succeeds(&invoke)?;
    for (function, words) in [
        (
            "Slow",
            &["before the wait", "error: `fn-slow` failed: Timeout: Task timed out after 2"][..],
        ),
        (
            "Leaves",
            &["error: `fn-leaves` failed: Runtime.ExitError: Runtime exited", "exit status 3"],
        ),
        ("Killed", &["error: `fn-killed` failed: Runtime.ExitError: Runtime exited", "memory"]),
        ("Stops", &["error: `fn-stops` failed: ContainerExit: the container ended with exit code"]),
        (
            "Raises",
            &[
                "before the fault",
                "error: `fn-raises` failed: KeyError: 'absent'",
                "\n  |   File \"/var/task/app.py\", line 27, in deep\n",
                "    return event[\"absent\"]",
            ],
        ),
        (
            "Init",
            &[
                "error: `fn-init` failed: Runtime.ImportModuleError: Unable to import module \
                 'broken': No module named 'not_there'",
                "hint: if `not_there` is a package, add it to requirements.txt",
            ],
        ),
    ] {
        let said = expect(&mut invoke(&[function]), 6)?;
        said.tells(words)?;
        quiet(&said, function)?;
    }
    let said = expect(&mut invoke(&["Raises", "--format", "json"]), 6)?;
    let document = said.json()?;
    let failure = &document["failure"];
    if failure["type"] != "KeyError" || document["response"]["errorType"] != "KeyError" {
        return Err(Trouble::Failed(format!("the document is {document}")));
    }
    Ok(())
}

fn succeeds(invoke: &dyn Fn(&[&str]) -> Command) -> Outcome {
    let answer = |said: &Said, event: &Value| {
        let got = said.json()?;
        let expected = json!({ "got": event });
        if got == expected {
            Ok(())
        } else {
            Err(Trouble::Failed(format!("the response is {got}")))
        }
    };
    let event = json!({"a": [1, "ü"]});
    let said = expect(&mut invoke(&["Good", "--event", &event.to_string()]), 0)?;
    answer(&said, &event)?;
    if said.stderr != "hello from good None\nsecond line\nno line feed\n" {
        return Err(Trouble::Failed(format!("the log is {:?}", said.stderr)));
    }
    let said = expect(&mut invoke(&["Good", "--tail", "2"]), 0)?;
    answer(&said, &json!({}))?;
    if said.stderr != "second line\nno line feed\n" {
        return Err(Trouble::Failed(format!("the end of the log is {:?}", said.stderr)));
    }
    expect(&mut invoke(&["Good", "-v"]), 0)?.tells(&["START RequestId: ", "(rapid)"])?;
    expect(&mut invoke(&["Good", "--event", "{a}"]), 1)?
        .tells(&["the event on the command line is not JSON"])?;
    Ok(())
}

/// The emulator's own lines are for who asks.
fn quiet(said: &Said, function: &str) -> Outcome {
    let theirs = ["START RequestId", "END RequestId", "REPORT RequestId", "(rapid)"];
    match theirs.iter().find(|words| said.stderr.contains(**words)) {
        Some(words) => Err(Trouble::Failed(format!("{function}: `{words}` in\n{}", said.stderr))),
        None => Ok(()),
    }
}

/// Reads what a function logged: by function, trace and request, as it comes, and through the
/// container of the platform's project.
pub(crate) fn logs_are_read(parts: &Parts) -> Outcome {
    let host = bridge(&parts.engine)?;
    let store = VictoriaLogs::start_on(&host, &parts.work.join("victoria-logs-read"))?;
    let url = format!("http://{}", store.address());
    let root = parts.work.join("projects/invocations");
    let record = super::invoke::json_file(&root.join(".esb/dev/images.json"))?;
    let image = record["images"].as_array().into_iter().flatten();
    let mut image = image.filter(|image| image["function"] == "Good");
    let image = image.find_map(|image| image["reference"].as_str());
    let image = image.ok_or("`Good` has no image")?;
    let environment = [
        ("AWS_LAMBDA_FUNCTION_NAME".to_owned(), "fn-good".to_owned()),
        ("VICTORIALOGS_URL".to_owned(), url.clone()),
    ];
    let worker = Worker::start(&parts.engine, image, &environment)?;
    let trace = "1-00000009-abcdef012345678912345678";
    let context = json!({"custom": {"trace_id": format!("Root={trace};Sampled=1")}}).to_string();
    let context = STANDARD.encode(context);
    worker.ask(&[("X-Amz-Client-Context", &context)], &json!({}))?;
    worker.ask(&[], &json!({}))?;
    let found = store.records(r#"container_name:="fn-good" AND hello"#, 2)?;
    let request = found
        .iter()
        .filter(|record| record["trace_id"].as_str().unwrap_or_default().contains(trace))
        .find_map(|record| record["aws_request_id"].as_str())
        .ok_or_else(|| Trouble::Failed(format!("the store has {found:?}")))?;
    let logs = |arguments: &[&str]| {
        let mut command = parts.esb(&root, "main");
        command.env("VICTORIALOGS_URL", &url).args(["logs", "-e", "dev"]).args(arguments);
        command
    };
    let count = |arguments: &[&str], expected: usize| {
        let said = expect(&mut logs(arguments), 0)?;
        match said.stdout.matches("hello from good").count() {
            count if count == expected => Ok(said),
            count => Err(Trouble::Failed(format!(
                "{arguments:?} found {count} instead of {expected}:\n{}{}",
                said.stdout, said.stderr
            ))),
        }
    };
    count(&["Good"], 2)?;
    count(&["fn-good", "--since", "10m"], 2)?;
    count(&["--trace", trace], 1)?;
    count(&["Good", "--request", request], 1)?;
    let said = count(&["Good", "--since", "2000-01-01", "--tail", "5"], 1)?;
    let lines: Vec<_> = said.stdout.lines().filter_map(|line| line.get(33..)).collect();
    // Records of one moment stay in their order.
    let expected =
        ["second line", "no line feed", "hello from good None", "second line", "no line feed"];
    if lines != expected {
        return Err(Trouble::Failed(format!("the last lines are {lines:?}")));
    }
    count(&["Good", "--tail", "0"], 0)?;
    count(&["good"], 0)?.tells(&["has no records of `good` in the last hour", "--since"])?;
    let document = count(&["--request", request, "--format", "json"], 1)?.json()?;
    if document["records"][0]["aws_request_id"] != *request {
        return Err(Trouble::Failed(format!("the document is {document}")));
    }
    follows(&mut logs(&["Good", "-f", "--tail", "2"]), &worker)?;
    through_the_project(parts, &root, &store)?;
    let gone = || logs(&["Good", "--url", "127.0.0.1:9"]);
    expect(&mut gone(), 4)?.tells(&["could not read the log store at `http://127.0.0.1:9`"])
}

/// Records that come while somebody reads are shown.
fn follows(command: &mut Command, worker: &Worker<'_>) -> Outcome {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let stdout = child.stdout.take().ok_or("there is no stdout")?;
    let (sender, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    // Records of one moment come in any order.
    let wait = |words: &[&str]| {
        let mut open = words.to_vec();
        while !open.is_empty() {
            let Ok(line) = lines.recv_timeout(Duration::from_secs(30)) else {
                return Err(Trouble::Failed(format!("`-f` did not show `{}`", open.join("`, `"))));
            };
            open.retain(|word| !line.contains(word));
        }
        Ok(())
    };
    let seen = wait(&["no line feed"]).and_then(|()| {
        worker.ask(&[], &json!({"word": "later"}))?;
        wait(&["hello from good later", "no line feed"])
    });
    child.kill()?;
    child.wait()?;
    seen
}

/// The log store of the compose project, by its container's labels and published port.
fn through_the_project(parts: &Parts, root: &Path, store: &VictoriaLogs) -> Outcome {
    let mut logs = parts.esb(root, "main");
    logs.args(["logs", "Good", "-e", "dev"]);
    expect(&mut logs, 4)?.tells(&["the project `esb-dev` has no running VictoriaLogs", "--url"])?;
    // A container stands in for the service: it passes connections on to the real store.
    let forward = format!(
        "import socket, threading\n\
         def copy(a, b):\n    while data := a.recv(65536): b.sendall(data)\n    b.shutdown(1)\n\
         s = socket.create_server(('', 9428))\n\
         while True:\n    c, _ = s.accept()\n    t = socket.create_connection(('{}', {}))\n    \
         threading.Thread(target=copy, args=(c, t)).start()\n    \
         threading.Thread(target=copy, args=(t, c)).start()\n",
        store.address().rsplit_once(':').map_or("", |(host, _)| host),
        store.address().rsplit_once(':').map_or("", |(_, port)| port),
    );
    let record = super::invoke::json_file(&root.join(".esb/dev/images.json"))?;
    let image = record["images"][0]["reference"].as_str().ok_or("there is no image")?.to_owned();
    let id = parts.engine.output([
        "run",
        "--detach",
        "--publish",
        "127.0.0.1::9428",
        "--label",
        "com.docker.compose.project=esb-dev",
        "--label",
        "com.docker.compose.service=victorialogs",
        "--entrypoint",
        "/var/lang/bin/python3",
        &image,
        "-c",
        &forward,
    ])?;
    let mut outcome = Ok(());
    for attempt in 0..20 {
        outcome = expect(&mut logs, 0).and_then(|said| {
            let has = said.stdout.contains("hello from good");
            if has { Ok(()) } else { Err(Trouble::Failed(format!("it shows {}", said.stdout))) }
        });
        if outcome.is_ok() || attempt == 19 {
            break;
        }
        std::thread::sleep(Duration::from_millis(250));
    }
    parts.engine.output(["rm", "--force", &id])?;
    outcome
}
