//! Validates what a run left in its registry and its layouts: every manifest, index and config
//! against the JSON Schemas of image-spec, and images with other tools' readers.
//!
//! Owns finding them. Refuses images that were never ours to make: copies keep the bytes of others.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use esb_test::request;
use serde_json::Value;

use super::parts::Parts;
use crate::{
    checks::{Checks, Outcome},
    command::output,
    folders,
    limit::{OF_COMMAND, output_within},
    steps::say,
    tools,
};

const ANSWER: Duration = Duration::from_secs(30);
const TYPES: &str = "application/vnd.oci.image.manifest.v1+json, \
                     application/vnd.oci.image.index.v1+json, \
                     application/vnd.docker.distribution.manifest.v2+json, \
                     application/vnd.docker.distribution.manifest.list.v2+json";
/// Names that the registry gives at a time.
const PAGE: usize = 500;
/// Images that crane reads: a run leaves hundreds that are made alike.
const VALIDATED: usize = 40;
/// Layouts whose images umoci unpacks.
const UNPACKED: usize = 2;

/// Runs all checks on what lies in a registry and below the run's folder.
pub(super) fn checks(checks: &mut Checks, parts: &Parts) {
    checks.run("documents: the registry's are as image-spec's schemas say", || registry(parts));
    checks.run("documents: crane validates the registry's images", || crane(parts));
    checks.run("documents: the layouts' are as image-spec's schemas say", || layouts(parts));
    checks.run("documents: umoci reads and unpacks layouts", || umoci(parts));
}

/// Documents by what they are and their digest.
#[derive(Default)]
struct Documents(BTreeMap<String, Vec<u8>>);

impl Documents {
    fn put(&mut self, kind: &str, digest: &str, text: Vec<u8>) {
        let name = digest.trim_start_matches("sha256:");
        self.0.insert(format!("{kind}-{name}"), text);
    }

    /// Adds a manifest or index and what it leads to. `read` gives a document by its digest.
    fn follow(
        &mut self,
        digest: &str,
        text: Vec<u8>,
        read: &dyn Fn(&Value) -> Outcome<Vec<u8>>,
    ) -> Outcome {
        let document: Value = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
        if let Some(manifests) = document["manifests"].as_array() {
            self.put("index", digest, text);
            for manifest in manifests {
                let below = manifest["digest"].as_str().unwrap_or_default().to_owned();
                self.follow(&below, read(manifest)?, read)?;
            }
            return Ok(());
        }
        let config = &document["config"];
        if config["mediaType"] == "application/vnd.oci.image.config.v1+json" {
            let digest = config["digest"].as_str().unwrap_or_default();
            self.put("config", digest, read(config)?);
        }
        self.put("manifest", digest, text);
        Ok(())
    }

    /// Lets the validator read all of them.
    fn validate(self, folder: &Path) -> Outcome {
        if self.0.is_empty() {
            say("  there are none");
            return Ok(());
        }
        let validator = tools::validate()?;
        folders::empty(folder)?;
        for (name, text) in &self.0 {
            fs::write(folder.join(name), text)?;
        }
        let said = output(Command::new(validator).arg(folder))?;
        say(&format!("  {}", said.trim()));
        Ok(())
    }
}

/// The names of the images in the registry.
fn references(parts: &Parts) -> Outcome<Vec<(String, String)>> {
    let list = |target: &str, field: &str| -> Outcome<Vec<String>> {
        let answer = get(parts, target)?;
        let found = serde_json::from_slice::<Value>(&answer).unwrap_or_default();
        let names = found[field].as_array().cloned().unwrap_or_default();
        Ok(names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect())
    };
    let mut found = Vec::new();
    let mut after = String::new();
    loop {
        let page = list(&format!("/v2/_catalog?n={PAGE}&last={after}"), "repositories")?;
        for repository in &page {
            for tag in list(&format!("/v2/{repository}/tags/list"), "tags").unwrap_or_default() {
                found.push((repository.clone(), tag));
            }
        }
        match page.last() {
            Some(name) if page.len() >= PAGE => after.clone_from(name),
            _ => return Ok(found),
        }
    }
}

fn get(parts: &Parts, target: &str) -> Outcome<Vec<u8>> {
    let headers = [("Accept", TYPES)];
    let answer = request(parts.registry.address(), "GET", target, &headers, &[], ANSWER)?;
    if answer.status != 200 {
        return Err(format!("the registry answers {target} with {}", answer.status).into());
    }
    Ok(answer.body)
}

/// The manifest behind a name, with its digest; none where others made it.
fn manifest(parts: &Parts, repository: &str, tag: &str) -> Outcome<Option<(String, Vec<u8>)>> {
    let text = get(parts, &format!("/v2/{repository}/manifests/{tag}"))?;
    let document: Value = serde_json::from_slice(&text).unwrap_or_default();
    let kind = document["mediaType"].as_str().unwrap_or_default();
    let digest = esb_oci::Digest::of(&text).to_string();
    Ok(kind.starts_with("application/vnd.oci.").then_some((digest, text)))
}

