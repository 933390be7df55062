//! Counts how often the layers of a base are fetched: once when an output needs them, else never.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::{Command, Stdio},
    time::Duration,
};

use esb_test::{Fault, LoggingProxy, Registry, Rule};

use super::{
    bad_input::blobs_are_whole,
    parts::{Parts, expect},
    small_project::SmallProject,
};
use crate::{
    checks::{Outcome, Trouble},
    command::{output, run},
};

/// Where the base lies in the registry.
const REPOSITORY: &str = "lambda/python";

/// A registry with the base in it, behind a proxy that writes down what is asked.
struct Source {
    registry: Registry,
    proxy: LoggingProxy,
    /// The mirror that leads to it.
    mirror: String,
}

impl Source {
    /// None when the base is the real one, whose registry nobody can watch. One registry of its own
    /// for each: in that of all checks, an earlier check's base image has an index for us.
    fn start(parts: &Parts, name: &str) -> Outcome<Option<Self>> {
        let stand_in = parts.mirrors.iter().find_map(|mirror| mirror.split_once("=oci:"));
        let Some((host, layout)) = stand_in else { return Ok(None) };
        let registry = Registry::start(&parts.work.join(name))?;
        let proxy = LoggingProxy::start(registry.address())?;
        run(Command::new("skopeo")
            .args(["--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"])
            .arg(format!("oci:{layout}:{REPOSITORY}:3.13"))
            .arg(format!("docker://{}/{REPOSITORY}:3.13", registry.address())))?;
        let mirror = format!("{host}={}", proxy.address());
        Ok(Some(Self { registry, proxy, mirror }))
    }
}

/// Two functions on an empty cache: into a layout, into another one, into engine and layout, into a
/// registry that knows nothing of ours, and again into it, now that it has our base image, whose index
/// travels with it.
pub(crate) fn once_or_never(parts: &Parts) -> Outcome {
    let Some(Source { registry, proxy, mirror }) = Source::start(parts, "base-reads-registry")?
    else {
        return Ok(());
    };
    let layers = layers(&registry)?;
    let small = SmallProject::new(parts, "base-reads", "base-reads")?;
    small.write("template.yaml", &["A", "B"], "one")?;
    let build = |cache: &str, to: &[&str]| {
        proxy.clear();
        let mut command = parts.esb_to_registry(&small.root, cache);
        command.env("ESB_MIRRORS", &mirror).env("CONTAINER_REGISTRY", registry.address());
        command.args(["build", "-e", "dev", "--quiet"]);
        expect(command.args(to), 0)?;
        Ok::<_, Trouble>(fetched(&proxy, &layers))
    };
    let once = |what: &str, fetched: &BTreeMap<String, usize>| once(what, fetched, &layers);
    once("layout", &build("base-reads-layout", &["--to", "oci:images"])?)?;
    never("a second layout", &build("base-reads-layout", &["--to", "oci:more-images"])?)?;
    let both = build("base-reads-both", &["--to", "docker", "--to", "oci:both"])?;
    once("engine and layout", &both)?;
    once("registry, made anew", &build("base-reads-first", &["--to", "registry"])?)?;
    small.write("template.yaml", &["A", "B"], "two")?;
    never("an empty cache", &build("base-reads-cold", &["--to", "registry"])?)
}

/// Into the registry that the base lies in, which has all layers: they are read for the index alone, and
/// kept for no output. From there into a layout, which needs them, and into another one.
pub(crate) fn kept_when_needed(parts: &Parts) -> Outcome {
    let Some(Source { registry, proxy, mirror }) = Source::start(parts, "base-reads-own")? else {
        return Ok(());
    };
    let layers = layers(&registry)?;
    let small = SmallProject::new(parts, "base-reads-own", "base-reads-own")?;
    small.write("template.yaml", &["A"], "one")?;
    let build = |to: &str| {
        proxy.clear();
        let mut command = parts.esb_to_registry(&small.root, "base-reads-own");
        command.env("ESB_MIRRORS", &mirror).env("CONTAINER_REGISTRY", proxy.address());
        expect(command.args(["build", "-e", "dev", "--quiet", "--to", to]), 0)?;
        Ok::<_, Trouble>(fetched(&proxy, &layers))
    };
    once("its own registry", &build("registry")?, &layers)?;
    once("a layout after that", &build("oci:images-later")?, &layers)?;
    never("one more layout", &build("oci:images-again")?)
}

