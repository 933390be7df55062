//! Writes the results of a benchmark as JSON and as Markdown.
//!
//! Owns the figures that mean something, ratios of one run, and whether they are what they should
//! be. Refuses to fail for a figure: a machine under load may miss any of them.

use std::fmt::{self, Write as _};

use serde_json::{Value, json};

use super::frame::Times;

/// What a benchmark comes to.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) phases: Vec<Phase>,
    pub(crate) ratios: Vec<Ratio>,
    /// What was run, and what the figures do not say themselves, as one Markdown paragraph each.
    pub(crate) notes: Vec<String>,
}

/// Contenders that did the same work.
#[derive(Debug)]
pub(crate) struct Phase {
    pub(crate) title: String,
    pub(crate) times: Vec<Times>,
}

impl Phase {
    pub(crate) fn new(title: impl Into<String>, times: Vec<Times>) -> Self {
        Self { title: title.into(), times }
    }

    /// The median of a contender that took part.
    pub(crate) fn median(&self, name: &str) -> Option<f64> {
        self.times.iter().find(|times| times.name == name).map(Times::median)
    }
}

/// A figure that means something: what two times, or more, have to do with each other.
#[derive(Debug, Clone)]
pub(crate) struct Ratio {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) goal: Goal,
}

impl Ratio {
    pub(crate) fn new(name: impl Into<String>, value: f64, goal: Goal) -> Self {
        Self { name: name.into(), value, goal }
    }

    fn word(&self) -> &'static str {
        match self.goal {
            Goal::None => "",
            goal if goal.is_met(self.value) => "met",
            _ => "missed",
        }
    }
}

/// What a ratio should be. A machine under load may miss it: a benchmark tells, and never fails.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
    Exactly(f64),
    /// A figure to look at.
    None,
}

impl Goal {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(limit) => value >= limit,
            Self::AtMost(limit) => value <= limit,
            Self::Exactly(wanted) => (value - wanted).abs() < 1e-9,
            Self::None => true,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(limit) => write!(f, "at least {limit}"),
            Self::AtMost(limit) => write!(f, "at most {limit}"),
            Self::Exactly(wanted) => write!(f, "{wanted}"),
            Self::None => Ok(()),
        }
    }
}

/// A count as a figure.
pub(crate) fn count(number: usize) -> f64 {
    count_u64(number as u64)
}

/// A count as a figure.
#[expect(clippy::cast_precision_loss, reason = "no figure is that large")]
pub(crate) fn count_u64(number: u64) -> f64 {
    number as f64
}

/// Which run the figures are of.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    pub(crate) bench: &'a str,
    pub(crate) rounds: usize,
    /// The machine, in words that name none.
    pub(crate) machine: String,
}

/// The figures for programs.
pub(crate) fn document(run: &Run<'_>, report: &Report) -> Value {
    let contender = |times: &Times| {
        json!({
            "name": times.name,
            "median": times.median(),
            "min": times.least(),
            "max": times.most(),
            "seconds": times.seconds,
        })
    };
    let phase = |phase: &Phase| {
        let contenders: Vec<Value> = phase.times.iter().map(contender).collect();
        json!({"title": phase.title, "contenders": contenders})
    };
    let ratio = |ratio: &Ratio| {
        json!({
            "name": ratio.name,
            "value": ratio.value,
            "goal": ratio.goal.to_string(),
            "met": ratio.goal.is_met(ratio.value),
        })
    };
    json!({
        "bench": run.bench,
        "rounds": run.rounds,
        "machine": run.machine,
        "phases": report.phases.iter().map(phase).collect::<Vec<_>>(),
        "ratios": report.ratios.iter().map(ratio).collect::<Vec<_>>(),
        "notes": report.notes,
    })
}

/// The figures for people: tables, and charts that render where Markdown does.
pub(crate) fn markdown(run: &Run<'_>, report: &Report) -> String {
    let Run { bench, rounds, machine } = run;
    let mut text = format!(
        "## {bench}\n\nMedians of {rounds}, all contenders in turn in one run, on {machine}.\n"
    );
    for note in &report.notes {
        let _ = write!(text, "\n{note}\n");
    }
    if !report.ratios.is_empty() {
        text.push_str("\n| figure | is | goal | |\n|---|---:|---:|---|\n");
    }
    for ratio in &report.ratios {
        let Ratio { name, value, goal } = ratio;
        let _ = writeln!(text, "| {name} | {value:.2} | {goal} | {} |", ratio.word());
    }
    for phase in &report.phases {
        table(&mut text, phase);
    }
    text
}

