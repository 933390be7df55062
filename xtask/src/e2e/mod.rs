//! End-to-end checks of `esb` against a real registry and a real engine.

mod applications;
mod bad_input;
mod base_reads;
mod delivery;
mod dependencies;
mod deploy;
pub(crate) mod differential;
mod documents;
mod flatten;
mod fleet;
mod forged;
mod gateway_project;
mod hooks;
mod image_functions;
mod image_sources;
mod invocations;
mod invoke;
mod isolation;
mod java;
mod kill;
mod links;
pub(crate) mod listen;
mod logs;
mod memory;
mod mode;
mod offline;
pub(crate) mod package_index;
mod packages;
pub(crate) mod parts;
mod prune;
mod published_files;
mod pulls;
mod sam_build;
mod sam_today;
mod sink;
mod sitecustomize;
mod small_project;
mod sync;
mod sync_ends;
mod wheelhouse;
pub(crate) mod workers;

use std::path::{Path, PathBuf};

use crate::{
    base_image::Version,
    bases,
    checks::{Checks, Outcome},
    command::{cargo, run, target},
    console,
    lanes::{Lane, beside, topic},
};

use deploy::Deployed;
use parts::Parts;
pub(crate) use sam_today::environment as sam;

/// The release build that all checks use.
pub(crate) fn release_build() -> Outcome<PathBuf> {
    run(cargo().args(["build", "--release", "--quiet", "--package", "esb-cli"]))?;
    Ok(target().join("release/esb"))
}

/// Values of `--mirror` for the bases of the fixtures; empty where the real registry answers.
#[derive(Debug)]
pub(crate) struct Bases {
    pub(crate) quickstart: Vec<String>,
    /// May be missing alone: its stand-in needs an interpreter that Debian does not have.
    pub(crate) document: Outcome<Vec<String>>,
    /// May be missing alone: it needs a JDK and Maven.
    pub(crate) java: Outcome<Vec<String>>,
}

/// Runs the checks of one topic against a given program, for whoever works on it.
pub(crate) fn one_topic(topic: Topic, esb: PathBuf, deploys: usize) -> bool {
    let mut checks = Checks::default();
    let version = match topic {
        Topic::Code
        | Topic::Config
        | Topic::Documents
        | Topic::Fleet
        | Topic::Hooks
        | Topic::Sync
        | Topic::Workers => Version::Python313,
        Topic::Java => Version::Java21,
    };
    let parts =
        checks.run("start registry and engine", || Parts::start(esb, bases::mirrors(&[version])?));
    if let Some(mut parts) = parts {
        match topic {
            Topic::Code => of_code(&mut checks, &parts),
            Topic::Config => of_configuration(&mut checks, &parts),
            Topic::Documents => console::check(&mut checks, &parts),
            Topic::Fleet => fleet::checks(&mut checks, &parts),
            Topic::Hooks => of_hooks(&mut checks, &parts),
            Topic::Java => of_java(&mut checks, &mut parts, Ok(Vec::new())),
            Topic::Sync => of_sync(&mut checks, &parts),
            Topic::Workers => of_workers(&mut checks, &parts, deploys),
        }
        documents::checks(&mut checks, &parts);
    }
    checks.finish("cargo xtask e2e")
}

/// Checks that can run alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Topic {
    Code,
    Config,
    /// The commands that the documents show
    Documents,
    Fleet,
    Hooks,
    Java,
    Sync,
    /// Many deploys under load, for numbers: `--deploys`
    Workers,
}

/// Runs every check, in two lanes with a registry and an engine each.
pub(crate) fn e2e(checks: &mut Checks, esb: &Path, bases: Bases) {
    let Bases { quickstart, document, java } = bases;
    let start = |checks: &mut Checks, lane: &str| {
        checks.prepare(&format!("start registry and engine for {lane}"), || {
            Parts::of_lane(lane, esb, &quickstart)
        })
    };
    // One after the other: each engine looks at which others run.
    let (Some(mut images), Some(projects)) = (start(checks, "images"), start(checks, "projects"))
    else {
        return;
    };
    let of_images: Lane<'_> = Box::new(move |checks| {
        topic(checks, |checks| of_fixtures(checks, &mut images, document));
        topic(checks, |checks| of_java(checks, &mut images, java));
        topic(checks, |checks| of_code(checks, &images));
        topic(checks, |checks| documents::checks(checks, &images));
    });
    let of_projects: Lane<'_> = Box::new(move |checks| {
        topic(checks, |checks| of_hooks(checks, &projects));
        topic(checks, |checks| of_configuration(checks, &projects));
        topic(checks, |checks| of_sync(checks, &projects));
        topic(checks, |checks| console::check(checks, &projects));
        topic(checks, |checks| fleet::checks(checks, &projects));
        topic(checks, |checks| documents::checks(checks, &projects));
    });
    beside(checks, vec![("images", of_images), ("projects", of_projects)]);
}

