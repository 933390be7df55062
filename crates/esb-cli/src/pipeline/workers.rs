//! Warm workers that run old code: found by the Agent's labels and replaced when they are idle
//! (contracts, section 9). The Gateway starts a new one with the next request.
//!
//! In docker mode only: containerd's workers are out of reach from here.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use esb_config::{ChangeKind, Section};
use esb_image::docker::{DockerEngine, OtherContainer};
use esb_model::Function;

use super::{Order, Places, Written, compose, run::Run};
use crate::{cli::Mode, exit::Failure, load::Loaded};

/// The port that a worker answers on (contracts, section 1.2).
const PORT: u16 = 8080;
/// A Gateway notices a new configuration within that time (contracts, section 1.6).
const RELOAD: Duration = Duration::from_secs(2);
/// How often a busy worker is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// The longest wait for busy workers.
const LIMIT: Duration = Duration::from_secs(30);

/// What happened to workers of changed functions.
#[derive(Debug, Default)]
pub(crate) struct Replaced {
    /// Names of containers that are gone.
    pub(crate) idle: Vec<String>,
    /// Names of containers that were busy to the end and still run old code.
    pub(crate) busy: Vec<String>,
    /// What a person has to run instead, where workers are out of reach.
    pub(crate) command: Option<String>,
}

/// Replaces workers of functions that the run changed.
pub(crate) async fn replace(
    run: &Run,
    order: &Order<'_>,
    loaded: &Loaded,
    places: &Places,
    written: &Written,
) -> Result<Replaced, Failure> {
    let mut replaced = Replaced::default();
    let keeps = order.deploy.is_none_or(|deploy| deploy.keep_workers);
    let Some(merged) = written.merged.as_ref().filter(|_| written.delivered.is_some()) else {
        return Ok(replaced);
    };
    let changed: BTreeSet<&str> = merged
        .changes
        .iter()
        .filter(|change| {
            change.entry.section == Section::Function && change.kind != ChangeKind::Added
        })
        .map(|change| change.entry.key.as_str())
        .collect();
    let mode = match &places.found.gateway {
        Some(_) => run.mode().await?,
        None => run.mode,
    };
    if mode == Mode::Containerd {
        if !changed.is_empty() && !keeps {
            let gateway = places.found.gateway.as_ref();
            replaced.command = Some(compose::command(run, gateway, "restart gateway"));
        }
        return Ok(replaced);
    }
    if keeps || places.found.gateway.is_none() {
        return Ok(replaced);
    }
    let engine = run.engine().await?;
    let images: BTreeMap<&str, String> = merged
        .config
        .functions
        .functions
        .iter()
        .filter_map(|(name, entry)| Some((name.as_str(), entry.image.as_ref()?.resolve(|_| None))))
        .collect();
    let slug = run.project.brand.slug();
    let labels = [
        ("created_by".to_owned(), format!("{slug}-agent")),
        (format!("{slug}_env"), run.project.environment.clone()),
    ];
    let function_label = format!("{slug}_function");
    let function = |worker: &OtherContainer| worker.labels.get(&function_label).cloned();
    let before = engine.others(&labels).await?;
    let is_changed = |worker: &OtherContainer| {
        function(worker).is_some_and(|name| changed.contains(name.as_str()))
    };
    let is_old = |worker: &OtherContainer| {
        let image = function(worker).and_then(|name| images.get(name.as_str()));
        image.is_some_and(|image| *image != worker.image)
    };
    let outdated: Vec<String> =
        before.iter().filter(|worker| is_changed(worker)).map(|worker| worker.id.clone()).collect();
    if outdated.is_empty() && !before.iter().any(is_old) {
        return Ok(replaced);
    }
    // Before that, the Gateway would start the next one with the old configuration.
    tokio::time::sleep(RELOAD).await;
    let mut left = engine.others(&labels).await?;
    left.retain(|worker| outdated.contains(&worker.id) || is_old(worker));
    let end = Instant::now() + limit(&loaded.app.functions, &left, function);
    loop {
        let mut busy = Vec::new();
        for worker in left {
            if worker.running && is_busy(engine, &worker).await {
                busy.push(worker);
            } else {
                engine.remove_container(&worker.id).await?;
                replaced.idle.push(worker.name);
            }
        }
        left = busy;
        if left.is_empty() || Instant::now() >= end {
            replaced.busy = left.into_iter().map(|worker| worker.name).collect();
            return Ok(replaced);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// As long as the slowest of them may take.
fn limit(
    functions: &[Function],
    workers: &[OtherContainer],
    function: impl Fn(&OtherContainer) -> Option<String>,
) -> Duration {
    let names: BTreeSet<String> = workers.iter().filter_map(function).collect();
    let own = functions.iter().filter(|function| names.contains(&*function.effective_name()));
    let longest = own.map(|function| u64::from(function.effective_timeout())).max();
    longest.map_or(LIMIT, |seconds| Duration::from_secs(seconds + 1).min(LIMIT))
}

/// Whether somebody is connected to the worker's port. One that cannot be asked counts as busy.
async fn is_busy(engine: &DockerEngine, worker: &OtherContainer) -> bool {
    let command = ["cat", "/proc/net/tcp", "/proc/net/tcp6"].map(str::to_owned).to_vec();
    match engine.exec(&worker.id, command).await {
        // Without IPv6 the second file is missing, and the first one has been read.
        Ok((_, table)) if table.contains("local_address") => has_connection(&table, PORT),
        _ => engine.other(&worker.id).await.is_ok_and(|worker| worker.is_some()),
    }
}

/// Whether the kernel's table of sockets has an established one at a local port.
fn has_connection(table: &str, port: u16) -> bool {
    const ESTABLISHED: &str = "01";
    table.lines().any(|line| {
        let mut words = line.split_whitespace();
        let local = words.nth(1).and_then(|address| address.rsplit_once(':'));
        let is_port = local.is_some_and(|(_, hex)| u16::from_str_radix(hex, 16) == Ok(port));
        is_port && words.nth(1) == Some(ESTABLISHED)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_to_the_port_is_work() {
        let head = "  sl  local_address rem_address   st tx_queue rx_queue\n";
        let check = |line: &str, expected| {
            assert_eq!(has_connection(&format!("{head}{line}\n"), 8080), expected, "{line}");
        };
        check("   0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000", false);
        check("   1: 020011AC:1F90 010011AC:C350 01 00000000:00000000 00:00000000", true);
        check("   2: 020011AC:1F90 010011AC:C350 06 00000000:00000000 00:00000000", false);
        check("   3: 020011AC:C350 010011AC:1F90 01 00000000:00000000 00:00000000", false);
        check("   4: 0000000000000000FFFF0000020011AC:1F90 00:C350 01 0:0 0:0", true);
        check("nonsense", false);
    }
}
