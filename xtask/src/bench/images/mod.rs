//! Builds and pushes 50 and 500 functions: `esb` beside other tools, and beside a replay of its own
//! requests.
//!
//! Owns the phases and the targets. Every contender has a registry, a project and caches of its
//! own, so that the order of the runs does not matter.

mod peers;

use std::{cell::RefCell, collections::BTreeMap, fs, path::Path};

use esb_test::{DockerEngine, Exchange};

use self::peers::{Crane, OnBuildkit, OnEngine, forget_images};
use super::{
    frame::{Contender, contest},
    replay::Plan,
    report::{Goal, Phase, Ratio, Report, count, count_u64},
    site::{Site, remove},
};
use crate::{checks::Outcome, command::target, steps::say};

const FUNCTIONS: usize = 50;
const MANY: usize = 500;
/// The function that is edited.
const EDITED: usize = 7;

const ESB: &str = "esb";
const ESB_ENGINE: &str = "esb, Docker engine";
const FLOOR: &str = "floor: the same requests";
const HEADS: &str = "floor: 50 HEADs";
const ENGINE: &str = "buildx bake, engine, push";
const BUILDKIT: &str = "buildx bake, BuildKit pushes";
const CRANE: &str = "crane append, 4 at a time";

pub(crate) fn measure(rounds: usize, quick: bool, esb: &Path) -> Outcome<Report> {
    let work = target().join("bench/images");
    remove(&work)?;
    fs::create_dir_all(&work)?;
    let engine = if quick { None } else { Some(DockerEngine::start(&work.join("engine"))?) };
    let all = All::new(&work, esb, engine.as_ref())?;
    let mut report = Report::default();
    all.cold(rounds, &mut report)?;
    all.unchanged(rounds, &mut report)?;
    all.cache_empty(rounds, &mut report)?;
    all.edited(rounds, &mut report)?;
    if !quick {
        many(rounds, &work, esb, &mut report)?;
    }
    report.notes = vec![format!(
        "{FUNCTIONS} Python functions of 10 small files and one shared layer of 60 files and 4.7 \
         MB; the base images are in the registry already; every contender has a registry of its \
         own on loopback. The floor sends the {} requests of a cold run of `esb` again, {} at a \
         time, with their bytes in memory. They are: {}.",
        all.floor.len(),
        all.floor.connections,
        kinds(&all.cold),
    )];
    Ok(report)
}

/// All contenders.
struct All<'a> {
    esb: RefCell<Site>,
    /// Where the requests of `esb` are seen, and replayed.
    seen: RefCell<Site>,
    floor: Plan,
    heads: Plan,
    cold: Vec<Exchange>,
    crane: RefCell<Crane>,
    slow: Option<Slow<'a>>,
}

/// Contenders that take long.
struct Slow<'a> {
    engine: &'a DockerEngine,
    esb_engine: RefCell<Site>,
    on_engine: RefCell<OnEngine<'a>>,
    on_buildkit: RefCell<OnBuildkit>,
}

impl<'a> All<'a> {
    fn new(work: &Path, esb: &Path, engine: Option<&'a DockerEngine>) -> Outcome<Self> {
        let site = |name: &str, seen: bool, engine: Option<&DockerEngine>| {
            say(&format!("prepare {name}"));
            Site::new(&work.join(name), esb, FUNCTIONS, seen, engine.map(DockerEngine::host))
        };
        let mut seen = site("seen", true, None)?;
        seen.reset()?;
        let cold = requests(&seen, &["build"])?;
        let floor = Plan::new(&cold, &seen.data())?;
        let heads: Vec<String> = cold
            .iter()
            .filter(|exchange| exchange.method == "PUT" && is_manifest(exchange))
            .map(|exchange| exchange.target.clone())
            .take(FUNCTIONS)
            .collect();
        let heads = Plan::heads(&heads, floor.connections.min(heads.len()).max(1));
        let crane = RefCell::new(Crane::new(site("crane", false, None)?, work)?);
        let slow = match engine {
            None => None,
            Some(engine) => Some(Slow {
                engine,
                esb_engine: RefCell::new(site("esb-engine", false, Some(engine))?),
                on_engine: {
                    let site = site("engine-peer", false, None)?;
                    RefCell::new(OnEngine::new(site, engine, work)?)
                },
                on_buildkit: {
                    let docker = engine.docker().get_program().into();
                    let site = site("buildkit-peer", false, None)?;
                    RefCell::new(OnBuildkit::new(site, docker, work)?)
                },
            }),
        };
        let esb = RefCell::new(site("esb", false, None)?);
        Ok(Self { esb, seen: RefCell::new(seen), floor, heads, cold, crane, slow })
    }

