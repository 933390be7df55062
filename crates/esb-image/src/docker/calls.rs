//! Reads from a worker's log which calls are in progress, as the Lambda Runtime Interface Emulator
//! writes it.
//!
//! Each call writes `START RequestId: …` and `END RequestId: …`; one that crashed writes no `END`.
//! Reads the log's last lines only, and holds nothing of them.

use std::time::{Duration, Instant, SystemTime};

use bollard::{
    container::LogOutput, errors::Error as DockerApiError, query_parameters::LogsOptionsBuilder,
};
use futures_util::StreamExt as _;
use tokio::time::{Instant as Until, timeout_at};

use super::{
    DockerEngine,
    container_info::moment,
    engine::{api_error, checked},
};
use crate::Error;

/// The lines that are looked at first.
const TAIL: u32 = 500;
/// When none comes for so long, all that were there have come.
const DRAIN: Duration = Duration::from_millis(30);
/// The time in which the answer of a call leaves after its `END`.
const GRACE: Duration = Duration::from_millis(25);
/// When an `END` was heard of later than that beyond it, the next call may be about to begin, and
/// the next `END` is better: so often.
const LATE: Duration = Duration::from_millis(20);
const LATE_ENDS: u32 = 20;
/// A worker whose last call ended within that time gets calls: the best moment is the next `END`.
const ACTIVE: Duration = Duration::from_secs(2);
/// The time beyond a function's timeout after which a call counts as ended.
const OVERTIME: Duration = Duration::from_secs(2);
/// The longest time and the most bytes that reading more lines may take.
const OLDER: Duration = Duration::from_secs(10);
const OLDER_BYTES: usize = 256 * 1024 * 1024;
/// Calls without an end that are remembered.
const OPEN: usize = 8;

/// The result of waiting until a worker has no call in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerState {
    /// No call is under way, and as far as can be known none is about to begin.
    Idle,
    /// A call is under way, or one follows the other.
    Busy,
    /// The container does not run any more.
    Gone,
}

impl DockerEngine {
    /// Waits until no call is under way in a worker, at most as long as `patience`: a worker that
    /// was not called of late is idle at once, one that is called again and again just after a
    /// call's end. A call without an end counts as long as the function may run.
    ///
    /// # Errors
    /// When the engine cannot read the container's log.
    pub async fn quiet_moment(
        &self,
        worker: &str,
        timeout: Duration,
        patience: Duration,
    ) -> Result<WorkerState, Error> {
        checked("read the log of container", worker)?;
        let failed = || api_error("read the log of container", worker);
        let clock = self.clock().await?;
        let options = LogsOptionsBuilder::new().stdout(true).stderr(true).timestamps(true);
        let options = options.follow(true).tail(&TAIL.to_string()).build();
        let mut lines = self.docker().logs(worker, Some(options));
        let (start, mut log) = (Instant::now(), Log::default());
        let (mut latest, mut drained, mut ended, mut late) = (start, false, None, 0);
        loop {
            let now = clock.now();
            let next = match ended {
                _ if !drained => DRAIN.saturating_sub(latest.elapsed()),
                _ if log.is_open(now, timeout) => log.open_for(now, timeout),
                Some(end) => GRACE.saturating_sub(Instant::elapsed(&end)),
                None => log.quiet_in(now),
            };
            let left = patience.saturating_sub(start.elapsed());
            match timeout_at(Until::now() + next.min(left), lines.next()).await {
                Ok(Some(Ok(line))) => {
                    latest = Instant::now();
                    match log.read(&LogOutput::into_bytes(line)) {
                        Some(Mark::End) if drained => ended = Some(latest),
                        Some(_) => ended = None,
                        None => {}
                    }
                }
                Ok(
                    None
                    | Some(Err(DockerApiError::DockerResponseServerError {
                        status_code: 404 | 409,
                        ..
                    })),
                ) => return Ok(WorkerState::Gone),
                Ok(Some(Err(error))) => return Err(failed()(error)),
                Err(_) if !drained && !left.is_zero() => {
                    drained = true;
                    if log.lines >= TAIL
                        && !log.has_marks
                        && !self.read_older(worker, clock.now(), timeout, &mut log).await?
                    {
                        return Ok(WorkerState::Busy);
                    }
                }
                Err(_) => {
                    let now = clock.now();
                    if ended.is_some() && late < LATE_ENDS && log.age(now) > GRACE + LATE {
                        (ended, late) = (None, late + 1);
                        continue;
                    }
                    let quiet = match ended {
                        Some(end) => Instant::elapsed(&end) >= GRACE,
                        None => log.quiet_in(now).is_zero(),
                    };
                    if drained && quiet && !log.is_open(now, timeout) {
                        return Ok(WorkerState::Idle);
                    }
                    if start.elapsed() >= patience {
                        return Ok(WorkerState::Busy);
                    }
                }
            }
        }
    }

