//! `bench`: ratios against real peers, measured in one run.

mod frame;
mod quickstart;

use std::fs;

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
}

/// Runs a benchmark; JSON and Markdown go below `target/bench`.
pub(crate) fn run(args: &Args) -> Outcome {
    let (name, times) = match args.bench {
        Bench::Quickstart => ("quickstart", quickstart::measure(args.rounds)?),
    };
    let folder = target().join("bench");
    fs::create_dir_all(&folder)?;
    let document = frame::document(name, args.rounds, &times);
    fs::write(folder.join(format!("{name}.json")), format!("{document:#}\n"))?;
    let text = frame::markdown(name, args.rounds, &times);
    fs::write(folder.join(format!("{name}.md")), &text)?;
    say(&text);
    Ok(())
}
