//! `dist`: makes what a release consists of, below `target/dist`, and tries it.
//!
//! Owns the order of the work. A step that needs a part which is not here is told and counted as a
//! skip.

mod build;
mod check;
mod ci;
mod debian;
mod dependencies;
mod image;
mod release;
mod sbom;
mod shared;
mod tree;

use std::fs;

use esb_model::Architecture;

use crate::checks::Checks;
use build::{Program, Toolchain};
use release::Release;
use shared::Shared;

/// The systems that programs are made for.
const TARGETS: [Target; 2] = [
    Target {
        triple: "x86_64-unknown-linux-musl",
        debian: "amd64",
        architecture: Architecture::X86_64,
    },
    Target {
        triple: "aarch64-unknown-linux-musl",
        debian: "arm64",
        architecture: Architecture::Arm64,
    },
];

/// A system by the names that others give it.
#[derive(Debug, Clone, Copy)]
struct Target {
    /// As Rust names it.
    triple: &'static str,
    /// As Debian names its architecture.
    debian: &'static str,
    architecture: Architecture,
}

impl Target {
    /// As emulators name its processor.
    fn emulated(self) -> &'static str {
        self.triple.split('-').next().unwrap_or_default()
    }
}

/// `cargo xtask dist`
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The files come to target/dist/files. What is needed and not installed is installed where that is
possible: Rust's musl targets by rustup, cargo-zigbuild and zig from PyPI, the rest by apt-get as
root. A step that cannot run is named at the end as skipped; with CI set, that is a failure.")]
pub(crate) struct Args {
    /// Make everything once, and do not compare it with what the same sources make in another
    /// folder
    #[arg(long)]
    once: bool,
}

/// Makes everything, and says what there is.
pub(crate) fn run(args: &Args) -> bool {
    let mut checks = Checks::default();
    if let Some(release) = checks.run("an empty folder", Release::start)
        && let Some(toolchain) = checks.run("toolchain", Toolchain::prepare)
        && let Some(programs) = make(&mut checks, &toolchain, &release, "")
    {
        if !args.once {
            compare(&mut checks, &toolchain, &release);
        }
        check::all(&mut checks, &release, &programs);
        if checks.run("sums", || release.sums()).is_some() {
            ci::all(&mut checks, &release);
            checks.run("list of files", || release.list());
        }
    }
    checks.finish("cargo xtask dist")
}

/// Makes all files but the sums; the programs when there are all of them.
fn make(
    checks: &mut Checks,
    toolchain: &Toolchain,
    release: &Release,
    prefix: &str,
) -> Option<Vec<Program>> {
    let mut programs = Vec::new();
    for target in TARGETS {
        let name = format!("{prefix}program for {}", target.triple);
        programs.push(checks.run(&name, || toolchain.program(release, target))?);
    }
    let shared = checks.run(&format!("{prefix}manual pages, completions, licences"), || {
        let native = programs.iter().find(|program| program.is_native());
        let native = native.ok_or("no program is for this machine")?;
        let crates = dependencies::of_program(release)?;
        dependencies::check(&crates)?;
        fs::write(release.file(&sbom::name(release)), sbom::document(release, &crates)?)?;
        Shared::make(toolchain, native, &crates)
    })?;
    for program in &programs {
        let name = format!("{prefix}archive for {}", program.target.triple);
        checks.run(&name, || shared::archive(release, program, &shared));
        let name = format!("{prefix}package for Debian's {}", program.target.debian);
        checks.run(&name, || debian::package(release, program, &shared));
    }
    checks.run(&format!("{prefix}image"), || image::write(release, &programs));
    Some(programs)
}

/// Makes everything again of a copy of the sources, and compares the files.
fn compare(checks: &mut Checks, toolchain: &Toolchain, release: &Release) {
    if let Some(again) = checks.run("a copy of the sources", || release.again())
        && make(checks, toolchain, &again, "again: ").is_some()
    {
        checks.run("made twice: the same bytes", || release.compare(&again));
    }
}
