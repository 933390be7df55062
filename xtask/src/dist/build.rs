//! Compiles the programs: static ones, with musl, for both architectures on either.
//!
//! The C code of dependencies is compiled by zig, which knows both systems' headers.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use esb_test::Missing;

use super::{TARGETS, Target};
use crate::{
    checks::{Outcome, Trouble},
    command::{cargo, command, output, root, run, target},
    python,
};

/// `cargo-zigbuild` and zig, of pinned versions.
const REQUIREMENTS: &str = "xtask/tools/dist.requirements.txt";

/// A compiled program.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) target: Target,
    pub(super) path: PathBuf,
}

/// What compiles programs.
#[derive(Debug)]
pub(super) struct Toolchain {
    /// A search path on which `cargo-zigbuild` and its zig come first.
    path: std::ffi::OsString,
}

impl Toolchain {
    /// Installs what is not here.
    pub(super) fn prepare() -> Outcome<Self> {
        let missing = |what: &str, why: Trouble| {
            let why = match why {
                Trouble::Failed(text) => text,
                Trouble::Missing(missing) => missing.to_string(),
            };
            let why = why.lines().last().unwrap_or_default().to_owned();
            Trouble::from(Missing::new(what.to_owned(), why))
        };
        let mut add = command("rustup");
        add.args(["target", "add"]).args(TARGETS.map(|target| target.triple));
        output(&mut add).map_err(|why| missing("Rust's musl targets", why))?;
        let python = python::environment("dist", REQUIREMENTS)
            .map_err(|why| missing("`cargo-zigbuild`", why))?;
        let own = python.parent().map(Path::to_owned).unwrap_or_default();
        let all = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths([own].into_iter().chain(env::split_paths(&all)));
        Ok(Self { path: path.map_err(|error| error.to_string())? })
    }

    /// The program for one target.
    pub(super) fn program(&self, target: Target) -> Outcome<Program> {
        let folder = crate::command::target();
        run(&mut self.compile(&root(), &folder, target))?;
        Ok(Program { target, path: made(&folder, target) })
    }

    /// Compiles the same files in another folder, and compares.
    pub(super) fn compare(&self, program: &Program, files: &Path) -> Outcome {
        let again = target().join("dist/again");
        let source = again.join("a/folder of another name");
        copy_sources(&source)?;
        let folder = again.join("target");
        run(&mut self.compile(&source, &folder, program.target))?;
        let (one, other) = (fs::read(&program.path)?, fs::read(made(&folder, program.target))?);
        if one == other {
            return Ok(());
        }
        let kept = files.with_file_name(format!("esb-{}-of-another-folder", program.target.triple));
        fs::write(&kept, other)?;
        Err(format!("{} and {} differ", program.path.display(), kept.display()).into())
    }

    fn compile(&self, source: &Path, folder: &Path, target: Target) -> Command {
        let mut build = cargo();
        build.current_dir(source).env("PATH", &self.path).env("CARGO_TARGET_DIR", folder);
        build.args(["zigbuild", "--quiet", "--locked", "--profile", "dist"]);
        build.args(["--package", "esb-cli", "--target", target.triple]);
        // Messages of panics name files: by where they are from, not where they were compiled.
        let mut flags = vec![remapped(source, "/esb")];
        for (variable, default, name) in
            [("CARGO_HOME", ".cargo", "/cargo"), ("RUSTUP_HOME", ".rustup", "/rustup")]
        {
            let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(default));
            let folder = env::var_os(variable).map(PathBuf::from).or_else(home);
            flags.extend(folder.map(|folder| remapped(&folder, name)));
        }
        build.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}")).env_remove("RUSTFLAGS");
        build
    }
}

fn remapped(folder: &Path, name: &str) -> String {
    format!("--remap-path-prefix={}={name}", folder.display())
}

fn made(folder: &Path, target: Target) -> PathBuf {
    folder.join(target.triple).join("dist/esb")
}

/// Copies the files that git knows, as they are now.
fn copy_sources(folder: &Path) -> Outcome {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    let names = output(command("git").args(["ls-files", "-z"]))?;
    for name in names.split('\0').filter(|name| !name.is_empty()) {
        let (from, to) = (root().join(name), folder.join(name));
        let Ok(kind) = from.symlink_metadata() else { continue };
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&from)?, &to)?;
        } else {
            fs::copy(&from, &to)?;
        }
    }
    Ok(())
}
