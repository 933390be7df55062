//! `fuzz`: generates inputs for the parsers of foreign text until one breaks an invariant.
//!
//! Runs the targets beside each other, each in a process of its own, so that an overflow of the
//! stack is a failure with an input and not the end of the task. The same seed gives the same
//! inputs.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
};

use crate::{
    checks::{Outcome, Trouble},
    command::{cargo, command, of_workspace, root, run, target},
    steps::together,
};

/// Each starts from `fixtures/fuzz`.
const TARGETS: [&str; 2] = ["compose", "parse"];

/// How long, and from where.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Seconds for each target
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u64,
    /// Where the sequence of inputs starts; another one each day when it is not given
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Only this target
    #[arg(long, value_name = "NAME", value_parser = TARGETS)]
    target: Option<String>,
}

impl Default for Args {
    fn default() -> Self {
        Self { seconds: 10, seed: Some(1), target: None }
    }
}

/// Runs the targets for some seconds, as the tests have compiled them, which is slower than what
/// `fuzz` runs: the stored inputs pass, and the first of those that follow from them.
pub(crate) fn short() -> Outcome {
    run_with(&of_workspace("example", "fuzz")?, &Args::default())
}

/// Runs the targets, compiled for speed.
pub(crate) fn run_all(args: &Args) -> Outcome {
    run_with(&build()?, args)
}

fn run_with(program: &Path, args: &Args) -> Outcome {
    let corpus = root().join("fixtures/fuzz");
    let out = target().join("fuzz-inputs");
    fs::create_dir_all(&out)?;
    let targets: Vec<&str> = match &args.target {
        Some(name) => vec![name],
        None => TARGETS.to_vec(),
    };
    let seconds = args.seconds.max(1).to_string();
    let seed = args.seed.unwrap_or_else(today).to_string();
    let passes = |name: &str| {
        let mut target = command(program);
        target.arg(name).arg(&corpus).arg(&out).args([&seconds, &seed]);
        // The target itself says what fails.
        together(|| run(&mut target).is_ok())
    };
    let mut failed = Vec::new();
    thread::scope(|scope| {
        let running: Vec<_> =
            targets.iter().map(|name| (name, scope.spawn(|| passes(name)))).collect();
        for (name, target) in running {
            if !target.join().unwrap_or(false) {
                failed.push(keep(&out, name, &seed)?);
            }
        }
        Ok::<_, Trouble>(())
    })?;
    if failed.is_empty() { Ok(()) } else { Err(Trouble::Failed(failed.join("\n"))) }
}

/// Keeps the input of a failure beside those of later runs.
fn keep(out: &Path, name: &str, seed: &str) -> Outcome<String> {
    let kept = out.join(format!("{name}-{seed}.failed"));
    fs::copy(out.join(format!("{name}.current")), &kept)?;
    Ok(format!(
        "the fuzz target `{name}` fails with {}: fix it, then keep the input in fixtures/fuzz",
        kept.display()
    ))
}

fn build() -> Outcome<PathBuf> {
    run(cargo().args(["build", "--quiet", "--profile", "fuzz", "--package", "esb-sam"]).args([
        "--features",
        "fuzz",
        "--example",
        "fuzz",
    ]))?;
    Ok(target().join("fuzz/examples/fuzz"))
}

/// A number that changes every day.
fn today() -> u64 {
    const DAY: u64 = 24 * 60 * 60;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(1, |time| time.as_secs() / DAY)
}