/// What the two large fixtures become, with both engines.
fn of_fixtures(checks: &mut Checks, parts: &mut Parts, document: Outcome<Vec<String>>) {
    checks.run("embedded engine and BuildKit build the same", || {
        let peer = differential::Peer::Docker(&parts.engine);
        differential::check(peer, &parts.work.join("differential"))
    });
    after_deploy(checks, parts, "deploy quickstart", &QUICKSTART, |parts| {
        deploy::deploy(parts, "quickstart", "quickstart", "main")
    });
    after_deploy(checks, parts, "deploy document", &DOCUMENT, |parts| {
        parts.mirrors.extend(document?);
        deploy::deploy(parts, "document", "document", "main")
    });
}

/// Checks of what one deploy published; it is made only where one of them, or itself, is wanted.
fn after_deploy(
    checks: &mut Checks,
    parts: &mut Parts,
    name: &str,
    list: &[(&str, Check)],
    deploy: impl FnOnce(&mut Parts) -> Outcome<Deployed>,
) {
    if !checks.wants(list.iter().map(|(name, _)| *name).chain([name])) {
        return;
    }
    let Some(deployed) = checks.prepare(name, || deploy(parts)) else { return };
    for (name, check) in list {
        checks.run(name, || check(parts, &deployed));
    }
}

const DOCUMENT: [(&str, Check); 4] = [
    ("document: images answer", deploy::images_answer),
    ("document: hooks of python3.12", |parts, deployed| {
        hooks::records_arrive(parts, deployed, "XxxFunction", "said Hello, Lambda!")
    }),
    ("document: engines agree", deploy::engines_agree),
    ("document: files are as their schemas say", published_files::are_as_schemas_say),
];

/// Functions of java21, with the mirrors of their base.
fn of_java(checks: &mut Checks, parts: &mut Parts, mirrors: Outcome<Vec<String>>) {
    after_deploy(checks, parts, "build and deploy java", &JAVA, |parts| {
        parts.mirrors.extend(mirrors?);
        java::deploy(parts)
    });
}

const JAVA: [(&str, Check); 4] = [
    ("java: answers are the runtime's own", java::answers_are_the_runtimes),
    ("java: log records arrive", java::records_arrive),
    ("java: clients reach the platform", java::clients_reach_the_platform),
    ("java: engines agree on the base", |parts, deployed| {
        deploy::bases_agree(parts, deployed, "java21")
    }),
];

type Check = fn(&Parts, &Deployed) -> Outcome;

/// Checks of the configuration: how it is published and delivered.
fn of_configuration(checks: &mut Checks, parts: &Parts) {
    type OfParts = fn(&Parts) -> Outcome;
    let list: [(&str, OfParts); 17] = [
        ("config: two applications on one platform", applications::two_on_one_platform),
        ("config: staging is what the Gateway reads", applications::staging_is_read),
        ("config: killed at every step", kill::at_every_step),
        ("config: a reader watches 50 deploys into a folder", delivery::folder_is_watched),
        ("config: a reader inside a container watches 20 deploys", delivery::volume_is_watched),
        ("config: workers of changed functions", workers::are_replaced),
        ("config: workers that cannot be replaced", workers::are_listed),
        ("config: workers under load", |parts| {
            workers::under_load(parts, workers::Load { deploys: 4, random: false, subnet: true })
        }),
        ("config: the engine is asked before publishing", pulls::before_publishing),
        ("config: the platform that runs", pulls::the_platform_that_runs),
        ("config: the mode of the running project", mode::of_the_running_project),
        ("image prune: only ours", prune::only_ours),
        ("image prune: of another user", prune::of_another_user),
        ("image prune: registry and store", prune::registry_and_store),
        ("environments and projects on one registry", isolation::environments_and_projects),
        ("another brand", isolation::brands),
        ("secrets are in functions.yml alone", isolation::secrets),
    ];
    for (name, check) in list {
        checks.run(name, || check(parts));
    }
}

