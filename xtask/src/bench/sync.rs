//! Copying external images from one registry to another: `esb image import` beside skopeo, crane
//! and regctl.
//!
//! Owns the images, the phases and the targets. Every contender has a target registry of its own.

use std::{
    cell::{Cell, RefCell},
    fs,
    path::{Path, PathBuf},
    process::Command,
    rc::Rc,
};

use esb_test::{LoggingProxy, Registry, ensure_packages, find_program};
use serde_json::json;

use super::{
    frame::{Contender, contest},
    memory,
    report::{Goal, Phase, Ratio, Report, count},
    site::remove,
    workload::noise,
};
use crate::{
    checks::Outcome,
    command::{output, target},
    e2e::parts::expect,
    steps::say,
    tools,
};

const MIB: u64 = 1024 * 1024;
/// The image of most phases: 220 MB in 6 layers.
const LAYERS: [u64; 6] = [60, 50, 40, 30, 25, 15];
const FUNCTIONS: usize = 20;
const IMAGES: usize = 4;
const PROGRAMS: [Program; 4] = [Program::Esb, Program::Skopeo, Program::Crane, Program::Regctl];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Program {
    Esb,
    Skopeo,
    Crane,
    Regctl,
}

impl Program {
    fn name(self) -> &'static str {
        match self {
            Self::Esb => "esb image import",
            Self::Skopeo => "skopeo copy",
            Self::Crane => "crane copy",
            Self::Regctl => "regctl image copy",
        }
    }
}

pub(crate) fn measure(rounds: usize, quick: bool, esb: &Path) -> Outcome<Report> {
    let work = target().join("bench/sync");
    remove(&work)?;
    fs::create_dir_all(&work)?;
    if find_program("skopeo").is_none() {
        ensure_packages(&["skopeo"])?;
    }
    let source = Source::new(&work)?;
    let large = source.image("large", &LAYERS.map(|size| size * 1_000_000))?;
    let sites = PROGRAMS.iter().map(|program| Target::new(&work, esb, *program));
    let sites: Vec<RefCell<Target>> =
        sites.map(|site| site.map(RefCell::new)).collect::<Outcome<_>>()?;
    let mut report = Report {
        notes: vec![
            "An image of 220 MB in 6 layers that do not compress, between two registries on \
             loopback; every contender has a target registry of its own. The source is pinned by \
             its digest, as `esb.lock` does."
                .to_owned(),
        ],
        ..Report::default()
    };

    say("target empty");
    let title = "the target is empty";
    let phase = phase_of(title, rounds, &sites, true, |_| "first".to_owned(), &large)?;
    report.ratios.extend(to_best(&phase, "target empty", 1.1));
    report.phases.push(phase);
    say("mounted");
    let fresh = Cell::new(0);
    let next = |program| {
        if program == Program::Esb {
            fresh.set(fresh.get() + 1);
        }
        format!("again-{}", fresh.get())
    };
    let title = "the target has the blobs under another repository";
    let phase = phase_of(title, rounds, &sites, false, next, &large)?;
    let (ours, theirs) = (phase.median(Program::Esb.name()), phase.median(Program::Skopeo.name()));
    report.ratios.extend(ours.zip(theirs).map(|(ours, theirs)| {
        Ratio::new("mounted: esb to skopeo", ours / theirs, Goal::AtMost(1.1))
    }));
    report.phases.push(phase);
    say("unchanged");
    let name = format!("again-{}", fresh.get());
    let phase = phase_of("nothing changed", rounds, &sites, false, |_| name.clone(), &large)?;
    let (ours, theirs) = (phase.median(Program::Esb.name()), phase.median(Program::Crane.name()));
    report.ratios.extend(ours.zip(theirs).map(|(ours, theirs)| {
        Ratio::new("unchanged: esb to crane", ours / theirs, Goal::AtMost(1.0))
    }));
    report.phases.push(phase);
    drop(sites);

    say("20 functions on 4 images");
    once_each(&work, esb, &source, &mut report)?;
    if !quick {
        say("one layer of 1 GiB");
        let huge = source.image("huge", &[1024 * MIB])?;
        for program in PROGRAMS {
            let mut site = Target::new(&work, esb, program)?;
            site.reset()?;
            let peak = memory::peak(&mut site.copy(&huge, "huge")?)?;
            let goal = if program == Program::Esb { Goal::AtMost(48.0) } else { Goal::None };
            let name = format!("peak memory with a layer of 1 GiB, {}, MiB", program.name());
            report.ratios.push(Ratio::new(name, peak, goal));
        }
    }
    Ok(report)
}

