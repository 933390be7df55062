//! `test`: everything that must pass, with the minutes of each step.

use std::{
    thread,
    time::{Duration, Instant},
};

use esb_test::{DockerEngine, Missing, ensure_packages, find_program};

use crate::{
    base_image::Version,
    bases,
    checks::{Checks, Outcome, Trouble},
    command::{cargo, command, output, run, target},
    e2e, fuzz, generate, hooks, java, provision, python,
    steps::say,
    tidy,
};

/// Runs all steps. What waits for a network or a disk is prepared beside what compiles.
pub(crate) fn test() -> bool {
    let start = Instant::now();
    let mut checks = Checks::default();
    let parts = thread::spawn(|| timed(prepare));
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
    checks.run("reference pages are those of the code", || generate::generate(true));
    let esb = checks.run("release build", e2e::release_build);
    let (time, bases) = parts.join().unwrap_or_else(|_| {
        (Duration::ZERO, Err(Trouble::Failed("the preparation panicked".to_owned())))
    });
    let bases = checks.note("packages and base images (beside the steps above)", time, bases);
    hooks::check(&mut checks);
    checks.run("Java hooks, and the jars that are shipped", java::check);
    checks.run("configuration as PyYAML and string.Template read it", pyyaml);
    checks.run("resources as the Provisioner hands them to boto3", provision::check);
    if let (Some(esb), Some(bases)) = (esb, bases) {
        e2e::e2e(&mut checks, esb, bases);
    } else {
        let missing = Missing::new("end-to-end run", "its build or its base images failed");
        checks.note::<()>("end-to-end", Duration::ZERO, Err(missing.into()));
    }
    say(&format!("test took {:.1} min", start.elapsed().as_secs_f64() / 60.0));
    checks.finish("cargo xtask test")
}

/// `e2e` alone.
pub(crate) fn e2e_alone() -> bool {
    let mut checks = Checks::default();
    let esb = checks.run("release build", e2e::release_build);
    let bases = checks.run("packages and base images", prepare);
    if let (Some(esb), Some(bases)) = (esb, bases) {
        e2e::e2e(&mut checks, esb, bases);
    }
    checks.finish("cargo xtask e2e")
}

/// The differential suite alone.
pub(crate) fn differential_alone(args: &e2e::differential::Args) -> Outcome {
    let folder = target().join("differential");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    if args.fleet {
        return e2e::differential::through_fleet(&folder, args);
    }
    let engine = DockerEngine::start(&folder.join("engine"))?;
    e2e::differential::run(e2e::differential::Peer::Docker(&engine), &folder, args)
}

fn timed<T>(work: impl FnOnce() -> Outcome<T>) -> (Duration, Outcome<T>) {
    let start = Instant::now();
    let outcome = work();
    (start.elapsed(), outcome)
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
    Ok(e2e::Bases {
        quickstart: bases::mirrors(&[Version::Python313])?,
        document: bases::mirrors(&[Version::Python312]),
        java: bases::mirrors(&[Version::Java21]),
    })
}

/// What we write is what the platform's readers read.
fn pyyaml() -> Outcome {
    let python = python::environment("pyyaml", "xtask/tools/read_config.requirements.txt")?;
    let mut example = cargo();
    example.args(["run", "--quiet", "--package", "esb-config", "--example", "awkward"]);
    let document = output(&mut example)?;
    let path = target().join("python/awkward.json");
    std::fs::write(&path, document)?;
    run(command(python).arg("xtask/tools/read_config.py").arg(path))
}
