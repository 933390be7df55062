//! An image registry: Debian's `docker-registry` on loopback.
//!
//! Owns its configuration, its data folder and its process. Faults are the proxy's part.

use crate::{
    Daemon, Error, Identity, Missing, apt, free_port, http,
    tokens::{ISSUER, PASSWORDS},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

const PROGRAM: &str = "docker-registry";
const READY: Duration = Duration::from_secs(30);
const GRACE: Duration = Duration::from_secs(3);
/// How often another port is tried when somebody else was faster.
const TRIES: usize = 3;

/// A running registry, which ends when this is dropped; its data stays.
#[derive(Debug)]
pub struct Registry {
    dir: PathBuf,
    address: String,
    guard: Option<Guard>,
    daemon: Daemon,
}

/// The authentication that a registry requires.
#[derive(Debug, Clone)]
pub enum Guard {
    /// TLS, and the password `secret` of `user`.
    Passwords(Identity),
    /// The same password over plain HTTP, as loopback alone may have it.
    PlainPasswords,
    /// The tokens of a [`TokenServer`](crate::TokenServer), over plain HTTP.
    Tokens {
        /// Where a client gets them.
        realm: String,
        /// Whose are believed.
        certificate: PathBuf,
    },
}

impl Registry {
    /// Makes sure that the program is here, installing its Debian package where that is possible.
    pub fn ensure() -> Result<PathBuf, Missing> {
        if apt::find_program(PROGRAM).is_none() {
            apt::ensure_packages(&[PROGRAM])?;
        }
        apt::find_program(PROGRAM)
            .ok_or_else(|| Missing::new("registry", format!("`{PROGRAM}` is not installed")))
    }

    /// Starts a registry on a free loopback port with its data, configuration and log below `dir`.
    ///
    /// A folder that a registry used before keeps its images. Deleting is enabled.
    ///
    /// # Errors
    /// [`Error::Missing`] when the program is not here and cannot be installed.
    pub fn start(dir: &Path) -> Result<Self, Error> {
        let mut tries = 1;
        loop {
            match Self::start_at(dir, free_port()?) {
                Err(Error::Ended { .. }) if tries < TRIES => tries += 1,
                result => return result,
            }
        }
    }

    /// As [`Registry::start`], with a guard.
    ///
    /// # Errors
    /// As [`Registry::start`].
    pub fn start_guarded(dir: &Path, guard: Guard) -> Result<Self, Error> {
        Self::launch(dir, free_port()?, Some(guard))
    }

    /// As [`Registry::start`], on a port of the caller's choice.
    pub fn start_at(dir: &Path, port: u16) -> Result<Self, Error> {
        Self::launch(dir, port, None)
    }

    fn launch(dir: &Path, port: u16, guard: Option<Guard>) -> Result<Self, Error> {
        let program = Self::ensure()?;
        let data = dir.join("data");
        fs::create_dir_all(&data).map_err(Error::file("make folder", &data))?;
        let data = data.canonicalize().map_err(Error::file("find folder", &data))?;
        let address = format!("127.0.0.1:{port}");
        let config = dir.join("config.yml");
        let passwords = dir.join("htpasswd");
        fs::write(&passwords, PASSWORDS).map_err(Error::file("write", &passwords))?;
        fs::write(&config, configuration(&data, &address, &passwords, guard.as_ref()))
            .map_err(Error::file("write", &config))?;
        let mut command = Command::new(program);
        command.arg("serve").arg(&config).env("OTEL_TRACES_EXPORTER", "none");
        let mut daemon = Daemon::start(&command, &dir.join("registry.log"), GRACE)?;
        let expected = match &guard {
            None => 200,
            Some(Guard::Tokens { .. } | Guard::PlainPasswords) => 401,
            // Asked without TLS, one that wants it says 400.
            Some(Guard::Passwords(_)) => 400,
        };
        daemon.wait_ready(READY, || answers(&address, expected))?;
        Ok(Self { dir: dir.to_owned(), address, guard, daemon })
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Everything that the registry wrote, one line for each request included.
    pub fn log(&self) -> &Path {
        self.daemon.log()
    }

    /// Stops the registry and starts it again on the same port with the same data.
    pub fn restart(&mut self) -> Result<(), Error> {
        self.daemon.stop();
        let port = self.address.rsplit(':').next().and_then(|port| port.parse().ok());
        let port = port.expect("an address ends with its port");
        *self = Self::launch(&self.dir, port, self.guard.take())?;
        Ok(())
    }

    /// Stops the registry; further connections are refused.
    pub fn stop(&mut self) {
        self.daemon.stop();
    }
}

fn answers(address: &str, expected: u16) -> bool {
    let answer = http::request(address, "GET", "/v2/", &[], &[], Duration::from_secs(2));
    answer.is_ok_and(|response| response.status == expected)
}

fn configuration(data: &Path, address: &str, passwords: &Path, guard: Option<&Guard>) -> String {
    let quoted =
        |path: &Path| path.display().to_string().replace('\\', "\\\\").replace('"', "\\\"");
    let data = quoted(data);
    let passwords =
        format!("auth:\n  htpasswd:\n    realm: esb\n    path: \"{}\"\n", quoted(passwords));
    let guard = guard.map(|guard| match guard {
        Guard::Passwords(Identity { certificate, key }) => format!(
            "  tls:\n    certificate: \"{}\"\n    key: \"{}\"\n{passwords}",
            quoted(certificate),
            quoted(key),
        ),
        Guard::PlainPasswords => passwords,
        Guard::Tokens { realm, certificate } => format!(
            "auth:\n  token:\n    realm: \"{realm}\"\n    service: {ISSUER}\n    issuer: \
             {ISSUER}\n    rootcertbundle: \"{}\"\n",
            quoted(certificate)
        ),
    });
    let guard = guard.unwrap_or_default();
    format!(
        "version: 0.1\n\
         log:\n  level: info\n\
         storage:\n  filesystem:\n    rootdirectory: \"{data}\"\n  delete:\n    enabled: true\n\
         http:\n  addr: \"{address}\"\n{guard}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_quotes_its_folder() {
        let text = configuration(Path::new("/a \"b\"\\c"), "127.0.0.1:5", Path::new("/p"), None);
        assert!(text.contains(r#"rootdirectory: "/a \"b\"\\c""#), "{text}");
        assert!(text.contains("delete:\n    enabled: true\n"), "{text}");
    }
}
