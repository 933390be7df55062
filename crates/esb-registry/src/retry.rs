//! The retry policy: which requests are repeated, how often, and after which delay.
//!
//! Owns the numbers and the decisions. Knows nothing of what is requested.

use std::{future::Future, time::Duration};

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
            attempts: 6,
            connects: 3,
            base: Duration::from_millis(200),
            cap: Duration::from_secs(10),
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

/// Reads `Retry-After` in seconds. Dates are not read: they would need a clock that agrees with
/// the registry's.
pub(crate) fn retry_after(header: Option<&str>) -> Option<Duration> {
    header?.trim().parse().ok().map(Duration::from_secs)
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

    #[test]
    fn retry_after_in_seconds() {
        for (text, seconds) in
            [(Some(" 7 "), Some(7)), (Some("Wed, 21 Oct"), None), (Some("-1"), None), (None, None)]
        {
            assert_eq!(retry_after(text), seconds.map(Duration::from_secs), "{text:?}");
        }
    }
}
