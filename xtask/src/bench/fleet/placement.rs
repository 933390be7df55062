//! Placement on a large fleet, in memory: how even it is, what a lost daemon moves, and how long it
//! takes.

use std::time::Instant;

use esb_image::buildkit::{PlacementItem, RendezvousHasher};
use esb_oci::Digest;

use crate::bench::{
    frame::Times,
    report::{Goal, Ratio, Report, count},
};

const DAEMONS: usize = 64;
const FUNCTIONS: usize = 10_000;
/// Keys that functions share by Zipf's law.
const KEYS: u32 = 1000;

pub(super) fn measure(rounds: usize, report: &mut Report) {
    let names: Vec<String> =
        (0..DAEMONS).map(|number| format!("tcp://buildkit-{number}.builds:1234")).collect();
    let sets = |keys: fn(usize) -> Vec<Digest>| -> Vec<Figures> {
        (0..rounds).map(|round| figures(&names, &functions(keys(round)))).collect()
    };
    let distinct = sets(|round| (0..FUNCTIONS).map(|number| key(round, number)).collect());
    let shared = sets(skewed);
    // 1.15 times the mean, rounded up.
    let bound = Goal::AtMost(count((FUNCTIONS * 115).div_ceil(DAEMONS * 100)));
    let kinds = [("own keys", &distinct, 1.1), ("shared keys", &shared, 4.0)];
    for (keys, sets, most) in kinds {
        let mut add = |what: &str, of: fn(&Figures) -> f64, goal: Goal| {
            let values = Times::of("", sets.iter().map(of).collect());
            let name = format!("{FUNCTIONS} functions with {keys} on {DAEMONS} daemons: {what}");
            report.ratios.push(Ratio::new(name, values.median(), goal));
        };
        add("most on one", |set| set.fullest, bound);
        let at_most = Goal::AtMost(most);
        add("what the worst to lose moves, of its share", |set| set.worst, at_most);
        add("what one that is lost moves on average, of its share", |set| set.moved, Goal::None);
        add("% on the first daemon of their key", |set| set.first, Goal::None);
        add("milliseconds", |set| set.milliseconds, Goal::AtMost(100.0));
    }
}

struct Figures {
    fullest: f64,
    /// What moves when the worst of all is lost, and the mean, as parts of what the lost one had.
    worst: f64,
    moved: f64,
    /// Of a hundred.
    first: f64,
    milliseconds: f64,
}

fn figures(names: &[String], items: &[PlacementItem]) -> Figures {
    let whole = ring(names, None);
    let start = Instant::now();
    let placed = whole.place(items);
    let milliseconds = start.elapsed().as_secs_f64() * 1000.0;
    let mut shares = vec![0_usize; names.len()];
    for daemon in &placed {
        shares[*daemon] += 1;
    }
    let is_first = |(item, at): &(&PlacementItem, &usize)| whole.rank(item.key)[0] == **at;
    let first = items.iter().zip(&placed).filter(is_first).count();
    let first = count(first) * 100.0 / count(items.len());
    let lost = (0..names.len()).map(|lost| {
        let after = ring(names, Some(lost)).place(items);
        // Numbers behind the lost one are one less.
        let same = |(before, after): &(&usize, &usize)| {
            **before != lost && **before == **after + usize::from(**after >= lost)
        };
        let moved = items.len() - placed.iter().zip(&after).filter(same).count();
        count(moved) / count(shares[lost].max(1))
    });
    let lost: Vec<f64> = lost.collect();
    let worst = lost.iter().copied().fold(0.0, f64::max);
    let moved = lost.iter().sum::<f64>() / count(lost.len());
    let fullest = count(shares.into_iter().max().unwrap_or(0));
    Figures { fullest, worst, moved, first, milliseconds }
}

fn ring(names: &[String], without: Option<usize>) -> RendezvousHasher {
    let left = names.iter().enumerate().filter(|(at, _)| Some(*at) != without);
    RendezvousHasher::new(left.map(|(_, name)| &**name))
}

/// Other keys in each round.
fn key(round: usize, number: usize) -> Digest {
    Digest::of(format!("key {number} of {round}").as_bytes())
}

fn functions(keys: impl IntoIterator<Item = Digest>) -> Vec<PlacementItem> {
    let name = |number: usize| Digest::of(format!("function {number}").as_bytes());
    keys.into_iter().enumerate().map(|(at, key)| PlacementItem { key, name: name(at) }).collect()
}

/// A key for each function, the first one the most frequent.
fn skewed(round: usize) -> Vec<Digest> {
    let total: f64 = (1..=KEYS).map(|rank| 1.0 / f64::from(rank)).sum();
    let mut keys = Vec::new();
    let mut sum = 0.0;
    for rank in 1..=KEYS {
        sum += count(FUNCTIONS) / f64::from(rank) / total;
        while count(keys.len()) < sum && keys.len() < FUNCTIONS {
            keys.push(key(round, rank as usize));
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_count_what_a_lost_daemon_moves() {
        let names: Vec<String> = (0..4).map(|number| format!("tcp://d{number}:1")).collect();
        let keys = (0..40).map(|number| key(0, number));
        let Figures { fullest, worst, moved, first, .. } = figures(&names, &functions(keys));
        // At least its own share moves, and the bound is 11.5, rounded up.
        assert!((10.0..=12.0).contains(&fullest), "{fullest}");
        assert!(moved >= 1.0 && moved <= worst && worst < 2.0, "{moved}, {worst}");
        assert!((75.0..=100.0).contains(&first), "{first}");
    }

    #[test]
    fn few_keys_belong_to_many_functions() {
        let keys = skewed(0);
        assert!(keys.len() >= FUNCTIONS - 1, "{}", keys.len());
        let most = keys.iter().filter(|other| **other == key(0, 1)).count();
        assert!((1300..1400).contains(&most), "{most}");
    }
}
