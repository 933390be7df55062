//! Starts threads, the TLS provider and the Ctrl-C handler, for the commands that need them.

use std::future::Future;

use esb_deploy::{Error, Kind};

use crate::exit_code::{CliError, Exit};

/// Runs work to its end, or until Ctrl-C.
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
        tokio::select! {
            // Work that ended is not called interrupted.
            biased;
            result = work => result.map_err(Into::into),
            _ = tokio::signal::ctrl_c() => {
                let text = "interrupted; nothing was published";
                let error = Error::new(Kind::Local, "interrupted", text);
                Err(CliError::with_exit(Exit::Interrupted, error))
            }
        }
    });
    // What still runs on other threads writes to temporary files alone.
    runtime.shutdown_background();
    result
}
