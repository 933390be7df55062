//! Builds on a fleet of real `BuildKit` daemons behind mutual TLS: results, faults, cancelling.

mod certificates;
mod faults;
mod large;
mod packages;
mod passwords;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use esb_test::Buildkitd;
use serde_json::{Value, json};

use super::{
    differential,
    invoke::invoke,
    parts::{Parts, Said, expect},
};
use crate::checks::{Checks, Outcome, Trouble};

const SECRET: &str = "http://u:hunter2@127.0.0.1:9/simple/";

/// A function on a base of ours.
const OWN_BASE: &str = "Transform: AWS::Serverless-2016-10-31\nResources:\n  Own:\n    \
Type: AWS::Serverless::Function\n    Properties:\n      FunctionName: own\n      \
Runtime: python3.13\n      Handler: app.handler\n      CodeUri: ./code\n";

/// Two daemons, certificates, and a project of image functions.
struct Site<'a> {
    parts: &'a Parts,
    folder: PathBuf,
    daemons: Vec<Buildkitd>,
}

type OfSite = fn(&Site<'_>) -> Outcome;

/// Runs all checks of the topic.
pub(super) fn checks(checks: &mut Checks, parts: &Parts) {
    checks.run("fleet: embedded engine and daemons build the same", || {
        differential::check_fleet(&parts.work.join("fleet-differential"))
    });
    let names = LIST.iter().map(|(name, _)| *name);
    if !checks.wants(names.chain([START, BACK, LOST])) {
        return;
    }
    let Some(mut site) = checks.prepare(START, || Site::start(parts)) else { return };
    for (name, check) in LIST {
        checks.run(name, || check(&site));
    }
    checks.run(BACK, || faults::returned(&mut site));
    checks.run(LOST, || faults::lost(&mut site));
}

const START: &str = "fleet: two daemons with mutual TLS";
const BACK: &str = "fleet: a daemon that comes back";
const LOST: &str = "fleet: killed, stalled and full daemons";
const LIST: [(&str, OfSite); 8] = [
    ("fleet: builds, pushes, and solves nothing twice", builds),
    ("fleet: images come back for an engine and a layout", comes_back),
    ("fleet: a package without a wheel is built on a daemon", packages::built_on_a_daemon),
    ("fleet: a large context takes little memory", large::takes_little_memory),
    ("fleet: a registry that wants a password", passwords::asked_for),
    ("fleet: what is wrong is told", faults::told),
    ("fleet: what was pushed elsewhere is not published", faults::elsewhere),
    ("fleet: Ctrl-C leaves nothing running", faults::interrupted),
];
impl<'a> Site<'a> {
    fn start(parts: &'a Parts) -> Outcome<Self> {
        let folder = parts.work.join("fleet");
        let tls = folder.join("tls");
        certificates::make(&tls)?;
        let mut site = Self { parts, folder, daemons: Vec::new() };
        for name in ["one", "two"] {
            let daemon = site.daemon(name)?;
            site.daemons.push(daemon);
        }
        Ok(site)
    }

    fn tls(&self) -> PathBuf {
        self.folder.join("tls")
    }

    /// Starts a daemon with the certificate of the fleet.
    fn daemon(&self, name: &str) -> Outcome<Buildkitd> {
        Ok(Buildkitd::start_with_tls(&self.folder.join(name), &self.tls().join("server"))?)
    }

    /// A project of `count` image functions, whose Dockerfile has `steps` before the code.
    fn project(&self, name: &str, count: usize, steps: &str) -> Outcome<PathBuf> {
        let root = self.folder.join("projects").join(name);
        for number in 0..count {
            let code = root.join(format!("f{number}"));
            fs::create_dir_all(&code)?;
            fs::write(code.join("requirements.txt"), format!("nothing=={number}\n"))?;
            fs::write(code.join("app.py"), handler(number))?;
            let dockerfile = format!(
                "# syntax=docker/dockerfile:1\nFROM public.ecr.aws/lambda/python:3.13\nCOPY \
                 requirements.txt ./\n{steps}\nCOPY . ./\nCMD [\"app.handler\"]\n"
            );
            fs::write(code.join("Dockerfile"), dockerfile)?;
        }
        fs::write(root.join("template.yaml"), template(name, 0..count))?;
        fs::write(root.join("esb.toml"), "")?;
        Ok(root)
    }

    /// `esb deploy` of a project through the whole fleet, into a folder of configuration.
    fn deploy(&self, root: &Path) -> Command {
        let addresses: Vec<&str> = self.daemons.iter().map(Buildkitd::address).collect();
        self.deploy_through(root, &addresses)
    }

    fn deploy_through(&self, root: &Path, addresses: &[&str]) -> Command {
        self.deploy_with(root, addresses, &self.tls().join("client"))
    }

    fn deploy_with(&self, root: &Path, addresses: &[&str], tls: &Path) -> Command {
        let name = root.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut command = self.parts.esb_to_registry(root, &format!("fleet-{name}"));
        command.env("PIP_INDEX_URL", SECRET).env("BUILDKIT_HOST", addresses.join(","));
        command.args(["deploy", "-e", "dev", "-v", "--format", "json", "--progress", "json"]);
        command.arg("--config-to").arg(root.join("published"));
        command.arg("--buildkit-tls").arg(tls);
        command
    }
}

/// Some of the functions of a project.
fn template(name: &str, numbers: impl IntoIterator<Item = usize>) -> String {
    let mut text = "Transform: AWS::Serverless-2016-10-31\nResources:\n".to_owned();
    for number in numbers {
        let _infallible = writeln!(
            text,
            "  F{number}:\n    Type: AWS::Serverless::Function\n    Properties:\n      \
             FunctionName: {name}-{number}\n      PackageType: Image\n    Metadata:\n      \
             Dockerfile: Dockerfile\n      DockerContext: ./f{number}"
        );
    }
    text
}

fn handler(number: usize) -> String {
    format!("def handler(event, context):\n    return {{\"number\": {number}}}\n")
}

/// The daemon of each image of a document.
fn daemons(document: &Value) -> BTreeMap<String, String> {
    let images = document["images"].as_array().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    images.map(|image| (text(&image["name"]), text(&image["daemon"]))).collect()
}

fn actions(document: &Value) -> Vec<&str> {
    let images = document["images"].as_array().into_iter().flatten();
    images.filter_map(|image| image["action"].as_str()).collect()
}

/// The bytes that daemons fetched of contexts.
fn fetched(said: &Said) -> u64 {
    let events = said.stderr.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let contexts =
        events.filter(|event| event["kind"] == "context" && event["event"] == "progress");
    contexts.filter_map(|event| event["bytes"].as_u64()).sum()
}

fn equal<T: PartialEq + std::fmt::Debug>(what: &str, expected: &T, found: &T) -> Outcome {
    if expected == found {
        return Ok(());
    }
    Err(Trouble::Failed(format!("{what}: {found:?} instead of {expected:?}")))
}

/// Four functions on two daemons; then unchanged, changed, and with the other daemon alone.
fn builds(site: &Site<'_>) -> Outcome {
    let steps = "RUN --mount=type=secret,id=PIP_INDEX_URL grep -q simple \
                 /run/secrets/PIP_INDEX_URL && cp requirements.txt installed.txt";
    let root = site.project("built", 4, steps)?;
    let planned = expect(site.deploy(&root).arg("--dry-run"), 0)?.json()?;
    let first = expect(&mut site.deploy(&root), 0)?;
    let document = first.json()?;
    equal("the plan's daemons", &daemons(&document), &daemons(&planned))?;
    let all = document["images"].as_array().cloned().unwrap_or_default();
    equal("images", &4, &all.len())?;
    for image in &all {
        equal("builder", &json!("buildkit"), &image["builder"])?;
        is_plain(image)?;
    }
    let used: std::collections::BTreeSet<String> = daemons(&document).into_values().collect();
    equal("daemons with work", &2, &used.len())?;
    if (first.stdout + &first.stderr).contains("hunter2") {
        return Err("a secret was said".into());
    }
    let image = all[1]["reference"].as_str().unwrap_or_default();
    site.parts.engine.output(["pull", "--quiet", image])?;
    let answer = invoke(&site.parts.engine, image, &[], &json!({}))?;
    equal("answer", &json!({"number": 1}), &answer)?;
    let config = site.parts.engine.output(["image", "inspect", image])?;
    if config.contains("hunter2") {
        return Err("a secret is in the image".into());
    }

    let second = expect(&mut site.deploy(&root), 0)?;
    equal("actions", &vec!["skipped"; 4], &actions(&second.json()?))?;
    equal("bytes of contexts", &0, &fetched(&second))?;

    let code = format!("{}# changed\n", handler(2));
    fs::write(root.join("f2/app.py"), &code)?;
    let third = expect(&mut site.deploy(&root), 0)?;
    equal("bytes of contexts", &(code.len() as u64), &fetched(&third))?;
    let third = third.json()?;
    let built = actions(&third).iter().filter(|action| **action == "built").count();
    equal("images that were built", &1, &built)?;

    // Nothing but the daemon is another one, and the digest is the same.
    let name = "esb-built-2:latest";
    let other = site.daemons.iter().map(Buildkitd::address);
    let other: Vec<&str> =
        other.filter(|address| daemons(&third).get(name) != Some(&(*address).to_owned())).collect();
    equal("other daemons", &1, &other.len())?;
    let again = expect(site.deploy_through(&root, &other).arg("--no-cache"), 0)?.json()?;
    let digests = |document: &Value| -> Vec<Value> {
        let images = document["images"].as_array().into_iter().flatten();
        images.map(|image| image["digest"].clone()).collect()
    };
    equal("digests on another daemon", &digests(&third), &digests(&again))
}

/// One manifest of one platform with gzip layers, our label and our annotation.
fn is_plain(image: &Value) -> Outcome {
    let reference = image["reference"].as_str().unwrap_or_default();
    let (registry, rest) = reference.split_once('/').ok_or("an image without a registry")?;
    let (name, _) = rest.rsplit_once(':').ok_or("an image without a tag")?;
    let get = |target: &str| -> Outcome<Value> {
        let accept = [("Accept", "application/vnd.oci.image.manifest.v1+json")];
        let limit = Duration::from_secs(10);
        let answer = esb_test::request(registry, "GET", target, &accept, &[], limit)?;
        Ok(serde_json::from_str(&answer.text()).map_err(|error| error.to_string())?)
    };
    let digest = image["digest"].as_str().unwrap_or_default();
    let manifest = get(&format!("/v2/{name}/manifests/{digest}"))?;
    let layers = manifest["layers"].as_array().cloned().unwrap_or_default();
    let gzip = "application/vnd.oci.image.layer.v1.tar+gzip";
    let plain = |layer: &Value| {
        let kind = layer["mediaType"].as_str().unwrap_or_default();
        kind == gzip || kind.ends_with(".tar.gzip")
    };
    if layers.len() < 3 || !layers.iter().all(plain) {
        return Err(Trouble::Failed(format!("{reference} is no plain image: {manifest}")));
    }
    let mark = &manifest["annotations"]["com.esb.image_fingerprint"];
    let config = manifest["config"]["digest"].as_str().unwrap_or_default();
    let config = get(&format!("/v2/{name}/blobs/{config}"))?;
    equal("fingerprint", mark, &config["config"]["Labels"]["com.esb.image_fingerprint"])?;
    equal("created", &json!("1980-01-01T00:00:00Z"), &config["created"])
}

/// Without a registry, daemons read bases through the session, and images come back through it:
/// those of the outside world, and our own, which no registry ever saw.
fn comes_back(site: &Site<'_>) -> Outcome {
    let root = site.project("back", 1, "RUN cp requirements.txt installed.txt")?;
    let layout = site.folder.join("layout");
    let build = |root: &Path| {
        let mut command = site.deploy(root);
        command.env_remove("CONTAINER_REGISTRY");
        command.args(["--build-only", "--builder", "buildkit", "--to", "docker", "--to"]);
        command.arg(format!("oci:{}", layout.display()));
        command
    };
    let said = expect(&mut build(&root), 0)?.json()?;
    let image = said["images"][0]["reference"].as_str().unwrap_or_default();
    let answer = invoke(&site.parts.engine, image, &[], &json!({}))?;
    equal("answer", &json!({"number": 0}), &answer)?;

    let root = site.folder.join("projects/own");
    fs::create_dir_all(root.join("code"))?;
    fs::write(root.join("code/app.py"), handler(7))?;
    fs::write(root.join("template.yaml"), OWN_BASE)?;
    fs::write(root.join("esb.toml"), "")?;
    let said = expect(&mut build(&root), 0)?.json()?;
    let images = said["images"].as_array().cloned().unwrap_or_default();
    let (bases, functions): (Vec<_>, Vec<_>) =
        images.iter().partition(|image| image["function"].is_null());
    let daemons: Vec<&str> = site.daemons.iter().map(Buildkitd::address).collect();
    for image in &images {
        let daemon = image["daemon"].as_str().unwrap_or_default();
        if !daemons.contains(&daemon) {
            return Err(Trouble::Failed(format!("no daemon built {image}")));
        }
    }
    if bases.is_empty() || functions.is_empty() {
        return Err(Trouble::Failed(format!("no base and function of ours: {said}")));
    }
    let index = fs::read_to_string(layout.join("index.json"))?;
    for name in ["esb-back-0", "esb-lambda-base"] {
        if !index.contains(name) {
            return Err(Trouble::Failed(format!("the layout lacks `{name}`: {index}")));
        }
    }
    Ok(())
}
