//! Kills `esb deploy` at every step and checks what is published each time.
//!
//! The steps are system calls: strace lets the N-th one of a thread end in SIGKILL, for every N
//! until a run gets through. What is published then names only images that exist, whichever step
//! it was, and the next run ends the work.

use std::{path::PathBuf, process::Command};

use esb_test::{ensure_packages, find_program};

use super::{
    parts::Parts,
    small_project::{SmallProject, dead_routes, exist, images},
};
use crate::checks::{Outcome, Trouble};

/// What changes files or speaks to others.
const CALLS: &str = "rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,fsync,\
                     connect,sendto,sendmsg";
/// A deploy has far fewer steps in one thread; more means that the matrix never ends.
const STEPS: usize = 200;

/// See the module.
pub(crate) fn at_every_step(parts: &Parts) -> Outcome {
    if find_program("strace").is_none() {
        ensure_packages(&["strace"])?;
    }
    let small = SmallProject::new(parts, "killed", "small")?;
    let delivered = small.root.join("gateway");
    let to = delivered.display().to_string();
    small.write("template.yaml", &["A", "B"], "first")?;
    small.deployed(&["--config-to", &to])?;
    let mut killed = 0;
    for step in 1.. {
        // Functions come and go, and their code changes, so that every run has work.
        let own = if step % 2 == 0 { ["A", "B"] } else { ["A", "C"] };
        small.write("template.yaml", &own, &format!("text {step}"))?;
        let status = traced(&small.deploy(&["--config-to", &to]), step).output()?.status;
        let found = look(&small, &delivered);
        found.map_err(|trouble| match trouble {
            Trouble::Failed(text) => Trouble::Failed(format!("killed at step {step}: {text}")),
            missing @ Trouble::Missing(_) => missing,
        })?;
        if status.success() {
            break;
        }
        killed += 1;
        if step >= STEPS {
            return Err(format!("no run got through in {STEPS} steps").into());
        }
        if step % 4 == 0 {
            ends_the_work(&small, &delivered, &own)?;
        }
    }
    small.write("template.yaml", &["A", "C"], "last")?;
    ends_the_work(&small, &delivered, &["A", "C"])?;
    if killed < 10 {
        return Err(format!("only {killed} runs were killed").into());
    }
    crate::steps::say(&format!("  killed at {killed} steps"));
    Ok(())
}

/// The same command, whose `step`-th call in a thread kills the process.
fn traced(command: &Command, step: usize) -> Command {
    let mut traced = Command::new("strace");
    traced
        .args(["--follow-forks", "-qqq", "--output=/dev/null"])
        .arg(format!("--trace={CALLS}"))
        .arg(format!("--inject={CALLS}:signal=KILL:when={step}"))
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear();
    if let Some(folder) = command.get_current_dir() {
        traced.current_dir(folder);
    }
    for (name, value) in command.get_envs() {
        traced.env(name, value.unwrap_or_default());
    }
    traced
}

/// What is published is whole, and all of its images exist.
fn look(small: &SmallProject<'_>, delivered: &std::path::Path) -> Outcome {
    for folder in [small.staging(), PathBuf::from(delivered)] {
        exist(images(&folder)?)?;
        let dead = dead_routes(&folder)?;
        if !dead.is_empty() {
            return Err(
                format!("routes of {} lead to no function: {dead:?}", folder.display()).into()
            );
        }
    }
    Ok(())
}

/// A run without harm publishes exactly what the template has.
fn ends_the_work(small: &SmallProject<'_>, delivered: &std::path::Path, own: &[&str]) -> Outcome {
    small.deployed(&["--config-to", &delivered.display().to_string()])?;
    look(small, delivered)?;
    let published = esb_config::read(delivered).map_err(|error| crate::checks::chain(&error))?;
    let names: Vec<&String> = published.config.functions.functions.keys().collect();
    let wanted: Vec<String> = own.iter().map(|name| name.to_lowercase()).collect();
    if names == wanted.iter().collect::<Vec<_>>()
        && published.config.routing.routes.len() == own.len()
    {
        return Ok(());
    }
    Err(format!("published are {names:?}, and the template has {wanted:?}").into())
}
