//! The frame of all benchmarks: contenders in turn, in one run, and the medians of their times.
//!
//! Owns the order of the runs and the figures. Knows nothing of what is measured. A figure means
//! something only as a ratio to another one of the same run.

use std::{fmt::Write as _, time::Instant};

use serde_json::{Value, json};

use crate::checks::Outcome;

/// Work that is measured; what it needs is prepared before each run, untimed.
pub(crate) struct Contender<'a> {
    pub(crate) name: &'a str,
    pub(crate) prepare: Box<dyn FnMut() -> Outcome + 'a>,
    pub(crate) work: Box<dyn FnMut() -> Outcome + 'a>,
}

impl<'a> Contender<'a> {
    pub(crate) fn new(
        name: &'a str,
        prepare: impl FnMut() -> Outcome + 'a,
        work: impl FnMut() -> Outcome + 'a,
    ) -> Self {
        Self { name, prepare: Box::new(prepare), work: Box::new(work) }
    }
}

/// The times of one contender.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Times {
    pub(crate) name: String,
    /// Sorted.
    seconds: Vec<f64>,
}

impl Times {
    pub(crate) fn median(&self) -> f64 {
        let (half, odd) = (self.seconds.len() / 2, self.seconds.len() % 2 == 1);
        if odd {
            self.seconds[half]
        } else {
            f64::midpoint(self.seconds[half - 1], self.seconds[half])
        }
    }

    fn least(&self) -> f64 {
        self.seconds[0]
    }

    fn most(&self) -> f64 {
        self.seconds[self.seconds.len() - 1]
    }
}

/// Runs every contender in turn, `rounds` times.
pub(crate) fn contest(rounds: usize, contenders: &mut [Contender<'_>]) -> Outcome<Vec<Times>> {
    let mut seconds = vec![Vec::new(); contenders.len()];
    for _ in 0..rounds.max(1) {
        for (contender, seconds) in contenders.iter_mut().zip(&mut seconds) {
            (contender.prepare)()?;
            let start = Instant::now();
            (contender.work)()?;
            seconds.push(start.elapsed().as_secs_f64());
        }
    }
    let times = contenders.iter().zip(seconds).map(|(contender, mut seconds)| {
        seconds.sort_by(f64::total_cmp);
        Times { name: contender.name.to_owned(), seconds }
    });
    Ok(times.collect())
}

/// The figures for programs.
pub(crate) fn document(bench: &str, rounds: usize, times: &[Times]) -> Value {
    let contenders: Vec<Value> = times
        .iter()
        .map(|times| {
            json!({
                "name": times.name,
                "median": times.median(),
                "min": times.least(),
                "max": times.most(),
                "seconds": times.seconds,
            })
        })
        .collect();
    json!({"bench": bench, "rounds": rounds, "contenders": contenders})
}

/// The figures for people: a table, and a chart that renders where Markdown does.
pub(crate) fn markdown(bench: &str, rounds: usize, times: &[Times]) -> String {
    let first = times.first().map_or(1.0, Times::median);
    let mut text = format!(
        "## {bench}\n\nMedians of {rounds}, all contenders in turn in one run.\n\n\
         | contender | median s | min | max | of the first |\n|---|---:|---:|---:|---:|\n"
    );
    for times in times {
        let _ = writeln!(
            text,
            "| {} | {:.3} | {:.3} | {:.3} | {:.2} |",
            times.name,
            times.median(),
            times.least(),
            times.most(),
            times.median() / first
        );
    }
    let names: Vec<String> = times.iter().map(|times| format!("\"{}\"", times.name)).collect();
    let medians: Vec<String> = times.iter().map(|times| format!("{:.3}", times.median())).collect();
    let _ = writeln!(
        text,
        "\n```mermaid\nxychart-beta horizontal\n  title \"{bench}, seconds\"\n  x-axis [{}]\n  \
         y-axis \"seconds\"\n  bar [{}]\n```",
        names.join(", "),
        medians.join(", ")
    );
    text
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
    fn medians_and_ratios() {
        let times = |name: &str, seconds: &[f64]| Times {
            name: name.to_owned(),
            seconds: seconds.to_vec(),
        };
        let table = markdown("b", 3, &[times("one", &[1.0, 2.0, 9.0]), times("two", &[1.0, 3.0])]);
        assert!(table.contains("| one | 2.000 | 1.000 | 9.000 | 1.00 |"), "{table}");
        assert!(table.contains("| two | 2.000 | 1.000 | 3.000 | 1.00 |"), "{table}");
        assert!(table.contains("bar [2.000, 2.000]"), "{table}");
    }
}
