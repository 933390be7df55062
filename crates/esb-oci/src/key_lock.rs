//! Locks between processes, one for each key: one process does what costs much, and the others
//! wait and use its result.
//!
//! A lock is a file in a store's folder of temporary files. A thread of our own waits for it, so
//! that no thread of the caller's runtime has to. Where files cannot be locked, and after
//! [`PATIENCE`], every process works for itself, which costs time and breaks nothing.

use std::{
    fs::{File, Metadata, TryLockError},
    future::poll_fn,
    os::unix::fs::MetadataExt as _,
    sync::{Arc, Mutex, PoisonError},
    task::{Poll, Waker},
    thread,
    time::{Duration, Instant},
};

use crate::{Folder, LockWait, LockedFile, TELL_AFTER};

/// Is told of waits.
pub(crate) type WaitListener = Arc<dyn Fn(&LockWait) + Send + Sync>;

/// How long another process is waited for: the one that holds a lock may have been stopped.
const PATIENCE: Duration = Duration::from_mins(15);

/// How often a waiting thread looks.
const PAUSE: Duration = Duration::from_millis(25);

/// A lock between processes for one key, released on drop.
#[derive(Debug)]
#[must_use = "the lock is released when it is dropped"]
pub struct KeyLock(Option<LockFile>);

/// A lock file that this process holds.
#[derive(Debug)]
struct LockFile {
    folder: Folder,
    name: String,
    _locked: LockedFile,
}

impl Drop for KeyLock {
    fn drop(&mut self) {
        if let Some(file) = &self.0 {
            // Whoever waits sees that the file it has open is not the one of this name any more.
            let _gone = file.folder.remove_file(&file.name);
        }
    }
}

/// Waits for the lock of a name in a folder, [`PATIENCE`] at most.
pub(crate) async fn lock(folder: &Folder, name: &str, tell: Option<WaitListener>) -> KeyLock {
    wait(folder, name, PATIENCE, tell).await
}

async fn wait(
    folder: &Folder,
    name: &str,
    patience: Duration,
    tell: Option<WaitListener>,
) -> KeyLock {
    let (folder, name) = (folder.clone(), name.to_owned());
    match attempt(&folder, &name) {
        Attempt::Locked(file) => return KeyLock(Some(LockFile { folder, name, _locked: file })),
        Attempt::Impossible => return KeyLock(None),
        Attempt::Taken => {}
    }
    let waiting = Arc::new(Mutex::new(LockRequest::default()));
    let theirs = Arc::clone(&waiting);
    let spawned = thread::Builder::new().name("key-lock".to_owned()).spawn(move || {
        let lock = poll_until(folder, name, patience, tell, &theirs);
        let mut waiting = theirs.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.lock = Some(lock);
        if let Some(waker) = waiting.waker.take() {
            waker.wake();
        }
    });
    if spawned.is_err() {
        return KeyLock(None);
    }
    let _cancel = CancelOnDrop(&waiting);
    poll_fn(|cx| {
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = waiting.lock.take() {
            Poll::Ready(lock)
        } else {
            waiting.waker = Some(cx.waker().clone());
            Poll::Pending
        }
    })
    .await
}

#[derive(Debug, Default)]
struct LockRequest {
    lock: Option<KeyLock>,
    waker: Option<Waker>,
    /// The lock was not waited for any longer.
    is_cancelled: bool,
}

/// Signals the thread that the lock is no longer waited for.
struct CancelOnDrop<'a>(&'a Mutex<LockRequest>);

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_cancelled = true;
    }
}

fn poll_until(
    folder: Folder,
    name: String,
    patience: Duration,
    mut tell: Option<WaitListener>,
    waiting: &Mutex<LockRequest>,
) -> KeyLock {
    let start = Instant::now();
    loop {
        thread::sleep(PAUSE);
        match attempt(&folder, &name) {
            Attempt::Locked(file) => {
                return KeyLock(Some(LockFile { folder, name, _locked: file }));
            }
            Attempt::Impossible => return KeyLock(None),
            Attempt::Taken => {}
        }
        if start.elapsed() >= TELL_AFTER
            && let Some(tell) = tell.take()
            && let Ok(file) = folder.lock_file(&name)
        {
            tell(&LockWait::of(folder.path().join(&name), &file));
        }
        let waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.is_cancelled || start.elapsed() >= patience {
            return KeyLock(None);
        }
    }
}

/// The result of one attempt to lock a file.
enum Attempt {
    Locked(LockedFile),
    /// Another process holds it.
    Taken,
    /// Files cannot be locked here.
    Impossible,
}

fn attempt(folder: &Folder, name: &str) -> Attempt {
    let Ok(file) = folder.lock_file(name) else { return Attempt::Impossible };
    match file.try_lock() {
        // The one before may have taken the name away between opening and locking.
        Ok(()) if is_at(&file, folder, name) => Attempt::Locked(LockedFile::new(file)),
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
        block_on(wait(&Folder::new(folder), name, Duration::ZERO, None)).0.is_some()
    }

    #[test]
    fn one_at_a_time_and_nothing_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let mine = block_on(lock(&Folder::new(folder.path()), "a", None));
        assert!(!is_free(folder.path(), "a"), "it is taken");
        assert!(is_free(folder.path(), "b"), "another one is not");
        let inside = Mutex::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let own = block_on(lock(&Folder::new(folder.path()), "a", None));
                    assert!(own.0.is_some());
                    let _alone = inside.try_lock().expect("nobody else has the lock");
                    thread::sleep(Duration::from_millis(5));
                });
            }
            drop(mine);
        });
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_long_wait_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let root = Folder::new(folder.path());
        let mine = block_on(lock(&root, "a", None));
        let (sender, told) = std::sync::mpsc::channel();
        let tell: WaitListener = Arc::new(move |wait: &LockWait| {
            let _gone = sender.send(wait.clone());
        });
        thread::scope(|scope| {
            let waiting = scope.spawn(|| block_on(lock(&root, "a", Some(tell))));
            let wait = told.recv_timeout(Duration::from_mins(1)).unwrap();
            assert_eq!(wait.path, folder.path().join("a"));
            drop(mine);
            assert!(waiting.join().unwrap().0.is_some());
        });
        assert!(told.recv().is_err(), "it is told once");
    }

    #[test]
    fn a_lock_that_nobody_holds_and_one_that_cannot_be_had() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("left"), "by a process that was killed").unwrap();
        assert!(is_free(folder.path(), "left"));
        fs::write(folder.path().join("file"), "").unwrap();
        assert!(block_on(lock(&Folder::new(folder.path().join("file")), "a", None)).0.is_none());
    }
}
