//! Starts threads, the TLS provider and the handlers of signals, for the commands that need them.

use std::{
    future::Future,
    sync::{Once, mpsc},
    time::Duration,
};

use esb_deploy::{Error, Kind};
use rustix::process::{Signal as Number, getpid, kill_process};
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{SignalKind, signal},
};

use crate::{
    ask,
    exit_code::{CliError, Exit},
    interruption::{self, is_ignored, listen},
};

/// How long work that a signal ended may take to remove what it began.
const CLEANUP: Duration = Duration::from_secs(5);

/// Runs work to its end, or until Ctrl-C or another signal that asks to end; another one then ends
/// the process at once.
pub(crate) fn block_on<T, E: Into<CliError>>(
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, CliError> {
    // Every library that speaks TLS finds this provider; a second one would be a panic.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::of(Kind::Local, "runtime", &error))?;
    let result = runtime.block_on(async {
        let interrupted = interruption::next();
        tokio::select! {
            // Work that ended is not called interrupted.
            biased;
            result = work => result.map_err(Into::into),
            () = interrupted => {
                let error = Error::new(Kind::Local, "interrupted", interruption::message());
                Err(CliError::with_exit(Exit::Interrupted, error))
            }
        }
    });
    match &result {
        Err(error) if error.exit == Exit::Interrupted => clean_up(runtime),
        // What still runs on other threads writes to temporary files alone.
        _ => runtime.shutdown_background(),
    }
    result
}

/// Ends programs, and waits until threads have removed their temporary files.
fn clean_up(runtime: Runtime) {
    esb_oci::kill_process_groups();
    if ask::is_reading() {
        // That thread waits for a person.
        runtime.shutdown_background();
    } else {
        runtime.shutdown_timeout(CLEANUP);
    }
}

/// From here on Ctrl-Z stops the process with the terminal as it was before a question hid what is
/// typed, and the question is asked again when it goes on.
pub(crate) fn stop_with_echo() {
    static STARTED: Once = Once::new();
    let kind = SignalKind::from_raw(Number::TSTP.as_raw());
    // Its handler stays, so the thread does too.
    STARTED.call_once(|| listen(move |ready| stop(kind, ready)));
}

/// Stops the process at each signal, unless it ignores them; drops `ready` when it waits for one.
async fn stop(kind: SignalKind, ready: mpsc::Sender<()>) {
    let stops = if is_ignored(kind) { None } else { signal(kind).ok() };
    drop(ready);
    let Some(mut stops) = stops else { return };
    let goes_on = SignalKind::from_raw(Number::CONT.as_raw());
    while stops.recv().await.is_some() {
        // Heard from before the stop: this thread may run on for a moment.
        let Ok(mut goes_on) = signal(goes_on) else { return };
        ask::suspend();
        if kill_process(getpid(), Number::STOP).is_ok() {
            goes_on.recv().await;
        }
        ask::resume();
    }
}
