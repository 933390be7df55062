//! Finds programs of Debian packages, and installs those that are missing.
//!
//! Owns the calls of `dpkg-query` and `apt-get`. Refuses other package managers, `sudo`, and
//! downloads that apt does not verify.

use crate::Missing;
use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Folders in which daemons lie and which a user's search path often lacks.
const SYSTEM_FOLDERS: &[&str] =
    &["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// Where `program` lies, among the system's own folders.
pub fn find_program(program: &str) -> Option<PathBuf> {
    SYSTEM_FOLDERS.iter().map(|dir| Path::new(dir).join(program)).find(|path| path.is_file())
}

/// Makes sure that Debian packages are installed.
///
/// Asks dpkg first, so that a machine that has them all is left alone. Else, as root on Debian,
/// installs what is missing without recommended packages. Fetches package lists when there are none
/// and once more when the installation fails, for lists go stale.
///
/// # Errors
/// [`Missing`] names the packages that are not there and what stands in the way.
pub fn ensure_packages(packages: &[&str]) -> Result<(), Missing> {
    let absent: Vec<&str> = packages.iter().copied().filter(|name| !installed(name)).collect();
    if absent.is_empty() {
        return Ok(());
    }
    let names = absent.join(" ");
    let missing = |why: String| Missing::new(format!("package `{}`", absent.join("`, `")), why);
    if find_program("apt-get").is_none() {
        return Err(missing("this system has no `apt-get`; install it by hand".to_owned()));
    }
    if !rustix::process::geteuid().is_root() {
        return Err(missing(format!(
            "installing needs root; run `apt-get install {names}` as root"
        )));
    }
    let install = || {
        let mut arguments = vec!["install", "--yes", "--no-install-recommends"];
        arguments.extend(&absent);
        apt_get(&arguments)
    };
    let have_lists = have_lists();
    if !have_lists {
        apt_get(&["update"]).map_err(&missing)?;
    }
    match install() {
        Err(_) if have_lists => apt_get(&["update"]).and_then(|()| install()).map_err(missing),
        result => result.map_err(missing),
    }
}

fn installed(package: &str) -> bool {
    let status = Command::new("dpkg-query")
        .args(["--show", "--showformat=${db:Status-Status}", package])
        .stdin(Stdio::null())
        .output();
    status.is_ok_and(|output| output.status.success() && output.stdout == b"installed")
}

fn have_lists() -> bool {
    let lists = std::fs::read_dir("/var/lib/apt/lists");
    lists.is_ok_and(|mut entries| {
        entries.any(|entry| {
            entry.is_ok_and(|entry| entry.file_name().to_string_lossy().contains("_Packages"))
        })
    })
}

fn apt_get(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("apt-get")
        .args(["-q", "-o", "DPkg::Lock::Timeout=300"])
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("could not run `apt-get`: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = reason(&String::from_utf8_lossy(&output.stderr));
    Err(format!("`apt-get {}` failed: {said}", arguments[0]))
}

/// The last error that apt named, escaped.
fn reason(stderr: &str) -> String {
    let error = stderr.lines().rev().find(|line| line.starts_with("E:"));
    error.unwrap_or("no reason given").escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_is_found_and_nonsense_is_not() {
        assert!(find_program("sh").is_some());
        assert_eq!(find_program("no-such-program"), None);
    }

    #[test]
    fn packages_that_are_here_need_no_apt() {
        assert_eq!(ensure_packages(&[]), Ok(()));
        assert!(!installed("no-such-package"));
    }

    #[test]
    fn the_last_error_is_the_reason() {
        let stderr = "W: old\nE: first\nE: Unable to locate \x1b package x\nW: more\n";
        assert_eq!(reason(stderr), "E: Unable to locate \\u{1b} package x");
        assert_eq!(reason("W: old\n"), "no reason given");
    }
}
