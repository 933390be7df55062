//! Signals that ask to end, and what a command leaves when one of them ends it.
//!
//! Signals are the process's, and so is this: a command says what it would leave from here on. From
//! the first work on that waits for signals a thread of its own hears them, so that a command ends
//! too while it reads from a pipe that nobody writes to.

use std::{
    path::Path,
    process,
    sync::{
        Mutex, Once, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use futures_util::future::select_all;
use tokio::{
    runtime::Builder,
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
    time::timeout,
};

use crate::exit_code::Exit;

type Left = Box<dyn Fn() -> &'static str + Send>;

static LEFT: Mutex<Option<Left>> = Mutex::new(None);

/// Says what an interrupted command leaves from here on.
pub(crate) fn leaves(text: &'static str) {
    leaves_as(move || text);
}

/// The same, where it changes while the command works.
pub(crate) fn leaves_as(left: impl Fn() -> &'static str + Send + 'static) {
    *LEFT.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(left));
}

/// The message of a command that is interrupted now.
pub(crate) fn message() -> String {
    match &*LEFT.lock().unwrap_or_else(PoisonError::into_inner) {
        Some(left) => format!("interrupted; {}", left()),
        None => "interrupted".to_owned(),
    }
}

/// How long a signal waits for work that does not look at it, before it ends the process.
const PATIENCE: Duration = Duration::from_secs(2);

/// The work that is told of the next signal.
static WAITING: Mutex<Option<oneshot::Sender<()>>> = Mutex::new(None);

/// Whether work was told of a signal and ends by itself.
static IS_ENDING: AtomicBool = AtomicBool::new(false);

/// Waits for the next signal that asks to end; another one then ends the process at once.
pub(crate) fn next() -> impl Future<Output = ()> {
    static STARTED: Once = Once::new();
    let (tell, told) = oneshot::channel();
    *WAITING.lock().unwrap_or_else(PoisonError::into_inner) = Some(tell);
    STARTED.call_once(|| listen(hear));
    async {
        if told.await.is_err() {
            // There is no thread that hears signals.
            std::future::pending::<()>().await;
        }
        IS_ENDING.store(true, Ordering::SeqCst);
    }
}

/// Runs work that handles signals in a thread of its own; waits until it drops what it is given.
pub(crate) fn listen<F: Future>(work: impl FnOnce(mpsc::Sender<()>) -> F + Send + 'static) {
    let (ready, is_ready) = mpsc::channel();
    thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build();
        runtime.map(|runtime| drop(runtime.block_on(work(ready))))
    });
    let _ = is_ready.recv();
}

/// Hears signals to the end of the process; drops `ready` when it does.
async fn hear(ready: mpsc::Sender<()>) {
    let mut signals = signals();
    drop(ready);
    any(&mut signals).await;
    let waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner).take();
    if waiting.is_some_and(|tell| tell.send(()).is_ok()) {
        let is_second = timeout(PATIENCE, any(&mut signals)).await.is_ok();
        if !is_second && IS_ENDING.load(Ordering::SeqCst) {
            any(&mut signals).await;
        }
    }
    esb_oci::kill_process_groups();
    #[expect(clippy::exit, reason = "nobody else would end the process")]
    process::exit(i32::from(Exit::Interrupted as u8));
}

/// The signals that ask to end. What is ignored from the start stays so, as a hang-up below `nohup`
/// and Ctrl-C in the background of a shell's script.
fn signals() -> Vec<Signal> {
    let keys = [SignalKind::interrupt(), SignalKind::quit()];
    let kinds = keys.into_iter().chain([SignalKind::terminate(), SignalKind::hangup()]);
    let kinds = kinds.filter(|kind| !is_ignored(*kind));
    kinds.filter_map(|kind| signal(kind).ok()).collect()
}

/// Whether this process ignores a signal; not where that is not known.
pub(crate) fn is_ignored(kind: SignalKind) -> bool {
    let status = esb_oci::read_file(Path::new("/proc/self/status"), 64 * 1024).unwrap_or_default();
    let status = String::from_utf8_lossy(&status);
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    ignored >> (kind.as_raw_value() - 1) & 1 == 1
}

async fn any(signals: &mut [Signal]) {
    if signals.is_empty() {
        std::future::pending::<()>().await;
    }
    select_all(signals.iter_mut().map(|signal| Box::pin(signal.recv()))).await;
}
