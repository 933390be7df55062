//! Builds of functions that need a process, on daemons: `esb` beside `docker buildx bake` on the
//! same `BuildKit` daemon, four daemons, and placement on a large fleet.
//!
//! Owns the phases and the targets.

mod placement;
mod project;
mod setup;
mod warm;

use std::{cell::RefCell, fs, path::Path};

use self::{
    project::Project,
    setup::{Setup, fetched},
};
use super::{
    frame::{Contender, contest},
    report::{Goal, Phase, Ratio, Report, count_u64},
    site::remove,
};
use crate::{checks::Outcome, command::target, steps::say};

const FUNCTIONS: usize = 50;
const FEW: usize = 8;
/// The function that is edited.
const EDITED: usize = 7;

const ESB: &str = "esb";
const BAKE: &str = "buildx bake";
const QUIET: [&str; 2] = ["--progress", "none"];

pub(crate) fn measure(rounds: usize, quick: bool, esb: &Path) -> Outcome<Report> {
    let mut report = Report::default();
    placement::measure(rounds, &mut report);
    let functions = if quick { FEW } else { FUNCTIONS };
    let work = target().join("bench/fleet");
    remove(&work)?;
    fs::create_dir_all(&work)?;
    let setup = Setup::new(&work, esb)?;
    let project = |name: &str| Project::write(&work.join(name), functions, &setup.base);
    let (own, peers, four) = (project("esb")?, project("peer")?, project("four-project")?);
    let mut contest = Contest { setup: RefCell::new(setup), own, peers };
    contest.run(rounds, &mut report)?;
    // What the registry has would not be built again.
    contest.setup.get_mut().reset()?;
    warm::measure(contest.setup.get_mut(), &four, &mut report)?;
    report.notes = vec![format!(
        "{functions} image functions of 10 small files, each with a Dockerfile that lets pip \
         install a wheel of its own beside it (21 modules) in a `RUN`. `esb` and `docker buildx \
         bake` build on the same daemon and push to the same registry, which holds the base \
         already; before each cold run the daemon, the registry and the cache are new. Tracing is \
         off for both. On four daemons each function is edited once, and the daemons tell which \
         `RUN` was cached; for the lot, each function goes to a daemon drawn at random. Placement \
         is computed in memory, by the program without optimisation; each round has \
         other keys, and in each every daemon is lost once. Shared keys are 1,000 by Zipf's law; \
         one that is frequent belongs to several daemons."
    )];
    Ok(report)
}

/// Both clients of one daemon, each with a project of its own.
struct Contest {
    setup: RefCell<Setup>,
    own: Project,
    peers: Project,
}

impl Contest {
    fn run(&self, rounds: usize, report: &mut Report) -> Outcome {
        say("cold");
        let reset = || self.setup.borrow_mut().reset();
        let cold = self.phase("cold: build and push", rounds, [&reset, &reset])?;
        report.ratios.extend(faster("cold", &cold, 1.0));

        say("nothing changed");
        // A cold run leaves nothing of the other contender.
        self.build()?;
        self.bake()?;
        let nothing = || Ok(());
        let unchanged = self.phase("nothing changed", rounds, [&nothing, &nothing])?;
        report.ratios.extend(faster("unchanged", &unchanged, 10.0));

        say("one function changed");
        let bytes = self.own.edit(EDITED, "counted")?;
        let more = ["-v", "--progress", "json"];
        let fetched = fetched(&self.setup.borrow().esb(&self.own, &more)?);
        report.ratios.push(Ratio::new(
            "one function changed: bytes sent, to those of the changed file",
            count_u64(fetched) / count_u64(bytes),
            Goal::Exactly(1.0),
        ));
        let round = RefCell::new(0);
        // Not the same change, for it would be the daemon's by then.
        let edit = |project: &Project, whose: &str| {
            *round.borrow_mut() += 1;
            project.edit(EDITED, &format!("{whose} {}", round.borrow())).map(drop)
        };
        let edit_own = || edit(&self.own, ESB);
        let edit_peers = || edit(&self.peers, BAKE);
        let changed = self.phase("one function changed", rounds, [&edit_own, &edit_peers])?;
        report.ratios.extend(faster("one function changed", &changed, 3.0));
        report.phases.extend([cold, unchanged, changed]);
        Ok(())
    }

    fn phase(
        &self,
        title: &str,
        rounds: usize,
        prepare: [&dyn Fn() -> Outcome; 2],
    ) -> Outcome<Phase> {
        let mut contenders = [
            Contender::new(ESB, prepare[0], || self.build()),
            Contender::new(BAKE, prepare[1], || self.bake()),
        ];
        Ok(Phase::new(title, contest(rounds, &mut contenders)?))
    }

    fn build(&self) -> Outcome {
        self.setup.borrow().esb(&self.own, &QUIET).map(drop)
    }

    fn bake(&self) -> Outcome {
        self.setup.borrow().bake(&self.peers)
    }
}

/// How many times the peer's time is that of `esb`.
fn faster(what: &str, phase: &Phase, times: f64) -> Option<Ratio> {
    let (esb, peer) = phase.median(ESB).zip(phase.median(BAKE))?;
    let name = format!("{what}: {BAKE} to esb");
    Some(Ratio::new(name, peer / esb, Goal::AtLeast(times)))
}
