//! A Docker engine that tests start, or one that runs already.
//!
//! Owns `dockerd` with private data, sockets and state, and ends it with its containers. Refuses to
//! touch another engine of the machine, and to run containers itself: that is `docker`'s part.

use crate::{Daemon, Error, Missing, Response, apt, http, mounts};
use std::{
    ffi::OsStr,
    fs,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use tempfile::TempDir;

const PROGRAM: &str = "dockerd";
const READY: Duration = Duration::from_mins(1);
const GRACE: Duration = Duration::from_secs(15);
const ANSWER: Duration = Duration::from_secs(5);
/// The shortest time in which an engine stops its containers, in seconds.
const SHUTDOWN: &str = "2";

/// An engine that answers.
#[derive(Debug)]
pub struct DockerEngine {
    host: String,
    own: Option<Own>,
}

/// What belongs to an engine that was started here. Fields are dropped in this order.
#[derive(Debug)]
struct Own {
    daemon: Daemon,
    data: PathBuf,
    bridge: Option<Bridge>,
    run: TempDir,
}

impl DockerEngine {
    /// The default address of the machine's engine.
    pub const DEFAULT_HOST: &str = "unix:///var/run/docker.sock";

    /// Makes sure that the engine and its client are installed, from Debian where that is possible.
    pub fn ensure() -> Result<PathBuf, Missing> {
        let missing = |why: &str| Missing::new("Docker engine", why);
        if !rustix::process::geteuid().is_root() {
            return Err(missing("starting one needs root"));
        }
        for (program, package) in [(PROGRAM, "docker.io"), ("docker", "docker-cli")] {
            if apt::find_program(program).is_none() {
                apt::ensure_packages(&[package])?;
            }
        }
        apt::find_program(PROGRAM).ok_or_else(|| missing("`dockerd` is not installed"))
    }

    /// Starts an engine with its data and its log (`dockerd.log`) below `dir`.
    ///
    /// Sockets and state lie in a short temporary folder, for a socket's path may have 107 bytes
    /// only. Images of an earlier engine in the same folder are still there. When another engine
    /// runs, this one gets a bridge of its own.
    ///
    /// # Errors
    /// [`Error::Missing`] without root, or when the engine cannot be installed.
    pub fn start(dir: &Path) -> Result<Self, Error> {
        Self::start_with(dir, &[])
    }

    /// As [`DockerEngine::start`], with more arguments for `dockerd`.
    pub fn start_with(dir: &Path, arguments: &[&str]) -> Result<Self, Error> {
        let program = Self::ensure()?;
        let data = dir.join("data");
        fs::create_dir_all(&data).map_err(Error::file("make folder", &data))?;
        let data = data.canonicalize().map_err(Error::file("find folder", &data))?;
        let run = tempfile::Builder::new()
            .prefix("esb-engine-")
            .tempdir()
            .map_err(Error::file("make folder below", std::env::temp_dir()))?;
        let config = run.path().join("daemon.json");
        fs::write(&config, "{}\n").map_err(Error::file("write", &config))?;
        let bridge = if another_engine_runs() { Some(Bridge::make()?) } else { None };

        let socket = run.path().join("docker.sock");
        let host = format!("unix://{}", socket.display());
        // A containerd of the machine may be shared with another engine; its names are not.
        let namespace = run.path().file_name().unwrap_or_else(|| OsStr::new("esb-engine"));
        let mut command = Command::new(program);
        command
            .arg("--data-root")
            .arg(&data)
            .arg("--exec-root")
            .arg(run.path().join("exec"))
            .arg("--pidfile")
            .arg(run.path().join("docker.pid"))
            .arg("--config-file")
            .arg(&config)
            .arg("--containerd-namespace")
            .arg(namespace)
            .arg("--containerd-plugins-namespace")
            .arg(format!("{}-plugins", namespace.to_string_lossy()))
            .args(["--shutdown-timeout", SHUTDOWN, "--host", &host])
            .args(arguments)
            .env_remove("DOCKER_HOST");
        if let Some(bridge) = &bridge {
            command.args(["--bridge", &bridge.name]);
        }
        let daemon = Daemon::start(&command, &dir.join("dockerd.log"), GRACE)?;
        let mut engine = Self { host, own: Some(Own { daemon, data, bridge, run }) };
        if let Some(own) = &mut engine.own {
            own.daemon.wait_ready(READY, || {
                ping_socket(&socket).is_ok_and(|response| response.status == 200)
            })?;
        }
        Ok(engine)
    }

    /// Takes an engine that already answers at `host` (`unix:///PATH` or `tcp://HOST:PORT`).
    ///
    /// It is left running when this is dropped.
    pub fn existing(host: &str) -> Result<Self, Missing> {
        let missing = |why: String| {
            let host = host.escape_debug();
            Missing::new("Docker engine", format!("none answers at `{host}` ({why})"))
        };
        let answer = match host.split_once("://") {
            Some(("unix", path)) => ping_socket(Path::new(path)),
            Some(("tcp" | "http", address)) => {
                http::request(address, "GET", "/_ping", &[], &[], ANSWER)
            }
            _ => return Err(missing("neither a socket nor a TCP address".to_owned())),
        };
        match answer {
            Ok(response) if response.status == 200 => Ok(Self { host: host.to_owned(), own: None }),
            Ok(response) => Err(missing(format!("status {}", response.status))),
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                Err(missing(cause.unwrap_or_else(|| error.to_string())))
            }
        }
    }

    /// The engine's address, as `DOCKER_HOST` has it.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether this engine was started here and ends with this value.
    pub fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// The engine's log, when it was started here.
    pub fn log(&self) -> Option<&Path> {
        self.own.as_ref().map(|own| own.daemon.log())
    }

    /// The client, configured for this engine alone.
    pub fn docker(&self) -> Command {
        let mut command = Command::new(client());
        command
            .env("DOCKER_HOST", &self.host)
            .env_remove("DOCKER_CONTEXT")
            .env_remove("DOCKER_TLS_VERIFY")
            .env_remove("DOCKER_CERT_PATH")
            .stdin(Stdio::null());
        command
    }

    /// Runs the client to its end and gives what it printed, without the last line break.
    ///
    /// # Errors
    /// [`Error::Failed`] with what it said when it does not succeed.
    pub fn output<I>(&self, arguments: I) -> Result<String, Error>
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        let mut command = self.docker();
        command.args(arguments);
        let output = command
            .output()
            .map_err(|source| Error::Run { program: "docker".to_owned(), source })?;
        if !output.status.success() {
            let words: Vec<_> = command.get_args().map(OsStr::to_string_lossy).collect();
            return Err(Error::Failed {
                command: format!("docker {}", words.join(" ")),
                status: output.status.to_string(),
                stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            });
        }
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.truncate(text.trim_end_matches('\n').len());
        Ok(text)
    }

    /// Removes every container of the engine, running or not.
    pub fn remove_containers(&self) -> Result<(), Error> {
        let ids = self.output(["ps", "--all", "--quiet", "--no-trunc"])?;
        if ids.is_empty() {
            return Ok(());
        }
        let arguments = ["rm", "--force", "--volumes"].into_iter().chain(ids.lines());
        self.output(arguments).map(drop)
    }
}

