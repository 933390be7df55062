//! Checks that a deploy makes images that run, builds each once, and makes the same ones
//! everywhere.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use esb_test::LoggingProxy;
use serde_json::Value;

use super::{
    flatten::{Modes, differences, flatten},
    invoke::{invoke, json_file},
    parts::{Parts, copy_tree, expect},
};
use crate::{
    checks::{Outcome, Trouble},
    command::{output, run},
};

/// A project that was deployed.
#[derive(Debug)]
pub(crate) struct Deployed {
    pub(crate) root: PathBuf,
    pub(crate) functions: Vec<Function>,
    /// The digest of each image, base images too, as the run's summary names them.
    pub(crate) digests: BTreeMap<String, String>,
}

/// A function as functions.yml has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) logical_id: String,
    /// The name in functions.yml, and of its folder.
    pub(crate) name: String,
    pub(crate) image: String,
    /// What the Gateway would give a worker, as far as functions.yml says it.
    pub(crate) environment: Vec<(String, String)>,
}

impl Function {
    fn dockerfile(&self) -> String {
        format!(".esb/dev/functions/{}/Dockerfile", self.name)
    }
}

/// Deploys a fixture with an environment of its own.
pub(crate) fn deploy(parts: &Parts, fixture: &str, copy: &str, cache: &str) -> Outcome<Deployed> {
    let root = parts.fixture(fixture, copy)?;
    let mut command = parts.esb_to_registry(&root, cache);
    finish(command.args(["deploy", "-e", "dev", "--format", "json"]), root)
}

/// Runs a deploy and reads what it wrote.
pub(crate) fn finish(command: &mut Command, root: PathBuf) -> Outcome<Deployed> {
    let summary = expect(command, 0)?.json()?;
    let mut digests = BTreeMap::new();
    let mut logical_ids = BTreeMap::new();
    for image in summary["images"].as_array().into_iter().flatten() {
        let text = |key: &str| image[key].as_str().unwrap_or_default().to_owned();
        digests.insert(text("name"), text("digest"));
        if image["function"].is_string() {
            logical_ids.insert(text("reference"), text("function"));
        }
    }
    let functions = functions(&root, &logical_ids)?;
    if functions.is_empty() || digests.len() != functions.len() + 1 {
        return Err(Trouble::Failed(format!("images are missing: {functions:?} {digests:?}")));
    }
    Ok(Deployed { root, functions, digests })
}

/// The functions of functions.yml, told apart by the images that the summary names.
fn functions(root: &Path, logical_ids: &BTreeMap<String, String>) -> Outcome<Vec<Function>> {
    let config = esb_config::read(&root.join(".esb/dev/config"))
        .map_err(|error| crate::checks::chain(&error))?
        .config;
    let mut functions = Vec::new();
    for (name, entry) in &config.functions.functions {
        let plain = |text: &esb_config::Text| text.resolve(|_| None);
        let image = entry.image.as_ref().map(plain).unwrap_or_default();
        let logical_id = logical_ids.get(&image);
        let logical_id = logical_id.ok_or_else(|| format!("no image was made for `{name}`"))?;
        let mut environment: Vec<(String, String)> =
            entry.environment.0.iter().map(|(name, value)| (name.clone(), plain(value))).collect();
        environment.push(("AWS_LAMBDA_FUNCTION_NAME".to_owned(), name.clone()));
        let (name, logical_id) = (name.clone(), logical_id.clone());
        functions.push(Function { logical_id, name, image, environment });
    }
    Ok(functions)
}

/// Pulls every image by the name in functions.yml, runs it and compares its response.
pub(crate) fn images_answer(parts: &Parts, deployed: &Deployed) -> Outcome {
    for Function { logical_id, image, environment, .. } in &deployed.functions {
        parts.engine.output(["pull", "--quiet", image])?;
        let event = json_file(&deployed.root.join(format!("events/{logical_id}.json")))?;
        let expected = json_file(&deployed.root.join(format!("expected/{logical_id}.json")))?;
        let response = invoke(&parts.engine, image, environment, &event)?;
        if response != expected {
            let text = format!("`{logical_id}` answered {response} instead of {expected}");
            return Err(Trouble::Failed(text));
        }
    }
    Ok(())
}

