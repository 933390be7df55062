//! Tells why an invocation failed, from what the function's runtime or the emulator answered.

use esb_deploy::{Error, Kind};
use serde_json::{Map, Value};

use super::rie::{NoResponse, Response};

/// How the emulator's answer begins when it stopped the function.
const TIMED_OUT: &str = "Task timed out after ";

/// Bodies below this size are judged by the Gateway's own rule
/// (docs/contracts/platform.md#failures-of-a-call).
const JUDGED: usize = 10_000;

/// The most causes of an exception that are shown.
const CAUSES: usize = 8;

/// The failure of an invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// Such as `KeyError`, `Runtime.ExitError` or `Timeout`.
    pub(super) kind: String,
    pub(super) message: String,
    /// The traceback, a line each.
    pub(super) trace: Vec<String>,
    /// Whether the body is what the function's runtime said, and not the emulator.
    pub(super) is_of_runtime: bool,
}

impl Failure {
    /// The failure that a response tells; none when the function succeeded.
    pub(super) fn of_response(response: &Response) -> Option<Self> {
        let Response { status, function_error, body } = response;
        if body.starts_with(TIMED_OUT.as_bytes()) {
            let message = String::from_utf8_lossy(body).trim().to_owned();
            return Some(Self::new("Timeout", message));
        }
        let parsed = serde_json::from_slice(body).ok();
        let has = |object: &Map<String, Value>, key: &str| object.contains_key(key);
        if let Some(Value::Object(object)) = &parsed {
            let either = has(object, "errorType") || has(object, "errorMessage");
            let whole = has(object, "errorType")
                && has(object, "errorMessage")
                && (has(object, "stackTrace") || has(object, "trace"));
            if *status >= 400 || *function_error || either && body.len() < JUDGED || whole {
                return Some(Self::of_object(object));
            }
        }
        if *status < 400 && !function_error {
            return None;
        }
        let text = String::from_utf8_lossy(body).trim().to_owned();
        Some(Self::new(&format!("status {status}"), text))
    }

    /// The failure of an invocation that got no response.
    pub(super) fn of_no_response(reason: &NoResponse) -> Self {
        match reason {
            NoResponse::Late(limit) => {
                Self::new("Timeout", format!("no response within {} s", limit.as_secs()))
            }
            NoResponse::Ended(code) => {
                let killed =
                    if *code == 137 { " (killed, most often because memory ran out)" } else { "" };
                Self::new(
                    "ContainerExit",
                    format!("the container ended with exit code {code}{killed}"),
                )
            }
            NoResponse::Closed => Self::new(
                "NoResponse",
                "nothing answers on port 8080 of the container; the image must start the Lambda \
                 Runtime Interface Emulator"
                    .to_owned(),
            ),
            NoResponse::Broken(reason) => Self::new("NoResponse", reason.clone()),
        }
    }

    fn new(kind: &str, message: String) -> Self {
        Self { kind: kind.to_owned(), message, trace: Vec::new(), is_of_runtime: false }
    }

    fn of_object(object: &Map<String, Value>) -> Self {
        let (kind, message) = head(object);
        let mut trace = stack(object, &kind);
        let mut cause = object.get("cause").and_then(Value::as_object);
        for _ in 0..CAUSES {
            let Some(found) = cause else { break };
            let (kind, message) = head(found);
            trace.push(format!("caused by {kind}: {message}"));
            trace.extend(stack(found, &kind));
            cause = found.get("cause").and_then(Value::as_object);
        }
        let is_of_runtime = !kind.starts_with("Runtime.Exit");
        Self { kind, message, trace, is_of_runtime }
    }

    /// One line with type and message, and the traceback below it.
    pub(super) fn error(&self, function: &str, timeout: u32) -> Error {
        let Self { kind, message, trace, .. } = self;
        let mut lines = message.lines();
        let first = lines.next().unwrap_or_default();
        let words = [&**kind, first].into_iter().filter(|text| !text.is_empty());
        let words: Vec<&str> = words.collect();
        let text = format!("`{function}` failed: {}", words.join(": "));
        let mut error = Error::new(Kind::Remote, "invoke", text).maybe_hint(self.hint(timeout));
        let log: Vec<&str> = lines.chain(trace.iter().map(String::as_str)).collect();
        error.log = Some(log.join("\n")).filter(|log| !log.is_empty());
        error
    }

    fn hint(&self, timeout: u32) -> Option<String> {
        let Self { kind, message, .. } = self;
        if message.starts_with(TIMED_OUT) {
            return Some(format!(
                "its `Timeout` in the template is {timeout} s; raise it, or look in the log for what \
                 the function waits for"
            ));
        }
        if message.contains("signal: killed") {
            return Some("its process was killed, most often because memory ran out".to_owned());
        }
        if let Some(module) = between(message, "No module named '", "'") {
            return Some(format!(
                "if `{module}` is a package, add it to requirements.txt beside the code and build \
                 again; else check `Handler` and `CodeUri`"
            ));
        }
        let is_handler =
            kind == "Runtime.HandlerNotFound" || message.starts_with("Class not found: ");
        is_handler.then(|| "check `Handler` of the function in the template".to_owned())
    }
}

