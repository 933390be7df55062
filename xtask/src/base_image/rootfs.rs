//! Makes the root file system with mmdebstrap and pip.
//!
//! Owns the running of other programs. Refuses to change what they give: that is the overlay's and
//! the layers' part.

use super::{Error, version::Version};
use esb_test::{Missing, ensure_packages, find_program};
use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Platforms whose wheels run on the roots of this stand-in, by Debian's name of the machine.
const PLATFORMS: &[(&str, &[&str])] = &[
    ("x86_64", &["manylinux2014_x86_64", "manylinux_2_17_x86_64", "manylinux_2_28_x86_64"]),
    ("aarch64", &["manylinux2014_aarch64", "manylinux_2_17_aarch64", "manylinux_2_28_aarch64"]),
];

const OUTPUT_LINES: usize = 12;

/// A way to run mmdebstrap.
#[derive(Debug)]
pub(super) struct Mmdebstrap {
    mode: &'static str,
}

impl Mmdebstrap {
    /// Finds a way, installing mmdebstrap where that is possible.
    ///
    /// # Errors
    /// [`Missing`] when there is no way: neither root nor user namespaces.
    pub(super) fn find() -> Result<Self, Missing> {
        if find_program("mmdebstrap").is_none() {
            ensure_packages(&["mmdebstrap"])?;
        }
        let root = output(Command::new("id").arg("--user")).is_ok_and(|id| id.trim() == "0");
        if root {
            return Ok(Self { mode: "root" });
        }
        let missing = |why: &str| {
            let why = format!("mmdebstrap needs root or user namespaces, and {why}");
            Missing::new("root file system", why)
        };
        for switch in ["user/max_user_namespaces", "kernel/unprivileged_userns_clone"] {
            let value = fs::read_to_string(Path::new("/proc/sys").join(switch));
            if value.is_ok_and(|value| value.trim() == "0") {
                return Err(missing(&format!("`{switch}` is 0")));
            }
        }
        if find_program("newuidmap").is_none() {
            return Err(missing("`newuidmap` is not installed (Debian's package `uidmap`)"));
        }
        let user = output(Command::new("id").args(["--user", "--name"])).unwrap_or_default();
        let ranges = fs::read_to_string("/etc/subuid").unwrap_or_default();
        if !ranges.lines().any(|line| line.split(':').next() == Some(user.trim())) {
            return Err(missing("`/etc/subuid` has no range for this user"));
        }
        Ok(Self { mode: "unshare" })
    }

    /// Makes a root file system of `version` with `overlay` over it, finished by `script` (a path
    /// inside), as one tar archive.
    pub(super) fn make(
        &self,
        version: Version,
        mirror: &str,
        overlay: &Path,
        script: &str,
        epoch: u64,
        archive: &Path,
    ) -> Result<(), Error> {
        let suite = version.suite();
        let mut command = Command::new("mmdebstrap");
        command
            .args(["--variant=minbase", "--quiet", "--mode", self.mode])
            .arg(format!("--include={}", version.packages().join(",")))
            .arg(format!("--customize-hook=tar-in '{}' /", overlay.display()))
            .arg(format!("--customize-hook=chroot \"$1\" /bin/sh {script} {}", version.name()))
            .args(transport_options().iter().map(|option| format!("--aptopt={option}")))
            .arg(suite)
            .arg(archive)
            .arg(format!("deb {mirror} {suite} main"))
            .env("SOURCE_DATE_EPOCH", epoch.to_string())
            .env("LC_ALL", "C.UTF-8");
        output(&mut command).map(drop)
    }
}

/// What apt was told here about reaching a mirror, such as a proxy.
fn transport_options() -> Vec<String> {
    let dump = output(Command::new("apt-config").arg("dump")).unwrap_or_default();
    let wanted = |line: &&str| {
        line.starts_with("Acquire::http") && line.contains(" \"") && !line.contains(" \"\"")
    };
    dump.lines().filter(wanted).map(str::to_owned).collect()
}

/// A pip of this machine.
#[derive(Debug)]
pub(super) struct Pip {
    interpreter: &'static str,
}

impl Pip {
    /// Finds one, installing Debian's where that is possible.
    pub(super) fn find() -> Result<Self, Missing> {
        let works = |interpreter: &&'static str| {
            output(Command::new(interpreter).args(["-m", "pip", "--version"])).is_ok()
        };
        let known = || ["python3", "/usr/bin/python3"].into_iter().find(works);
        let mut interpreter = known();
        if interpreter.is_none() {
            ensure_packages(&["python3-pip"])?;
            interpreter = known();
        }
        let missing = || Missing::new("pip", "no `python3` has the module `pip`");
        interpreter.map(|interpreter| Self { interpreter }).ok_or_else(missing)
    }

    /// Installs `what` (requirements or options) for `version` on this machine's kind of processor
    /// into `target`, from wheels only and without what it depends on.
    pub(super) fn install(
        &self,
        version: Version,
        target: &Path,
        what: &[&OsStr],
    ) -> Result<(), Error> {
        let mut command = self.command("install");
        command
            .args(["--no-deps", "--only-binary=:all:", "--no-compile", "--implementation=cp"])
            .args(["--python-version", version.name()])
            .args(platforms()?.iter().map(|platform| format!("--platform={platform}")))
            .arg("--target")
            .arg(target)
            .args(what);
        output(&mut command).map(drop)
    }

    /// Downloads the one wheel of `what` into `folder`.
    pub(super) fn download(&self, what: &str, folder: &Path) -> Result<PathBuf, Error> {
        let mut command = self.command("download");
        command.args(["--no-deps", "--only-binary=:all:", "--dest"]).arg(folder).arg(what);
        output(&mut command)?;
        let entries = fs::read_dir(folder).map_err(Error::file("read folder", folder))?;
        let mut files = entries.flatten().map(|entry| entry.path());
        files.find(|path| path.extension() == Some(OsStr::new("whl"))).ok_or_else(|| {
            Error::Missing(Missing::new(format!("wheel of `{what}`"), "pip left no file"))
        })
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(self.interpreter);
        command
            .args(["-m", "pip", verb, "--quiet", "--disable-pip-version-check"])
            .env("PIP_ROOT_USER_ACTION", "ignore");
        command
    }
}

fn platforms() -> Result<&'static [&'static str], Missing> {
    let found = PLATFORMS.iter().find(|(machine, _)| *machine == std::env::consts::ARCH);
    found.map(|(_, platforms)| *platforms).ok_or_else(|| {
        Missing::new("stand-in", format!("there is none for `{}`", std::env::consts::ARCH))
    })
}

/// Runs a program to its end and gives its standard output.
pub(super) fn output(command: &mut Command) -> Result<String, Error> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| Error::Run { program: program.clone(), source })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<String> = stderr
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| line.escape_debug().to_string())
        .collect();
    let said = lines[lines.len().saturating_sub(OUTPUT_LINES)..].join("\n");
    Err(Error::Failed { program, status: output.status.to_string(), said })
}
