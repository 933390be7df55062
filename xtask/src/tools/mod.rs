//! Programs that checks and benchmarks run beside `esb`, made once below `target/tools`.
//!
//! Owns which versions (`xtask/tools/TOOL/go.mod` and `go.sum`) and where they lie. Needs Go for
//! all but buildx. Refuses to look for other versions on this machine: figures are of the pins.

mod buildx;
mod daemons;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use esb_test::Missing;

use crate::{
    checks::{Checks, Outcome, Trouble},
    command::{command, output, root, target},
    steps::say,
};

pub(crate) use buildx::plugins as buildx_plugins;
pub(crate) use daemons::{Buildkitd, Moto, NO_TRACES, VictoriaLogs};

/// The oldest Go that fetches the one which a module asks for.
const GO: (u32, u32) = (1, 21);

type Make = fn() -> Outcome<PathBuf>;

/// `cargo xtask tools`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Also starts those that are daemons, and stops them.
    #[arg(long)]
    check: bool,
}

/// Makes all of them; what cannot be made is told and counted as a skip.
pub(crate) fn run(args: &Args) -> bool {
    let mut checks = Checks::default();
    let made: [(&str, Make); 6] = [
        ("victoria-logs", victoria_logs),
        ("buildkitd", buildkitd),
        ("buildctl", buildctl),
        ("crane", crane),
        ("regctl", regctl),
        ("buildx", buildx_plugins),
    ];
    for (name, make) in made {
        checks.run(name, || {
            say(&format!("{name}: {}", make()?.display()));
            Ok(())
        });
    }
    if args.check {
        let folder = target().join("tools/check");
        checks.run("VictoriaLogs answers", || {
            VictoriaLogs::start(&folder.join("victoria-logs")).map(|logs| say(logs.address()))
        });
        checks.run("BuildKit answers", || {
            let daemon = Buildkitd::start(&folder.join("buildkit"))?;
            say(output(daemon.buildctl()?.args(["debug", "workers"]))?.trim_end());
            Ok(())
        });
    }
    checks.finish("cargo xtask tools")
}

/// `VictoriaLogs`, where records end up.
pub(crate) fn victoria_logs() -> Outcome<PathBuf> {
    program("victoria-logs", "victoria-logs")
}

/// The `BuildKit` daemon.
pub(crate) fn buildkitd() -> Outcome<PathBuf> {
    program("buildkit", "buildkitd")
}

/// The client of the `BuildKit` daemon.
pub(crate) fn buildctl() -> Outcome<PathBuf> {
    program("buildkit", "buildctl")
}

/// The registry client of go-containerregistry.
pub(crate) fn crane() -> Outcome<PathBuf> {
    program("crane", "crane")
}

/// The registry client of regclient.
pub(crate) fn regctl() -> Outcome<PathBuf> {
    program("regctl", "regctl")
}

/// A program of the module in `xtask/tools/MODULE`, built unless one of the same pins is there.
fn program(module: &str, name: &str) -> Outcome<PathBuf> {
    let source = root().join("xtask/tools").join(module);
    let folder = target().join("tools").join(module);
    let (file, sums) = (fs::read_to_string(source.join("go.mod"))?, source.join("go.sum"));
    let wanted = file.clone() + &fs::read_to_string(sums)?;
    let (path, stamp) = (folder.join(name), folder.join("pins"));
    if path.is_file() && fs::read_to_string(&stamp).is_ok_and(|built| built == wanted) {
        return Ok(path);
    }
    let go = go().map_err(|why| Missing::new(format!("`{name}`"), why))?;
    fs::create_dir_all(&folder)?;
    // Several tasks may build at once: programs appear whole, and the stamp comes last.
    let work = tempfile::Builder::new().prefix(".build-").tempdir_in(&folder)?;
    let mut build = command(go);
    build.current_dir(&source).args(["build", "-mod=readonly", "-trimpath", "-buildvcs=false"]);
    build.arg("-o").arg(work.path()).args(packages(&file)).env("CGO_ENABLED", "0");
    build.env("GOWORK", "off").env_remove("GOFLAGS");
    output(&mut build).map_err(|trouble| absent(name, trouble))?;
    for made in fs::read_dir(work.path())? {
        let made = made?;
        fs::rename(made.path(), folder.join(made.file_name()))?;
    }
    let new = work.path().join("pins");
    fs::write(&new, wanted)?;
    fs::rename(new, stamp)?;
    Ok(path)
}

/// What could not be fetched or built is absent, with the last words about it.
fn absent(name: &str, trouble: Trouble) -> Trouble {
    match trouble {
        Trouble::Failed(text) => {
            let said = text.lines().rev().find(|line| !line.trim().is_empty());
            let said = said.unwrap_or_default().escape_debug();
            Missing::new(format!("`{name}`"), format!("it could not be made: {said}")).into()
        }
        missing @ Trouble::Missing(_) => missing,
    }
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
        let text = output(Command::new(go).args(["env", "GOVERSION"])).ok()?;
        Some(text.trim().to_owned())
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
            let file = root().join("xtask/tools").join(module).join("go.mod");
            let text = fs::read_to_string(file).unwrap();
            let found = packages(&text);
            let found: Vec<_> =
                found.iter().filter_map(|package| package.rsplit('/').next()).collect();
            assert_eq!(found, names);
        }
    }

    #[test]
    fn what_cannot_be_made_is_a_skip_with_the_last_words() {
        let trouble = absent("crane", Trouble::Failed("go: ended\nno such \x1b host\n\n".into()));
        let Trouble::Missing(missing) = trouble else { panic!("{trouble:?}") };
        assert_eq!(
            missing.to_string(),
            "no `crane` here: it could not be made: no such \\u{1b} host"
        );
    }
}
