//! `bench`: ratios against other tools, measured in one run.

mod buildx;
mod fleet;
mod frame;
mod hooks;
mod images;
mod machine;
pub(crate) mod memory;
mod quickstart;
mod replay;
mod report;
mod sam;
mod site;
mod sync;
pub(crate) mod workload;

use std::{fs, path::PathBuf};

use report::Run;

use crate::{
    checks::Outcome,
    command::{root, target},
    e2e::release_build,
    steps::say,
};

/// `cargo xtask bench`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What is measured.
    #[arg(value_enum)]
    bench: Bench,
    /// How often each contender runs [default: 5, or 2 with --quick].
    #[arg(long)]
    rounds: Option<usize>,
    /// For daily use: fewer rounds, the fast peers only, and docs/benchmarks.md stays as it is.
    #[arg(long)]
    quick: bool,
    /// The program to measure [default: a release build of this tree].
    #[arg(long, value_name = "PATH")]
    esb: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Bench {
    /// Build and push of the quickstart's images, beside `docker build` and `docker push`.
    Quickstart,
    /// `esb inspect` as a process, beside the official translator's warm runs.
    Sam,
    /// Build and push of 50 and 500 functions, beside buildx, `BuildKit`, crane, and a replay of
    /// the same requests.
    Images,
    /// Copies of external images between registries, beside skopeo, crane and regctl.
    Sync,
    /// Builds by `BuildKit` daemons and their placement, beside buildx.
    Fleet,
    /// Start-up, invocations and log lines of the hooks, beside the bases without them.
    Hooks,
}

/// Runs a benchmark; JSON and Markdown go below `target/bench`, and a full run's Markdown into
/// `docs/benchmarks.md` too.
pub(crate) fn run(args: &Args) -> Outcome {
    let rounds = args.rounds.unwrap_or(if args.quick { 2 } else { 5 }).max(1);
    let esb = match &args.esb {
        Some(path) => path.canonicalize()?,
        None => release_build()?,
    };
    let machine = machine::description();
    let (bench, report) = match args.bench {
        Bench::Quickstart => ("quickstart", quickstart::measure(rounds, esb)?),
        Bench::Sam => ("sam", sam::measure(rounds, &esb)?),
        Bench::Images => ("images", images::measure(rounds, args.quick, &esb)?),
        Bench::Sync => ("sync", sync::measure(rounds, args.quick, &esb)?),
        Bench::Fleet => ("fleet", fleet::measure(rounds, args.quick, &esb)?),
        Bench::Hooks => ("hooks", hooks::measure(rounds, &esb)?),
    };
    let run = Run { bench, rounds, machine };
    let folder = target().join("bench");
    fs::create_dir_all(&folder)?;
    let document = report::document(&run, &report);
    fs::write(folder.join(format!("{bench}.json")), format!("{document:#}\n"))?;
    let text = report::markdown(&run, &report);
    fs::write(folder.join(format!("{bench}.md")), &text)?;
    say(&text);
    if !args.quick {
        let page = root().join("docs/benchmarks.md");
        let new = report::with_section(&fs::read_to_string(&page)?, bench, &text);
        fs::write(page, new)?;
    }
    Ok(())
}
