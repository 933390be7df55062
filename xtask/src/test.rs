//! `test`: runs everything that must pass, and prints the minutes of each step.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use esb_test::{DockerEngine, Missing, ensure_packages, find_program};

use crate::{
    base_image::Version,
    bases, changed,
    checks::{Checks, Outcome},
    command::{cargo, command, of_workspace, output, run, target},
    e2e, fuzz, generate, hooks, java,
    lanes::{beside, topic},
    manual, provision, python,
    steps::say,
    tidy,
};

/// `cargo xtask test`
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// Only steps whose name holds this; those of the end-to-end run have their own `--only`
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Only formatting, lints, and the tests of crates that differ from a commit, or depend on one
    /// that does; without a commit, from where this branch left `main`
    #[arg(long, value_name = "COMMIT", num_args = 0..=1, default_missing_value = "", conflicts_with = "only")]
    changed: Option<String>,
}

/// How the steps are called by people.
const TEST: &str = "cargo xtask test";
const E2E: &str = "cargo xtask e2e";

type Step = (&'static str, fn() -> Outcome);

/// What the compiler is needed for.
const CODE: [Step; 9] = [
    ("fmt", || run(cargo().args(["fmt", "--all", "--check"]))),
    ("tidy", tidy::tidy),
    ("clippy", clippy),
    ("unit, snapshot and documentation tests", || {
        run(cargo().args(["test", "--quiet", "--workspace", "--all-features", "--no-fail-fast"]))
    }),
    ("fuzz targets", fuzz::short),
    ("documentation builds", || {
        let mut doc = cargo();
        doc.args(["doc", "--quiet", "--workspace", "--no-deps", "--all-features"]);
        run(doc.env("RUSTDOCFLAGS", "-D warnings"))
    }),
    ("public API is what docs/reference/api lists", || generate::libraries(true)),
    ("reference pages are those of the code", || generate::reference(true)),
    ("manual pages have no warnings", manual::check),
];

/// What needs Python, Java and programs of others.
const PLATFORM: [Step; 3] = [
    ("Python hooks", hooks::of_every_python),
    ("Python hooks and VictoriaLogs", hooks::with_victoria_logs),
    ("Java hooks, and the jars that are shipped", java::check),
];

/// What needs both.
const FILES: [Step; 2] = [
    ("configuration as PyYAML and string.Template read it", pyyaml),
    ("resources as the Provisioner hands them to boto3", provision::check),
];

/// Runs all steps: what compiles, beside it what waits for a network or a disk, then end-to-end.
pub(crate) fn test(args: &Args) -> bool {
    if let Some(commit) = &args.changed {
        return changed::test(commit);
    }
    let start = Instant::now();
    let mut checks = Checks::of_command(TEST, args.only.as_deref());
    let is_all = args.only.is_none();
    let (mut esb, mut bases) = (None, None);
    beside(
        &mut checks,
        vec![
            (
                "code",
                Box::new(|checks| {
                    all(checks, &CODE);
                    if is_all {
                        esb = checks.run("release build", e2e::release_build);
                    }
                }),
            ),
            (
                "platform",
                Box::new(|checks| {
                    if is_all {
                        bases =
                            topic(checks, |checks| checks.run("packages and base images", prepare));
                    }
                    all(checks, &PLATFORM);
                }),
            ),
        ],
    );
    all(&mut checks, &FILES);
    if let (Some(esb), Some(bases)) = (esb, bases) {
        let mut of_e2e = Checks::of_command(E2E, None);
        e2e::e2e(&mut of_e2e, &esb, bases);
        checks.take(of_e2e);
    } else if is_all {
        let missing = Missing::new("end-to-end run", "its build or its base images failed");
        checks.note::<()>("end-to-end", Duration::ZERO, Err(missing.into()));
    }
    say(&format!("test took {:.1} min", start.elapsed().as_secs_f64() / 60.0));
    checks.finish(TEST)
}

/// Runs steps one after the other; what one says comes out when it is done.
fn all(checks: &mut Checks, steps: &[Step]) {
    for (name, step) in steps {
        topic(checks, |checks| checks.run(name, step));
    }
}

/// The suites of the Python hooks alone.
pub(crate) fn hooks() -> bool {
    let mut checks = Checks::of_command(TEST, None);
    all(&mut checks, &PLATFORM[..2]);
    checks.finish("cargo xtask hooks")
}

/// The compiler's lints, of all code.
pub(crate) fn clippy() -> Outcome {
    run(cargo()
        .args(["clippy", "--quiet", "--workspace", "--all-targets", "--all-features"])
        .args(["--", "-D", "warnings"]))
}

/// `e2e` alone, with a program that is there or a release build.
pub(crate) fn e2e_alone(esb: Option<PathBuf>, only: Option<&str>) -> bool {
    let mut checks = Checks::of_command(E2E, only);
    let esb = esb.or_else(|| checks.prepare("release build", e2e::release_build));
    let bases = checks.prepare("packages and base images", prepare);
    if let (Some(esb), Some(bases)) = (esb, bases) {
        e2e::e2e(&mut checks, &esb, bases);
    }
    checks.finish(E2E)
}

/// The differential suite alone.
pub(crate) fn differential_alone(args: &e2e::differential::Args) -> Outcome {
    let folder = target().join("differential");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    if args.fleet || args.cases.is_some() {
        return e2e::differential::through_fleet(&folder, args);
    }
    let engine = DockerEngine::start(&folder.join("engine"))?;
    e2e::differential::run(e2e::differential::Peer::Docker(&engine), &folder, args)
}

/// Debian packages that end-to-end checks start, then the base images.
fn prepare() -> Outcome<e2e::Bases> {
    let programs =
        [("dockerd", "docker.io"), ("docker-registry", "docker-registry"), ("skopeo", "skopeo")];
    let absent: Vec<&str> = programs
        .iter()
        .filter(|(program, _)| find_program(program).is_none())
        .map(|(_, package)| *package)
        .collect();
    if !absent.is_empty() {
        ensure_packages(&absent)?;
    }
    // Whoever needs them says what is wrong.
    hooks::prepare().ok();
    python::environment("pyyaml", PYYAML).ok();
    e2e::sam().ok();
    Ok(e2e::Bases {
        quickstart: bases::mirrors(&[Version::Python313])?,
        document: bases::mirrors(&[Version::Python312]),
        java: bases::mirrors(&[Version::Java21]),
    })
}

const PYYAML: &str = "xtask/tools/read_config.requirements.txt";

/// What we write is what the platform's readers read.
fn pyyaml() -> Outcome {
    let python = python::environment("pyyaml", PYYAML)?;
    let document = output(&mut command(of_workspace("example", "awkward")?))?;
    let path = target().join("python/awkward.json");
    std::fs::write(&path, document)?;
    run(command(python).arg("xtask/tools/read_config.py").arg(path))
}