/// Workers under load, with every way of requests and networks.
fn of_workers(checks: &mut Checks, parts: &Parts, deploys: usize) {
    checks.run("workers: replaced", || workers::are_replaced(parts));
    checks.run("workers: listed", || workers::are_listed(parts));
    for (name, random, subnet) in [
        ("even requests", false, true),
        ("even requests, a network without a subnet of its own", false, false),
        ("requests at random", true, true),
    ] {
        let load = workers::Load { deploys, random, subnet };
        checks.run(&format!("workers: {name}"), || workers::under_load(parts, load));
    }
}

/// Checks of external images.
fn of_sync(checks: &mut Checks, parts: &Parts) {
    type OfParts = fn(&Parts) -> Outcome;
    let list: [(&str, OfParts); 10] = [
        ("sync: every blob once, a second run asks twice", sync::copies),
        ("sync: faults on the way", sync::faults),
        ("sync: killed inside a blob", sync_ends::killed),
        ("sync: a full disk", sync_ends::full_disk),
        ("sync: two at once", sync_ends::two_at_once),
        ("sync: a large layer takes little memory", sync_ends::memory_is_bounded),
        ("sync: hooks for an image function", image_sources::hooks_are_added),
        ("sync: an image that only the engine has", image_sources::only_in_engine),
        ("sync: TLS, a private authority and a password", sync::secured),
        ("sync: deploy, verify, fix, and deploy without a network", sync::deploy_verify_fix),
    ];
    for (name, check) in list {
        checks.run(name, || check(parts));
    }
}

const QUICKSTART: [(&str, Check); 15] = [
    ("images answer", deploy::images_answer),
    ("published files and the lock are as their schemas say", published_files::are_as_schemas_say),
    ("hooks of python3.13", |parts, deployed| {
        hooks::records_arrive(parts, deployed, "GetOrderFunction", "looking up order 42")
    }),
    ("esb invoke", deploy::esb_invokes),
    ("engines agree on functions", deploy::engines_agree),
    ("engines agree on the base", |parts, deployed| {
        deploy::bases_agree(parts, deployed, "python3.13")
    }),
    ("esb's docker builder agrees", deploy::docker_builder_agrees),
    ("digests depend on content alone", deploy::digests_depend_on_content_alone),
    ("skopeo reads registry and layout", deploy::skopeo_reads),
    ("bad input: templates", bad_input::wrong_templates),
    ("bad input: absent parts", bad_input::absent_parts),
    ("bad input: full disk", bad_input::full_disk),
    ("bad input: Ctrl-C", bad_input::interrupt),
    ("second deploy uploads nothing", |parts, _| deploy::second_deploy_uploads_nothing(parts)),
    ("registry that the host cannot resolve", |parts, _| deploy::unresolvable_registry(parts)),
];

/// Checks of the Python hooks with handlers of their own.
fn of_hooks(checks: &mut Checks, parts: &Parts) {
    checks.run("log records are stored once", || logs::stored_once(parts));
    checks.run("esb invoke tells every failure", || invocations::failures_are_told(parts));
    checks.run("esb logs reads the log store", || invocations::logs_are_read(parts));
    checks.run("hooks beside a sitecustomize of the function's own", || {
        sitecustomize::both_run(parts)
    });
}

/// Checks of what a function's code needs beside itself.
fn of_code(checks: &mut Checks, parts: &Parts) {
    type OfParts = fn(&Parts) -> Outcome;
    let list: [(&str, OfParts); 17] = [
        ("links that lead out of code and layers", links::are_followed),
        ("packages: nothing of a project is run here", packages::nothing_is_run_here),
        ("packages: environment markers are the image's", packages::markers_are_the_images),
        ("packages: variables in addresses of indexes", packages::variables_in_addresses),
        ("packages: development installations are built", packages::built_from_the_project),
        ("build without a network", offline::without_network),
        ("deploy without a network", offline::deploy_without_network),
        ("packages without a network", wheelhouse::packages_without_network),
        ("base layers are read once or never", base_reads::once_or_never),
        ("base layers are kept when an output needs them", base_reads::kept_when_needed),
        ("base layers are read once by two builds at once", base_reads::by_two_at_once),
        ("image function from its Dockerfile", image_functions::built_from_metadata),
        ("images with steps are not believed for their labels", forged::images_with_steps),
        ("a package without a wheel is built in the engine", dependencies::built_in_the_engine),
        ("memory of 500 functions", memory::is_bounded),
        ("output of sam build", sam_build::deploys),
        ("output of sam build as it is made today", sam_today::deploys),
    ];
    for (name, check) in list {
        checks.run(name, || check(parts));
    }
}
