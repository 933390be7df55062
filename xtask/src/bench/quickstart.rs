//! The quickstart's images: by `esb` with an empty cache, by `esb` when nothing changed, and by
//! the Docker engine from the same Dockerfiles.

use std::{cell::Cell, fs, path::PathBuf};

use super::{
    frame::{Contender, contest},
    report::{Phase, Report},
};
use crate::{
    base_image::Version,
    bases,
    checks::Outcome,
    command::output,
    e2e::parts::{Parts, expect},
};

pub(crate) fn measure(rounds: usize, esb: PathBuf) -> Outcome<Report> {
    let parts = Parts::start(esb, bases::mirrors(&[Version::Python313])?)?;
    let root = parts.fixture("quickstart", "bench")?;
    let deploy = |cache: &str, tag: &str| {
        let mut command = parts.esb_to_registry(&root, cache);
        expect(command.args(["build", "-e", "dev", "--tag", tag]), 0).map(drop)
    };
    // The engine needs the base in the registry, as a team's machine would have it.
    deploy("warm", "latest")?;
    let functions: Vec<String> = fs::read_dir(root.join(".esb/dev/functions"))?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Outcome<_>>()?;

    let round = Cell::new(0);
    let cold = || format!("cold-{}", round.get());
    let by_engine = || {
        for function in &functions {
            let image = function.to_lowercase();
            let name = format!("{}/by-engine-{image}:{}", parts.registry.address(), cold());
            let mut build = parts.engine.docker();
            build.current_dir(&root).env("DOCKER_BUILDKIT", "1");
            build.args(["build", "--quiet", "--no-cache", "--tag", &name, "--file"]);
            output(build.arg(format!(".esb/dev/functions/{function}/Dockerfile")).arg("."))?;
            output(parts.engine.docker().args(["push", "--quiet", &name]))?;
        }
        Ok(())
    };
    let mut contenders = [
        Contender::new(
            "esb, empty cache",
            || {
                round.set(round.get() + 1);
                Ok(())
            },
            || deploy(&cold(), &cold()),
        ),
        Contender::new("esb, nothing changed", || Ok(()), || deploy("warm", "latest")),
        Contender::new("docker build and push", || Ok(()), by_engine),
    ];
    let phases = vec![Phase::new("build and push", contest(rounds, &mut contenders)?)];
    Ok(Report { phases, ..Report::default() })
}
