//! Chooses the daemon for each build, so that the daemon has the cache of the last one: rendezvous
//! hashing with bounded load.
//!
//! Pure: keys and names in, numbers out. The result does not depend on the order of daemons on a
//! command line. The caller leaves out daemons that do not answer.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
};

use esb_oci::Digest;

/// The most that a daemon gets, in hundredths of the mean.
const BOUND: usize = 115;

/// Ranks daemons by name for each key (rendezvous hashing).
#[derive(Debug, Clone)]
pub struct RendezvousHasher(Vec<u64>);

impl RendezvousHasher {
    /// Daemons by their names.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(names.into_iter().map(|name| number(Digest::of(name.as_bytes()))).collect())
    }

    /// The daemons for a key, the one that it belongs to first.
    pub fn rank(&self, key: Digest) -> Vec<usize> {
        let key = number(key);
        let mut ranked: Vec<usize> = (0..self.0.len()).collect();
        ranked.sort_by_cached_key(|daemon| Reverse(weight(key, self.0[*daemon])));
        ranked
    }

    /// The daemon that a key belongs to.
    fn first(&self, key: Digest) -> Option<usize> {
        let key = number(key);
        (0..self.0.len()).max_by_key(|daemon| weight(key, self.0[*daemon]))
    }

    /// The daemon of each item. An item goes to the daemon that its key belongs to; a key of many
    /// items belongs to several. Where a daemon would get more than 1.15 times the mean, rounded
    /// up, some go on to the next in rank.
    ///
    /// Which ones is decided as stable matchings are: a daemon keeps those that it wants most, so
    /// that the result depends on no order, and a daemon more or less moves what belongs to it and
    /// little else.
    pub fn place(&self, items: &[PlacementItem]) -> Vec<usize> {
        let capacity = capacity(items.len(), self.0.len());
        let portion = portion(items.len(), self.0.len());
        let mut counts: HashMap<Digest, usize> = HashMap::new();
        for item in items {
            *counts.entry(item.key).or_default() += 1;
        }
        let mut placed = vec![0; items.len()];
        let mut held: Vec<BinaryHeap<Reverse<(u64, usize)>>> =
            vec![BinaryHeap::new(); self.0.len()];
        let mut ranks: HashMap<Digest, Vec<usize>> = HashMap::new();
        let mut orders: Vec<Vec<usize>> = vec![Vec::new(); items.len()];
        let mut tried = vec![0; items.len()];
        let mut open: Vec<usize> = (0..items.len()).collect();
        while let Some(at) = open.pop() {
            let item = items[at];
            let several = counts[&item.key].div_ceil(portion);
            let choice = if several == 1 && tried[at] == 0 {
                self.first(item.key)
            } else {
                let ranked = ranks.entry(item.key).or_insert_with(|| self.rank(item.key));
                let belongs = &ranked[..several.min(ranked.len())];
                let wanted = self.wanted(item);
                if tried[at] == 0 {
                    belongs.iter().copied().min_by_key(wanted)
                } else {
                    if orders[at].is_empty() {
                        orders[at].clone_from(ranked);
                        orders[at][..belongs.len()].sort_by_cached_key(wanted);
                    }
                    orders[at].get(tried[at]).copied()
                }
            };
            let Some(daemon) = choice else { continue };
            tried[at] += 1;
            placed[at] = daemon;
            held[daemon].push(Reverse((weight(number(item.name), self.0[daemon]), at)));
            if held[daemon].len() > capacity
                && let Some(Reverse((_, least))) = held[daemon].pop()
            {
                open.push(least);
            }
        }
        placed
    }

    /// The sort key of daemons for an item, the one with the highest weight first.
    fn wanted(&self, item: PlacementItem) -> impl Fn(&usize) -> Reverse<u64> {
        let own = number(item.key) ^ number(item.name);
        move |daemon| Reverse(weight(own, self.0[*daemon]))
    }
}

/// Most items of one key on a daemon: mean/8, small runs mean/4, at most 8, a power of two.
///
/// What is smaller than the room that the bound leaves fills no daemon by itself, and full daemons
/// are what moves more than a share when one is lost.
fn portion(items: usize, daemons: usize) -> usize {
    let mean = items / daemons.max(1);
    let part = (mean / 8).max((mean / 4).min(8)).max(1);
    1 << part.ilog2()
}

/// Something to place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlacementItem {
    /// The key that it shares with items that use the same cache.
    pub key: Digest,
    /// The key of the item alone.
    pub name: Digest,
}

/// The most items that one of `daemons` gets of `items`: 1.15 times the mean, rounded up.
fn capacity(items: usize, daemons: usize) -> usize {
    (items * BOUND).div_ceil(100 * daemons.max(1))
}

/// The first bytes of a digest.
fn number(digest: Digest) -> u64 {
    u64::from_be_bytes(*digest.bytes().first_chunk().expect("a digest is longer"))
}