/// Builds the generated Dockerfiles with BuildKit, as a person would, and compares file systems
/// and configs with what the embedded engine made.
pub(crate) fn engines_agree(parts: &Parts, deployed: &Deployed) -> Outcome {
    let mut pairs = Vec::new();
    for function @ Function { image, name, .. } in &deployed.functions {
        let labels = labels_of(parts, image)?;
        let by_hand = format!("by-hand/{}:latest", name.to_lowercase());
        build_by_hand(parts, &deployed.root, &function.dockerfile(), ".", &by_hand, &labels)?;
        pairs.push((image.clone(), by_hand));
    }
    compare(parts, &pairs, &[])
}

/// As [`engines_agree`], for the base image, whose own base must be in the engine.
pub(crate) fn bases_agree(parts: &Parts, deployed: &Deployed, runtime: &str) -> Outcome {
    let name = deployed.digests.keys().find(|name| name.contains("lambda-base"));
    let name = name.ok_or("no base image was built")?;
    let base = format!("{}/{name}", parts.registry.address());
    parts.engine.output(["pull", "--quiet", &base])?;
    let labels = labels_of(parts, &base)?;
    load_mirrors(parts)?;
    let folder = format!(".esb/dev/base/{runtime}");
    let by_hand = format!("by-hand/base-{runtime}:latest");
    build_by_hand(
        parts,
        &deployed.root,
        &format!("{folder}/Dockerfile"),
        &folder,
        &by_hand,
        &labels,
    )?;
    compare(parts, &[(base, by_hand)], &[])
}

/// Puts the images of the mirrors into the engine under the names that Dockerfiles use.
fn load_mirrors(parts: &Parts) -> Outcome {
    for mirror in &parts.mirrors {
        let Some((host, layout)) = mirror.split_once("=oci:") else { continue };
        let index = json_file(&Path::new(layout).join("index.json"))?;
        for entry in index["manifests"].as_array().into_iter().flatten() {
            let name = entry["annotations"]["org.opencontainers.image.ref.name"].as_str();
            let name = name.ok_or("an image of the mirror has no name")?;
            output(
                Command::new("skopeo")
                    .args([
                        "--insecure-policy",
                        "copy",
                        "--quiet",
                        "--dest-daemon-host",
                        parts.engine.host(),
                    ])
                    .arg(format!("oci:{layout}:{name}"))
                    .arg(format!("docker-daemon:{host}/{name}")),
            )?;
        }
    }
    Ok(())
}

/// What esb builds through the engine is what it builds without one.
pub(crate) fn docker_builder_agrees(parts: &Parts, deployed: &Deployed) -> Outcome {
    let mut command = parts.esb_to_registry(&deployed.root, "docker-builder");
    command.args(["build", "-e", "dev", "--builder", "docker", "--tag", "by-engine"]);
    let summary = expect(command.args(["--format", "json"]), 0)?.json()?;
    let mut pairs = Vec::new();
    for image in summary["images"].as_array().into_iter().flatten() {
        let name = image["name"].as_str().unwrap_or_default();
        if name.contains("lambda-base") {
            continue;
        }
        let by_engine = format!("{}/{name}", parts.registry.address());
        parts.engine.output(["pull", "--quiet", &by_engine])?;
        let embedded = by_engine.replace(":by-engine", ":latest");
        parts.engine.output(["pull", "--quiet", &embedded])?;
        pairs.push((embedded, by_engine));
    }
    if pairs.len() != deployed.functions.len() {
        return Err(Trouble::Failed(format!("{} images were built", pairs.len())));
    }
    let ignore = [
        "com.esb.image_fingerprint",
        "org.opencontainers.image.base.digest",
        "org.opencontainers.image.base.name",
    ];
    compare(parts, &pairs, &ignore)
}