fn registry(parts: &Parts) -> Outcome {
    let mut documents = Documents::default();
    for (repository, tag) in references(parts)? {
        let Some((digest, text)) = manifest(parts, &repository, &tag)? else { continue };
        documents.follow(&digest, text, &|descriptor| {
            let kind = descriptor["mediaType"].as_str().unwrap_or_default();
            let of = if kind.contains("config") { "blobs" } else { "manifests" };
            let digest = descriptor["digest"].as_str().unwrap_or_default();
            get(parts, &format!("/v2/{repository}/{of}/{digest}"))
        })?;
    }
    documents.validate(&parts.work.join("documents/registry"))
}

/// Those of the least digests, which are any. Layers are read in full where an image has one that none
/// before it had; of the others, the documents.
fn crane(parts: &Parts) -> Outcome {
    let crane = tools::crane()?;
    let mut images = BTreeMap::new();
    for (repository, tag) in references(parts)? {
        if let Some((digest, text)) = manifest(parts, &repository, &tag)? {
            images.insert(digest, (repository, tag, text));
        }
    }
    let (all, mut read) = (images.len(), BTreeSet::new());
    for (repository, tag, text) in images.into_values().take(VALIDATED) {
        let document: Value = serde_json::from_slice(&text).unwrap_or_default();
        // An index has no layers of its own: crane validates the images that it lists.
        let layers = document["layers"].as_array().cloned();
        let known = layers.is_some_and(|layers| {
            let new = layers.iter().filter(|layer| read.insert(layer["digest"].to_string()));
            new.count() == 0
        });
        let mut validate = Command::new(&crane);
        validate.args(["validate", "--insecure", "--remote"]);
        validate.arg(format!("{}/{repository}:{tag}", parts.registry.address()));
        if known {
            validate.arg("--fast");
        }
        output(&mut validate)?;
    }
    say(&format!("  {} of {all} images, {} layers", all.min(VALIDATED), read.len()));
    Ok(())
}

/// The folders below the run's own that are OCI layouts.
fn found_layouts(parts: &Parts) -> Outcome<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![parts.work.join("projects"), parts.work.join("caches")];
    while let Some(folder) = open.pop() {
        if folder.join("oci-layout").is_file() && folder.join("index.json").is_file() {
            found.push(folder);
            continue;
        }
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_type()?.is_dir() {
                open.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The descriptors of a layout's index.
fn listed(layout: &Path) -> Outcome<Vec<Value>> {
    let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json"))?)
        .map_err(|error| error.to_string())?;
    Ok(index["manifests"].as_array().cloned().unwrap_or_default())
}

fn layouts(parts: &Parts) -> Outcome {
    let mut documents = Documents::default();
    for layout in found_layouts(parts)? {
        let name = esb_oci::Digest::of(layout.display().to_string().as_bytes()).to_string();
        documents.put("layout", &name, fs::read(layout.join("oci-layout"))?);
        documents.put("index", &name, fs::read(layout.join("index.json"))?);
        let read = |descriptor: &Value| {
            let digest = descriptor["digest"].as_str().unwrap_or_default().replace(':', "/");
            Ok(fs::read(layout.join("blobs").join(digest))?)
        };
        for descriptor in listed(&layout)? {
            let digest = descriptor["digest"].as_str().unwrap_or_default().to_owned();
            documents.follow(&digest, read(&descriptor)?, &read)?;
        }
    }
    documents.validate(&parts.work.join("documents/layouts"))
}

/// umoci reads every image of the layouts that runs wrote for others, and unpacks some.
fn umoci(parts: &Parts) -> Outcome {
    let umoci = tools::umoci()?;
    let (mut read, mut unpacked) = (0, 0);
    for layout in found_layouts(parts)?.iter().filter(|layout| layout.ends_with("images")) {
        let mut names = BTreeSet::new();
        for descriptor in listed(layout)? {
            let name = &descriptor["annotations"]["org.opencontainers.image.ref.name"];
            names.extend(name.as_str().map(str::to_owned));
        }
        for name in &names {
            let image = format!("{}:{name}", layout.display());
            output(Command::new(&umoci).args(["stat", "--json", "--image", &image]))?;
            read += 1;
        }
        let Some(name) = names.first().filter(|_| unpacked < UNPACKED) else { continue };
        unpacked += 1;
        let bundle = parts.work.join(format!("bundle-{unpacked}"));
        let mut unpack = Command::new(&umoci);
        unpack.args(["unpack", "--rootless", "--image", &format!("{}:{name}", layout.display())]);
        let made = output_within(unpack.arg(&bundle), OF_COMMAND)?;
        if !made.status.success() || !bundle.join("rootfs").is_dir() {
            let said = String::from_utf8_lossy(&made.stderr).into_owned();
            return Err(format!("umoci does not unpack `{name}`: {said}").into());
        }
        fs::remove_dir_all(&bundle)?;
    }
    say(&format!("  {read} images read, {unpacked} unpacked"));
    Ok(())
}