    /// Whether the last call of a worker that was ended has no end, and began after `since`.
    ///
    /// # Errors
    /// When the engine cannot read the container's log.
    pub async fn was_cut(&self, worker: &str, since: SystemTime) -> Result<bool, Error> {
        let options = LogsOptionsBuilder::new().stdout(true).stderr(true).timestamps(true);
        let options = options.tail(&TAIL.to_string()).build();
        let mut lines = self.docker().logs(worker, Some(options));
        let mut log = Log::default();
        while let Some(line) = lines.next().await {
            match line {
                Ok(line) => log.read(&LogOutput::into_bytes(line)),
                // It was made to be removed at its end.
                Err(DockerApiError::DockerResponseServerError {
                    status_code: 404 | 409, ..
                }) => break,
                Err(error) => return Err(api_error("read the log of container", worker)(error)),
            };
        }
        Ok(log.open.iter().any(|call| call.begun > since))
    }

    /// The engine's clock, which times in logs are of.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn now(&self) -> Result<SystemTime, Error> {
        Ok(self.clock().await?.now())
    }

    /// Reads all lines since a call that still runs could have begun; false when there are too
    /// many of them.
    async fn read_older(
        &self,
        worker: &str,
        now: SystemTime,
        timeout: Duration,
        log: &mut Log,
    ) -> Result<bool, Error> {
        let since = now.checked_sub(timeout + OVERTIME).unwrap_or(SystemTime::UNIX_EPOCH);
        let since = since.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let options = LogsOptionsBuilder::new().stdout(true).stderr(true).timestamps(true);
        let options = options.since(i32::try_from(since).unwrap_or(i32::MAX)).build();
        let mut lines = self.docker().logs(worker, Some(options));
        let (until, mut bytes) = (Until::now() + OLDER, 0);
        loop {
            match timeout_at(until, lines.next()).await {
                Ok(Some(line)) => {
                    let line = line.map_err(api_error("read the log of container", worker))?;
                    let line = LogOutput::into_bytes(line);
                    bytes += line.len();
                    log.read(&line);
                }
                Ok(None) => return Ok(true),
                Err(_) => return Ok(false),
            }
            if bytes > OLDER_BYTES {
                return Ok(false);
            }
        }
    }

    async fn clock(&self) -> Result<Clock, Error> {
        let info =
            self.docker().info().await.map_err(api_error("tell the time of", "the engine"))?;
        let (here, at) = (SystemTime::now(), Instant::now());
        let told = info.system_time.as_deref().and_then(moment).unwrap_or(here);
        let apart = here.duration_since(told).unwrap_or_else(|error| error.duration());
        // One machine has one clock, unless its engine runs in a virtual one.
        let is_same = self.address().is_local() && apart < OVERTIME;
        Ok(Clock { told: if is_same { here } else { told }, at })
    }
}

/// The engine's clock.
#[derive(Debug, Clone, Copy)]
struct Clock {
    told: SystemTime,
    at: Instant,
}

impl Clock {
    fn now(&self) -> SystemTime {
        self.told + self.at.elapsed()
    }
}

/// The mark in a log line: the start or the end of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Start,
    End,
}

/// The state of calls after the lines that have been read.
#[derive(Debug, Default)]
struct Log {
    lines: u32,
    has_marks: bool,
    /// Calls without an end.
    open: Vec<Call>,
    ended: Option<SystemTime>,
}

#[derive(Debug)]
struct Call {
    id: Vec<u8>,
    begun: SystemTime,
}

