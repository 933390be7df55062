//! The pool of workers of one function, which assigns a worker to each call.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex},
    time::Duration,
};

use super::{locked, worker::Worker};

/// A queue of idle workers, and how many there are at all.
pub(super) struct Pool {
    capacity: usize,
    state: Mutex<PoolState>,
    changed: Condvar,
}

#[derive(Default)]
struct PoolState {
    idle: VecDeque<Worker>,
    /// Idle ones, those at work, and those that are being started.
    all: usize,
}

/// What a call gets.
pub(super) enum Acquired {
    Idle(Worker),
    /// A new worker may be started, and is counted already.
    Room,
    /// All were at work for too long.
    Nothing,
}

impl Pool {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, state: Mutex::default(), changed: Condvar::new() }
    }

    /// The worker that was given back first, else room for a new one, else the next that is given
    /// back.
    pub(super) fn acquire(&self, limit: Duration) -> Acquired {
        let none = |state: &mut PoolState| state.idle.is_empty() && state.all >= self.capacity;
        let waited = self.changed.wait_timeout_while(locked(&self.state), limit, none);
        let mut state = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        if let Some(worker) = state.idle.pop_front() {
            return Acquired::Idle(worker);
        }
        if state.all >= self.capacity {
            return Acquired::Nothing;
        }
        state.all += 1;
        Acquired::Room
    }

    pub(super) fn give_back(&self, worker: Worker) {
        locked(&self.state).idle.push_back(worker);
        self.changed.notify_one();
    }

    /// Forgets a worker that was acquired.
    pub(super) fn evict(&self) {
        locked(&self.state).all -= 1;
        self.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(acquired: Acquired) -> String {
        match acquired {
            Acquired::Idle(worker) => worker.name,
            Acquired::Room => "room".to_owned(),
            Acquired::Nothing => "nothing".to_owned(),
        }
    }

    #[test]
    fn the_one_that_came_back_first_goes_first() {
        let pool = Pool::new(2);
        let acquire = || name(pool.acquire(Duration::ZERO));
        assert_eq!([acquire(), acquire(), acquire()], ["room", "room", "nothing"]);
        for name in ["a", "b"] {
            pool.give_back(Worker { name: name.to_owned(), address: String::new() });
        }
        assert_eq!(acquire(), "a");
        pool.evict();
        assert_eq!([acquire(), acquire(), acquire()], ["b", "room", "nothing"]);
    }
}
