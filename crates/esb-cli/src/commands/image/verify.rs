//! `esb image verify`: checks that the platform can pull what its configuration names.

use std::{collections::BTreeSet, path::Path};

use esb_config::{PublishedConfig, Section};
use esb_deploy::{Error, Kind, Mode, Project, default_jobs};
use esb_image::docker::DockerEngine;
use esb_model::PublishTarget;
use esb_oci::{Digest, Reference};
use esb_registry::{Client, ErrorKind};
use futures_util::{StreamExt as _, stream};

use crate::{
    access,
    cli::{GlobalArgs, VerifyArgs},
    connections,
    documents::{EngineOrRegistry, VerifiedImage, VerifyDocument},
    environment::Environment,
    exit_code::CliError,
    inputs::{self, RegistryFlags},
    printer::Printer,
    tables,
};

pub(crate) async fn run(
    args: &VerifyArgs,
    global: &GlobalArgs,
    environment: &Environment,
    printer: Printer,
) -> Result<(), CliError> {
    let project = inputs::bare_project(global, environment)?;
    let store = connections::open_store(environment, &project.brand, printer)?;
    let compose_project = inputs::compose_project(args.project.as_deref(), &project, environment);
    let mode = match inputs::given_mode(args.mode, environment)? {
        Some(mode) => mode,
        None => connections::running_mode(environment, &store, &compose_project)
            .await
            .unwrap_or(Mode::Docker),
    };
    let flags = RegistryFlags {
        registry: args.registry.as_deref(),
        push_registry: args.push_registry.as_deref(),
        insecure: &args.access.registry_insecure,
    };
    let names = inputs::registry_names(flags, environment, mode)?;
    let internal: Vec<&PublishTarget> = names.configured.iter().chain([&names.default]).collect();
    let client = access::client(&args.access, environment, internal.iter().copied(), &store)?;
    let staging = project.staging(&compose_project);
    let given = args.config_to.as_deref().or_else(|| environment.get("CONFIG_DIR").map(Path::new));
    let dir = given
        .filter(|dir| dir.join("functions.yml").try_exists().unwrap_or(true))
        .unwrap_or(&staging);
    let published = read(dir, &project)?;

    // The Agent of docker mode pulls through the engine.
    let engine = match mode {
        Mode::Containerd => None,
        Mode::Docker => match connections::engine(environment, &store).await {
            Ok(engine) => Some(engine),
            Err(error) => {
                printer.warning(&format!("the engine was not asked: {}", error.message));
                None
            }
        },
    };
    let checker = Checker { client: &client, internal: &internal, engine: engine.as_ref() };
    let functions = published.config.functions.functions.iter().filter_map(|(name, entry)| {
        let image = entry.image.as_ref()?.resolve(|name| environment.get(name).map(str::to_owned));
        let expected = published.state.digests.get(name).and_then(|text| text.parse().ok());
        Some((name.clone(), image, expected))
    });
    let jobs = args.jobs.unwrap_or_else(default_jobs).max(1);
    let images: Vec<Checked> = stream::iter(functions.collect::<Vec<_>>())
        .map(|(function, image, expected)| checker.check(function, image, expected))
        .buffered(jobs)
        .collect()
        .await;
    report(printer, &project, dir, &published, &images)
}

fn read(dir: &Path, project: &Project) -> Result<PublishedConfig, Error> {
    let nothing = |cause: String| {
        let text = format!("nothing is published for the environment `{}`", project.environment);
        let mut failure = Error::new(Kind::Input, "verify", text);
        failure.causes.push(cause);
        failure.hint("name the environment with `-e`, or the folder with `--config-to DIR`")
    };
    let functions = dir.join("functions.yml");
    match functions.try_exists() {
        Ok(true) => {}
        Ok(false) => return Err(nothing(format!("`{}` has no functions.yml", dir.display()))),
        Err(error) => {
            let text = format!("could not look for `{}`", functions.display());
            return Err(Error::of(Kind::Local, "disk", &error).during(text));
        }
    }
    Ok(esb_config::read(project.configuration_at(dir))?)
}

/// The answer of a registry or an engine about one image.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    Pullable,
    Missing(String),
    /// It is another image than the one that was published.
    Other(Digest),
    /// It could not be found out.
    Unknown(String),
}

impl Answer {
    fn word(&self) -> &'static str {
        match self {
            Self::Pullable => "ok",
            Self::Missing(_) => "missing",
            Self::Other(_) => "other digest",
            Self::Unknown(_) => "no answer",
        }
    }

    fn reason(&self) -> Option<String> {
        match self {
            Self::Pullable => None,
            Self::Missing(reason) | Self::Unknown(reason) => Some(reason.clone()),
            Self::Other(digest) => Some(format!("it is {digest}")),
        }
    }

    fn fields(&self) -> EngineOrRegistry {
        EngineOrRegistry { state: self.word(), reason: self.reason() }
    }
}

/// An image of functions.yml and what was said of it.
struct Checked {
    function: String,
    image: String,
    expected: Option<Digest>,
    registry: Answer,
    engine: Option<Answer>,
}