impl Log {
    /// Takes a line with the time in front.
    fn read(&mut self, line: &[u8]) -> Option<Mark> {
        self.lines = self.lines.saturating_add(1);
        let blank = line.iter().position(|byte| *byte == b' ')?;
        let time = moment(std::str::from_utf8(&line[..blank]).ok()?)?;
        let text = &line[blank..];
        if let Some(id) = after(text, b"START RequestId: ") {
            self.has_marks = true;
            if self.open.len() == OPEN {
                self.open.remove(0);
            }
            self.open.push(Call { id: id.to_vec(), begun: time });
            return Some(Mark::Start);
        }
        let id = after(text, b"END RequestId: ")?;
        self.has_marks = true;
        self.ended = Some(time);
        // One call after the other: the end of one that began is the end of all before it.
        if self.open.iter().any(|call| call.id == id) {
            self.open.clear();
        }
        Some(Mark::End)
    }

    /// Whether a call is under way that may still run.
    fn is_open(&self, now: SystemTime, timeout: Duration) -> bool {
        !self.open_for(now, timeout).is_zero()
    }

    /// How long a call without an end counts as running.
    fn open_for(&self, now: SystemTime, timeout: Duration) -> Duration {
        let left = |call: &Call| {
            let age = now.duration_since(call.begun).unwrap_or_default();
            (timeout + OVERTIME).saturating_sub(age)
        };
        self.open.iter().map(left).max().unwrap_or_default()
    }

    /// How long it takes until the last end is old enough.
    fn quiet_in(&self, now: SystemTime) -> Duration {
        self.ended.map_or(Duration::ZERO, |_| ACTIVE.saturating_sub(self.age(now)))
    }

    /// How long ago the last call ended.
    fn age(&self, now: SystemTime) -> Duration {
        self.ended.and_then(|ended| now.duration_since(ended).ok()).unwrap_or_default()
    }
}

/// The request id of a mark, which may follow a line that a function did not end.
fn after<'a>(text: &'a [u8], words: &[u8]) -> Option<&'a [u8]> {
    let found = (0..text.len()).find(|at| {
        text[*at..].starts_with(words) && (*at == 0 || !text[at - 1].is_ascii_alphanumeric())
    })?;
    let id = &text[found + words.len()..];
    id.split(u8::is_ascii_whitespace).next().filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(3);

    fn log(lines: &[&str]) -> Log {
        let mut log = Log::default();
        for (second, line) in lines.iter().enumerate() {
            log.read(format!("2026-01-01T00:00:{second:02}.5Z {line}\n").as_bytes());
        }
        log
    }

    #[track_caller]
    fn check(lines: &[&str], second: u32, open: bool) {
        let now = moment(&format!("2026-01-01T00:00:{second:02}Z")).unwrap();
        assert_eq!(log(lines).is_open(now, TIMEOUT), open, "{lines:?} at {second}");
    }

    #[test]
    fn a_call_without_an_end_is_under_way() {
        check(&[], 1, false);
        check(&["INIT", "START RequestId: a Version: $LATEST"], 2, true);
        check(&["START RequestId: a Version: $LATEST", "text", "END RequestId: a"], 3, false);
        check(&["START RequestId: a", "END RequestId: a", "START RequestId: b"], 3, true);
    }

    #[test]
    fn a_call_that_crashed_ends_with_its_time() {
        check(&["START RequestId: a Version: $LATEST", "Traceback"], 5, true);
        check(&["START RequestId: a Version: $LATEST", "Traceback"], 6, false);
        check(&["START RequestId: a", "START RequestId: b", "END RequestId: b"], 3, false);
    }

    #[test]
    fn what_a_function_prints_is_no_mark_unless_it_looks_like_one() {
        check(&["START RequestId: a", "END RequestId: other"], 2, true);
        check(&["START RequestId: a", "no line break:END RequestId: a"], 2, false);
        check(&["RESTART RequestId: a", "REPORT RequestId: b"], 2, false);
        check(&["START RequestId: a", "START RequestId: said", "END RequestId: a"], 3, false);
        check(&["START RequestId: "], 1, false);
    }

    #[test]
    fn the_last_end_tells_whether_a_worker_is_called() {
        let log = log(&["START RequestId: a", "END RequestId: a"]);
        let at = |second: u32| moment(&format!("2026-01-01T00:00:{second:02}.5Z")).unwrap();
        assert_eq!(log.quiet_in(at(1)), ACTIVE);
        assert_eq!(log.quiet_in(at(2)), Duration::from_secs(1));
        assert_eq!(log.quiet_in(at(9)), Duration::ZERO);
        assert_eq!(Log::default().quiet_in(at(1)), Duration::ZERO);
    }
}