/// A second deploy sends nothing but one question for each image.
pub(crate) fn second_deploy_uploads_nothing(parts: &Parts) -> Outcome {
    let proxy = LoggingProxy::start(parts.registry.address())?;
    let root = parts.fixture("quickstart", "twice")?;
    let deploy = || {
        let mut command = parts.esb(&root, "twice");
        command.env("CONTAINER_REGISTRY", proxy.address());
        finish(command.args(["deploy", "-e", "dev", "--format", "json"]), root.clone())
    };
    let first = deploy()?;
    proxy.clear();
    let second = deploy()?;
    let sent: Vec<String> = proxy
        .requests()
        .iter()
        .filter(|request| matches!(request.method.as_str(), "POST" | "PUT" | "PATCH"))
        .map(|request| format!("{} {}", request.method, request.target))
        .collect();
    if !sent.is_empty() {
        return Err(Trouble::Failed(format!("the second run sent {}", sent.join(", "))));
    }
    if first.digests != second.digests || first.functions != second.functions {
        return Err(Trouble::Failed(format!("{first:?} became {second:?}")));
    }
    let asked = proxy.requests().len();
    if asked > 2 * first.digests.len() {
        return Err(Trouble::Failed(format!(
            "{asked} requests for {} images",
            first.digests.len()
        )));
    }
    Ok(())
}

/// Another folder, another time, umask and zone, and an empty cache give the same digests.
pub(crate) fn digests_depend_on_content_alone(parts: &Parts, deployed: &Deployed) -> Outcome {
    let root = parts.work.join("elsewhere/in a folder/quickstart");
    copy_tree(&deployed.root, &root)?;
    run(Command::new("find").arg(&root).args([
        "-exec",
        "touch",
        "-d",
        "2001-02-03T04:05:06Z",
        "{}",
        "+",
    ]))?;
    run(Command::new("find")
        .arg(&root)
        .args(["-type", "f", "!", "-perm", "/111", "-exec", "chmod", "600", "{}", "+"]))?;
    let plain = parts.esb_to_registry(&root, "elsewhere");
    let mut command = Command::new("sh");
    command
        .args(["-c", "umask 077; exec \"$@\"", "sh"])
        .arg(plain.get_program())
        .args(["deploy", "-e", "dev", "--format", "json", "--jobs", "1"])
        .current_dir(&root)
        .env_clear();
    for (name, value) in plain.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    command.env("TZ", "Pacific/Kiritimati").env("LC_ALL", "C");
    let second = finish(&mut command, root)?;
    if second.digests == deployed.digests && second.functions == deployed.functions {
        return Ok(());
    }
    Err(Trouble::Failed(format!("{:#?}\nis not\n{:#?}", deployed.digests, second.digests)))
}

/// skopeo reads what was pushed, the layout that `--to oci` writes, and the content store itself.
pub(crate) fn skopeo_reads(parts: &Parts, deployed: &Deployed) -> Outcome {
    for Function { image, .. } in &deployed.functions {
        let text = output(Command::new("skopeo").args([
            "inspect",
            "--tls-verify=false",
            &format!("docker://{image}"),
        ]))?;
        let inspected: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let repository = image.rsplit_once(':').map_or("", |(name, _)| name);
        let name = repository.rsplit('/').next().unwrap_or_default();
        let expected =
            deployed.digests.iter().find(|(key, _)| key.starts_with(&format!("{name}:")));
        let expected = expected.map(|(_, digest)| digest.as_str());
        if inspected["Digest"].as_str() != expected {
            return Err(Trouble::Failed(format!(
                "{image}: {} != {expected:?}",
                inspected["Digest"]
            )));
        }
        if inspected["Labels"]["com.esb.kind"] != "function" {
            return Err(Trouble::Failed(format!("{image} has labels {}", inspected["Labels"])));
        }
    }
    let root = parts.fixture("quickstart", "layout")?;
    let mut command = parts.esb(&root, "elsewhere");
    let command = command.args(["build", "-e", "dev", "--to", "oci", "--format", "json"]);
    let built = expect(command, 0)?.json()?;
    let layouts = [root.join(".esb/dev/images"), parts.work.join("caches/elsewhere")];
    for image in built["images"].as_array().into_iter().flatten() {
        let name = image["name"].as_str().unwrap_or_default();
        for layout in &layouts {
            let at = format!("oci:{}:{name}", layout.display());
            let text = output(Command::new("skopeo").args(["inspect", &at]))?;
            let inspected: Value =
                serde_json::from_str(&text).map_err(|error| error.to_string())?;
            if inspected["Digest"] != image["digest"] {
                return Err(Trouble::Failed(format!("{at}: {inspected} != {image}")));
            }
        }
    }
    Ok(())
}

