//! Loopback ports.

use crate::Error;
use std::net::{Ipv4Addr, TcpListener};

/// A port on 127.0.0.1 that nobody listens on right now.
///
/// Another process may take it before the caller does, so a caller that hands it to a daemon tries
/// again with another one when the daemon ends at once.
pub fn free_port() -> Result<u16, Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .map_err(Error::net("listen on", "127.0.0.1:0"))?;
    let address = listener.local_addr().map_err(Error::net("listen on", "127.0.0.1:0"))?;
    Ok(address.port())
}
