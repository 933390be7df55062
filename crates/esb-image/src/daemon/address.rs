//! The address of an engine, parsed from text. Reads no variables and no Docker contexts.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

/// The address of an engine or a daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive] // a feature adds a variant
pub enum EngineAddress {
    /// A socket of this machine.
    Unix(PathBuf),
    /// A host that is reached over TCP, in clear without `tls`.
    Tcp { host: String, port: u16, tls: Option<TlsFiles> },
    /// A machine that `ssh` reaches, where the engine's client is installed.
    #[cfg(feature = "ssh")]
    Ssh(SshHost),
}

/// The host that `ssh` connects to.
#[cfg(feature = "ssh")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshHost {
    pub user: Option<String>,
    /// A host's name, or one of `ssh`'s own configuration.
    pub name: String,
    pub port: Option<u16>,
    /// The program; `ssh` unless it is another one.
    pub program: PathBuf,
}

/// The files of a mutually authenticated connection, in PEM.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TlsFiles {
    /// The only authority that may have signed the engine's certificate.
    pub ca: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl TlsFiles {
    /// The files as the clients of Docker and BuildKit name them.
    pub fn below(folder: &Path) -> Self {
        let file = |name: &str| folder.join(name);
        Self { ca: file("ca.pem"), certificate: file("cert.pem"), key: file("key.pem") }
    }
}

/// The text is not the address of an engine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{}` is not the address of an engine: expected unix:///PATH or tcp://HOST:PORT",
    esb_model::without_user(.0).escape_debug()
)]
pub struct InvalidAddress(pub String);

impl EngineAddress {
    /// Whether the engine's file system is surely this machine's.
    pub fn is_local(&self) -> bool {
        matches!(self, Self::Unix(_))
    }

    /// As [`Self::from_str`], with the port of TLS where none is given.
    #[cfg(feature = "docker")]
    pub(crate) fn parse_tls(text: &str) -> Result<Self, InvalidAddress> {
        let given = text.trim().trim_end_matches('/').rsplit_once(':');
        let given = given.is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let mut address: Self = text.parse()?;
        if let Self::Tcp { port, .. } = &mut address
            && !given
        {
            *port = 2376;
        }
        Ok(address)
    }

    /// The same address with TLS. A socket stays as it is.
    #[must_use]
    pub fn with_tls(mut self, files: TlsFiles) -> Self {
        if let Self::Tcp { tls, .. } = &mut self {
            *tls = Some(files);
        }
        self
    }
}

impl Default for EngineAddress {
    /// The default address of an engine.
    fn default() -> Self {
        Self::Unix(PathBuf::from("/var/run/docker.sock"))
    }
}

impl FromStr for EngineAddress {
    type Err = InvalidAddress;

    /// Reads what `DOCKER_HOST` may hold: `unix:///PATH`, `tcp://HOST[:PORT]`,
    /// `http://HOST[:PORT]`, and with the feature `ssh` `ssh://[USER@]HOST[:PORT]`. The port is 2375
    /// for TCP unless it is given.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidAddress(text.to_owned());
        let (scheme, rest) = text.trim().split_once("://").ok_or_else(invalid)?;
        match scheme {
            "unix" if rest.starts_with('/') && !rest.contains('\0') => Ok(Self::Unix(rest.into())),
            "tcp" | "http" => {
                let (host, port) = host_and_port(rest).ok_or_else(invalid)?;
                Ok(Self::Tcp { host, port: port.unwrap_or(2375), tls: None })
            }
            #[cfg(feature = "ssh")]
            "ssh" => {
                let (user, rest) = match rest.split_once('@') {
                    Some((user, rest)) if is_user(user) => (Some(user.to_owned()), rest),
                    Some(_) => return Err(invalid()),
                    None => (None, rest),
                };
                let (name, port) = host_and_port(rest).ok_or_else(invalid)?;
                Ok(Self::Ssh(SshHost { user, name, port, program: "ssh".into() }))
            }
            _ => Err(invalid()),
        }
    }
}

/// The host, without brackets, and the port that is given.
fn host_and_port(text: &str) -> Option<(String, Option<u16>)> {
    let text = text.trim_end_matches('/');
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port.parse().ok()?)),
        _ => (text, None),
    };
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    let plain = !host.is_empty() && !host.starts_with('-') && host.chars().all(known);
    plain.then(|| (host.to_owned(), port))
}

#[cfg(feature = "ssh")]
fn is_user(text: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    !text.is_empty() && !text.starts_with('-') && text.chars().all(known)
}

impl fmt::Display for EngineAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp { host, port, .. } if host.contains(':') => {
                write!(f, "tcp://[{host}]:{port}")
            }
            Self::Tcp { host, port, .. } => write!(f, "tcp://{host}:{port}"),
            #[cfg(feature = "ssh")]
            Self::Ssh(SshHost { user, name, port, .. }) => {
                let user = user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
                let port = port.map(|port| format!(":{port}")).unwrap_or_default();
                write!(f, "ssh://{user}{name}{port}")
            }
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

    #[cfg(feature = "ssh")]
    #[test]
    fn reads_hosts_of_ssh() {
        for text in ["ssh://h", "ssh://me@h:22", "ssh://h.example:2222"] {
            assert_eq!(text.parse::<EngineAddress>().unwrap().to_string(), text);
        }
        for text in ["ssh://", "ssh://-oProxyCommand=x", "ssh://-l@h", "ssh://a:b@h", "ssh://h x"] {
            assert!(text.parse::<EngineAddress>().is_err(), "{text}");
        }
    }

    #[cfg(not(feature = "ssh"))]
    #[test]
    fn ssh_is_a_feature() {
        assert!("ssh://host".parse::<EngineAddress>().is_err());
    }

    #[test]
    fn refuses_the_rest() {
        for text in [
            "",
            "docker.sock",
            "unix://relative",
            "fd://x",
            "tcp://",
            "tcp://h:x",
            "tcp://a b",
            "tcp://-h",
        ] {
            let error = text.parse::<EngineAddress>().unwrap_err();
            assert_eq!(error, InvalidAddress(text.to_owned()));
        }
    }
}