/// The Dockerfiles of a registry that this machine cannot resolve build by hand all the same.
pub(crate) fn unresolvable_registry(parts: &Parts) -> Outcome {
    let root = parts.fixture("quickstart", "unresolvable")?;
    let esb = || {
        let mut command = parts.esb(&root, "main");
        command
            .env("CONTAINER_REGISTRY", "registry:5010")
            .env("HOST_REGISTRY_ADDR", parts.registry.address());
        command
    };
    let deployed = finish(esb().args(["deploy", "-e", "dev", "--format", "json"]), root.clone())?;
    let mut images = deployed.functions.iter().map(|function| &function.image);
    if let Some(image) = images.find(|image| !image.starts_with("registry:5010/esb-")) {
        return Err(Trouble::Failed(format!("functions.yml names `{image}`")));
    }
    expect(esb().args(["build", "-e", "dev", "--builder", "docker"]), 0)?;
    for function in &deployed.functions {
        let dockerfile = function.dockerfile();
        let text = fs::read_to_string(root.join(&dockerfile))?;
        if !text.starts_with("FROM registry:5010/esb-lambda-base:latest") {
            return Err(Trouble::Failed(format!(
                "{dockerfile} starts with {:?}",
                text.lines().next()
            )));
        }
        build_by_hand(parts, &root, &dockerfile, ".", "by-hand/unresolvable:latest", &[])?;
    }
    Ok(())
}

/// `esb invoke` runs a function of a deployed project.
pub(crate) fn esb_invokes(parts: &Parts, deployed: &Deployed) -> Outcome {
    for Function { logical_id: function, .. } in &deployed.functions {
        let expected = json_file(&deployed.root.join(format!("expected/{function}.json")))?;
        let mut command = parts.esb_to_registry(&deployed.root, "main");
        command.args([
            "invoke",
            function,
            "-e",
            "dev",
            "--event",
            &format!("events/{function}.json"),
        ]);
        let response = expect(&mut command, 0)?.json()?;
        if response != expected {
            return Err(Trouble::Failed(format!("`{function}` answered {response}")));
        }
    }
    Ok(())
}

fn labels_of(parts: &Parts, image: &str) -> Outcome<Vec<(String, String)>> {
    let text = parts.engine.output(["inspect", "--format", "{{json .Config.Labels}}", image])?;
    let labels: BTreeMap<String, String> =
        serde_json::from_str(&text).map_err(|error| error.to_string())?;
    Ok(labels.into_iter().collect())
}

fn build_by_hand(
    parts: &Parts,
    root: &Path,
    dockerfile: &str,
    context: &str,
    name: &str,
    labels: &[(String, String)],
) -> Outcome {
    let mut build = parts.engine.docker();
    build
        .current_dir(root)
        .env("DOCKER_BUILDKIT", "1")
        .args(["build", "--quiet", "--file", dockerfile, "--tag", name]);
    for (key, value) in labels {
        build.arg("--label").arg(format!("{key}={value}"));
    }
    output(build.arg(context)).map(drop)
}

fn compare(parts: &Parts, pairs: &[(String, String)], ignore: &[&str]) -> Outcome {
    let names: Vec<&str> =
        pairs.iter().flat_map(|(left, right)| [left.as_str(), right.as_str()]).collect();
    let flats = flatten(&parts.engine, &names, Modes::Normal)?;
    let mut wrong = Vec::new();
    for (pair, names) in flats.chunks_exact(2).zip(pairs) {
        let different = differences(&pair[0], &pair[1], ignore);
        if !different.is_empty() {
            let few: Vec<&str> = different.iter().take(12).map(String::as_str).collect();
            wrong.push(format!("{} and {}:\n  {}", names.0, names.1, few.join("\n  ")));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(Trouble::Failed(wrong.join("\n"))) }
}
