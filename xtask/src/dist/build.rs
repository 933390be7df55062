//! Compiles the programs: static ones, with musl, for both architectures on either.
//!
//! The C code of dependencies is compiled by zig, which knows both systems' headers.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use esb_test::Missing;

use super::{
    TARGETS, Target,
    release::{Release, megabytes},
};
use crate::{
    checks::{Outcome, Trouble},
    command::{cargo, command, output, run},
    python,
};

/// `cargo-zigbuild` and zig, of pinned versions.
const REQUIREMENTS: &str = "xtask/tools/dist.requirements.txt";

/// How large a program may be, in bytes.
const LIMIT: usize = 20_000_000;

/// A compiled program.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) target: Target,
    pub(super) path: PathBuf,
}

impl Program {
    /// Whether this machine runs it.
    pub(super) fn is_native(&self) -> bool {
        self.target.triple.starts_with(env::consts::ARCH)
    }
}

/// What compiles programs.
#[derive(Debug)]
pub(super) struct Toolchain {
    /// A search path on which `cargo-zigbuild` and its zig come first.
    path: std::ffi::OsString,
    /// Folders of this machine, with the names that messages have for them.
    homes: Vec<(PathBuf, &'static str)>,
    /// The licence of musl, which is part of every program.
    pub(super) musl_licence: PathBuf,
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
        let place = "import os, ziglang; print(os.path.dirname(ziglang.__file__))";
        let zig = output(command(&python).args(["-c", place]))?;
        let all = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths([own].into_iter().chain(env::split_paths(&all)));
        let home = |variable, default| {
            let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(default));
            env::var_os(variable).map(PathBuf::from).or_else(home)
        };
        let homes =
            [(home("CARGO_HOME", ".cargo"), "/cargo"), (home("RUSTUP_HOME", ".rustup"), "/rustup")];
        Ok(Self {
            path: path.map_err(|error| error.to_string())?,
            homes: homes.into_iter().filter_map(|(path, name)| Some((path?, name))).collect(),
            musl_licence: Path::new(zig.trim()).join("lib/libc/musl/COPYRIGHT"),
        })
    }

    /// The program for one target, which is not too large and names no folder of this machine.
    pub(super) fn program(&self, release: &Release, target: Target) -> Outcome<Program> {
        run(&mut self.compile(release, target))?;
        let path = release.compiled.join(target.triple).join("dist/esb");
        let bytes = fs::read(&path)?;
        if bytes.len() > LIMIT {
            let (size, limit) = (megabytes(bytes.len()), megabytes(LIMIT));
            return Err(format!("{} has {size} MB, more than {limit}", path.display()).into());
        }
        // A shorter one may be the beginning of any path.
        let own = self.folders(release).filter(|(folder, _)| folder.components().count() > 2);
        for folder in own.map(|(folder, _)| folder.display().to_string()) {
            if bytes.windows(folder.len()).any(|window| window == folder.as_bytes()) {
                return Err(format!("{} holds the name `{folder}`", path.display()).into());
            }
        }
        Ok(Program { target, path })
    }

    /// Folders of this machine, with the names that messages have for them.
    fn folders<'a>(
        &'a self,
        release: &'a Release,
    ) -> impl Iterator<Item = (&'a Path, &'static str)> {
        let homes = self.homes.iter().map(|(path, name)| (&**path, *name));
        let compiled = (!release.compiled.starts_with(&release.source))
            .then_some((&*release.compiled, "/esb/target"));
        [(&*release.source, "/esb")].into_iter().chain(homes).chain(compiled)
    }

    fn compile(&self, release: &Release, target: Target) -> Command {
        let mut build = cargo();
        build.current_dir(&release.source).env("PATH", &self.path);
        build.args(["zigbuild", "--quiet", "--locked", "--profile", "dist"]);
        build.args(["--package", "esb-cli", "--target", target.triple]);
        build.env("CARGO_TARGET_DIR", &release.compiled).env("ESB_COMMIT", &release.commit);
        // What C code has for `__DATE__`: not the commit's, for C code is not compiled again with
        // each.
        build.env("SOURCE_DATE_EPOCH", "1");
        let remapped =
            |(folder, name): (&Path, _)| format!("--remap-path-prefix={}={name}", folder.display());
        let flags: Vec<String> = self.folders(release).map(remapped).collect();
        build.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}")).env_remove("RUSTFLAGS");
        build
    }
}