fn table(text: &mut String, phase: &Phase) {
    let Phase { title, times } = phase;
    let first = times.first().map_or(1.0, Times::median);
    let _ = write!(
        text,
        "\n### {title}\n\n| contender | median s | min | max | of the first |\n\
         |---|---:|---:|---:|---:|\n"
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
    let names: Vec<String> = times.iter().map(|times| format!("\"{}\"", times.name)).collect();
    let medians: Vec<String> = times.iter().map(|times| format!("{:.4}", times.median())).collect();
    let _ = writeln!(
        text,
        "\n```mermaid\nxychart-beta horizontal\n  title \"{title}, seconds\"\n  x-axis [{}]\n  \
         y-axis \"seconds\"\n  bar [{}]\n```",
        names.join(", "),
        medians.join(", ")
    );
}

/// A page with the section of a benchmark replaced, or added at its end. A section goes from its
/// heading of the second level to the next one.
pub(crate) fn with_section(page: &str, bench: &str, section: &str) -> String {
    let heading = format!("## {bench}\n");
    let start = if page.starts_with(&heading) {
        Some(0)
    } else {
        page.find(&format!("\n{heading}")).map(|at| at + 1)
    };
    let Some(start) = start else {
        return format!("{}\n\n{}\n", page.trim_end(), section.trim_end());
    };
    let rest = &page[start + heading.len()..];
    let end = rest.find("\n## ").map_or("", |at| &rest[at + 1..]);
    let gap = if end.is_empty() { "" } else { "\n" };
    format!("{}{}\n{gap}{end}", &page[..start], section.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_ratios() {
        let phase = Phase::new(
            "cold",
            vec![Times::of("one", vec![9.0, 1.0, 2.0]), Times::of("two", vec![1.0, 3.0])],
        );
        assert_eq!(phase.median("two").map(|median| median.to_string()), Some("2".to_owned()));
        assert_eq!(phase.median("three"), None);
        let ratios = vec![
            Ratio::new("of both", 3.0, Goal::AtLeast(4.0)),
            Ratio::new("of both", 1.1, Goal::AtMost(1.2)),
            Ratio::new("requests", 1.0, Goal::Exactly(1.0)),
            Ratio::new("seen", 7.0, Goal::None),
        ];
        let report = Report { phases: vec![phase], ratios, notes: vec!["A note.".to_owned()] };
        let run = Run { bench: "b", rounds: 3, machine: "2 cores".to_owned() };
        let table = markdown(&run, &report);
        for line in [
            "Medians of 3, all contenders in turn in one run, on 2 cores.\n\nA note.\n",
            "| one | 2.0000 | 1.0000 | 9.0000 | 1.00 |",
            "| two | 2.0000 | 1.0000 | 3.0000 | 1.00 |",
            "bar [2.0000, 2.0000]",
            "| of both | 3.00 | at least 4 | missed |",
            "| of both | 1.10 | at most 1.2 | met |",
            "| requests | 1.00 | 1 | met |",
            "| seen | 7.00 |  |  |",
        ] {
            assert!(table.contains(line), "{line} is not in\n{table}");
        }
        let document = document(&run, &report);
        assert_eq!(document["ratios"][0]["met"], false);
        assert_eq!(document["ratios"][1]["met"], true);
        assert_eq!(document["phases"][0]["contenders"][1]["median"], 2.0);
    }

    #[test]
    fn a_section_takes_the_place_of_its_former_self() {
        for (page, wanted) in [
            ("# B\n", "# B\n\n## b\n\nnew\n"),
            ("# B\n\n## b\n\nold\n### of b\n", "# B\n\n## b\n\nnew\n"),
            ("# B\n\n## b\n\nold\n\n## c\n\nx\n", "# B\n\n## b\n\nnew\n\n## c\n\nx\n"),
            ("# B\n\n## bb\n\nx\n", "# B\n\n## bb\n\nx\n\n## b\n\nnew\n"),
        ] {
            assert_eq!(with_section(page, "b", "## b\n\nnew\n"), wanted);
        }
    }
}
