//! `bench`: ratios against real peers, measured in one run.

mod frame;
mod quickstart;
mod sam;

use std::fs;

use frame::Report;

use crate::{checks::Outcome, command::target, steps::say};

/// `cargo xtask bench`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What is measured.
    #[arg(value_enum)]
    bench: Bench,
    /// How often each contender runs.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Bench {
    /// Build and push of the quickstart's images, beside `docker build` and `docker push`.
    Quickstart,
    /// `esb inspect` as a process, beside the official translator's warm runs.
    Sam,
}

/// Runs a benchmark; JSON and Markdown go below `target/bench`.
pub(crate) fn run(args: &Args) -> Outcome {
    let (name, report) = match args.bench {
        Bench::Quickstart => {
            let times = quickstart::measure(args.rounds)?;
            ("quickstart", Report { times, ratios: Vec::new() })
        }
        Bench::Sam => ("sam", sam::measure(args.rounds)?),
    };
    let folder = target().join("bench");
    fs::create_dir_all(&folder)?;
    let document = frame::document(name, args.rounds, &report);
    fs::write(folder.join(format!("{name}.json")), format!("{document:#}\n"))?;
    let text = frame::markdown(name, args.rounds, &report);
    fs::write(folder.join(format!("{name}.md")), &text)?;
    say(&text);
    Ok(())
}