    fn cold(&self, rounds: usize, report: &mut Report) -> Outcome {
        say("cold");
        let mut contenders = vec![
            Contender::new(
                ESB,
                || self.esb.borrow_mut().reset(),
                || self.esb.borrow().esb(&["build"]),
            ),
            Contender::prepared(
                FLOOR,
                || self.seen.borrow_mut().reset(),
                || self.floor.run(self.seen.borrow().registry.address()),
            ),
            Contender::new(
                CRANE,
                || self.crane.borrow_mut().site.reset(),
                || self.crane.borrow().run(),
            ),
        ];
        if let Some(slow) = &self.slow {
            let forget = || {
                let mut site = slow.esb_engine.borrow_mut();
                site.reset()?;
                forget_images(slow.engine, &site)
            };
            contenders.extend([
                Contender::new(ESB_ENGINE, forget, || slow.build_with_engine()),
                Contender::new(
                    ENGINE,
                    || slow.on_engine.borrow_mut().reset(),
                    || slow.on_engine.borrow().run(),
                ),
                Contender::new(
                    BUILDKIT,
                    || slow.on_buildkit.borrow_mut().reset(),
                    || slow.on_buildkit.borrow().run(false),
                ),
            ]);
        }
        let phase = Phase::new("cold: build and push", contest(rounds, &mut contenders)?);
        let to_floor = phase.median(ESB).zip(phase.median(FLOOR));
        report.ratios.extend(to_floor.map(|(esb, floor)| {
            Ratio::new("cold: esb to the floor", esb / floor, Goal::AtMost(1.3))
        }));
        for (peer, times) in [(CRANE, 3.0), (BUILDKIT, 8.0), (ENGINE, 15.0)] {
            report.ratios.extend(times_faster("cold", &phase, peer, Goal::AtLeast(times)));
        }
        report.ratios.push(Ratio::new("cold: requests", count(self.cold.len()), Goal::None));
        report.phases.push(phase);
        Ok(())
    }

    fn unchanged(&self, rounds: usize, report: &mut Report) -> Outcome {
        say("nothing changed");
        {
            // The replay left no cache.
            let mut seen = self.seen.borrow_mut();
            seen.reset()?;
            requests(&seen, &["build"])?;
            let asked = requests(&seen, &["build"])?;
            let of_functions = asked.iter().filter(|exchange| is_function(exchange)).count();
            report.ratios.push(Ratio::new(
                "unchanged: requests for each function's image",
                count(of_functions) / count(FUNCTIONS),
                Goal::Exactly(1.0),
            ));
            let others = asked.len() - of_functions;
            report.ratios.push(Ratio::new("unchanged: other requests", count(others), Goal::None));
        }
        let mut contenders = vec![
            Contender::new(ESB, || Ok(()), || self.esb.borrow().esb(&["build"])),
            Contender::timed(HEADS, || self.heads.run(self.seen.borrow().registry.address())),
            Contender::new(CRANE, || Ok(()), || self.crane.borrow().run()),
        ];
        if let Some(slow) = &self.slow {
            contenders.extend([
                Contender::new(ESB_ENGINE, || Ok(()), || slow.build_with_engine()),
                Contender::new(ENGINE, || Ok(()), || slow.on_engine.borrow().run()),
                Contender::new(BUILDKIT, || Ok(()), || slow.on_buildkit.borrow().run(false)),
            ]);
        }
        let phase = Phase::new("nothing changed", contest(rounds, &mut contenders)?);
        let to_heads = phase.median(ESB).zip(phase.median(HEADS));
        report.ratios.extend(to_heads.map(|(esb, heads)| {
            Ratio::new("unchanged: esb to 50 HEADs", esb / heads, Goal::AtMost(1.5))
        }));
        report.ratios.extend(best_peer("unchanged", &phase, 40.0));
        report.phases.push(phase);
        Ok(())
    }