/// The weight of a daemon for a key: splitmix64's finisher, as both inputs are hashes already.
fn weight(key: u64, daemon: u64) -> u64 {
    let mut mixed = key ^ daemon.rotate_left(23);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAEMONS: usize = 64;
    const ITEMS: usize = 10_000;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|number| format!("tcp://buildkit-{number}.builds:1234")).collect()
    }

    fn ring<'a>(names: impl IntoIterator<Item = &'a String>) -> RendezvousHasher {
        RendezvousHasher::new(names.into_iter().map(|name| &**name))
    }

    fn key(number: usize) -> Digest {
        key_of(0, number)
    }

    /// Other keys for each seed.
    fn key_of(seed: usize, number: usize) -> Digest {
        Digest::of(format!("key {number} of {seed}").as_bytes())
    }

    fn named(keys: impl IntoIterator<Item = Digest>) -> Vec<PlacementItem> {
        let name = |number: usize| Digest::of(format!("function {number}").as_bytes());
        keys.into_iter()
            .enumerate()
            .map(|(at, key)| PlacementItem { key, name: name(at) })
            .collect()
    }

    fn distinct(count: usize) -> Vec<PlacementItem> {
        named((0..count).map(key))
    }

    fn loads(placed: &[usize], daemons: usize) -> Vec<usize> {
        let mut loads = vec![0; daemons];
        for daemon in placed {
            loads[*daemon] += 1;
        }
        loads
    }

    /// Keys that 1,000 of them share by Zipf's law.
    fn skewed(seed: usize) -> Vec<PlacementItem> {
        let weights: Vec<f64> = (1..=1000_u32).map(|rank| 1.0 / f64::from(rank)).collect();
        let total: f64 = weights.iter().sum();
        let mut keys = Vec::new();
        let mut sum = 0.0;
        for (rank, weight) in weights.iter().enumerate() {
            sum += weight / total;
            #[expect(clippy::cast_precision_loss, reason = "ten thousand is small")]
            while (keys.len() as f64) < sum * ITEMS as f64 {
                keys.push(key_of(seed, rank));
            }
        }
        keys.truncate(ITEMS);
        named(keys)
    }

    /// The most items that move when one daemon in seven is lost, in hundredths of what it had.
    fn moved(keys: &[PlacementItem]) -> usize {
        let names = names(DAEMONS);
        let before = ring(&names).place(keys);
        let shares = loads(&before, DAEMONS);
        let lost = (0..DAEMONS).step_by(7).map(|lost| {
            let left: Vec<&String> =
                names.iter().enumerate().filter(|(at, _)| *at != lost).map(|(_, n)| n).collect();
            let after = ring(left.iter().copied()).place(keys);
            let same = |(before, after): &(&usize, &usize)| names[**before] == *left[**after];
            let moved = before.iter().zip(&after).filter(|pair| !same(pair)).count();
            (moved * 100).div_ceil(shares[lost])
        });
        lost.max().unwrap()
    }

    #[test]
    fn no_daemon_gets_more_than_its_bound() {
        for keys in [distinct(ITEMS), skewed(0), skewed(1)] {
            let placed = ring(&names(DAEMONS)).place(&keys);
            let fullest = loads(&placed, DAEMONS).into_iter().max().unwrap();
            assert!(fullest <= 180, "{fullest} of 10,000 on one of 64 daemons");
        }
        assert_eq!((capacity(ITEMS, DAEMONS), capacity(1, 4), capacity(50, 4)), (180, 1, 15));
    }

    #[test]
    fn a_lost_daemon_moves_little_more_than_its_share() {
        for seed in 0..3 {
            let distinct = moved(&named((0..ITEMS).map(|number| key_of(seed, number))));
            assert!(distinct <= 110, "{distinct} % of its share with seed {seed}");
            let skewed = moved(&skewed(seed));
            assert!(skewed <= 300, "{skewed} % of its share with seed {seed}");
        }
    }

    #[test]
    fn what_few_share_stays_together() {
        assert_eq!((portion(ITEMS, DAEMONS), portion(ITEMS, DAEMONS - 1)), (16, 16));
        assert_eq!((portion(50, 4), portion(200, 4), portion(1, 4)), (2, 8, 1));
    }

    #[test]
    fn the_order_of_names_changes_nothing() {
        let (names, keys) = (names(5), distinct(200));
        let turned: Vec<&String> = names.iter().rev().collect();
        let here = ring(&names).place(&keys);
        let there = ring(turned.iter().copied()).place(&keys);
        assert!(here.iter().zip(&there).all(|(here, there)| names[*here] == *turned[*there]));
        let (here, there) = (ring(&names).rank(key(0)), ring(turned.iter().copied()).rank(key(0)));
        assert!(here.iter().zip(&there).all(|(here, there)| names[*here] == *turned[*there]));
        assert_eq!(
            here[0],
            ring(&names).place(&keys[..1])[0],
            "alone, a key gets its first choice"
        );
    }

    #[test]
    fn most_meet_their_first_choice() {
        let keys = distinct(ITEMS);
        let ring = ring(&names(DAEMONS));
        let placed = ring.place(&keys);
        let first = keys.iter().zip(&placed).filter(|(key, at)| ring.rank(key.key)[0] == **at);
        let first = first.count();
        assert!(first >= ITEMS * 98 / 100, "{first} of 10,000");
    }
}
