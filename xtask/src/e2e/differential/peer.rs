//! The builder that the embedded engine is compared with: the Docker engine through its own client,
//! or a fleet of daemons through `esb`.

use std::{fs, path::Path};

use esb_image::{
    Error,
    buildkit::{FleetBuilder, FleetSettings},
};
use esb_oci::{ContentStore, Digest, Image};
use esb_test::{Buildkitd, DockerEngine};

use super::{Args, Build, ByPeer, Flat, Made, Modes, Suite, Tally, flatten, recipe, run};
use crate::{
    checks::{Outcome, chain},
    limit::{OF_COMMAND, output_within},
};

/// Who builds beside the embedded engine.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Peer<'a> {
    Docker(&'a DockerEngine),
    Fleet(&'a FleetBuilder),
}

/// What a peer makes of a build: why it made nothing, when it did not.
type Answer = Result<Option<Box<Image>>, String>;

/// Runs the suite against a fleet of one daemon, whose images come back through its session.
pub(crate) fn through_fleet(folder: &Path, args: &Args) -> Outcome {
    let daemon = Buildkitd::start(&folder.join("daemon"))?;
    let mut settings = FleetSettings::default();
    settings.daemons.push(daemon.address().parse().map_err(|error| chain(&error))?);
    let store = ContentStore::open(folder.join("fleet-store")).map_err(|error| chain(&error))?;
    let fleet = FleetBuilder::new(settings, store).map_err(|error| chain(&error))?;
    run(Peer::Fleet(&fleet), folder, args)
}

impl Suite<'_> {
    pub(super) fn by_engine(
        &self,
        engine: &DockerEngine,
        build: &Build<'_>,
        name: &str,
    ) -> Outcome<Answer> {
        let Some(first) = build.members.first() else { return Err("no case".into()) };
        let folder = self.folder.join("builds").join(name);
        fs::create_dir_all(&folder)?;
        let dockerfile = folder.join("Dockerfile");
        fs::write(&dockerfile, &build.dockerfile)?;
        fs::write(folder.join("Dockerfile.dockerignore"), &first.case.dockerignore)?;
        let mut build = engine.docker();
        match &self.buildx {
            Some(plugins) if first.case.puts_back() => {
                build.env("DOCKER_CONFIG", plugins).arg("buildx");
            }
            _ => drop(build.env("DOCKER_BUILDKIT", "1")),
        }
        build
            // Its cache takes files of other owners for the same where a pattern names them.
            .args(["build", "--quiet", "--no-cache", "--tag", name, "--file"])
            .arg(dockerfile)
            .arg(first.folder.join("normal"));
        let output = output_within(&mut build, OF_COMMAND)?;
        let said = || String::from_utf8_lossy(&output.stderr).into_owned();
        Ok(if output.status.success() { Ok(None) } else { Err(said()) })
    }

    /// Modes are normalised on the way to a daemon, so it gets the context as it is.
    pub(super) fn by_fleet(&self, fleet: &FleetBuilder, build: &Build<'_>) -> Outcome<Answer> {
        let Some(first) = build.members.first() else { return Err("no case".into()) };
        let recipe = recipe(&build.dockerfile, &first.case.dockerignore);
        let recipe = recipe.with_own(first.case.own.clone());
        Ok(match self.build(fleet, &recipe, &first.folder, true)? {
            Ok(image) => Ok(Some(image)),
            Err(error @ Error::Step { .. }) => Err(format!("{}: {error:?}", chain(&error))),
            Err(error) => Err(chain(&error)),
        })
    }
}

/// What an engine built, of what has a layer: it cannot export an image without one, and there
/// is nothing in it to compare.
pub(super) fn flats_of_engine<'b, 'c>(
    engine: &DockerEngine,
    built: &'c [ByPeer<'b>],
    tally: &mut Tally,
) -> Outcome<(Vec<&'c ByPeer<'b>>, Vec<Flat>)> {
    let mut filled = Vec::new();
    for one in built {
        let (members, name) = (&one.0.members, &one.1);
        if engine.output(["inspect", "--format", "{{len .RootFS.Layers}}", name])? != "0" {
            filled.push(one);
            continue;
        }
        // Ours has one with nothing in it, as image-spec's schema wants.
        let nothing = Digest::of(&[0; 1024]);
        let is_empty = members.iter().all(|member| match &member.made {
            Made::Image(image) => {
                image.parse_config().is_ok_and(|config| config.diff_ids() == [nothing])
            }
            Made::Refused(_) | Made::Wrong(_) => false,
        });
        if is_empty {
            tally.same += members.len();
        } else {
            tally.fail(members[0].case, "BuildKit makes no layer of it");
        }
    }
    if filled.is_empty() {
        return Ok((filled, Vec::new()));
    }
    let names: Vec<&str> = filled.iter().map(|(_, name, _)| &**name).collect();
    let flats = flatten(engine, &names, Modes::Exact)?;
    Ok((filled, flats))
}
