//! Where an engine listens. Owns the text form; refuses to read variables or contexts.

use std::{fmt, path::PathBuf, str::FromStr};

/// Where an engine listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineAddress {
    /// A socket of this machine.
    Unix(PathBuf),
    /// A host that is reached over TCP, in clear without `tls`.
    Tcp { host: String, port: u16, tls: Option<TlsFiles> },
}

/// The files of a mutually authenticated connection, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The only authority that may have signed the engine's certificate.
    pub ca: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// The text is no address of an engine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{}` is no address of an engine: expected unix:///PATH or tcp://HOST:PORT", .0.escape_debug()
)]
pub struct InvalidAddress(pub String);

impl EngineAddress {
    /// Whether the engine's file system is surely this machine's.
    pub fn is_local(&self) -> bool {
        matches!(self, Self::Unix(_))
    }

    /// The same address with TLS. A socket stays as it is.
    #[must_use]
    pub fn with_tls(self, files: TlsFiles) -> Self {
        match self {
            Self::Tcp { host, port, .. } => Self::Tcp { host, port, tls: Some(files) },
            Self::Unix(path) => Self::Unix(path),
        }
    }
}

impl Default for EngineAddress {
    /// Where an engine listens unless it was told otherwise.
    fn default() -> Self {
        Self::Unix(PathBuf::from("/var/run/docker.sock"))
    }
}

impl FromStr for EngineAddress {
    type Err = InvalidAddress;

    /// Reads what `DOCKER_HOST` may hold: `unix:///PATH`, `tcp://HOST[:PORT]` or
    /// `http://HOST[:PORT]`. The port is 2375 unless it is given.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidAddress(text.to_owned());
        let (scheme, rest) = text.trim().split_once("://").ok_or_else(invalid)?;
        match scheme {
            "unix" if rest.starts_with('/') && !rest.contains('\0') => Ok(Self::Unix(rest.into())),
            "tcp" | "http" => {
                let rest = rest.trim_end_matches('/');
                let (host, port) = match rest.rsplit_once(':') {
                    Some((host, port)) if !port.ends_with(']') => {
                        (host, port.parse().map_err(|_| invalid())?)
                    }
                    _ => (rest, 2375),
                };
                let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
                let known =
                    |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
                if host.is_empty() || !host.chars().all(known) {
                    return Err(invalid());
                }
                Ok(Self::Tcp { host: host.to_owned(), port, tls: None })
            }
            _ => Err(invalid()),
        }
    }
}

impl fmt::Display for EngineAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp { host, port, .. } if host.contains(':') => {
                write!(f, "tcp://[{host}]:{port}")
            }
            Self::Tcp { host, port, .. } => write!(f, "tcp://{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_docker_host_may_hold() {
        for (text, address) in [
            ("unix:///run/user/1/docker.sock", "unix:///run/user/1/docker.sock"),
            ("tcp://build.local:2376/", "tcp://build.local:2376"),
            ("http://127.0.0.1", "tcp://127.0.0.1:2375"),
            ("tcp://[::1]:99", "tcp://[::1]:99"),
            ("tcp://[::1]", "tcp://[::1]:2375"),
        ] {
            let read: EngineAddress = text.parse().unwrap();
            assert_eq!(read.to_string(), address);
        }
    }

    #[test]
    fn refuses_the_rest() {
        for text in
            ["", "docker.sock", "unix://relative", "ssh://host", "tcp://", "tcp://h:x", "tcp://a b"]
        {
            let error = text.parse::<EngineAddress>().unwrap_err();
            assert_eq!(error, InvalidAddress(text.to_owned()));
        }
    }
}