    fn cache_empty(&self, rounds: usize, report: &mut Report) -> Outcome {
        say("nothing changed, local cache empty");
        {
            let seen = self.seen.borrow();
            seen.forget()?;
            let asked = requests(&seen, &["build"])?;
            let sent: u64 = asked.iter().map(|exchange| exchange.request_bytes).sum();
            report.ratios.push(Ratio::new(
                "cache empty: bytes uploaded",
                count_u64(sent),
                Goal::Exactly(0.0),
            ));
            let of_functions = asked.iter().filter(|exchange| is_function(exchange)).count();
            report.ratios.push(Ratio::new(
                "cache empty: requests for each function's image",
                count(of_functions) / count(FUNCTIONS),
                Goal::AtMost(2.0),
            ));
        }
        let mut contenders = vec![Contender::new(
            ESB,
            || self.esb.borrow().forget(),
            || self.esb.borrow().esb(&["build"]),
        )];
        if let Some(slow) = &self.slow {
            slow.on_buildkit.borrow().run(true)?;
            contenders.push(Contender::new(
                BUILDKIT,
                || slow.on_buildkit.borrow_mut().forget(),
                || slow.on_buildkit.borrow().run(true),
            ));
        }
        let times = contest(rounds, &mut contenders)?;
        let phase = Phase::new("nothing changed, local cache empty", times);
        report.ratios.extend(times_faster("cache empty", &phase, BUILDKIT, Goal::None));
        report.phases.push(phase);
        Ok(())
    }

    fn edited(&self, rounds: usize, report: &mut Report) -> Outcome {
        say("one line of one function changed");
        let round = RefCell::new(0);
        let edit = |site: &Site| {
            *round.borrow_mut() += 1;
            site.project.edit(EDITED, *round.borrow())
        };
        {
            let seen = self.seen.borrow();
            edit(&seen)?;
            let asked = requests(&seen, &["build"])?;
            let puts = |manifest: bool| {
                let matching = |exchange: &&Exchange| {
                    exchange.method == "PUT" && is_manifest(exchange) == manifest
                };
                count(asked.iter().filter(matching).count())
            };
            // The code layer and the config; the manifest under its plain tag and its content's.
            report.ratios.push(Ratio::new("edited: blobs sent", puts(false), Goal::Exactly(2.0)));
            report.ratios.push(Ratio::new("edited: manifests sent", puts(true), Goal::AtMost(2.0)));
        }
        let mut contenders = vec![
            Contender::new(ESB, || edit(&self.esb.borrow()), || self.esb.borrow().esb(&["build"])),
            Contender::new(
                CRANE,
                || {
                    edit(&self.crane.borrow().site)?;
                    self.crane.borrow().archive(EDITED)
                },
                || self.crane.borrow().run(),
            ),
        ];
        if let Some(slow) = &self.slow {
            contenders.extend([
                Contender::new(
                    ESB_ENGINE,
                    || edit(&slow.esb_engine.borrow()),
                    || slow.build_with_engine(),
                ),
                Contender::new(
                    ENGINE,
                    || edit(&slow.on_engine.borrow().site),
                    || slow.on_engine.borrow().run(),
                ),
                Contender::new(
                    BUILDKIT,
                    || edit(&slow.on_buildkit.borrow().site),
                    || slow.on_buildkit.borrow().run(false),
                ),
            ]);
        }
        let phase = Phase::new("one line changed", contest(rounds, &mut contenders)?);
        report.ratios.extend(best_peer("one line changed", &phase, 30.0));
        report.phases.push(phase);
        Ok(())
    }
}

impl Slow<'_> {
    fn build_with_engine(&self) -> Outcome {
        self.esb_engine.borrow().esb(&["build", "--builder", "docker"])
    }
}

