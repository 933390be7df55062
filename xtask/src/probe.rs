//! Checks whether the real AWS base images can be reached here.
//!
//! Owns one short question to their registry. Refuses to pull anything.

use std::{
    net::{TcpStream, ToSocketAddrs as _},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

/// The registry of the AWS base images.
pub(crate) const REAL_BASE_REGISTRY: &str = "public.ecr.aws";

const LIMIT: Duration = Duration::from_secs(2);

/// Whether the registry of the AWS base images answers within 2 s.
///
/// A connection that opens is not enough where a gateway accepts everything, so that `curl`, where
/// it is there, also asks for the registry's own answer.
pub(crate) fn real_base_reachable() -> bool {
    let (send, receive) = mpsc::channel();
    // Looking up a name has no limit of its own; a thread that is late is left behind.
    thread::spawn(move || send.send(answers(REAL_BASE_REGISTRY)));
    receive.recv_timeout(LIMIT).unwrap_or(false)
}

fn answers(host: &str) -> bool {
    let Ok(addresses) = (host, 443).to_socket_addrs() else { return false };
    let opens = |address| TcpStream::connect_timeout(&address, LIMIT).is_ok();
    addresses.take(2).any(opens) && speaks_registry(host)
}

fn speaks_registry(host: &str) -> bool {
    let asked = Command::new("curl")
        .args(["--silent", "--noproxy", "*", "--max-time", "2", "--output", "/dev/null"])
        .args(["--write-out", "%{http_code}", &format!("https://{host}/v2/")])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    match asked {
        Ok(output) => matches!(output.stdout.as_slice(), b"200" | b"401"),
        Err(_) => true, // no curl: the open connection has to do
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_cannot_exist_does_not_answer() {
        assert!(!answers("registry.invalid"));
    }
}
