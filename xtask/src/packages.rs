//! `packages`: what a release needs of each crate and what takes minutes to compile: the packages
//! build by themselves, each feature does so alone, and all of it with the oldest Rust that is
//! promised.

use std::{fmt::Write as _, fs, process::Command};

use esb_test::Missing;
use serde_json::Value;

use crate::{
    checks::{Checks, Outcome},
    command::{cargo, command, output, root, run, target},
    folders,
    tidy::packages::{is_private, metadata},
};

/// Shows what docs.rs shows: that needs an unstable feature of rustdoc.
const NIGHTLY: &str = "nightly";

/// A crate that is published.
struct Crate {
    name: String,
    version: String,
    features: Vec<String>,
    rust: String,
    is_library: bool,
}

/// `cargo xtask packages`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only checks whose name holds this
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
}

/// Runs all of it.
pub(crate) fn run_all(args: &Args) -> bool {
    let mut checks = Checks::of_command("cargo xtask packages", args.only.as_deref());
    let crates = checks.prepare("crates that are published", crates).unwrap_or_default();
    for krate in &crates {
        for choice in krate.choices() {
            let name = format!("{} {}", krate.name, choice.join(" "));
            checks.run(&name, || compiles(krate, &choice));
        }
    }
    checks.run("documentation as docs.rs makes it", || docs_rs(&crates));
    checks.run("packages build by themselves", || package(&crates, &[]));
    checks.run("tests within the packages", || tests(&crates));
    let mut versions: Vec<&str> = crates.iter().map(|krate| &*krate.rust).collect();
    versions.sort_unstable();
    versions.dedup();
    for version in versions {
        let those = crates.iter().filter(|krate| krate.rust == version);
        let name = format!("crates that need Rust {version}, with that version");
        checks.run(&name, || oldest_rust(version, &those.collect::<Vec<_>>()));
    }
    checks.finish("cargo xtask packages")
}

fn crates() -> Outcome<Vec<Crate>> {
    let metadata = metadata()?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let of = |package: &Value| Crate {
        name: text(&package["name"]),
        version: text(&package["version"]),
        features: package["features"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name.clone())
            .collect(),
        rust: text(&package["rust_version"]),
        is_library: package["targets"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|target| target["kind"][0] == "lib"),
    };
    Ok(packages.filter(|package| !is_private(package)).map(of).collect())
}

impl Crate {
    /// None of the features, each alone, and all.
    fn choices(&self) -> Vec<Vec<String>> {
        let alone = self.features.iter().map(|name| {
            vec!["--no-default-features".to_owned(), "--features".to_owned(), name.clone()]
        });
        let mut choices = vec![vec!["--no-default-features".to_owned()]];
        choices.extend(alone);
        if self.features.len() > 1 {
            choices.push(vec!["--all-features".to_owned()]);
        }
        choices
    }
}

/// The crate alone with a choice of its features: no other crate switches on what it lacks.
fn compiles(krate: &Crate, choice: &[String]) -> Outcome {
    let with = |mut cargo: Command, verb: &[&str]| {
        cargo.args(verb).args(["--quiet", "--package", &krate.name]).args(choice);
        cargo
    };
    // What is in the crate without its tests, whose own crates switch on features too.
    run(with(cargo(), &["clippy"]).args(["--", "-D", "warnings"]))?;
    if krate.is_library {
        run(with(cargo(), &["doc", "--no-deps", "--lib"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    }
    Ok(())
}

/// The pages of docs.rs say which feature an item needs, which only a nightly rustdoc can.
fn docs_rs(crates: &[Crate]) -> Outcome {
    for krate in crates.iter().filter(|krate| krate.is_library && !krate.features.is_empty()) {
        let mut doc = with_toolchain(NIGHTLY)?;
        doc.args([
            "doc",
            "--quiet",
            "--no-deps",
            "--lib",
            "--all-features",
            "--package",
            &krate.name,
        ]);
        doc.arg("--target-dir").arg(target().join("packages/nightly"));
        run(doc.env("RUSTDOCFLAGS", "--cfg docsrs -D warnings"))?;
    }
    Ok(())
}

/// Makes every package, and compiles it from what it holds.
fn package(crates: &[Crate], options: &[&str]) -> Outcome {
    let mut package = of_packages("package");
    package.args(["--locked", "--allow-dirty"]).args(options);
    for krate in crates {
        package.args(["--package", &krate.name]);
    }
    run(&mut package)
}

/// Whoever has nothing but the packages can run the tests that they hold.
fn tests(crates: &[Crate]) -> Outcome {
    package(crates, &["--no-verify"])?;
    let folder = target().join("packages/unpacked");
    folders::empty(&folder)?;
    let mut workspace = "[workspace]\nresolver = \"3\"\nmembers = [\"*-*\"]\n".to_owned();
    workspace.push_str("[patch.crates-io]\n");
    for Crate { name, version, .. } in crates {
        let packed = format!("{name}-{version}");
        let file = target().join(format!("packages/package/{packed}.crate"));
        run(command("tar").arg("-xzf").arg(file).arg("-C").arg(&folder))?;
        let _infallible = writeln!(workspace, "{name} = {{ path = \"{packed}\" }}");
    }
    fs::write(folder.join("Cargo.toml"), workspace)?;
    fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock"))?;
    let mut test = of_packages("test");
    run(test.current_dir(&folder).args(["--workspace", "--all-features"]))
}

/// A cargo whose work lies apart from the workspace's, for packages know nothing of its profiles.
fn of_packages(verb: &str) -> Command {
    let mut cargo = cargo();
    cargo.args([verb, "--quiet", "--target-dir"]).arg(target().join("packages"));
    cargo.env("CARGO_PROFILE_DEV_DEBUG", "none");
    cargo
}

/// The crates compile with the version of Rust that their manifests name.
fn oldest_rust(version: &str, crates: &[&Crate]) -> Outcome {
    let mut check = with_toolchain(version)?;
    check.args(["check", "--quiet", "--locked", "--all-features"]);
    check.arg("--target-dir").arg(target().join("packages").join(version));
    for krate in crates {
        check.args(["--package", &krate.name]);
    }
    run(&mut check)
}

/// The cargo of a toolchain that rustup has.
fn with_toolchain(version: &str) -> Outcome<Command> {
    let known = output(command("rustup").args(["toolchain", "list"]));
    let known = known.map_err(|_| Missing::new("rustup", "it does not run"))?;
    let of =
        |line: &&str| line.strip_prefix(version).is_some_and(|rest| rest.starts_with(['.', '-']));
    let Some(toolchain) = known.lines().find(of).and_then(|line| line.split(' ').next()) else {
        let why = format!("rustup does not have it: `rustup toolchain install {version}`");
        return Err(Missing::new(format!("Rust {version}"), why).into());
    };
    let mut cargo = command("rustup");
    cargo.args(["run", toolchain, "cargo"]).current_dir(root());
    // Set by the cargo that runs this task, for its own toolchain.
    for variable in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
        cargo.env_remove(variable);
    }
    Ok(cargo)
}
