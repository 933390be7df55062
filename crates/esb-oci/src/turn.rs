//! One process at a time does what costs much, and the others use what it made.
//!
//! Owns the lock files in a store's folder of temporary files, and the waiting for them, which no
//! thread of the caller's runtime has to do. Refuses to be needed: where there are no locks, and
//! after [`PATIENCE`], everybody works for itself, which costs time and breaks nothing.

use std::{
    fs::{File, Metadata, TryLockError},
    future::poll_fn,
    os::unix::fs::MetadataExt as _,
    sync::{Arc, Mutex, PoisonError},
    task::{Poll, Waker},
    thread,
    time::{Duration, Instant},
};

use crate::Folder;

/// How long somebody else is waited for: whoever holds a turn may have been stopped.
const PATIENCE: Duration = Duration::from_mins(15);

/// How often a waiting thread looks.
const PAUSE: Duration = Duration::from_millis(25);

/// A turn, as long as it lives.
#[derive(Debug)]
#[must_use = "a turn ends when it is dropped"]
pub struct Turn(Option<Held>);

/// A lock file that is ours.
#[derive(Debug)]
struct Held {
    folder: Folder,
    name: String,
    _locked: File,
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(held) = &self.0 {
            // Who waits sees that the file it has is not the one of this name any more.
            let _gone = held.folder.remove_file(&held.name);
        }
    }
}

/// Waits for the turn of a name in a folder, `patience` at most.
pub(crate) async fn turn(folder: &Folder, name: &str) -> Turn {
    wait(folder, name, PATIENCE).await
}

async fn wait(folder: &Folder, name: &str, patience: Duration) -> Turn {
    let (folder, name) = (folder.clone(), name.to_owned());
    match attempt(&folder, &name) {
        Attempt::Mine(file) => return Turn(Some(Held { folder, name, _locked: file })),
        Attempt::Impossible => return Turn(None),
        Attempt::Taken => {}
    }
    let waiting = Arc::new(Mutex::new(Waiting::default()));
    let theirs = Arc::clone(&waiting);
    let spawned = thread::Builder::new().name("turn".to_owned()).spawn(move || {
        let turn = look_until(folder, name, Instant::now() + patience, &theirs);
        let mut waiting = theirs.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.turn = Some(turn);
        if let Some(waker) = waiting.waker.take() {
            waker.wake();
        }
    });
    if spawned.is_err() {
        return Turn(None);
    }
    let _gone = Gone(&waiting);
    poll_fn(|cx| {
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = waiting.turn.take() {
            Poll::Ready(turn)
        } else {
            waiting.waker = Some(cx.waker().clone());
            Poll::Pending
        }
    })
    .await
}

#[derive(Debug, Default)]
struct Waiting {
    turn: Option<Turn>,
    waker: Option<Waker>,
    /// Nobody wants the turn any more.
    gone: bool,
}

/// Tells the thread that nobody waits any more.
struct Gone<'a>(&'a Mutex<Waiting>);

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).gone = true;
    }
}

fn look_until(folder: Folder, name: String, end: Instant, waiting: &Mutex<Waiting>) -> Turn {
    loop {
        thread::sleep(PAUSE);
        match attempt(&folder, &name) {
            Attempt::Mine(file) => return Turn(Some(Held { folder, name, _locked: file })),
            Attempt::Impossible => return Turn(None),
            Attempt::Taken => {}
        }
        let gone = waiting.lock().unwrap_or_else(PoisonError::into_inner).gone;
        if gone || Instant::now() >= end {
            return Turn(None);
        }
    }
}

enum Attempt {
    Mine(File),
    Taken,
    Impossible,
}

fn attempt(folder: &Folder, name: &str) -> Attempt {
    let Ok(file) = folder.lock_file(name) else { return Attempt::Impossible };
    match file.try_lock() {
        // The one before may have taken the name away between opening and locking.
        Ok(()) if is_at(&file, folder, name) => Attempt::Mine(file),
        Ok(()) | Err(TryLockError::WouldBlock) => Attempt::Taken,
        Err(TryLockError::Error(_)) => Attempt::Impossible,
    }
}

fn is_at(file: &File, folder: &Folder, name: &str) -> bool {
    let at = |metadata: Metadata| (metadata.dev(), metadata.ino());
    file.metadata().map(at).ok() == folder.metadata(name).ok().flatten().map(at)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    /// Polls until the future is ready.
    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let mut future = std::pin::pin!(future);
        let mut cx = std::task::Context::from_waker(Waker::noop());
        loop {
            if let Poll::Ready(value) = future.as_mut().poll(&mut cx) {
                return value;
            }
            thread::yield_now();
        }
    }

    fn is_free(folder: &Path, name: &str) -> bool {
        block_on(wait(&Folder::new(folder), name, Duration::ZERO)).0.is_some()
    }

    #[test]
    fn one_at_a_time_and_nothing_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let mine = block_on(turn(&Folder::new(folder.path()), "a"));
        assert!(!is_free(folder.path(), "a"), "it is taken");
        assert!(is_free(folder.path(), "b"), "another one is not");
        let inside = Mutex::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let turn = block_on(turn(&Folder::new(folder.path()), "a"));
                    assert!(turn.0.is_some());
                    let _alone = inside.try_lock().expect("nobody else has a turn");
                    thread::sleep(Duration::from_millis(5));
                });
            }
            drop(mine);
        });
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_turn_of_nobody_and_one_that_cannot_be_had() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("left"), "by a process that was killed").unwrap();
        assert!(is_free(folder.path(), "left"));
        fs::write(folder.path().join("file"), "").unwrap();
        assert!(block_on(turn(&Folder::new(folder.path().join("file")), "a")).0.is_none());
    }
}
