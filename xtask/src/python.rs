//! Finds the machine's Pythons, and installs packages for checks and benchmarks in virtual
//! environments below `target/python`.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use esb_test::ensure_packages;

use crate::{
    checks::Outcome,
    command::{command, output, root, target},
};

/// Minor versions of Python 3 that Lambda has.
const MINORS: std::ops::RangeInclusive<u32> = 9..=15;

/// Every version of this machine that Lambda has too, oldest first, with its interpreter; the
/// system's own when there is no other.
pub(crate) fn interpreters() -> Vec<(String, PathBuf)> {
    let works =
        |python: &PathBuf| output(command(python).args(["-c", "import ensurepip, venv"])).is_ok();
    let found: Vec<_> = MINORS
        .filter_map(|minor| {
            let version = format!("3.{minor}");
            let name = format!("python{version}");
            let mut places: Vec<PathBuf> = installations(&version)
                .into_iter()
                .map(|prefix| prefix.join("bin").join(&name))
                .collect();
            places.push(name.into());
            Some((version, places.into_iter().find(works)?))
        })
        .collect();
    if found.is_empty() { vec![("3".to_owned(), "python3".into())] } else { found }
}

/// The interpreter of an environment with the packages of a requirements file.
pub(crate) fn environment(name: &str, requirements: &str) -> Outcome<PathBuf> {
    environment_of(Path::new("python3"), name, requirements)
}

/// As [`environment`], made with an interpreter of choice.
pub(crate) fn environment_of(base: &Path, name: &str, requirements: &str) -> Outcome<PathBuf> {
    let folder = target().join("python").join(name);
    let python = folder.join("bin/python");
    let stamp = folder.join("installed");
    let wanted = std::fs::read_to_string(root().join(requirements))?;
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    if output(command(base).args(["-c", "import ensurepip, venv"])).is_err() {
        ensure_packages(&["python3-venv"])?;
    }
    output(command(base).args(["-m", "venv", "--clear"]).arg(&folder))?;
    let mut install = command(&python);
    // What is imported is compiled then, and most of it never is.
    install.args(["-m", "pip", "install", "--quiet", "--no-compile", "--requirement"]);
    install.arg(requirements);
    output(&mut install)?;
    std::fs::write(stamp, wanted)?;
    Ok(python)
}

/// Folders that may hold an interpreter of that version beside the system's, newest first of each kind.
pub(crate) fn installations(version: &str) -> Vec<PathBuf> {
    let home = env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let pyenv = env::var_os("PYENV_ROOT").map_or_else(|| home.join(".pyenv"), PathBuf::from);
    let mut found = starting_with(&pyenv.join("versions"), &format!("{version}."));
    let uv = home.join(".local/share/uv/python");
    found.extend(starting_with(&uv, &format!("cpython-{version}.")));
    let asked = Command::new(format!("python{version}"))
        .args(["-c", "import sys; print(sys.base_prefix)"])
        .stdin(Stdio::null())
        .output();
    if let Ok(output) = asked
        && output.status.success()
    {
        let prefix = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
        // A whole system cannot be copied.
        if prefix != Path::new("/usr") {
            found.push(prefix);
        }
    }
    found
}

fn starting_with(folder: &Path, start: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(start))
        .map(|entry| entry.path())
        .collect();
    found.sort_by_key(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let digits = |c: char| !c.is_ascii_digit();
        let numbers: Vec<u32> = name.split(digits).filter_map(|part| part.parse().ok()).collect();
        std::cmp::Reverse(numbers)
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_patch_version_comes_first() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["3.12.9", "3.12.10", "3.11.1", "3.12.2"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let found = starting_with(dir.path(), "3.12.");
        let names: Vec<_> = found.iter().map(|path| path.file_name().unwrap()).collect();
        assert_eq!(names, ["3.12.10", "3.12.9", "3.12.2"]);
    }
}
