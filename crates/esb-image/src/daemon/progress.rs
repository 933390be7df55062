//! Reads BuildKit's progress messages: steps, their output, and the step that failed.

use std::{collections::HashMap, fmt::Write as _};

use bollard_buildkit_proto::moby::buildkit::v1::{StatusResponse, Vertex};
use esb_model::{Activity, Event, Reporter};

use crate::dockerfile::rewrite::CONTEXT_DIR;

/// The most bytes that are kept of what a step wrote: the last ones.
const LOG: usize = 16 * 1024;
/// The most steps that are kept apart.
const STEPS: usize = 10_000;

/// Follows one build.
pub(crate) struct Progress<'a> {
    image: &'a str,
    reporter: &'a dyn Reporter,
    steps: HashMap<String, Step>,
    done: u64,
    failed: Option<String>,
}

#[derive(Default)]
struct Step {
    name: String,
    started: bool,
    done: bool,
    log: String,
    /// The start of a line whose end has not come yet.
    line: String,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(image: &'a str, reporter: &'a dyn Reporter) -> Self {
        Self { image, reporter, steps: HashMap::new(), done: 0, failed: None }
    }

    /// Takes the next piece of news.
    pub(crate) fn take(&mut self, status: StatusResponse) {
        for vertex in status.vertexes {
            self.vertex(&vertex);
        }
        for log in status.logs {
            let Some(step) = self.steps.get_mut(&log.vertex) else { continue };
            let text = String::from_utf8_lossy(&log.msg);
            step.log.push_str(&text);
            cut_front(&mut step.log, LOG);
            step.line.push_str(&text);
            while let Some(end) = step.line.find('\n') {
                let line: String = step.line.drain(..=end).collect();
                let line = line.trim_end_matches(['\n', '\r']);
                self.reporter.event(&Event::Output { subject: self.image, line });
            }
            cut_front(&mut step.line, LOG);
        }
    }

    fn vertex(&mut self, vertex: &Vertex) {
        if self.steps.len() >= STEPS && !self.steps.contains_key(&vertex.digest) {
            return;
        }
        let step = self.steps.entry(vertex.digest.clone()).or_default();
        // Whoever reads it knows the Dockerfile on disk, not ours.
        step.name = vertex.name.replace(&format!("{CONTEXT_DIR}/"), "");
        if vertex.started.is_some() && !step.started {
            step.started = true;
            let line =
                if vertex.cached { format!("CACHED {}", step.name) } else { step.name.clone() };
            self.reporter.event(&Event::Output { subject: self.image, line: &line });
        }
        if vertex.completed.is_some() && !step.done {
            step.done = true;
            self.done += 1;
            if let (false, Some(seconds)) = (vertex.cached, seconds(vertex)) {
                let line = format!("{seconds:.1} s for {}", step.name);
                self.reporter.event(&Event::Output { subject: self.image, line: &line });
            }
            let total = self.steps.len() as u64;
            self.reporter.event(&Event::Progress {
                subject: self.image,
                action: Activity::BuildSteps,
                done: self.done,
                total: Some(total),
            });
        }
        // Steps beside the one that failed are called off.
        let real = !vertex.error.is_empty() && !vertex.error.contains("context canceled");
        if real && self.failed.is_none() {
            self.failed = Some(vertex.digest.clone());
        }
    }

    /// The step that failed and the end of what it wrote, with the engine's own words.
    pub(crate) fn failure(&self, reason: &str) -> Option<(String, String)> {
        let step = self.steps.get(self.failed.as_ref()?)?;
        let mut log = step.log.clone();
        if !log.is_empty() && !log.ends_with('\n') {
            log.push('\n');
        }
        let _infallible = write!(log, "{}", reason.replace(&format!("{CONTEXT_DIR}/"), ""));
        Some((step.name.clone(), log))
    }
}

/// How long a step took, when that is worth telling.
fn seconds(vertex: &Vertex) -> Option<f64> {
    let (start, end) = (vertex.started.as_ref()?, vertex.completed.as_ref()?);
    let seconds = i32::try_from(end.seconds.checked_sub(start.seconds)?).ok()?;
    let took = f64::from(seconds) + f64::from(end.nanos - start.nanos) / 1e9;
    (took >= 0.05 && !vertex.name.starts_with("[internal]")).then_some(took)
}

/// Keeps the last `limit` bytes, from a character's start.
fn cut_front(text: &mut String, limit: usize) {
    let Some(over) = text.len().checked_sub(limit) else { return };
    let start = (over..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    text.drain(..start);
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use bollard_buildkit_proto::{google::protobuf::Timestamp, moby::buildkit::v1::VertexLog};

    use super::*;

    #[derive(Default)]
    struct Lines(Mutex<Vec<String>>);

    impl Reporter for Lines {
        fn event(&self, event: &Event<'_>) {
            if let Event::Output { line, .. } = event {
                self.0.lock().unwrap().push((*line).to_owned());
            }
        }
    }

    fn vertex(digest: &str, name: &str, error: &str) -> Vertex {
        Vertex {
            digest: digest.to_owned(),
            name: name.to_owned(),
            started: Some(<_>::default()),
            error: error.to_owned(),
            ..Vertex::default()
        }
    }

    fn log(vertex: &str, msg: &str) -> VertexLog {
        VertexLog { vertex: vertex.to_owned(), msg: msg.into(), ..VertexLog::default() }
    }

    #[test]
    fn the_failing_step_is_found_with_its_log() {
        let lines = Lines::default();
        let mut progress = Progress::new("i", &lines);
        progress.take(StatusResponse {
            vertexes: vec![
                vertex("a", "[1/2] COPY .build-context/. /", ""),
                vertex("b", "RUN x", ""),
            ],
            logs: vec![log("b", "one\ntw"), log("b", "o\nthree")],
            ..StatusResponse::default()
        });
        assert_eq!(progress.failure("?"), None);
        progress.take(StatusResponse {
            vertexes: vec![
                vertex("a", "…", "context canceled"),
                vertex("b", "RUN x", "exit code: 3"),
            ],
            ..StatusResponse::default()
        });
        let expected = ("RUN x".to_owned(), "one\ntwo\nthree\nexit code: 3".to_owned());
        assert_eq!(progress.failure("exit code: 3"), Some(expected));
        assert_eq!(*lines.0.lock().unwrap(), ["[1/2] COPY . /", "RUN x", "one", "two"]);
    }

    #[test]
    fn times_of_steps_are_told() {
        let at = |seconds, nanos| Some(Timestamp { seconds, nanos });
        let lines = Lines::default();
        let mut progress = Progress::new("i", &lines);
        let run = Vertex { started: at(1, 900_000_000), ..vertex("a", "RUN x", "") };
        let quick = Vertex { completed: at(1, 910_000_000), ..run.clone() };
        let slow = Vertex { completed: at(3, 0), digest: "b".to_owned(), ..run };
        progress.take(StatusResponse { vertexes: vec![quick, slow], ..<_>::default() });
        assert_eq!(*lines.0.lock().unwrap(), ["RUN x", "RUN x", "1.1 s for RUN x"]);
    }

    #[test]
    fn the_end_is_kept() {
        let mut text = "aäb".to_owned();
        cut_front(&mut text, 2);
        assert_eq!(text, "b");
    }
}
