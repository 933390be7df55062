//! Programs of Go modules that are pinned in `xtask/tools`, built once below `target/tools`.
//!
//! Owns which versions (`MODULE/go.mod` and `go.sum`) and where they lie. Refuses to look for other
//! versions on this machine: figures are of the pins.

use crate::{Error, Missing};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The oldest Go that fetches the one which a module asks for.
const GO: (u32, u32) = (1, 21);

/// A program of the module in `xtask/tools/MODULE`, built unless one of the same pins is there.
///
/// # Errors
/// [`Error::Missing`] when Go is not here, or cannot build it.
pub fn go_program(module: &str, name: &str) -> Result<PathBuf, Error> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let source = root.join("xtask/tools").join(module);
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let folder = target.join("tools").join(module);
    let read = |path: &Path| fs::read_to_string(path).map_err(Error::file("read", path));
    let file = read(&source.join("go.mod"))?;
    let mut wanted = file.clone() + &read(&source.join("go.sum"))?;
    // A module without `tool` lines is a program of ours.
    let mut packages = packages(&file);
    if packages.is_empty() {
        wanted += &read(&source.join("main.go"))?;
        packages.push(".");
    }
    let (path, stamp) = (folder.join(name), folder.join("pins"));
    if path.is_file() && fs::read_to_string(&stamp).is_ok_and(|built| built == wanted) {
        return Ok(path);
    }
    let go = go().map_err(|why| Missing::new(format!("`{name}`"), why))?;
    fs::create_dir_all(&folder).map_err(Error::file("make folder", &folder))?;
    let folder = folder.canonicalize().map_err(Error::file("find folder", &folder))?;
    // Several may build at once: programs appear whole, and the stamp comes last.
    let work = tempfile::Builder::new()
        .prefix(".build-")
        .tempdir_in(&folder)
        .map_err(Error::file("make a folder in", &folder))?;
    let mut build = Command::new(go);
    build.current_dir(&source).stdin(Stdio::null());
    build.args(["build", "-mod=readonly", "-trimpath", "-buildvcs=false"]);
    build.arg("-o").arg(work.path()).args(packages).env("CGO_ENABLED", "0");
    build.env("GOWORK", "off").env_remove("GOFLAGS");
    let output =
        build.output().map_err(|source| Error::Run { program: "go".to_owned(), source })?;
    if !output.status.success() {
        return Err(unmade(name, &String::from_utf8_lossy(&output.stderr)).into());
    }
    let put = |from: &Path, name: &std::ffi::OsStr| {
        fs::rename(from, folder.join(name)).map_err(Error::file("put in place", from))
    };
    for made in fs::read_dir(work.path()).map_err(Error::file("list", work.path()))?.flatten() {
        put(&made.path(), &made.file_name())?;
    }
    let new = work.path().join("pins");
    fs::write(&new, wanted).map_err(Error::file("write", &new))?;
    put(&new, "pins".as_ref())?;
    Ok(path)
}

/// What could not be built is missing, with the last words about it.
fn unmade(name: &str, said: &str) -> Missing {
    let said = said.lines().rev().find(|line| !line.trim().is_empty());
    let said = said.unwrap_or_default().escape_debug();
    Missing::new(format!("`{name}`"), format!("it could not be made: {said}"))
}

/// The packages that a module's `tool` lines name.
fn packages(file: &str) -> Vec<&str> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in file.lines().map(str::trim) {
        match (inside, line.strip_prefix("tool ")) {
            (false, Some("(")) => inside = true,
            (false, Some(package)) => found.push(package),
            (true, _) if line == ")" => inside = false,
            (true, _) => found.push(line),
            _ => {}
        }
    }
    found
}

/// A Go that is new enough, or what stands in the way.
fn go() -> Result<PathBuf, String> {
    let version = |go: &Path| {
        let output = Command::new(go).args(["env", "GOVERSION"]).output().ok()?;
        let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some(version)
    };
    let found = ["go", "/usr/local/go/bin/go"]
        .into_iter()
        .map(PathBuf::from)
        .find_map(|go| version(&go).map(|version| (go, version)));
    let (major, minor) = GO;
    let Some((go, version)) = found else {
        return Err(format!(
            "it is built with Go {major}.{minor} or newer, which is not installed"
        ));
    };
    if new_enough(&version) {
        return Ok(go);
    }
    let version = version.escape_debug();
    Err(format!("it is built with Go {major}.{minor} or newer, and `{version}` is installed"))
}

fn new_enough(version: &str) -> bool {
    let mut numbers = version
        .trim_start_matches("go")
        .split(|c: char| !c.is_ascii_digit())
        .map(|word| word.parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= GO
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_is_judged_by_its_numbers() {
        for (version, enough) in [
            ("go1.19.8", false),
            ("go1.21", true),
            ("go1.26.8", true),
            ("go2.0", true),
            ("", false),
        ] {
            assert_eq!(new_enough(version), enough, "{version}");
        }
    }

    #[test]
    fn every_module_names_its_packages() {
        for (module, names) in [
            ("buildkit", &["buildctl", "buildkitd"][..]),
            ("crane", &["crane"]),
            ("regctl", &["regctl"]),
            ("victoria-logs", &["victoria-logs"]),
        ] {
            let file = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../../xtask/tools")
                .join(module)
                .join("go.mod");
            let text = fs::read_to_string(file).unwrap();
            let found = packages(&text);
            let found: Vec<_> =
                found.iter().filter_map(|package| package.rsplit('/').next()).collect();
            assert_eq!(found, names);
        }
    }

    #[test]
    fn what_cannot_be_made_is_a_skip_with_the_last_words() {
        let missing = unmade("crane", "go: ended\nno such \x1b host\n\n");
        assert_eq!(
            missing.to_string(),
            "no `crane` here: it could not be made: no such \\u{1b} host"
        );
    }
}
