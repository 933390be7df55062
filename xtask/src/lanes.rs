//! Runs checks in parallel, in lanes: those of one lane run one after the other.
//!
//! Owns the threads of the lanes, and that the lines of one topic come out together. Refuses to know
//! what lanes share: checks of different lanes must not change the same registry, engine or folder.

use std::{thread, time::Duration};

use crate::{
    checks::{Checks, Trouble},
    steps,
};

/// Topics that follow each other, each of them a call of [`topic`].
pub(crate) type Lane<'a> = Box<dyn FnOnce(&mut Checks) + Send + 'a>;

/// Runs lanes beside each other, each with its name, and takes over what they found in their order.
pub(crate) fn beside(checks: &mut Checks, lanes: Vec<(&str, Lane<'_>)>) {
    thread::scope(|scope| {
        let mut running = Vec::new();
        for (name, lane) in lanes {
            let mut own = checks.beside();
            let run = move || {
                lane(&mut own);
                own
            };
            running.push((name, scope.spawn(run)));
        }
        for (name, lane) in running {
            if let Ok(own) = lane.join() {
                checks.take(own);
            } else {
                let trouble = Trouble::Failed("it panicked".to_owned());
                checks.note::<()>(name, Duration::ZERO, Err(trouble));
            }
        }
    });
}

/// Runs one topic of a lane; what it says comes out when it is done.
pub(crate) fn topic<T>(checks: &mut Checks, work: impl FnOnce(&mut Checks) -> T) -> T {
    steps::together(|| work(checks))
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn lanes_run_at_once_and_are_taken_in_their_order() {
        let (first, second) = (Barrier::new(2), Barrier::new(2));
        let lane = |names: [&'static str; 2]| -> Lane<'_> {
            let (first, second) = (&first, &second);
            Box::new(move |checks| {
                topic(checks, |checks| checks.run(names[0], || Ok(first.wait().is_leader())));
                // Neither comes here before the other has begun.
                second.wait();
                topic(checks, |checks| checks.run::<()>(names[1], || Err("wrong".into())));
            })
        };
        let mut checks = Checks::default();
        beside(&mut checks, vec![("a", lane(["a1", "a2"])), ("b", lane(["b1", "b2"]))]);
        assert_eq!(checks.names(), ["a1", "a2", "b1", "b2"]);
        assert!(!checks.finish("lanes"));
    }

    #[test]
    fn a_lane_that_panics_fails() {
        let mut checks = Checks::default();
        beside(&mut checks, vec![("a", Box::new(|_| panic!("on purpose")))]);
        assert_eq!(checks.names(), ["a"]);
        assert!(!checks.finish("lanes"));
    }
}
