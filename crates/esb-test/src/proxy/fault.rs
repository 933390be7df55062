//! Faults that a proxy injects: which requests, how, and how often.
//!
//! Owns rules and the choice among them. Refuses to touch a connection: that is the relay's part.

use super::record::lock;
use std::{fmt, sync::Mutex, time::Duration};

/// A request as a rule sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHead {
    pub method: String,
    /// Path and query.
    pub target: String,
    pub headers: Vec<(String, String)>,
}

/// What happens to a request that a rule applies to. All sizes are payload bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The proxy answers itself; upstream never hears of the request.
    Answer { status: u16, headers: Vec<(String, String)>, body: Vec<u8> },
    /// The proxy answers 201 with the digest of the request's body, as a registry that took a
    /// manifest, and keeps nothing.
    Swallow,
    /// Nothing happens for that time; then the request goes its way.
    Hang { time: Duration },
    /// The connection is reset when that much of the request's body was passed on.
    ResetRequest { after: u64 },
    /// The connection is reset when that much of the answer's body was passed on.
    ResetResponse { after: u64 },
    /// The connection is closed in good order when that much of the answer's body was passed on.
    Truncate { after: u64 },
    /// Nothing more is passed on for that time when that much of the answer's body was.
    Stall { after: u64, time: Duration },
    /// The answer's body comes in pieces of that size, with a pause before each.
    Slow { piece: u64, pause: Duration },
    /// The byte at that offset of the answer's body is changed.
    Corrupt { at: u64 },
    /// A header of the answer is replaced, or added.
    Header { name: String, value: String },
}

impl Fault {
    /// An empty answer with that status.
    pub fn status(status: u16) -> Self {
        Self::Answer { status, headers: Vec::new(), body: Vec::new() }
    }
}

type Matcher = Box<dyn Fn(&RequestHead) -> bool + Send + Sync>;

/// A fault and the requests that it is for.
pub struct Rule {
    fault: Fault,
    matches: Matcher,
    skip: usize,
    left: usize,
    chance: Option<Chance>,
}

/// Pseudo-random faults that are the same in every run.
#[derive(Debug)]
struct Chance {
    percent: u64,
    state: u64,
}

impl Chance {
    /// The next throw (a linear congruential generator with Knuth's numbers).
    fn falls(&mut self) -> bool {
        let state = self.state.wrapping_mul(6_364_136_223_846_793_005);
        self.state = state.wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) % 100 < self.percent
    }
}

impl Rule {
    /// Applies a fault to every request for which `matches` holds.
    pub fn new(
        matches: impl Fn(&RequestHead) -> bool + Send + Sync + 'static,
        fault: Fault,
    ) -> Self {
        Self { fault, matches: Box::new(matches), skip: 0, left: usize::MAX, chance: None }
    }

    /// Applies a fault to every request of that method whose path and query contain `part`.
    pub fn on(method: &str, part: &str, fault: Fault) -> Self {
        let (method, part) = (method.to_owned(), part.to_owned());
        Self::new(move |head| head.method == method && head.target.contains(&part), fault)
    }

    /// Leaves the first `count` matching requests alone.
    #[must_use]
    pub fn skip(mut self, count: usize) -> Self {
        self.skip = count;
        self
    }

    /// Applies the fault to that percentage of requests, at random; a seed always chooses the same.
    #[must_use]
    pub fn chance(mut self, percent: u64, seed: u64) -> Self {
        self.chance = Some(Chance { percent, state: seed });
        self
    }

    /// Applies the fault to at most `count` requests.
    #[must_use]
    pub fn times(mut self, count: usize) -> Self {
        self.left = count;
        self
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule")
            .field("fault", &self.fault)
            .field("skip", &self.skip)
            .field("left", &self.left)
            .field("chance", &self.chance)
            .finish_non_exhaustive()
    }
}

/// The rules in force.
#[derive(Debug, Default)]
pub(super) struct Rules(Mutex<Vec<Rule>>);

impl Rules {
    pub(super) fn add(&self, rule: Rule) {
        lock(&self.0).push(rule);
    }

    pub(super) fn clear(&self) {
        lock(&self.0).clear();
    }

    /// The fault of the first rule that applies, which is counted.
    pub(super) fn pick(&self, head: &RequestHead) -> Option<Fault> {
        for rule in lock(&self.0).iter_mut().filter(|rule| (rule.matches)(head)) {
            if rule.skip > 0 {
                rule.skip -= 1;
            } else if rule.left > 0 && rule.chance.as_mut().is_none_or(Chance::falls) {
                rule.left -= 1;
                return Some(rule.fault.clone());
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_skip_count_and_take_turns() {
        let rules = Rules::default();
        rules.add(Rule::on("GET", "/blobs/", Fault::status(500)).skip(1).times(2));
        rules.add(Rule::on("GET", "/blobs/b", Fault::status(404)));
        let ask = |method: &str, target: &str| {
            let head = RequestHead {
                method: method.to_owned(),
                target: target.to_owned(),
                headers: Vec::new(),
            };
            match rules.pick(&head) {
                Some(Fault::Answer { status, .. }) => status,
                _ => 0,
            }
        };
        let got: Vec<u16> = [
            ("PUT", "/v2/x/blobs/a"),
            ("GET", "/v2/x/blobs/a"), // skipped by the first rule
            ("GET", "/v2/x/blobs/b"),
            ("GET", "/v2/x/blobs/a"),
            ("GET", "/v2/x/blobs/a"), // the first rule is used up
            ("GET", "/v2/x/blobs/b"),
        ]
        .into_iter()
        .map(|(method, target)| ask(method, target))
        .collect();
        assert_eq!(got, [0, 0, 500, 500, 0, 404]);
        rules.clear();
        assert_eq!(ask("GET", "/v2/x/blobs/b"), 0);
    }

    #[test]
    fn chance_harms_about_as_many_as_it_should_and_always_the_same() {
        let harmed = |seed: u64| {
            let rules = Rules::default();
            rules.add(Rule::on("GET", "/", Fault::status(500)).chance(20, seed));
            let head = RequestHead {
                method: "GET".to_owned(),
                target: "/".to_owned(),
                headers: Vec::new(),
            };
            (0..1000).map(|_| rules.pick(&head).is_some()).collect::<Vec<_>>()
        };
        let count = harmed(7).iter().filter(|harmed| **harmed).count();
        assert!((150..250).contains(&count), "{count}");
        assert_eq!(harmed(7), harmed(7));
        assert_ne!(harmed(7), harmed(8));
    }
}
