//! Stops one idle worker and lets a placeholder take its address.

use std::time::{Duration, Instant};

use esb_config::Merged;
use esb_image::docker::{AddressResult, ContainerInfo, DockerEngine, PlaceholderSpec, WorkerState};
use tokio::sync::Mutex;

use super::found::{self, Search, Workers};
use crate::{deployment::Deployment, error::Error};

/// How long a call may take when functions.yml does not say so
/// (docs/contracts/platform.md#functionsyml).
const CALL: i64 = 300;
/// The seconds after which the Gateway forgets an idle worker by default.
const IDLE: u64 = 300;
/// The time that a placeholder stays beyond that.
const LONGER: Duration = Duration::from_mins(2);
/// The longest wait for the end of a call once a placeholder is there.
const SHORT: Duration = Duration::from_secs(4);
/// How often a worker that got the address of another one is ended in its turn.
const TRIES: usize = 3;

/// The result of replacing one worker.
#[derive(Debug)]
pub(super) enum ReplaceResult {
    /// It is gone; perhaps a call began just then.
    Replaced { cut: bool },
    /// It is never idle.
    Busy,
    /// It still runs, for its address cannot be held.
    Kept(String),
    /// It is gone, and its address may be another's.
    Lost(String),
}

/// Replaces workers of one Gateway.
pub(super) struct Swapper<'a> {
    run: &'a Deployment,
    engine: &'a DockerEngine,
    gateway: &'a ContainerInfo,
    merged: &'a Merged,
    search: &'a Search,
    workers: &'a Workers,
    /// One at a time: an address that gets free is not for the next placeholder.
    turn: Mutex<()>,
}

impl<'a> Swapper<'a> {
    pub(super) fn new(
        run: &'a Deployment,
        engine: &'a DockerEngine,
        gateway: &'a ContainerInfo,
        merged: &'a Merged,
        search: &'a Search,
        workers: &'a Workers,
    ) -> Self {
        Self { run, engine, gateway, merged, search, workers, turn: Mutex::default() }
    }

    /// How long a call of a worker's function may take.
    pub(super) fn timeout(&self, worker: &ContainerInfo) -> Duration {
        let functions = &self.merged.config.functions.functions;
        let entry = self.workers.function(worker).and_then(|name| functions.get(name));
        let seconds = entry.and_then(|entry| entry.timeout).unwrap_or(CALL);
        Duration::from_secs(seconds.try_into().unwrap_or(0)) + SHORT
    }

    /// Ends a worker as soon as it is idle, until `end` at the latest.
    pub(super) async fn swap(
        &self,
        worker: &ContainerInfo,
        end: Instant,
    ) -> Result<ReplaceResult, Error> {
        let (engine, timeout) = (self.engine, self.timeout(worker));
        if !worker.running || !self.gateway.running {
            // Nobody remembers its address, or nobody can hold it any more.
            engine.remove_container(&worker.id).await?;
            return Ok(ReplaceResult::Replaced { cut: false });
        }
        loop {
            let left = end.saturating_duration_since(Instant::now()).max(SHORT);
            match engine.quiet_moment(&worker.id, timeout, left).await? {
                WorkerState::Idle => {}
                WorkerState::Busy => return Ok(ReplaceResult::Busy),
                WorkerState::Gone => return Ok(ReplaceResult::Replaced { cut: false }),
            }
            let _turn = self.turn.lock().await;
            if let Some(fate) = self.now(worker, timeout).await? {
                return Ok(fate);
            }
            if Instant::now() >= end {
                return Ok(ReplaceResult::Busy);
            }
        }
    }

    /// Ends a worker when it gets idle soon; none when it does not. Where another worker was faster
    /// to get its address, that one ends too: the Gateway would call it for this one's function.
    async fn now(
        &self,
        worker: &ContainerInfo,
        timeout: Duration,
    ) -> Result<Option<ReplaceResult>, Error> {
        let mut fate = self.once(worker, timeout).await?;
        for _ in 0..TRIES {
            let Some(ReplaceResult::Lost(_)) = fate else { break };
            let Some(faster) = self.search.at(self.engine, worker).await? else { break };
            if let Some(ReplaceResult::Replaced { cut }) = self.once(&faster, timeout).await? {
                fate = Some(ReplaceResult::Replaced { cut });
            }
        }
        Ok(fate)
    }

    async fn once(
        &self,
        worker: &ContainerInfo,
        timeout: Duration,
    ) -> Result<Option<ReplaceResult>, Error> {
        let engine = self.engine;
        let placeholder = match engine.placeholder(worker, &self.spec(worker)).await {
            Ok(placeholder) => placeholder,
            Err(error) => return Ok(Some(ReplaceResult::Kept(error.to_string()))),
        };
        let before = engine.now().await?;
        match engine.quiet_moment(&worker.id, timeout, SHORT).await? {
            WorkerState::Idle => {}
            moment => {
                placeholder.discard().await?;
                let is_gone = moment == WorkerState::Gone;
                return Ok(is_gone.then_some(ReplaceResult::Replaced { cut: false }));
            }
        }
        let taken = placeholder.replace(worker).await?;
        let cut = engine.was_cut(&worker.id, before).await?;
        engine.remove_container(&worker.id).await?;
        Ok(Some(match taken {
            AddressResult::Held => ReplaceResult::Replaced { cut },
            AddressResult::Lost(reason) => ReplaceResult::Lost(reason),
        }))
    }

    fn spec(&self, worker: &ContainerInfo) -> PlaceholderSpec {
        let brand = &self.run.project.brand;
        let idle = self.gateway.environment.get("GATEWAY_IDLE_TIMEOUT_SECONDS");
        let idle = idle.and_then(|text| text.trim().parse().ok()).unwrap_or(IDLE);
        let function = self.workers.function(worker).unwrap_or_default().to_owned();
        let more = [
            (brand.label("env"), self.run.project.environment.clone()),
            (brand.label("function"), function),
        ];
        PlaceholderSpec {
            labels: found::labels(self.run).into_iter().chain(more).collect(),
            life: Duration::from_secs(idle) + LONGER,
        }
    }
}