/// Type and message; the message without the request id that some runtimes put in front.
fn head(object: &Map<String, Value>) -> (String, String) {
    let text = |key: &str| match object.get(key) {
        Some(Value::String(text)) => text.trim_end().to_owned(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    };
    let message = text("errorMessage");
    let bare = message.strip_prefix("RequestId: ").and_then(|rest| rest.split_once(" Error: "));
    let message = bare.map_or(message.clone(), |(_, rest)| rest.to_owned());
    (text("errorType"), message)
}

/// The frames of a traceback, as Python, Java, Ruby (`stackTrace`) and Node (`trace`) give them.
fn stack(object: &Map<String, Value>, kind: &str) -> Vec<String> {
    let frames = object.get("stackTrace").or_else(|| object.get("trace"));
    let frames = frames.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let lines = frames.flat_map(str::lines).filter(|line| !line.trim().is_empty());
    // Node's first line is the message again.
    let lines = lines.skip_while(|line| !kind.is_empty() && line.starts_with(&format!("{kind}: ")));
    lines.map(str::to_owned).collect()
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    text.split_once(start)?.1.split_once(end).map(|(found, _)| found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hints;

    fn failure(status: u16, body: &str) -> Option<Failure> {
        let body = body.as_bytes().to_vec();
        Failure::of_response(&Response { status, function_error: false, body })
    }

    fn told(status: u16, body: &str) -> (String, Option<String>, Option<String>) {
        let error = failure(status, body).unwrap().error("F", 3);
        (error.message, error.log, error.hint.map(|hint| hints::of_error(&hint).into_owned()))
    }

    #[test]
    fn a_response_that_only_looks_like_a_failure() {
        for body in ["{}", "\"Task timed out after 3.00 seconds\"", "raw", "[1]", r#"{"error": 1}"#]
        {
            assert_eq!(failure(200, body), None, "{body}");
        }
        // The Gateway passes large bodies on, whatever they say.
        let large = format!(r#"{{"errorMessage": "{}"}}"#, "x".repeat(JUDGED));
        assert_eq!(failure(200, &large), None);
    }

    #[test]
    fn exceptions_have_type_message_and_traceback() {
        let body = r#"{"errorMessage": "'name'", "errorType": "KeyError", "requestId": "1",
            "stackTrace": ["  File \"/var/task/app.py\", line 2, in handler\n    return e['name']\n"]}"#;
        let (message, log, hint) = told(200, body);
        assert_eq!(message, "`F` failed: KeyError: 'name'");
        let trace = "  File \"/var/task/app.py\", line 2, in handler\n    return e['name']";
        assert_eq!((log.as_deref(), hint), (Some(trace), None));
        let large = body.replace("'name'\"", &format!("{}\"", "x".repeat(2 * JUDGED)));
        assert!(failure(200, &large).is_some());
        let java = r#"{"errorMessage": "no", "errorType": "java.lang.RuntimeException",
            "stackTrace": ["a.B.c(B.java:1)"], "cause": {"errorMessage": "deep\nmore",
            "errorType": "java.io.IOException", "stackTrace": ["a.D.e(D.java:2)"]}}"#;
        let (message, log, _) = told(200, java);
        assert_eq!(message, "`F` failed: java.lang.RuntimeException: no");
        let trace = "a.B.c(B.java:1)\ncaused by java.io.IOException: deep\nmore\na.D.e(D.java:2)";
        assert_eq!(log.as_deref(), Some(trace));
        let node =
            r#"{"errorMessage": "no", "errorType": "Error", "trace": ["Error: no", "    at x"]}"#;
        assert_eq!(told(200, node).1.as_deref(), Some("    at x"));
        assert_eq!(told(200, r#"{"errorMessage": "a\nb"}"#).0, "`F` failed: a");
    }

    #[test]
    fn timeouts_crashes_and_init_errors() {
        let (message, log, hint) = told(200, "Task timed out after 3.00 seconds");
        assert_eq!(message, "`F` failed: Timeout: Task timed out after 3.00 seconds");
        assert!(log.is_none() && hint.unwrap().contains("`Timeout` in the template"));
        let crash = r#"{"errorType": "Runtime.ExitError",
            "errorMessage": "RequestId: 1-2 Error: Runtime exited with error: signal: killed"}"#;
        let (message, _, hint) = told(502, crash);
        let expected = "`F` failed: Runtime.ExitError: Runtime exited with error: signal: killed";
        assert_eq!(message, expected);
        assert!(hint.unwrap().contains("memory"));
        let init = r#"{"errorMessage": "Unable to import module 'app': No module named 'absent'",
            "errorType": "Runtime.ImportModuleError", "requestId": "", "stackTrace": []}"#;
        assert!(told(200, init).2.unwrap().contains("`absent` is a package"));
        assert_eq!(told(500, "").0, "`F` failed: status 500");
        let ended = Failure::of_no_response(&NoResponse::Ended(137)).error("F", 3).message;
        assert!(ended.starts_with(
            "`F` failed: ContainerExit: the container ended with exit code 137 (kill"
        ));
    }
}