impl Checked {
    fn answers(&self) -> impl Iterator<Item = &Answer> {
        [Some(&self.registry), self.engine.as_ref()].into_iter().flatten()
    }

    fn is_pullable(&self) -> bool {
        self.answers().all(|answer| *answer == Answer::Pullable)
    }
}

struct Checker<'a> {
    client: &'a Client,
    internal: &'a [&'a PublishTarget],
    engine: Option<&'a DockerEngine>,
}

impl Checker<'_> {
    async fn check(&self, function: String, image: String, expected: Option<Digest>) -> Checked {
        let registry = self.registry(&image, expected).await;
        let engine = match self.engine {
            Some(engine) => Some(match engine.distribution(&image).await {
                Ok(Some(digest)) => compare(digest, expected),
                Ok(None) => Answer::Missing("the engine does not find it".to_owned()),
                Err(error) => Answer::Unknown(error.to_string()),
            }),
            None => None,
        };
        Checked { function, image, expected, registry, engine }
    }

    /// Asks by the address that this machine reaches.
    async fn registry(&self, image: &str, expected: Option<Digest>) -> Answer {
        let reference: Reference = match image.parse() {
            Ok(reference) => reference,
            Err(error) => return Answer::Missing(error.to_string()),
        };
        let own = self.internal.iter().find(|own| own.runtime_host() == reference.registry());
        let here =
            own.map_or_else(|| reference.clone(), |own| reference.moved_to(own.push_host(), None));
        match self.client.digest_of(&here).await {
            Ok(digest) => compare(digest, expected),
            Err(error) => match error.kind() {
                ErrorKind::NotFound => Answer::Missing(error.to_string()),
                _ => Answer::Unknown(Error::from(&error).chain()),
            },
        }
    }
}

fn compare(digest: Digest, expected: Option<Digest>) -> Answer {
    match expected {
        Some(expected) if expected != digest => Answer::Other(digest),
        _ => Answer::Pullable,
    }
}

/// The command that brings an image back.
fn fix(project: &Project, dir: &Path, published: &PublishedConfig, function: &str) -> String {
    let slug = project.brand.slug();
    if published.config.images.images.iter().any(|entry| entry.function_name == function) {
        let file = dir.join("image-import.json");
        let file = file.strip_prefix(&project.root).unwrap_or(&file).display().to_string();
        return format!("{slug} image import {file}");
    }
    let owner = published.state.owners.of(Section::Function, function).first();
    let template = owner.map(|owner| format!(" -t {}", owner.template())).unwrap_or_default();
    format!("{slug} deploy{template} -e {}", project.environment)
}

fn report(
    printer: Printer,
    project: &Project,
    dir: &Path,
    published: &PublishedConfig,
    checked: &[Checked],
) -> Result<(), CliError> {
    let fix = |checked: &Checked| fix(project, dir, published, &checked.function);
    let broken: Vec<&Checked> = checked.iter().filter(|checked| !checked.is_pullable()).collect();
    if printer.json {
        let images = checked.iter().map(|image| VerifiedImage {
            function: image.function.clone(),
            image: image.image.clone(),
            digest: image.expected.map(|digest| digest.to_string()),
            registry: image.registry.fields(),
            engine: image.engine.as_ref().map(Answer::fields),
            fix: (!image.is_pullable()).then(|| fix(image)),
        });
        printer.document(&VerifyDocument { ok: broken.is_empty(), images: images.collect() });
    } else {
        let head = ["function", "image", "registry", "engine"];
        let rows: Vec<Vec<String>> = checked
            .iter()
            .map(|image| {
                let engine = image.engine.as_ref().map_or("not asked", Answer::word).to_owned();
                let registry = image.registry.word().to_owned();
                vec![image.function.clone(), image.image.clone(), registry, engine]
            })
            .collect();
        tables::print(printer, &head, &rows);
    }
    if broken.is_empty() {
        return Ok(());
    }
    let silent = |image: &&Checked| {
        image.answers().all(|answer| matches!(answer, Answer::Pullable | Answer::Unknown(_)))
    };
    let kind = if broken.iter().all(silent) { Kind::Remote } else { Kind::Difference };
    let text = match (broken.len(), checked.len()) {
        (1, 1) => "1 image cannot be pulled".to_owned(),
        (broken, all) => format!("{broken} of {all} images cannot be pulled"),
    };
    let mut failure = Error::new(kind, "verify", text);
    for image in &broken {
        for (side, answer) in
            [("registry", Some(&image.registry)), ("engine", image.engine.as_ref())]
        {
            if let Some(reason) = answer.and_then(Answer::reason) {
                let function = &image.function;
                failure.list.push(format!("`{function}`, asked by the {side}: {reason}"));
            }
        }
    }
    let commands: BTreeSet<String> = broken.iter().map(|image| fix(image)).collect();
    let commands: Vec<String> = commands.iter().map(|command| format!("`{command}`")).collect();
    Err(CliError::told(failure.hint(format!("run {}", commands.join(" and ")))))
}
