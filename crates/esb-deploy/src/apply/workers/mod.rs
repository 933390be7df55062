//! Replaces warm workers that run old code: finds them by the Agent's labels and removes them while
//! they are idle (docs/contracts/platform.md#replacing-workers). The Gateway starts a new one with
//! the next request.
//!
//! In docker mode only: containerd's workers are out of reach from here, and the Gateway is
//! restarted instead where that is allowed.

mod found;
mod swap;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use esb_config::{Change, ChangeKind, Merged, Section};
use esb_image::docker::ContainerInfo;
use futures_util::{StreamExt as _, stream};

use self::{
    found::{Search, Workers},
    swap::{ReplaceResult, Swapper},
};
use crate::{
    apply::{
        compose,
        config::{Places, Written},
    },
    deployment::Deployment,
    error::Error,
    options::Mode,
};

/// How often the Gateway looks for a new configuration by default, in seconds
/// (docs/contracts/platform.md#hot-reload), and needs a moment to read it.
const RELOAD: f64 = 1.0;
const READING: Duration = Duration::from_secs(2);
/// The longest wait for busy workers.
const LIMIT: Duration = Duration::from_secs(30);
/// How many workers are waited for at once.
const WAITING: usize = 16;

/// The result of replacing the workers of changed functions.
#[derive(Debug, Default)]
pub struct Replaced {
    /// Names of containers that are gone.
    pub idle: Vec<String>,
    /// Names of containers that were busy to the end and still run old code.
    pub busy: Vec<String>,
    /// Names of containers that still run old code, and why their addresses cannot be held.
    pub kept: Vec<(String, String)>,
    /// Names of containers that are gone, and why another container may have their addresses.
    pub lost: Vec<(String, String)>,
    /// The number of calls that were cut off because they began at the moment in which a worker was
    /// stopped.
    pub cut: usize,
    /// The Gateway that was restarted.
    pub restarted: Option<String>,
    /// What a person has to run, where workers could not be replaced.
    pub command: Option<String>,
    /// How workers were looked for when none was found although the Gateway runs.
    pub none_found: Option<String>,
}

/// Replaces workers of functions that the run changed.
pub(crate) async fn replace(
    run: &Deployment,
    places: &Places,
    written: &Written,
) -> Result<Replaced, Error> {
    let site = &run.options.site;
    if site.keep_workers {
        return Ok(Replaced::default());
    }
    let Some(merged) = written.merged.as_ref().filter(|_| written.delivered.is_some()) else {
        return Ok(Replaced::default());
    };
    let gateway = places.found.gateway.as_ref();
    let mode = match gateway {
        Some(_) => run.mode().await?,
        None => run.options.mode.unwrap_or_default(),
    };
    let changed = changed(merged);
    let mut replaced = Replaced::default();
    let Some(gateway) = gateway else {
        if mode == Mode::Containerd && merged.changes.iter().any(is_of_workers) {
            replaced.command = Some(restart_command(run, None));
        }
        return Ok(replaced);
    };
    let needs_restart = match mode {
        Mode::Containerd => merged.changes.iter().any(is_of_workers),
        Mode::Docker => {
            one_by_one(run, gateway, merged, &changed, &mut replaced).await?;
            !replaced.kept.is_empty() || !replaced.lost.is_empty()
        }
    };
    // It takes a capacity only when it starts.
    let for_capacity = gateway.running && !written.capacities.is_empty();
    if (needs_restart || for_capacity) && site.restart_gateway {
        let engine = run.engine().await?;
        engine.restart(&gateway.id).await?;
        replaced.restarted = Some(gateway.name.clone());
        // It remembers no address of before.
        for placeholder in found::placeholders(run, engine).await? {
            engine.remove_container(&placeholder.id).await?;
        }
    } else if needs_restart || !replaced.busy.is_empty() {
        replaced.command = Some(restart_command(run, Some(gateway)));
    }
    Ok(replaced)
}

/// Functions that the run changed, whatever it was.
fn changed(merged: &Merged) -> BTreeSet<&str> {
    let changes = merged.changes.iter().filter(|change| is_of_function(change));
    changes.map(|change| change.entry.key.as_str()).collect()
}

fn is_of_function(change: &Change) -> bool {
    change.entry.section == Section::Function && change.kind != ChangeKind::Added
}

/// Whether workers of before are not as a new one would be: a capacity is nothing of theirs.
fn is_of_workers(change: &Change) -> bool {
    let is_capacity = |detail: &String| detail.starts_with("max_capacity ");
    let only_capacity = !change.details.is_empty() && change.details.iter().all(is_capacity);
    is_of_function(change) && !only_capacity
}

fn restart_command(run: &Deployment, gateway: Option<&ContainerInfo>) -> String {
    compose::command(run, gateway, "restart gateway")
}

