//! Programs that checks and benchmarks run beside `esb`, made once below `target/tools`.
//!
//! Owns which there are. Those of Go modules are made by `esb-test`, which runs some of them too.

mod buildx;
mod daemons;

use std::path::PathBuf;

use esb_test::{Buildkitd, Missing, go_program};

use crate::{
    checks::{Checks, Outcome, Trouble},
    command::{output, target},
    steps::say,
};

pub(crate) use buildx::plugins as buildx_plugins;
pub(crate) use daemons::{Moto, VictoriaLogs};

type Make = fn() -> Outcome<PathBuf>;

/// `cargo xtask tools`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Also starts those that are daemons, and stops them.
    #[arg(long)]
    check: bool,
}

/// Makes all of them; what cannot be made is told and counted as a skip.
pub(crate) fn run(args: &Args) -> bool {
    let mut checks = Checks::default();
    let made: [(&str, Make); 8] = [
        ("victoria-logs", victoria_logs),
        ("buildkitd", buildkitd),
        ("buildctl", buildctl),
        ("crane", crane),
        ("regctl", regctl),
        ("validate", validate),
        ("umoci", umoci),
        ("buildx", buildx_plugins),
    ];
    for (name, make) in made {
        checks.run(name, || {
            say(&format!("{name}: {}", make()?.display()));
            Ok(())
        });
    }
    if args.check {
        let folder = target().join("tools/check");
        checks.run("VictoriaLogs answers", || {
            VictoriaLogs::start(&folder.join("victoria-logs")).map(|logs| say(logs.address()))
        });
        checks.run("BuildKit answers", || {
            let daemon = Buildkitd::start(&folder.join("buildkit"))?;
            say(output(daemon.buildctl()?.args(["debug", "workers"]))?.trim_end());
            Ok(())
        });
    }
    checks.finish("cargo xtask tools")
}

/// `VictoriaLogs`, where records end up.
pub(crate) fn victoria_logs() -> Outcome<PathBuf> {
    Ok(go_program("victoria-logs", "victoria-logs")?)
}

/// The `BuildKit` daemon.
pub(crate) fn buildkitd() -> Outcome<PathBuf> {
    Ok(go_program("buildkit", "buildkitd")?)
}

/// The client of the `BuildKit` daemon.
pub(crate) fn buildctl() -> Outcome<PathBuf> {
    Ok(go_program("buildkit", "buildctl")?)
}

/// The registry client of go-containerregistry.
pub(crate) fn crane() -> Outcome<PathBuf> {
    Ok(go_program("crane", "crane")?)
}

/// The registry client of regclient.
pub(crate) fn regctl() -> Outcome<PathBuf> {
    Ok(go_program("regctl", "regctl")?)
}

/// The validator of documents with image-spec's JSON Schemas.
pub(crate) fn validate() -> Outcome<PathBuf> {
    Ok(go_program("validate", "validate")?)
}

/// The reader of layouts of umoci.
pub(crate) fn umoci() -> Outcome<PathBuf> {
    Ok(go_program("umoci", "umoci")?)
}

/// What could not be fetched or built is absent, with the last words about it.
fn absent(name: &str, trouble: Trouble) -> Trouble {
    match trouble {
        Trouble::Failed(text) => {
            let said = text.lines().rev().find(|line| !line.trim().is_empty());
            let said = said.unwrap_or_default().escape_debug();
            Missing::new(format!("`{name}`"), format!("it could not be made: {said}")).into()
        }
        missing @ Trouble::Missing(_) => missing,
    }
}
