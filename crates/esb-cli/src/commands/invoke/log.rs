//! Parts a container's log into what the function wrote and what the emulator and the runtime say
//! of themselves.

use std::time::Duration;

use esb_image::Container;
use tokio::time::{Instant, sleep};

use super::failure::Failure;

/// How long the end of a log may take to come after the response.
const LATE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(20);

/// The words that start the emulator's lines about a request; an id of this length follows.
const OF_REQUEST: [&str; 3] = ["START RequestId: ", "END RequestId: ", "REPORT RequestId: "];
const ID: usize = 36;

/// What Java says when the hooks are there.
const OF_JAVA: &str = "Picked up JAVA_TOOL_OPTIONS: ";

/// What the runtime says beside a failure that nobody caught.
const OF_RUNTIME: [&str; 2] = ["[WARNING]", "LAMBDA_WARNING: Unhandled exception."];

/// What a container wrote until the response came: the engine hears of it a moment later.
pub(super) async fn of_container(container: &dyn Container) -> String {
    let start = Instant::now();
    loop {
        let log = container.logs().await.unwrap_or_default();
        let last = log.lines().next_back().unwrap_or_default();
        let is_whole = last.contains(OF_REQUEST[2]);
        if is_whole || start.elapsed() > LATE {
            return log;
        }
        sleep(PAUSE).await;
    }
}

/// The function's own lines; all lines when `is_verbose`. What the runtime logs of a failure that
/// is told anyway is left out.
pub(super) fn lines<'l>(log: &'l str, failure: Option<&Failure>, is_verbose: bool) -> Vec<&'l str> {
    // Python's runtime parts the lines of a traceback by carriage returns.
    if is_verbose {
        return log.lines().flat_map(|line| line.split('\r')).collect();
    }
    let told = failure.map(|failure| format!("[ERROR] {}: ", failure.kind));
    let is_told = |line: &&str| {
        let is_error = told.as_ref().is_some_and(|told| line.starts_with(told));
        is_error || OF_RUNTIME.iter().all(|words| line.contains(words))
    };
    log.lines()
        .filter(|line| !is_told(line))
        .flat_map(|line| line.split('\r'))
        .filter_map(own)
        .collect()
}

/// Moves the traceback that Java's runtime logs to the failure: it has causes, which the response
/// lacks. Its first line has message and type, the next one begins the traceback, and an empty line
/// ends it.
pub(super) fn take_java_trace(lines: &mut Vec<&str>, failure: &mut Failure) {
    let head = format!("{}: {}", failure.message, failure.kind);
    let Some(start) = lines.iter().rposition(|line| *line == head) else { return };
    let Some(length) = lines[start..].iter().position(|line| line.is_empty()) else { return };
    let block: Vec<&str> = lines.drain(start..=start + length).collect();
    failure.trace = block
        .iter()
        .skip(2)
        .map(|line| (*line).to_owned())
        .filter(|line| !line.is_empty())
        .collect();
}

/// What is the function's own of a line.
fn own(line: &str) -> Option<&str> {
    if is_of_emulator(line) || line.starts_with(OF_JAVA) {
        return None;
    }
    // A function that ends a line with nothing has the emulator's words behind its own.
    let start =
        OF_REQUEST.iter().filter_map(|words| line.rfind(words)).find(|at| is_request(&line[*at..]));
    match start {
        Some(0) => None,
        Some(at) => Some(&line[..at]),
        None => Some(line),
    }
}

fn is_request(text: &str) -> bool {
    let Some(rest) = OF_REQUEST.iter().find_map(|words| text.strip_prefix(words)) else {
        return false;
    };
    let is_id = |id: &str| id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    rest.get(..ID).is_some_and(is_id)
        && rest.get(ID..).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
}

/// Whether a line is one of the emulator's log: `30 Nov 2026 02:00:00,123 [INFO] (rapid) …`.
fn is_of_emulator(line: &str) -> bool {
    let mut words = line.split(' ');
    let number = |word: Option<&str>| word.is_some_and(|word| word.parse::<u16>().is_ok());
    let is_date = number(words.next())
        && words.next().is_some_and(|month| month.len() == 3)
        && number(words.next())
        && words.next().is_some_and(|time| time.len() == 12 && time.as_bytes()[8] == b',');
    is_date && words.next().is_some_and(|level| level.starts_with('[') && level.ends_with(']'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_traceback_of_java_has_causes() {
        let log = "Picked up JAVA_TOOL_OPTIONS: -javaagent:a.jar\nhello\nno: a.B\na.B: no\n\tat \
                   x(Y.java:1)\nCaused by: c.D: deep\n\t... 4 more\n\nafter\n";
        let mut failure = Failure {
            kind: "a.B".to_owned(),
            message: "no".to_owned(),
            trace: vec!["x(Y.java:1)".to_owned()],
            is_of_runtime: true,
        };
        let mut left = lines(log, Some(&failure), false);
        take_java_trace(&mut left, &mut failure);
        assert_eq!(left, ["hello", "after"]);
        assert_eq!(failure.trace, ["\tat x(Y.java:1)", "Caused by: c.D: deep", "\t... 4 more"]);
        take_java_trace(&mut left, &mut failure);
        assert_eq!((left.len(), failure.trace.len()), (2, 3));
    }

    #[test]
    fn the_emulators_lines_are_for_who_asks() {
        let log = "30 Nov 2026 02:00:00,123 [INFO] (rapid) exec '/var/runtime/bootstrap'\n\
                   START RequestId: 6f1f0e5c-3b1f-4a57-9a2b-0c6d7a1d8f10 Version: $LATEST\n\
                   hello\n30 Nov 2026: opened\nSTART RequestId: mine\n\
                   no line feedEND RequestId: 6f1f0e5c-3b1f-4a57-9a2b-0c6d7a1d8f10\n\
                   REPORT RequestId: 6f1f0e5c-3b1f-4a57-9a2b-0c6d7a1d8f10\tInit Duration: 1 ms\n";
        let own = ["hello", "30 Nov 2026: opened", "START RequestId: mine", "no line feed"];
        assert_eq!(lines(log, None, false), own);
        assert_eq!(lines(log, None, true).len(), 7);
        let log = "one\rtwo\n[ERROR] KeyError: 'a'\rTraceback (most recent call last):\n\
                   [WARNING]\t2026\t\tLAMBDA_WARNING: Unhandled exception. The\nthree\n";
        let failure = Failure {
            kind: "KeyError".to_owned(),
            message: "'a'".to_owned(),
            trace: Vec::new(),
            is_of_runtime: true,
        };
        assert_eq!(lines(log, Some(&failure), false), ["one", "two", "three"]);
        assert_eq!(lines(log, Some(&failure), true).len(), 6);
    }
}