impl Drop for DockerEngine {
    fn drop(&mut self) {
        let Some(own) = &mut self.own else { return };
        let daemon_runs = own.daemon.is_running();
        if daemon_runs {
            // The engine itself stops what is left, only more slowly.
            let _best_effort = self.remove_containers();
        }
        if let Some(own) = &mut self.own {
            own.daemon.stop();
            mounts::detach_below(own.run.path());
            mounts::detach_below(&own.data);
            drop(own.bridge.take());
        }
    }
}

/// The client that came with the engine's package, else the one on the search path: a client of
/// another origin may lack the plugin that builds.
fn client() -> PathBuf {
    let packaged = PathBuf::from("/usr/bin/docker");
    if packaged.is_file() { packaged } else { PathBuf::from("docker") }
}

fn ping_socket(path: &Path) -> Result<Response, Error> {
    let ask = || {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(ANSWER))?;
        stream.set_write_timeout(Some(ANSWER))?;
        http::exchange(&stream, "docker", "GET", "/_ping", &[], &[])
    };
    ask().map_err(Error::net("get an answer from", path.display().to_string()))
}

/// Whether some `dockerd` runs, which then owns the default bridge.
fn another_engine_runs() -> bool {
    let Ok(processes) = fs::read_dir("/proc") else { return false };
    processes.flatten().any(|process| {
        let name = fs::read_to_string(process.path().join("comm"));
        name.is_ok_and(|name| name.trim_end() == PROGRAM)
    })
}

/// How many bridges this process made, for their names.
static BRIDGES: AtomicU32 = AtomicU32::new(0);

/// A network bridge for an engine beside another one.
#[derive(Debug)]
struct Bridge {
    name: String,
}

impl Bridge {
    /// Makes a bridge with an address range that no interface has; an interface's name may have
    /// 15 characters.
    fn make() -> Result<Self, Error> {
        if apt::find_program("ip").is_none() {
            apt::ensure_packages(&["iproute2"])?;
        }
        let count = BRIDGES.fetch_add(1, Ordering::Relaxed) % 1_000;
        let name = format!("esb{}-{count}", std::process::id() % 10_000_000);
        let taken = ip(&["-4", "-o", "addr", "show"])?;
        let third = (20..250).find(|third| !taken.contains(&format!(" 10.213.{third}.")));
        let Some(third) = third else {
            return Err(Missing::new("address range for a bridge", "all of them are taken").into());
        };
        ip(&["link", "add", "name", &name, "type", "bridge"])?;
        let bridge = Self { name };
        ip(&["addr", "add", &format!("10.213.{third}.1/24"), "dev", &bridge.name])?;
        ip(&["link", "set", &bridge.name, "up"])?;
        Ok(bridge)
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        // Nothing more can be done about a bridge that stays.
        let _best_effort = ip(&["link", "delete", &self.name]);
    }
}

fn ip(arguments: &[&str]) -> Result<String, Error> {
    let program = apt::find_program("ip").unwrap_or_else(|| PathBuf::from("ip"));
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|source| Error::Run { program: "ip".to_owned(), source })?;
    if !output.status.success() {
        return Err(Error::Failed {
            command: format!("ip {}", arguments.join(" ")),
            status: output.status.to_string(),
            stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(host: &str, why: &str) {
        let missing = DockerEngine::existing(host).unwrap_err();
        assert_eq!(missing.what, "Docker engine");
        assert!(missing.why.contains(why), "{missing}");
    }

    #[test]
    fn an_engine_that_does_not_answer_is_missing() {
        check("unix:///nowhere/docker.sock", "none answers at `unix:///nowhere/docker.sock`");
        check("ssh://somewhere", "neither a socket nor a TCP address");
        check("word", "neither a socket nor a TCP address");
    }
}