async fn one_by_one(
    run: &Deployment,
    gateway: &ContainerInfo,
    merged: &Merged,
    changed: &BTreeSet<&str>,
    replaced: &mut Replaced,
) -> Result<(), Error> {
    let engine = run.engine().await?;
    let mut search = Search::new(run, engine, gateway).await?;
    let before = search.workers(engine).await?;
    found::remove_needless_placeholders(run, engine, gateway, merged, &before).await?;
    if before.all.is_empty() && gateway.running && !changed.is_empty() {
        replaced.none_found = Some(search.to_string());
        return Ok(());
    }
    let old = OutdatedWorkers {
        merged,
        known: before.of(changed).map(|worker| worker.id.clone()).collect(),
    };
    if !before.all.iter().any(|worker| old.include(&before, worker)) {
        return Ok(());
    }
    if gateway.running {
        // Before that, the Gateway would start the next one with the old configuration.
        tokio::time::sleep(reload(gateway)).await;
    }
    let start = Instant::now();
    let mut ended = BTreeSet::new();
    loop {
        // Also those that were started meanwhile.
        let now = search.workers(engine).await?;
        let left = now.all.iter().filter(|worker| old.include(&now, worker));
        let left: Vec<&ContainerInfo> = left.filter(|worker| !ended.contains(&worker.id)).collect();
        if left.is_empty() {
            return Ok(());
        }
        ended.extend(left.iter().map(|worker| worker.id.clone()));
        let swapper = Swapper::new(run, engine, gateway, merged, &search, &now);
        let limit = left.iter().map(|worker| swapper.timeout(worker)).max();
        let end = start + limit.unwrap_or_default().min(LIMIT);
        let fates = stream::iter(left.into_iter().map(|worker| {
            let swapper = &swapper;
            async move { (worker, swapper.swap(worker, end).await) }
        }));
        let fates: Vec<_> = fates.buffer_unordered(WAITING).collect().await;
        for (worker, fate) in fates {
            replaced.note(worker, fate?);
        }
    }
}

/// The time in which the Gateway notices a new configuration.
fn reload(gateway: &ContainerInfo) -> Duration {
    let interval = gateway.environment.get("CONFIG_RELOAD_INTERVAL");
    let interval = interval.and_then(|text| text.trim().parse().ok()).unwrap_or(RELOAD);
    let interval = Duration::try_from_secs_f64(interval).unwrap_or_default();
    interval.min(LIMIT) + READING
}

/// The criteria by which workers run old code.
struct OutdatedWorkers<'a> {
    merged: &'a Merged,
    /// Workers of changed functions that ran before the Gateway noticed.
    known: BTreeSet<String>,
}

impl OutdatedWorkers<'_> {
    fn include(&self, workers: &Workers, worker: &ContainerInfo) -> bool {
        self.known.contains(&worker.id) || self.has_other_image(workers, worker)
    }

    /// Whether functions.yml names another image.
    fn has_other_image(&self, workers: &Workers, worker: &ContainerInfo) -> bool {
        let name = workers.function(worker);
        let entry = name.and_then(|name| self.merged.config.functions.functions.get(name));
        let image = entry.and_then(|entry| entry.image.as_ref());
        image.is_some_and(|image| image.resolve(|_| None) != worker.image)
    }
}

impl Replaced {
    fn note(&mut self, worker: &ContainerInfo, fate: ReplaceResult) {
        let name = worker.name.clone();
        match fate {
            ReplaceResult::Replaced { cut } => {
                self.cut += usize::from(cut);
                self.idle.push(name);
            }
            ReplaceResult::Busy => self.busy.push(name),
            ReplaceResult::Kept(reason) => self.kept.push((name, reason)),
            ReplaceResult::Lost(reason) => self.lost.push((name, reason)),
        }
    }
}

#[cfg(test)]
mod tests {
    use esb_config::EntryKey;

    use super::*;

    #[test]
    fn a_capacity_is_nothing_of_a_worker() {
        let is_of_workers = |kind, details: &[&str]| {
            let entry = EntryKey::new(Section::Function, "one");
            let details = details.iter().map(|text| (*text).to_owned()).collect();
            is_of_workers(&Change { entry, kind, details, route: None })
        };
        assert!(!is_of_workers(ChangeKind::Changed, &["max_capacity 1 → 2"]));
        assert!(is_of_workers(ChangeKind::Changed, &["max_capacity 1 → 2", "timeout 1 → 2"]));
        assert!(is_of_workers(ChangeKind::Changed, &[]));
        assert!(is_of_workers(ChangeKind::Removed, &[]));
        assert!(!is_of_workers(ChangeKind::Added, &[]));
    }
}
