//! The retry policy: which requests are repeated, how often, and after which delay.
//!
//! Owns the numbers and the decisions. Knows nothing of what is requested.

use std::{
    future::Future,
    time::{Duration, SystemTime},
};

use crate::Error;

/// How often, and after which delays, a request is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The number of attempts, the first included.
    pub attempts: u32,
    /// The number of attempts while connections are refused.
    pub connects: u32,
    /// The longest wait before the first repetition; it doubles from one to the next.
    pub base: Duration,
    /// The longest delay that is chosen here.
    pub cap: Duration,
    /// The longest wait that a registry may ask for; where it asks for more, the request fails.
    pub patience: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 10,
            connects: 3,
            base: Duration::from_millis(200),
            cap: Duration::from_secs(3),
            patience: Duration::from_mins(1),
        }
    }
}

/// A failed attempt, and whether another may go better.
#[derive(Debug)]
pub(crate) struct AttemptError {
    pub(crate) error: Error,
    pub(crate) retry: Retry,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retry {
    Never,
    /// Nobody accepted the connection.
    Connect,
    /// The registry is busy or the connection broke; it may have said how long to wait.
    Later(Option<Duration>),
}

impl From<Error> for AttemptError {
    /// A failure that will not go away by itself.
    fn from(error: Error) -> Self {
        Self { error, retry: Retry::Never }
    }
}

impl RetryPolicy {
    /// The wait after a failed attempt (counted from 1), or `None` to give up.
    ///
    /// `random` is in 0..1: the whole wait is random ("full jitter"), so that many clients that
    /// failed together do not come back together.
    pub(crate) fn wait(&self, attempt: u32, retry: Retry, random: f64) -> Option<Duration> {
        let (limit, asked) = match retry {
            Retry::Never => return None,
            Retry::Connect => (self.connects, None),
            Retry::Later(asked) => (self.attempts, asked),
        };
        if attempt >= limit {
            return None;
        }
        let double = self.base.saturating_mul(1 << attempt.saturating_sub(1).min(16));
        let own = double.min(self.cap).mul_f64(random);
        match asked {
            Some(asked) if asked > self.patience => None,
            // Never earlier than asked, and not all at once.
            Some(asked) => Some(asked + own.min(self.base)),
            None => Some(own),
        }
    }

    /// The same for a registry that was only guessed: a refused connection is its answer.
    pub(crate) fn of_guess(self) -> Self {
        Self { connects: 1, ..self }
    }

    /// Runs `attempt` until it succeeds or this policy gives up.
    pub(crate) async fn run<T, F>(&self, mut attempt: impl FnMut() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, AttemptError>>,
    {
        let mut count = 1;
        loop {
            let AttemptError { error, retry } = match attempt().await {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            match self.wait(count, retry, fastrand::f64()) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Err(error),
            }
            count += 1;
        }
    }
}

/// Whether a status says that the same request may succeed later.
pub(crate) fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

/// Reads `Retry-After`: seconds, or a date, which is compared with that of the answer itself, for
/// the registry's clock need not be ours. A date that is over says nothing.
pub(crate) fn retry_after(header: Option<&str>, date: Option<&str>) -> Option<Duration> {
    let text = header?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    let now = date.and_then(|date| httpdate::parse_http_date(date.trim()).ok());
    let wait = until.duration_since(now.unwrap_or_else(SystemTime::now)).ok()?;
    (!wait.is_zero()).then_some(wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_are_random_and_obey() {
        let policy = RetryPolicy {
            attempts: 4,
            connects: 2,
            base: Duration::from_millis(100),
            cap: Duration::from_millis(250),
            patience: Duration::from_mins(1),
        };
        let check = |attempt, retry, random, millis: Option<u64>| {
            let expected = millis.map(Duration::from_millis);
            assert_eq!(policy.wait(attempt, retry, random), expected, "{attempt} {retry:?}");
        };
        let later = Retry::Later(None);
        check(1, Retry::Never, 0.5, None);
        check(1, later, 1.0, Some(100));
        check(1, later, 0.0, Some(0));
        check(2, later, 1.0, Some(200));
        check(3, later, 1.0, Some(250));
        check(4, later, 1.0, None);
        check(1, Retry::Connect, 0.5, Some(50));
        check(2, Retry::Connect, 0.5, None);
        check(1, Retry::Later(Some(Duration::from_secs(2))), 0.5, Some(2050));
        check(1, Retry::Later(Some(Duration::from_secs(61))), 0.5, None);
    }

    /// skopeo reads seconds and dates, up to a minute; crane and docker wait as they like.
    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let check = |text: Option<&str>, date: Option<&str>, seconds: Option<u64>| {
            let expected = seconds.map(Duration::from_secs);
            assert_eq!(retry_after(text, date), expected, "{text:?} {date:?}");
        };
        check(Some(" 7 "), None, Some(7));
        check(Some("0"), None, Some(0));
        check(Some("-1"), None, None);
        check(Some("1.5"), None, None);
        check(Some("soon"), None, None);
        check(Some("Wed, 21 Oct"), None, None);
        check(None, None, None);
        let now = Some("Wed, 21 Oct 2015 07:28:00 GMT");
        check(Some("Wed, 21 Oct 2015 07:28:30 GMT"), now, Some(30));
        // The two obsolete forms of HTTP dates.
        check(Some("Wednesday, 21-Oct-15 07:28:30 GMT"), now, Some(30));
        check(Some("Wed Oct 21 07:28:30 2015"), now, Some(30));
        check(Some("Wed, 21 Oct 2015 07:28:00 GMT"), now, None);
        check(Some("Wed, 21 Oct 2015 07:27:00 GMT"), now, None);
        check(Some("Wed, 21 Oct 2015 07:28:30 GMT"), None, None);
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_hours(1));
        let wait = retry_after(Some(&soon), None).unwrap();
        assert!((3500..=3600).contains(&wait.as_secs()), "{wait:?}");
    }
}
