//! A `BuildKit` daemon on loopback, with its data below a folder that the caller gives.
//!
//! Owns its command line and how it is known to be ready; it ends when its value is dropped.

use crate::{Daemon, Error, Missing, apt, detach_below, free_port, go_program};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

const MODULE: &str = "buildkit";
const READY: Duration = Duration::from_mins(1);
const GRACE: Duration = Duration::from_secs(5);

/// With tracing on, a daemon writes the record of every span so far for each target of a build,
/// and its time becomes that of the records. Clients need the same.
pub const NO_TRACES: [(&str, &str); 3] = [
    ("OTEL_SDK_DISABLED", "true"),
    ("OTEL_TRACES_EXPORTER", "none"),
    ("OTEL_TRACES_SAMPLER", "always_off"),
];

/// A running `BuildKit` daemon, with tracing off.
#[derive(Debug)]
pub struct Buildkitd {
    address: String,
    /// The folder of the certificates, with mutual TLS.
    tls: Option<PathBuf>,
    dir: PathBuf,
    daemon: Daemon,
}

impl Drop for Buildkitd {
    fn drop(&mut self) {
        self.daemon.stop();
        // One that was killed left the file systems of its steps.
        detach_below(&self.dir);
    }
}

impl Buildkitd {
    /// Makes sure that the daemon and what runs its steps are here, building the one with Go.
    ///
    /// # Errors
    /// [`Error::Missing`] without root, `runc` or Go.
    pub fn ensure() -> Result<PathBuf, Error> {
        if !rustix::process::geteuid().is_root() {
            return Err(Missing::new("BuildKit daemon", "starting one needs root").into());
        }
        if apt::find_program("runc").is_none() {
            apt::ensure_packages(&["runc"])?;
        }
        go_program(MODULE, "buildkitd")
    }

    /// Starts it with its data and its log below `dir`; needs root and `runc`.
    pub fn start(dir: &Path) -> Result<Self, Error> {
        Self::launch(dir, None)
    }

    /// As [`Buildkitd::start`], with mutual TLS by the `ca.pem`, `cert.pem` and `key.pem` of a
    /// folder.
    pub fn start_with_tls(dir: &Path, tls: &Path) -> Result<Self, Error> {
        Self::launch(dir, Some(tls))
    }

    fn launch(dir: &Path, tls: Option<&Path>) -> Result<Self, Error> {
        fs::create_dir_all(dir).map_err(Error::file("make folder", dir))?;
        let address = format!("tcp://127.0.0.1:{}", free_port()?);
        let daemon = run(dir, &address, tls)?;
        Ok(Self { address, tls: tls.map(Path::to_owned), dir: dir.to_owned(), daemon })
    }

    /// Starts it again, at its address and with its data: after [`Buildkitd::kill`], as a machine
    /// does that comes back.
    pub fn restart(&mut self) -> Result<(), Error> {
        self.daemon.stop();
        detach_below(&self.dir);
        self.daemon = run(&self.dir, &self.address, self.tls.as_deref())?;
        Ok(())
    }

    /// `tcp://127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The client, configured for this daemon.
    pub fn buildctl(&self) -> Result<Command, Error> {
        let mut command = Command::new(go_program(MODULE, "buildctl")?);
        command.args(["--addr", &self.address]).envs(NO_TRACES);
        if let Some(tls) = &self.tls {
            command.arg("--tlsdir").arg(tls);
        }
        Ok(command)
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        self.daemon.kill();
    }

    /// Suspends the process, with its connections open.
    pub fn freeze(&self) -> Result<(), Error> {
        self.signal("-STOP")
    }

    /// Resumes the process.
    pub fn thaw(&self) -> Result<(), Error> {
        self.signal("-CONT")
    }

    fn signal(&self, signal: &str) -> Result<(), Error> {
        let group = format!("-{}", self.daemon.group());
        let mut kill = Command::new("kill");
        let status = kill.args([signal, "--", &group]).status();
        match status.map_err(|source| Error::Run { program: "kill".to_owned(), source })? {
            status if status.success() => Ok(()),
            status => Err(Error::Failed {
                command: format!("kill {signal} -- {group}"),
                status: status.to_string(),
                stderr: String::new(),
            }),
        }
    }
}

/// Starts the program, and waits until it says that it is ready.
fn run(dir: &Path, address: &str, tls: Option<&Path>) -> Result<Daemon, Error> {
    let mut command = Command::new(Buildkitd::ensure()?);
    command.arg("--root").arg(dir.join("data")).args(["--addr", address]);
    command.args(["--oci-worker=true", "--containerd-worker=false"]);
    command.envs(NO_TRACES);
    if let Some(tls) = tls {
        command.arg("--tlscacert").arg(tls.join("ca.pem"));
        command.arg("--tlscert").arg(tls.join("cert.pem"));
        command.arg("--tlskey").arg(tls.join("key.pem"));
    }
    let log = dir.join("buildkitd.log");
    // What an earlier one said stands there too.
    let earlier = fs::metadata(&log).map_or(0, |log| log.len());
    let mut daemon = Daemon::start(&command, &log, GRACE)?;
    daemon.wait_ready(READY, || {
        let said = fs::read(&log).unwrap_or_default();
        let said = said.get(usize::try_from(earlier).unwrap_or(0)..).unwrap_or_default();
        String::from_utf8_lossy(said).contains("running server on")
    })?;
    Ok(daemon)
}
