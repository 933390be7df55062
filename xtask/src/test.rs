//! `test`: runs everything that must pass, and prints the minutes of each step.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use esb_test::{DockerEngine, Missing, ensure_packages, find_program};

use crate::{
    base_image::Version,
    bases,
    checks::{Checks, Outcome},
    command::{cargo, command, of_workspace, output, run, target},
    e2e, fuzz, generate, hooks, java,
    lanes::{beside, topic},
    provision, python,
    steps::say,
    tidy,
};

/// Runs all steps: what compiles, beside it what waits for a network or a disk, then end-to-end.
pub(crate) fn test() -> bool {
    let start = Instant::now();
    let mut checks = Checks::default();
    let (mut esb, mut bases) = (None, None);
    beside(
        &mut checks,
        vec![
            ("code", Box::new(|checks| esb = code(checks))),
            ("platform", Box::new(|checks| bases = platform(checks))),
        ],
    );
    checks.run("configuration as PyYAML and string.Template read it", pyyaml);
    checks.run("resources as the Provisioner hands them to boto3", provision::check);
    if let (Some(esb), Some(bases)) = (esb, bases) {
        e2e::e2e(&mut checks, &esb, bases);
    } else {
        let missing = Missing::new("end-to-end run", "its build or its base images failed");
        checks.note::<()>("end-to-end", Duration::ZERO, Err(missing.into()));
    }
    say(&format!("test took {:.1} min", start.elapsed().as_secs_f64() / 60.0));
    checks.finish("cargo xtask test")
}

/// What the compiler is needed for; gives `esb`.
fn code(checks: &mut Checks) -> Option<PathBuf> {
    checks.run("fmt", || run(cargo().args(["fmt", "--all", "--check"])));
    checks.run("tidy", tidy::tidy);
    checks.run("clippy", || {
        run(cargo()
            .args(["clippy", "--quiet", "--workspace", "--all-targets", "--all-features"])
            .args(["--", "-D", "warnings"]))
    });
    checks.run("unit, snapshot and documentation tests", || {
        run(cargo().args(["test", "--quiet", "--workspace", "--all-features", "--no-fail-fast"]))
    });
    checks.run("fuzz targets", || fuzz::run_all(&fuzz::Args::default()));
    checks.run("documentation builds", || {
        let mut doc = cargo();
        doc.args(["doc", "--quiet", "--workspace", "--no-deps", "--all-features"]);
        run(doc.env("RUSTDOCFLAGS", "-D warnings"))
    });
    checks.run("public API is what docs/reference/api lists", || generate::libraries(true));
    checks.run("reference pages are those of the code", || generate::reference(true));
    checks.run("release build", e2e::release_build)
}

/// What needs no compiler: packages and base images, which it gives, and the suites of the hooks.
fn platform(checks: &mut Checks) -> Option<e2e::Bases> {
    let bases = topic(checks, |checks| checks.run("packages and base images", prepare));
    topic(checks, hooks::check);
    topic(checks, |checks| checks.run("Java hooks, and the jars that are shipped", java::check));
    bases
}

/// `e2e` alone, with a program that is there or a release build.
pub(crate) fn e2e_alone(esb: Option<PathBuf>) -> bool {
    let mut checks = Checks::default();
    let esb = esb.or_else(|| checks.run("release build", e2e::release_build));
    let bases = checks.run("packages and base images", prepare);
    if let (Some(esb), Some(bases)) = (esb, bases) {
        e2e::e2e(&mut checks, &esb, bases);
    }
    checks.finish("cargo xtask e2e")
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
