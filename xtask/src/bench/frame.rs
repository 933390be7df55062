//! The frame of all benchmarks: contenders in turn, in one run, and the medians of their times.
//!
//! Owns the order of the runs and the figures. Knows nothing of what is measured. A figure means
//! something only as a ratio to another one of the same run.

use std::{
    fmt::{self, Write as _},
    time::Instant,
};

use serde_json::{Value, json};

use crate::checks::Outcome;

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

    /// Work that tells its own seconds.
    pub(crate) fn timed(name: &'a str, run: impl FnMut() -> Outcome<f64> + 'a) -> Self {
        Self { name, prepare: Box::new(|| Ok(())), run: Box::new(run) }
    }
}

/// What a benchmark comes to.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) times: Vec<Times>,
    pub(crate) ratios: Vec<Ratio>,
}

/// A figure that means something: what two times, or more, have to do with each other.
#[derive(Debug, Clone)]
pub(crate) struct Ratio {
    pub(crate) name: &'static str,
    pub(crate) value: f64,
    pub(crate) goal: Goal,
}

/// What a ratio should be. A machine under load may miss it: a benchmark tells, and never fails.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

impl Goal {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(limit) => value >= limit,
            Self::AtMost(limit) => value <= limit,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(limit) => write!(f, "at least {limit}"),
            Self::AtMost(limit) => write!(f, "at most {limit}"),
        }
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
            seconds.push((contender.run)()?);
        }
    }
    let times = contenders.iter().zip(seconds).map(|(contender, mut seconds)| {
        seconds.sort_by(f64::total_cmp);
        Times { name: contender.name.to_owned(), seconds }
    });
    Ok(times.collect())
}

/// The figures for programs.
pub(crate) fn document(bench: &str, rounds: usize, report: &Report) -> Value {
    let contenders: Vec<Value> = report
        .times
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
    let ratios: Vec<Value> = report
        .ratios
        .iter()
        .map(|ratio| {
            json!({
                "name": ratio.name,
                "value": ratio.value,
                "goal": ratio.goal.to_string(),
                "met": ratio.goal.is_met(ratio.value),
            })
        })
        .collect();
    json!({"bench": bench, "rounds": rounds, "contenders": contenders, "ratios": ratios})
}

/// The figures for people: a table, and a chart that renders where Markdown does.
pub(crate) fn markdown(bench: &str, rounds: usize, report: &Report) -> String {
    let times = &report.times;
    let first = times.first().map_or(1.0, Times::median);
    let mut text = format!(
        "## {bench}\n\nMedians of {rounds}, all contenders in turn in one run.\n\n\
         | contender | median s | min | max | of the first |\n|---|---:|---:|---:|---:|\n"
    );
    for times in times {
        let _ = writeln!(
            text,
            "| {} | {:.4} | {:.4} | {:.4} | {:.2} |",
            times.name,
            times.median(),
            times.least(),
            times.most(),
            times.median() / first
        );
    }
    if !report.ratios.is_empty() {
        text.push_str("\n| ratio | is | goal | |\n|---|---:|---:|---|\n");
    }
    for Ratio { name, value, goal } in &report.ratios {
        let met = if goal.is_met(*value) { "met" } else { "missed" };
        let _ = writeln!(text, "| {name} | {value:.2} | {goal} | {met} |");
    }
    let names: Vec<String> = times.iter().map(|times| format!("\"{}\"", times.name)).collect();
    let medians: Vec<String> = times.iter().map(|times| format!("{:.4}", times.median())).collect();
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
        let times = vec![times("one", &[1.0, 2.0, 9.0]), times("two", &[1.0, 3.0])];
        let ratio = |value, goal| Ratio { name: "of both", value, goal };
        let ratios = vec![ratio(3.0, Goal::AtLeast(4.0)), ratio(1.1, Goal::AtMost(1.2))];
        let report = Report { times, ratios };
        let table = markdown("b", 3, &report);
        assert!(table.contains("| one | 2.0000 | 1.0000 | 9.0000 | 1.00 |"), "{table}");
        assert!(table.contains("| two | 2.0000 | 1.0000 | 3.0000 | 1.00 |"), "{table}");
        assert!(table.contains("bar [2.0000, 2.0000]"), "{table}");
        assert!(table.contains("| of both | 3.00 | at least 4 | missed |"), "{table}");
        assert!(table.contains("| of both | 1.10 | at most 1.2 | met |"), "{table}");
        let document = document("b", 3, &report);
        assert_eq!(document["ratios"][0]["met"], false);
        assert_eq!(document["ratios"][1]["met"], true);
    }
}
