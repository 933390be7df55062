//! What only commands that reach the outside world pay for: threads, the TLS provider, Ctrl-C.

use std::future::Future;

use crate::exit::{Exit, Failure};

/// Runs work to its end, or until Ctrl-C.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    // Every library that speaks TLS finds this provider; a second one would be a panic.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::of(Exit::Local, "runtime", &error))?;
    let result = runtime.block_on(async {
        tokio::select! {
            // Work that ended is not called interrupted.
            biased;
            result = work => result,
            _ = tokio::signal::ctrl_c() => Err(Failure::new(
                Exit::Interrupted,
                "interrupted",
                "interrupted; nothing was published",
            )),
        }
    });
    // What still runs on other threads writes to temporary files alone.
    runtime.shutdown_background();
    result
}
