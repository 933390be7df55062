//! A small server on an address of this machine: a thread for each client.
//!
//! Owns the loop that accepts clients; what a client gets is its owner's affair.

use std::{
    io,
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
};

use crate::checks::Outcome;

/// Listens on a free port of an address and lets `serve` have each client. The threads end with the
/// process.
pub(crate) fn listen(
    address: &str,
    serve: impl Fn(&TcpStream) -> io::Result<()> + Send + Sync + 'static,
) -> Outcome<SocketAddr> {
    let listener = TcpListener::bind((address, 0))?;
    let address = listener.local_addr()?;
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = Arc::clone(&serve);
            // A client that breaks off has nothing more to say.
            thread::spawn(move || serve(&stream).ok());
        }
    });
    Ok(address)
}