/// Copies the image under the name that `name` gives, by each program in turn.
fn phase_of(
    title: &str,
    rounds: usize,
    sites: &[RefCell<Target>],
    reset: bool,
    name: impl Fn(Program) -> String,
    image: &Image,
) -> Outcome<Phase> {
    let name = &name;
    let mut contenders: Vec<Contender<'_>> = sites
        .iter()
        .map(|site| {
            let program = site.borrow().program;
            let planned = Rc::new(RefCell::new(None));
            let prepared = Rc::clone(&planned);
            Contender::new(
                program.name(),
                move || {
                    if reset {
                        site.borrow_mut().reset()?;
                    }
                    *prepared.borrow_mut() = Some(site.borrow().copy(image, &name(program))?);
                    Ok(())
                },
                move || match planned.borrow_mut().take() {
                    Some(mut command) => expect(&mut command, 0).map(drop),
                    None => Ok(()),
                },
            )
        })
        .collect();
    Ok(Phase::new(title, contest(rounds, &mut contenders)?))
}

/// `esb` to the fastest peer.
fn to_best(phase: &Phase, what: &str, goal: f64) -> Option<Ratio> {
    let peers = PROGRAMS[1..].iter().filter_map(|peer| Some((peer, phase.median(peer.name())?)));
    let (peer, best) = peers.min_by(|(_, one), (_, other)| one.total_cmp(other))?;
    let ours = phase.median(Program::Esb.name())?;
    let name = format!("{what}: esb to the fastest peer ({})", peer.name());
    Some(Ratio::new(name, ours / best, Goal::AtMost(goal)))
}

/// Every blob goes once, and nothing goes the second time.
fn once_each(work: &Path, esb: &Path, source: &Source, report: &mut Report) -> Outcome {
    let images: Vec<Image> = (0..IMAGES)
        .map(|number| source.image(&format!("part-{number}"), &[3 * MIB, MIB + number as u64]))
        .collect::<Outcome<_>>()?;
    let mut site = Target::new(work, esb, Program::Esb)?;
    site.reset()?;
    let (from, to) = (
        LoggingProxy::start(source.registry.address())?,
        LoggingProxy::start(site.registry.address())?,
    );
    let entries: Vec<(String, &Image)> =
        (0..FUNCTIONS).map(|number| (format!("F{number:02}"), &images[number % IMAGES])).collect();
    let ask = || -> Outcome<(usize, usize, usize)> {
        from.clear();
        to.clear();
        let file = site.import_file("many.json", &from.address(), &to.address(), &entries)?;
        expect(&mut site.import(&file, &to.address()), 0)?;
        let sent = to.count("PUT", "/blobs/");
        let fetched = from.count("GET", "/blobs/");
        Ok((sent, fetched, from.requests().len() + to.requests().len()))
    };
    let (sent, fetched, _) = ask()?;
    let (_, _, requests) = ask()?;
    // Of each image a layer and a config of its own, and the layer that all share.
    let blobs = count(2 * IMAGES + 1);
    let ratio = |name: &str, value, goal| Ratio::new(name, value, goal);
    report.ratios.extend([
        ratio("20 functions: blobs sent to blobs", count(sent) / blobs, Goal::Exactly(1.0)),
        ratio("20 functions: blobs fetched to blobs", count(fetched) / blobs, Goal::Exactly(1.0)),
        ratio(
            "20 functions, unchanged: requests to images",
            count(requests) / count(IMAGES),
            Goal::Exactly(1.0),
        ),
    ]);
    Ok(())
}

/// An image of the source registry, by its digest.
struct Image {
    repository: String,
    digest: String,
}

/// The registry that images come from.
struct Source {
    registry: Registry,
    crane: PathBuf,
    work: PathBuf,
}

impl Source {
    fn new(work: &Path) -> Outcome<Self> {
        let registry = Registry::start(&work.join("source"))?;
        Ok(Self { registry, crane: tools::crane()?, work: work.to_owned() })
    }

    /// An image with layers of that many bytes, which do not compress. Equal sizes are equal bytes.
    fn image(&self, name: &str, layers: &[u64]) -> Outcome<Image> {
        let reference = format!("{}/acme/{name}:1", self.registry.address());
        let mut append = Command::new(&self.crane);
        append.args(["append", "--oci-empty-base", "--new_tag", &reference]);
        for size in layers {
            let path = self.work.join(format!("layer-{size}.tar"));
            if !path.exists() {
                noise(&path, *size)?;
            }
            append.arg("--new_layer").arg(path);
        }
        output(&mut append)?;
        let mut platform = Command::new(&self.crane);
        platform.args(["mutate", "--set-platform", "linux/amd64", "--tag", &reference, &reference]);
        output(&mut platform)?;
        let digest = output(Command::new(&self.crane).args(["digest", &reference]))?;
        Ok(Image { repository: format!("acme/{name}"), digest: digest.trim().to_owned() })
    }
}

