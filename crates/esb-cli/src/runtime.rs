//! Starts threads, the TLS provider and the handlers of signals, for the commands that need them.

use std::{fs, future::Future};

use esb_deploy::{Error, Kind};
use futures_util::future::select_all;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    exit_code::{CliError, Exit},
    interruption,
};

/// Runs work to its end, or until Ctrl-C or another signal that asks to end.
pub(crate) fn block_on<T, E: Into<CliError>>(
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, CliError> {
    // Every library that speaks TLS finds this provider; a second one would be a panic.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::of(Kind::Local, "runtime", &error))?;
    let result = runtime.block_on(async {
        let mut signals = signals();
        tokio::select! {
            // Work that ended is not called interrupted.
            biased;
            result = work => result.map_err(Into::into),
            () = any(&mut signals) => {
                let error = Error::new(Kind::Local, "interrupted", interruption::message());
                Err(CliError::with_exit(Exit::Interrupted, error))
            }
        }
    });
    // What still runs on other threads writes to temporary files alone.
    runtime.shutdown_background();
    result
}

/// The signals that ask to end. What is ignored from the start stays so, as a hang-up below `nohup`
/// and Ctrl-C in the background of a shell's script.
fn signals() -> Vec<Signal> {
    let ignored = ignored();
    let keys = [SignalKind::interrupt(), SignalKind::quit()];
    let kinds = keys.into_iter().chain([SignalKind::terminate(), SignalKind::hangup()]);
    let kinds = kinds.filter(|kind| ignored >> (kind.as_raw_value() - 1) & 1 == 0);
    kinds.filter_map(|kind| signal(kind).ok()).collect()
}

/// The signals that this process ignores, a bit each from the first; none where that is not known.
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

async fn any(signals: &mut [Signal]) {
    if signals.is_empty() {
        std::future::pending::<()>().await;
    }
    select_all(signals.iter_mut().map(|signal| Box::pin(signal.recv()))).await;
}