/// Ten times as many functions, and the memory that large inputs need.
fn many(rounds: usize, work: &Path, esb: &Path, report: &mut Report) -> Outcome {
    say("500 functions");
    let site = |name: &str, functions| {
        Site::new(&work.join(name), esb, functions, false, None).map(RefCell::new)
    };
    let (few, many) = (site("few", FUNCTIONS)?, site("many", MANY)?);
    let reset = |site: &RefCell<Site>| site.borrow_mut().reset();
    let build = |site: &RefCell<Site>| site.borrow().esb(&["build"]);
    let mut contenders = [
        Contender::new("esb, 50 functions", || reset(&few), || build(&few)),
        Contender::new("esb, 500 functions", || reset(&many), || build(&many)),
    ];
    let times = contest(rounds, &mut contenders)?;
    let ratio = times[1].median() / times[0].median();
    report.ratios.push(Ratio::new("cold: 500 functions to 50", ratio, Goal::AtMost(12.0)));
    report.phases.push(Phase::new("cold: ten times as many functions", times));

    reset(&many)?;
    let peak = many.borrow().memory(&["build"])?;
    report.ratios.push(Ratio::new("peak memory, 500 functions, MiB", peak, Goal::AtMost(64.0)));
    reset(&few)?;
    few.borrow().project.enlarge(1024 * 1024 * 1024)?;
    let peak = few.borrow().memory(&["build"])?;
    report.ratios.push(Ratio::new("peak memory, layer of 1 GiB, MiB", peak, Goal::AtMost(64.0)));
    Ok(())
}

/// Runs `esb` at a place whose requests are seen.
fn requests(site: &Site, arguments: &[&str]) -> Outcome<Vec<Exchange>> {
    let proxy = site.proxy.as_ref().ok_or("a place without a proxy")?;
    proxy.clear();
    site.esb(arguments)?;
    Ok(proxy.requests())
}

/// How many requests of each kind there are, the most frequent first.
fn kinds(asked: &[Exchange]) -> String {
    let mut counts = BTreeMap::<String, usize>::new();
    for Exchange { method, target, status, .. } in asked {
        let what = match () {
            () if target.contains("?mount=") || target.contains("&mount=") => "mount",
            () if target.contains("/blobs/uploads/") => "upload",
            () if target.contains("/blobs/") => "blob",
            () if target.contains("/manifests/") => "manifest",
            () => "registry",
        };
        *counts.entry(format!("{method} {what} {}", status.unwrap_or(0))).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let words: Vec<String> =
        counts.into_iter().map(|(kind, count)| format!("{count} × {kind}")).collect();
    words.join(", ")
}

fn is_manifest(exchange: &Exchange) -> bool {
    exchange.target.contains("/manifests/")
}

fn is_function(exchange: &Exchange) -> bool {
    exchange.target.starts_with("/v2/esb-f")
}

/// The fastest of the peers, to `esb`.
fn best_peer(what: &str, phase: &Phase, goal: f64) -> Option<Ratio> {
    let peers = [CRANE, ENGINE, BUILDKIT].into_iter();
    let best = peers.filter_map(|name| Some((name, phase.median(name)?)));
    let (best, _) = best.min_by(|(_, one), (_, other)| one.total_cmp(other))?;
    times_faster(what, phase, best, Goal::AtLeast(goal))
}

fn times_faster(what: &str, phase: &Phase, peer: &str, goal: Goal) -> Option<Ratio> {
    let (esb, other) = (phase.median(ESB)?, phase.median(peer)?);
    Some(Ratio::new(format!("{what}: {peer}, to esb"), other / esb, goal))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::frame::Times;

    #[test]
    fn requests_are_told_by_kind() {
        let exchange = |method: &str, target: &str, status| Exchange {
            method: method.to_owned(),
            target: target.to_owned(),
            status: Some(status),
            ..Exchange::default()
        };
        let asked = [
            exchange("HEAD", "/v2/a/blobs/sha256:1", 404),
            exchange("POST", "/v2/a/blobs/uploads/?mount=sha256:1&from=b", 201),
            exchange("HEAD", "/v2/b/blobs/sha256:1", 404),
        ];
        assert_eq!(kinds(&asked), "2 × HEAD blob 404, 1 × POST mount 201");
    }

    #[test]
    fn the_best_peer_is_the_fastest_that_took_part() {
        let times = [(ESB, 2.0), (ESB_ENGINE, 1.0), (ENGINE, 90.0), (CRANE, 70.0), (HEADS, 1.0)];
        let times = times.map(|(name, seconds)| Times::of(name, vec![seconds])).to_vec();
        let phase = Phase::new("x", times);
        let ratio = best_peer("x", &phase, 30.0).unwrap();
        assert_eq!(ratio.name, format!("x: {CRANE}, to esb"));
        assert_eq!(ratio.value.to_string(), "35");
        assert!(times_faster("x", &phase, BUILDKIT, Goal::None).is_none());
    }
}
