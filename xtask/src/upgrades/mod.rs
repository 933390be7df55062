//! `upgrades`: the last release and this one deploy in turn, on one project and one store, against a
//! real registry. Run before a release.
//!
//! Owns what must hold between two releases (docs/contracts/formats.md): neither builds again what
//! the other one built, neither breaks what the other one wrote, and each refuses what it does not
//! know.

mod newer;
mod program;
mod projects;
mod turns;

use std::path::PathBuf;

use crate::{
    base_image::Version,
    bases,
    checks::{Checks, Outcome, Trouble},
    command::{root, target},
    e2e::parts::{Parts, expect},
    steps::say,
};
use program::Program;
use projects::Project;

/// `cargo xtask upgrades`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The program of the last release, instead of one that is built of its tag
    #[arg(long)]
    old: Option<PathBuf>,
    /// The program of the next release, instead of a release build of this workspace
    #[arg(long)]
    new: Option<PathBuf>,
    /// How often each of them deploys
    #[arg(long, default_value_t = 10)]
    rounds: usize,
}

/// Runs all checks.
pub(crate) fn run(args: &Args) -> bool {
    let mut checks = Checks::default();
    let old = checks.run("the last release", || program::old(args.old.clone()));
    let new = checks.run("this release", || program::new(args.new.clone()));
    if let (Some(old), Some(new)) = (old, new) {
        say(&format!("old: {}\nnew: {}", old.version, new.version));
        let parts = checks.run("start registry and engine", || {
            let mirrors = bases::mirrors(&[Version::Python313])?;
            Parts::start_below(target().join("upgrades/parts"), new.path.clone(), mirrors)
        });
        if let Some(parts) = parts {
            all(&mut checks, &parts, [&old, &new], args.rounds);
        }
    }
    checks.finish("cargo xtask upgrades")
}

fn all(checks: &mut Checks, parts: &Parts, programs: [&Program; 2], rounds: usize) {
    for make in [projects::quickstart, projects::larger] {
        let Some(project) = checks.run("a project", || make(parts)) else { continue };
        let name = project.name;
        let deployed = checks.run(&format!("{name}: {rounds} deploys of each, in turn"), || {
            turns::in_turn(&project, programs, rounds)
        });
        if deployed.is_none() {
            continue;
        }
        checks.run(&format!("{name}: a change is built once"), || {
            turns::a_change(&project, programs)
        });
        checks.run(&format!("{name}: with an empty store nothing is built"), || {
            turns::another_machine(&project, programs)
        });
        checks.run(&format!("{name}: both at once on one store"), || {
            turns::at_once(parts, &project, programs)
        });
        for program in programs {
            let name = format!("{name}: files of a later release, read by {}", program.version);
            checks.run(&name, || newer::refused(&project, program));
        }
        checks.run(&format!("{name}: kinds of records have a row"), || record_kinds(&project));
    }
}

/// The page of formats has a row for each kind of record that a store holds.
fn record_kinds(project: &Project) -> Outcome {
    let page = std::fs::read_to_string(root().join("docs/contracts/formats.md"))?;
    let mut missing = Vec::new();
    for entry in std::fs::read_dir(project.store().join("records"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let kind = name.strip_suffix(".log").unwrap_or(&name);
        if !kind.starts_with('.') && !page.contains(&format!("`{kind}`")) {
            missing.push(kind.to_owned());
        }
    }
    missing.sort();
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Trouble::Failed(format!("docs/contracts/formats.md lacks {}", missing.join(", "))))
}
