//! Development tasks of esb, one module for each.

mod api;
mod base_image;
mod bases;
mod bench;
mod captures;
mod changed;
mod checks;
mod command;
mod console;
mod demo;
mod dist;
mod e2e;
mod folders;
mod fuzz;
mod generate;
mod hooks;
mod japanese;
mod java;
mod lanes;
mod limit;
mod manual;
mod mentions;
mod packages;
mod probe;
mod provision;
mod python;
mod steps;
mod test;
mod tidy;
mod tools;
mod upgrades;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

use checks::{Outcome, Trouble};

/// Development tasks of esb.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Deploys the quickstart without a Docker daemon; invokes a function when an engine is there
    Demo,
    /// Makes what a release consists of, below target/dist: programs, packages, an image
    Dist(dist::Args),
    /// Runs everything that must pass
    Test(test::Args),
    /// Runs the end-to-end checks alone
    E2e {
        /// Only those of one topic, with `--esb`
        #[arg(long, requires = "esb")]
        topic: Option<e2e::Topic>,
        /// A program that is built already, instead of a release build
        #[arg(long)]
        esb: Option<std::path::PathBuf>,
        /// Only checks whose name holds this, and what they need
        #[arg(long, value_name = "TEXT", conflicts_with = "topic")]
        only: Option<String>,
        /// How many deploys the topic `workers` makes
        #[arg(long, default_value_t = 20)]
        deploys: usize,
    },
    /// Runs the suites of the Python hooks alone
    Hooks,
    /// Measures esb beside its peers
    Bench(bench::Args),
    /// Writes what people see at terminals of 100 and 60 columns below target/captures
    Captures {
        /// Only scenes whose name holds this
        #[arg(default_value = "")]
        only: String,
        /// A program that is built already, instead of a release build
        #[arg(long)]
        esb: Option<std::path::PathBuf>,
    },
    /// Builds Dockerfiles with the embedded engine and with BuildKit, and compares
    Differential(e2e::differential::Args),
    /// Makes inputs for the readers of foreign text until one breaks an invariant
    Fuzz(fuzz::Args),
    /// Makes a stand-in for an AWS base image, as an OCI layout, from Debian and Python packages
    BaseImage(base_image::Args),
    /// Builds the jars of the Java hooks that are shipped, or checks them
    Runtime(java::Args),
    /// Makes the pages of docs/reference from the code, the libraries' public API among them
    Generate {
        /// Only tell which pages differ
        #[arg(long)]
        check: bool,
    },
    /// Checks the crates as they are published: packages, features, documentation, the oldest Rust
    Packages(packages::Args),
    /// Makes the programs that checks and benchmarks run beside esb, below target/tools
    Tools(tools::Args),
    /// Lets the last release and this one deploy in turn, before a release
    Upgrades(upgrades::Args),
    /// Checks the invariants of docs/architecture.md
    Tidy,
}

fn main() -> ExitCode {
    let passed = match Cli::parse().task {
        Task::Demo => demo::demo(),
        Task::Dist(args) => dist::run(&args),
        Task::Test(args) => test::test(&args),
        Task::E2e { topic: Some(topic), esb: Some(esb), deploys, .. } => {
            e2e::one_topic(topic, esb, deploys)
        }
        Task::E2e { esb, only, .. } => test::e2e_alone(esb, only.as_deref()),
        Task::Captures { only, esb } => captures::captures(esb, &only),
        Task::Hooks => test::hooks(),
        Task::Bench(args) => told(bench::run(&args)),
        Task::Differential(args) => told(test::differential_alone(&args)),
        Task::Fuzz(args) => told(fuzz::run_all(&args)),
        Task::BaseImage(args) => match base_image::run(&args) {
            Ok(()) => true,
            Err(error) => {
                steps::failed(&error);
                false
            }
        },
        Task::Runtime(args) => told(java::runtime(&args)),
        Task::Generate { check } => told(generate::generate(check)),
        Task::Packages(args) => packages::run_all(&args),
        Task::Tools(args) => tools::run(&args),
        Task::Upgrades(args) => upgrades::run(&args),
        Task::Tidy => told(tidy::tidy()),
    };
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints what went wrong with a task that is one check.
fn told(outcome: Outcome) -> bool {
    match outcome {
        Ok(()) => true,
        Err(Trouble::Missing(missing)) => {
            steps::failed(&missing);
            false
        }
        Err(Trouble::Failed(text)) => {
            steps::wrong(&text);
            false
        }
    }
}
