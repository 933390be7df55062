//! Four daemons: the share of functions that find their own dependency layer in the cache after an
//! edit of each, beside the share with daemons chosen at random.

use std::collections::BTreeSet;

use esb_test::Buildkitd;
use serde_json::Value;

use super::{
    project::Project,
    setup::{Setup, output_lines},
};
use crate::{
    bench::report::{Goal, Ratio, Report, count},
    checks::{Outcome, Trouble},
    steps::say,
};

const DAEMONS: usize = 4;
/// Any number; the same lot in each run.
const SEED: u64 = 10;

pub(super) fn measure(setup: &Setup, project: &Project, report: &mut Report) -> Outcome {
    let folders = (0..DAEMONS).map(|number| setup.work.join(format!("four/{number}")));
    let daemons: Vec<Buildkitd> =
        folders.map(|folder| Buildkitd::start(&folder)).collect::<Result<_, _>>()?;
    let addresses: Vec<&str> = daemons.iter().map(Buildkitd::address).collect();
    say("four daemons, cold");
    setup.esb_through(project, &addresses, &["--progress", "none"])?;

    say("four daemons, each function edited");
    edit_all(project, "placed")?;
    let placed = layers_met(setup, project, &addresses, "template.yaml", project.functions)?;

    say("four daemons by lot, each function edited");
    edit_all(project, "by lot")?;
    let mut lots = vec![Vec::new(); DAEMONS];
    let mut random = fastrand::Rng::with_seed(SEED);
    for number in 0..project.functions {
        lots[random.usize(0..DAEMONS)].push(number);
    }
    let mut by_chance = 0;
    for (number, lot) in lots.iter().enumerate().filter(|(_, lot)| !lot.is_empty()) {
        let file = format!("lot-{number}.yaml");
        project.template_of(lot, &file)?;
        by_chance += layers_met(setup, project, &addresses[number..=number], &file, lot.len())?;
    }

    let share = |met: usize| count(met) * 100.0 / count(project.functions);
    let of = |how: &str| format!("four daemons, each edited: % that meet their layer, {how}");
    report.ratios.extend([
        Ratio::new(of("placed"), share(placed), Goal::AtLeast(95.0)),
        Ratio::new(of("by lot"), share(by_chance), Goal::None),
    ]);
    Ok(())
}

fn edit_all(project: &Project, mark: &str) -> Outcome {
    (0..project.functions).try_for_each(|number| project.edit(number, mark).map(drop))
}

/// Builds the functions of a template; of how many the daemon had the layer of the step.
fn layers_met(
    setup: &Setup,
    project: &Project,
    addresses: &[&str],
    template: &str,
    functions: usize,
) -> Outcome<usize> {
    let more = ["-t", template, "-v", "--progress", "json"];
    let said = setup.esb_through(project, addresses, &more)?;
    let subjects = |wanted: fn(&str) -> bool| -> BTreeSet<String> {
        let lines = output_lines(&said).filter(|event| event["line"].as_str().is_some_and(wanted));
        lines.filter_map(|event: Value| event["subject"].as_str().map(str::to_owned)).collect()
    };
    let stepped = subjects(|line| line.contains("] RUN ")).len();
    if stepped != functions {
        return Err(Trouble::Failed(format!(
            "{stepped} of {functions} were built:\n{}{}",
            said.stdout, said.stderr
        )));
    }
    Ok(subjects(|line| line.starts_with("CACHED ") && line.contains("] RUN ")).len())
}