/// Where one program copies to.
struct Target {
    program: Program,
    registry: Registry,
    dir: PathBuf,
    path: PathBuf,
    source: String,
}

impl Target {
    fn new(work: &Path, esb: &Path, program: Program) -> Outcome<Self> {
        let dir = work.join(format!("target-{program:?}").to_lowercase());
        let registry = Registry::start(&dir.join("registry"))?;
        let path = match program {
            Program::Esb => esb.to_owned(),
            Program::Skopeo => PathBuf::from("skopeo"),
            Program::Crane => tools::crane()?,
            Program::Regctl => tools::regctl()?,
        };
        let config = fs::read_to_string(work.join("source/config.yml"))?;
        let source = config.lines().find_map(|line| line.trim().strip_prefix("addr: "));
        let source = source.unwrap_or_default().trim_matches('"').to_owned();
        Ok(Self { program, registry, dir, path, source })
    }

    /// An empty registry, and no memory of a full one.
    fn reset(&mut self) -> Outcome {
        self.registry.stop();
        remove(&self.dir.join("registry/data"))?;
        self.registry.restart()?;
        remove(&self.dir.join("cache"))
    }

    /// The command that copies an image to a repository of the target.
    fn copy(&self, image: &Image, name: &str) -> Outcome<Command> {
        let Self { source, path, .. } = self;
        let from = format!("{source}/{}@{}", image.repository, image.digest);
        let to = format!("{}/{name}/app:1", self.registry.address());
        let mut command = Command::new(path);
        match self.program {
            Program::Esb => {
                let file = self.dir.join("image-import.json");
                write_import(
                    &file,
                    self.registry.address(),
                    &[("F", &from, &format!("{name}/app:1"))],
                )?;
                return Ok(self.import(&file, self.registry.address()));
            }
            Program::Skopeo => {
                command.args(["--insecure-policy", "copy", "--quiet", "--src-tls-verify=false"]);
                command.arg("--dest-tls-verify=false");
                command.args([format!("docker://{from}"), format!("docker://{to}")]);
            }
            Program::Crane => {
                command.args(["copy", &from, &to]);
            }
            Program::Regctl => {
                for registry in [source.as_str(), self.registry.address()] {
                    command.args(["--host", &format!("reg={registry},tls=disabled")]);
                }
                command.args(["image", "copy", &from, &to]);
            }
        }
        Ok(command)
    }

    fn import_file(
        &self,
        name: &str,
        source: &str,
        target: &str,
        entries: &[(String, &Image)],
    ) -> Outcome<PathBuf> {
        let file = self.dir.join(name);
        let entries: Vec<(String, String, String)> = entries
            .iter()
            .map(|(function, image)| {
                let from = format!("{source}/{}@{}", image.repository, image.digest);
                (function.clone(), from, format!("{}:1", image.repository))
            })
            .collect();
        let borrowed: Vec<(&str, &str, &str)> =
            entries.iter().map(|(one, two, three)| (&**one, &**two, &**three)).collect();
        write_import(&file, target, &borrowed)?;
        Ok(file)
    }

    /// `esb image import` of a file.
    fn import(&self, file: &Path, target: &str) -> Command {
        let mut esb = Command::new(&self.path);
        esb.current_dir(&self.dir).env_clear();
        if let Some(path) = std::env::var_os("PATH") {
            esb.env("PATH", path);
        }
        esb.env("HOME", self.dir.join("home")).env("ESB_CACHE_DIR", self.dir.join("cache"));
        esb.env("HOST_REGISTRY_ADDR", target).args(["image", "import"]).arg(file);
        esb.args(["--progress", "none"]);
        esb
    }
}

/// The file that a deploy leaves: function, source, and the name in the internal registry.
fn write_import(path: &Path, target: &str, entries: &[(&str, &str, &str)]) -> Outcome {
    let images: Vec<_> = entries
        .iter()
        .map(|(function, source, name)| {
            json!({
                "function_name": function,
                "image_source": source,
                "image_ref": format!("registry:5010/{name}"),
            })
        })
        .collect();
    let document = json!({"version": "1", "push_target": target, "images": images});
    fs::write(path, format!("{document:#}\n"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::frame::Times;

    #[test]
    fn our_time_is_told_beside_the_fastest_peer() {
        let times = [(Program::Skopeo, 3.0), (Program::Esb, 2.2), (Program::Crane, 2.0)];
        let times = times.map(|(program, time)| Times::of(program.name(), vec![time])).to_vec();
        let ratio = to_best(&Phase::new("x", times), "x", 1.1).unwrap();
        assert_eq!(ratio.name, "x: esb to the fastest peer (crane copy)");
        assert!((ratio.value - 1.1).abs() < 1e-9);
    }
}
