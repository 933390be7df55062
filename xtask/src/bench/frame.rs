//! Runs the tools of a benchmark in turn, and takes the medians of their times.
//!
//! Owns the order of the runs and the figures. Knows nothing of what is measured. A figure means
//! something only as a ratio to another one of the same run.

use std::time::Instant;

use crate::{checks::Outcome, steps::say};

/// Work that is measured; what it needs is prepared before each run, untimed.
pub(crate) struct Contender<'a> {
    pub(crate) name: &'a str,
    prepare: Box<dyn FnMut() -> Outcome + 'a>,
    /// Gives the seconds of one run.
    run: Box<dyn FnMut() -> Outcome<f64> + 'a>,
}

impl<'a> Contender<'a> {
    /// Work that the frame times.
    pub(crate) fn new(
        name: &'a str,
        prepare: impl FnMut() -> Outcome + 'a,
        mut work: impl FnMut() -> Outcome + 'a,
    ) -> Self {
        let run = move || {
            let start = Instant::now();
            work()?;
            Ok(start.elapsed().as_secs_f64())
        };
        Self { name, prepare: Box::new(prepare), run: Box::new(run) }
    }

    /// Work that tells its own seconds, with what it needs prepared before.
    pub(crate) fn prepared(
        name: &'a str,
        prepare: impl FnMut() -> Outcome + 'a,
        run: impl FnMut() -> Outcome<f64> + 'a,
    ) -> Self {
        Self { name, prepare: Box::new(prepare), run: Box::new(run) }
    }

    /// Work that tells its own seconds.
    pub(crate) fn timed(name: &'a str, run: impl FnMut() -> Outcome<f64> + 'a) -> Self {
        Self { name, prepare: Box::new(|| Ok(())), run: Box::new(run) }
    }
}

/// The times of one contender.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Times {
    pub(crate) name: String,
    /// Sorted.
    pub(super) seconds: Vec<f64>,
}

impl Times {
    /// The times of all runs, in any order; there is at least one.
    pub(crate) fn of(name: impl Into<String>, mut seconds: Vec<f64>) -> Self {
        seconds.sort_by(f64::total_cmp);
        Self { name: name.into(), seconds }
    }

    pub(crate) fn median(&self) -> f64 {
        let (half, odd) = (self.seconds.len() / 2, self.seconds.len() % 2 == 1);
        if odd {
            self.seconds[half]
        } else {
            f64::midpoint(self.seconds[half - 1], self.seconds[half])
        }
    }

    pub(super) fn least(&self) -> f64 {
        self.seconds[0]
    }

    pub(super) fn most(&self) -> f64 {
        self.seconds[self.seconds.len() - 1]
    }
}

/// Runs every contender in turn, `rounds` times.
pub(crate) fn contest(rounds: usize, contenders: &mut [Contender<'_>]) -> Outcome<Vec<Times>> {
    let mut seconds = vec![Vec::new(); contenders.len()];
    for _ in 0..rounds.max(1) {
        for (contender, seconds) in contenders.iter_mut().zip(&mut seconds) {
            (contender.prepare)()?;
            let took = (contender.run)()?;
            say(&format!("{took:10.4} s  {}", contender.name));
            seconds.push(took);
        }
    }
    let times = contenders
        .iter()
        .zip(seconds)
        .map(|(contender, seconds)| Times::of(contender.name, seconds));
    Ok(times.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contenders_take_turns_and_preparation_is_not_measured() {
        let order = std::cell::RefCell::new(Vec::new());
        let note = |word: &'static str| {
            order.borrow_mut().push(word);
            Ok(())
        };
        let mut contenders = [
            Contender::new("a", || note("prepare a"), || note("a")),
            Contender::new("b", || Ok(()), || note("b")),
        ];
        let times = contest(2, &mut contenders).unwrap();
        drop(contenders);
        assert_eq!(order.into_inner(), ["prepare a", "a", "b", "prepare a", "a", "b"]);
        assert_eq!(times.len(), 2);
        assert_eq!(times[1].seconds.len(), 2);
    }

    #[test]
    fn a_median_is_the_middle() {
        for (seconds, median) in [(&[4.0][..], 4.0), (&[1.0, 3.0], 2.0), (&[1.0, 2.0, 9.0], 2.0)] {
            assert_eq!(Times::of("x", seconds.to_vec()).median().to_string(), median.to_string());
        }
    }
}