/// Two projects with one empty cache, built at the same time: into layouts, which need the layers, and
/// into a registry, which needs the base's index alone.
pub(crate) fn by_two_at_once(parts: &Parts) -> Outcome {
    let Some(Source { registry, proxy, mirror }) = Source::start(parts, "base-reads-twice")? else {
        return Ok(());
    };
    // Slow enough that the second one comes while the first one reads.
    proxy.inject(Rule::on("GET", "/blobs/", Fault::Hang { time: Duration::from_millis(300) }));
    let projects = [
        SmallProject::new(parts, "base-reads-one", "base-reads-one")?,
        SmallProject::new(parts, "base-reads-other", "base-reads-other")?,
    ];
    for (small, text) in projects.iter().zip(["one", "other"]) {
        small.write("template.yaml", &["A"], text)?;
    }
    let layers = layers(&registry)?;
    for to in ["oci:images", "registry"] {
        proxy.clear();
        let cache = format!("base-reads-twice-{}", to.len());
        let builds: Vec<_> = projects
            .iter()
            .map(|small| {
                let mut command = parts.esb_to_registry(&small.root, &cache);
                command.env("ESB_MIRRORS", &mirror).env("CONTAINER_REGISTRY", registry.address());
                command.args(["build", "-e", "dev", "--quiet", "--to", to]);
                command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()
            })
            .collect::<Result<_, _>>()?;
        for build in builds {
            let output = build.wait_with_output()?;
            if !output.status.success() {
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                return Err(Trouble::Failed(format!("two builds at once, {to}: {said}")));
            }
        }
        once(&format!("two builds at once, {to}"), &fetched(&proxy, &layers), &layers)?;
        blobs_are_whole(&parts.work.join("caches").join(&cache))?;
    }
    Ok(())
}

/// The digests of the base's layers. Its config is small, and whoever builds reads it to know what the
/// layers are.
fn layers(registry: &Registry) -> Outcome<BTreeSet<String>> {
    let mut skopeo = Command::new("skopeo");
    skopeo.args(["inspect", "--raw", "--tls-verify=false"]);
    let raw = output(skopeo.arg(format!("docker://{}/{REPOSITORY}:3.13", registry.address())))?;
    let manifest: serde_json::Value =
        serde_json::from_str(&raw).map_err(|error| Trouble::Failed(error.to_string()))?;
    let layers = manifest["layers"].as_array().into_iter().flatten();
    let digest = |layer: &serde_json::Value| layer["digest"].as_str().map(str::to_owned);
    Ok(layers.filter_map(digest).collect())
}

/// Fails unless each layer was fetched exactly once.
fn once(what: &str, fetched: &BTreeMap<String, usize>, layers: &BTreeSet<String>) -> Outcome {
    if layers.iter().all(|layer| fetched.get(layer) == Some(&1)) {
        return Ok(());
    }
    Err(Trouble::Failed(format!("{what}: not each layer once: {fetched:#?} of {layers:#?}")))
}

fn never(what: &str, fetched: &BTreeMap<String, usize>) -> Outcome {
    if fetched.is_empty() {
        return Ok(());
    }
    Err(Trouble::Failed(format!("{what}: read again: {fetched:#?}")))
}

/// The layers of the base that were fetched from any repository, and how often.
fn fetched(proxy: &LoggingProxy, layers: &BTreeSet<String>) -> BTreeMap<String, usize> {
    let mut times = BTreeMap::new();
    for asked in proxy.requests().into_iter().filter(|asked| asked.method == "GET") {
        if let Some((_, digest)) = asked.target.split_once("/blobs/")
            && layers.contains(digest)
        {
            *times.entry(digest.to_owned()).or_default() += 1;
        }
    }
    times
}
