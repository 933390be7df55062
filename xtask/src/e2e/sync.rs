//! Checks of external images: two registries, one of them with TLS and a password, a proxy between
//! them that injects faults, and skopeo to verify the results.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use esb_test::{Fault, LoggingProxy, Registry, Rule};
use serde_json::{Value, json};

use super::parts::{Parts, expect};
use crate::{
    checks::{Outcome, Trouble},
    command::{output, run},
};

/// A source of one's own with two images, and a target.
pub(super) struct Sites {
    pub(super) folder: PathBuf,
    pub(super) source: Registry,
    pub(super) target: Registry,
}

impl Sites {
    pub(super) fn start(parts: &Parts, name: &str) -> Outcome<Self> {
        let folder = parts.work.join("sync").join(name);
        fs::create_dir_all(&folder)?;
        let source = Registry::start(&folder.join("source"))?;
        let target = Registry::start(&folder.join("target"))?;
        let sites = Self { folder, source, target };
        for image in ["one", "two"] {
            sites.make(image)?;
        }
        Ok(sites)
    }

    /// Puts an image of three layers into the source, the first of which all images share.
    fn make(&self, name: &str) -> Outcome {
        let layout = self.folder.join(format!("layout-{name}"));
        let mut images = Vec::new();
        // A tar archive of one file whose content only the seed decides.
        let layer = |seed: &str, size: u32| -> Outcome<Vec<u8>> {
            let word = seed
                .bytes()
                .fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
            let byte = |at: u32| at.wrapping_mul(word).rotate_left(at % 13).to_le_bytes()[1];
            let content: Vec<u8> = (0..size).map(byte).collect();
            let mut header = tar::Header::new_ustar();
            header.set_size(u64::from(size));
            header.set_mode(0o644);
            let mut archive = tar::Builder::new(Vec::new());
            archive.append_data(&mut header, format!("data/{seed}"), &*content)?;
            Ok(archive.into_inner()?)
        };
        let layers = [
            layer("shared", 400_000)?,
            layer(name, 3_000_000)?,
            layer(&format!("{name}+"), 90_000)?,
        ];
        let mut config = esb_oci::ImageConfig::empty("amd64");
        let mut blobs = Vec::new();
        for bytes in layers {
            let history = esb_oci::History { created: "1980-01-01T00:00:00Z", created_by: "check" };
            config.push_layer(esb_oci::Digest::of(&bytes), &history);
            blobs.push(esb_oci::Blob::from_bytes(esb_oci::media_type::OCI_LAYER_TAR, bytes));
        }
        let config_bytes = config.to_bytes();
        let config =
            esb_oci::Blob::from_bytes(esb_oci::media_type::OCI_CONFIG, config_bytes.clone());
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": esb_oci::media_type::OCI_MANIFEST,
            "config": config.descriptor,
            "layers": blobs.iter().map(|blob| &blob.descriptor).collect::<Vec<_>>(),
        });
        let bytes = manifest.to_string().into_bytes();
        let image = esb_oci::Image::new(bytes.into(), config_bytes.into(), config, blobs);
        images.push(("x:1".to_owned(), image.map_err(|error| error.to_string())?));
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        runtime
            .block_on(esb_oci::write_layout(&layout, &images))
            .map_err(|error| crate::checks::chain(&error))?;
        run(Command::new("skopeo")
            .args(["--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"])
            .arg(format!("oci:{}:x:1", layout.display()))
            .arg(format!("docker://{}/acme/{name}:1", self.source.address())))
    }

    /// An image-import.json whose images come through `source`.
    pub(super) fn file(&self, source: &str, names: &[&str]) -> Outcome<PathBuf> {
        let images: Vec<Value> = names
            .iter()
            .map(|name| {
                json!({
                    "function_name": format!("fn-{name}"),
                    "image_source": format!("{source}/acme/{name}:1"),
                    "image_ref": format!("registry:5010/from/acme/{name}:1"),
                })
            })
            .collect();
        let document =
            json!({"version": "1", "push_target": self.target.address(), "images": images});
        let path = self.folder.join("image-import.json");
        fs::write(&path, document.to_string())?;
        Ok(path)
    }

    pub(super) fn import(&self, parts: &Parts, file: &Path, cache: &str) -> Command {
        let mut command = parts.esb(&self.folder, &format!("sync-{cache}"));
        command.args(["image", "import", "--format", "json"]).arg(file);
        command
    }

    /// skopeo sees the same digest on both sides.
    pub(super) fn agree(&self, name: &str) -> Outcome {
        let source = digest(&format!("{}/acme/{name}:1", self.source.address()))?;
        let target = digest(&format!("{}/from/acme/{name}:1", self.target.address()))?;
        equal("digests", &source, &target)
    }

    pub(super) fn absent(&self, name: &str) -> Outcome {
        match digest(&format!("{}/from/acme/{name}:1", self.target.address())) {
            Err(_) => Ok(()),
            Ok(digest) => Err(format!("the target has {digest} after a failure").into()),
        }
    }
}

fn digest(image: &str) -> Outcome<String> {
    let mut skopeo = Command::new("skopeo");
    skopeo.args(["inspect", "--tls-verify=false", "--format", "{{.Digest}}"]);
    Ok(output(skopeo.arg(format!("docker://{image}")))?.trim().to_owned())
}

pub(super) fn equal<T: PartialEq + std::fmt::Debug>(
    what: &str,
    expected: &T,
    actual: &T,
) -> Outcome {
    if expected == actual {
        return Ok(());
    }
    Err(Trouble::Failed(format!("{what}: {actual:?} instead of {expected:?}")))
}

/// Everything goes once, a second run asks twice for each image, and a pinned one once.
pub(crate) fn copies(parts: &Parts) -> Outcome {
    let sites = Sites::start(parts, "copies")?;
    let (from, to) = (
        LoggingProxy::start(sites.source.address())?,
        LoggingProxy::start(sites.target.address())?,
    );
    let file = sites.file(&from.address(), &["one", "two"])?;
    let import = || {
        let mut command = sites.import(parts, &file, "copies");
        command.args(["--push-registry", &to.address()]);
        command
    };
    expect(import().arg("--dry-run"), 0)?;
    equal("written by a dry run", &0, &to.count("PUT", ""))?;
    let first = expect(&mut import(), 0)?.json()?;
    equal("first run", &json!("synced"), &first["images"][0]["action"])?;
    let read = from.requests().into_iter().filter(|r| r.method == "GET");
    let mut read: Vec<String> =
        read.map(|r| r.target).filter(|target| target.contains("/blobs/")).collect();
    read.sort();
    let all = read.len();
    read.dedup_by_key(|target| target.rsplit('/').next().map(str::to_owned));
    equal("blobs read once", &all, &read.len())?;
    sites.agree("one")?;
    sites.agree("two")?;
    from.clear();
    to.clear();
    let second = expect(&mut import(), 0)?.json()?;
    equal("second run", &json!("skipped"), &second["images"][0]["action"])?;
    equal("requests of a second run", &(2, 2), &(from.requests().len(), to.requests().len()))?;
    // Pinned by digest: the source need not exist.
    let mut pinned: Value = serde_json::from_slice(&fs::read(&file)?).map_err(|e| e.to_string())?;
    for at in 0..2 {
        let reference = pinned["images"][at]["image_ref"].clone();
        let rows = second["images"].as_array().into_iter().flatten();
        let row = rows.into_iter().find(|row| row["reference"] == reference);
        pinned["images"][at]["digest"] = row.map_or(Value::Null, |row| row["digest"].clone());
    }
    fs::write(&file, pinned.to_string())?;
    drop(from);
    to.clear();
    expect(&mut import(), 0)?;
    equal("requests of a pinned run", &2, &to.requests().len())
}

/// What breaks on the way: the right code, nothing half done, and a rerun that ends well.
pub(crate) fn faults(parts: &Parts) -> Outcome {
    let sites = Sites::start(parts, "faults")?;
    let status = Fault::status;
    let busy = Fault::Answer {
        status: 429,
        headers: vec![("Retry-After".to_owned(), "1".to_owned())],
        body: Vec::new(),
    };
    // On blobs of the source; the last word is the code, none where the run succeeds.
    let harm: [(&str, Fault, usize, Option<&str>); 8] = [
        ("401", status(401), usize::MAX, Some("IMAGE_AUTH_FAILED")),
        ("403", status(403), usize::MAX, Some("IMAGE_AUTH_FAILED")),
        ("404", status(404), usize::MAX, Some("IMAGE_PULL_FAILED")),
        ("corrupt", Fault::Corrupt { at: 5000 }, usize::MAX, Some("IMAGE_DIGEST_MISMATCH")),
        ("429", busy, 1, None),
        ("500", status(500), 3, None),
        ("reset", Fault::ResetResponse { after: 100_000 }, 2, None),
        ("truncated", Fault::Truncate { after: 100_000 }, 2, None),
    ];
    for (at, (name, fault, times, code)) in harm.into_iter().enumerate() {
        let image = format!("f{at}");
        sites.make(&image)?;
        let proxy = LoggingProxy::start(sites.source.address())?;
        proxy.inject(Rule::on("GET", "/blobs/", fault).skip(1).times(times));
        let file = sites.file(&proxy.address(), &[&image])?;
        if let Some(code) = code {
            let said = expect(&mut sites.import(parts, &file, name), 4)?;
            said.tells(&[code, &format!("/acme/{image}:1")])?;
            equal("code", &json!(code), &said.json()?["error"]["code"])?;
            sites.absent(&image)?;
            proxy.heal();
        }
        expect(&mut sites.import(parts, &file, name), 0)
            .map_err(|trouble| format!("{name}: {trouble:?}"))?;
        sites.agree(&image)?;
        if matches!(name, "reset" | "truncated") {
            let ranges = proxy.requests().iter().filter(|r| r.header("range").is_some()).count();
            equal("whether a part was asked for", &true, &(ranges > 0))?;
        }
    }
    // A fifth of all requests fails on either side.
    sites.make("random")?;
    let from = LoggingProxy::start(sites.source.address())?;
    let to = LoggingProxy::start(sites.target.address())?;
    for (proxy, seed) in [(&from, 1), (&to, 2)] {
        proxy.inject(Rule::new(|_| true, status(500)).chance(20, seed));
    }
    let file = sites.file(&from.address(), &["random"])?;
    expect(sites.import(parts, &file, "random").args(["--push-registry", &to.address()]), 0)?;
    sites.agree("random")?;
    // Every broken source of a run is named, and nothing is written.
    let proxy = LoggingProxy::start(sites.target.address())?;
    let file = sites.file(sites.source.address(), &["one", "no-such", "nor-this"])?;
    let said =
        expect(sites.import(parts, &file, "all").args(["--push-registry", &proxy.address()]), 4)?;
    said.tells(&["/acme/no-such:1", "/acme/nor-this:1", "2 of 3 images cannot be synced"])?;
    equal("manifests written", &0, &proxy.count("PUT", "/manifests/"))?;
    let kept = expect(sites.import(parts, &file, "all").arg("--keep-going"), 4)?.json()?;
    equal("kept", &json!("synced"), &kept["images"][0]["action"])?;
    equal("errors", &2, &kept["errors"].as_array().map_or(0, Vec::len))?;
    sites.agree("one")
}

/// A registry with a private authority and a password, named by `certs.d` and `auth.json`.
pub(crate) fn secured(parts: &Parts) -> Outcome {
    let sites = Sites::start(parts, "secured")?;
    let identity = esb_test::Identity::make(&sites.folder.join("tls"))?;
    let certificate = identity.certificate.clone();
    let guard = esb_test::Guard::Passwords(identity);
    let target = Registry::start_guarded(&sites.folder.join("guarded"), guard)?;
    let file = sites.file(sites.source.address(), &["one"])?;
    let home = sites.folder.join("home");
    let import = || {
        let mut command = sites.import(parts, &file, "secured");
        command.env("HOME", &home).args(["--push-registry", target.address()]);
        command
    };
    expect(&mut import(), 4)?.tells(&["IMAGE_PUSH_FAILED", "--ca-file"])?;
    let ca = certificate.display().to_string();
    expect(import().args(["--ca-file", &ca]), 4)?.tells(&["IMAGE_AUTH_FAILED", "docker login"])?;
    let own = home.join(".config/containers/certs.d").join(target.address());
    fs::create_dir_all(&own)?;
    fs::copy(&certificate, own.join("ca.crt"))?;
    let auths = json!({"auths": {target.address(): {"auth": esb_test::BASIC.trim_start_matches("Basic ")}}});
    fs::write(home.join(".config/containers/auth.json"), auths.to_string())?;
    expect(&mut import(), 0)?;
    let mut skopeo = Command::new("skopeo");
    skopeo.args([
        "inspect",
        "--tls-verify=false",
        "--creds",
        "user:secret",
        "--format",
        "{{.Digest}}",
    ]);
    let there = output(skopeo.arg(format!("docker://{}/from/acme/one:1", target.address())))?;
    equal(
        "digest",
        &digest(&format!("{}/acme/one:1", sites.source.address()))?,
        &there.trim().to_owned(),
    )
}

/// A deploy of an image function, its file by hand with docker, a check of what is missing.
pub(crate) fn deploy_verify_fix(parts: &Parts) -> Outcome {
    let sites = Sites::start(parts, "deploy")?;
    let root = sites.folder.join("project");
    fs::create_dir_all(&root)?;
    fs::write(root.join("esb.toml"), "")?;
    let uri = format!("{}/acme/one:1", sites.source.address());
    let template = format!(
        "Transform: AWS::Serverless-2016-10-31\nResources:\n  Job:\n    Type: \
         AWS::Serverless::Function\n    Properties: {{PackageType: Image, FunctionName: job, \
         ImageUri: '{uri}'}}\n"
    );
    fs::write(root.join("template.yaml"), template)?;
    let esb = |arguments: &[&str]| {
        let mut command = parts.esb(&root, "sync-deploy");
        command.env("CONTAINER_REGISTRY", sites.target.address()).args(arguments);
        command
    };
    expect(&mut esb(&["deploy", "-e", "dev"]), 0)?;
    expect(&mut esb(&["image", "verify", "-e", "dev"]), 0)?;
    let config = root.join(".esb/dev/config/image-import.json");
    let file: Value = serde_json::from_slice(&fs::read(&config)?).map_err(|e| e.to_string())?;
    let text = |key: &str| file["images"][0][key].as_str().unwrap_or_default().to_owned();
    let name = text("image_ref");
    equal("digest", &digest(&name)?, &text("digest"))?;
    // The same by hand.
    for arguments in
        [["pull", "--quiet", &uri, ""], ["tag", &uri, &name, ""], ["push", "--quiet", &name, ""]]
    {
        parts
            .engine
            .output(arguments.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>())?;
    }
    // Away with it: the Agent could not pull, and the command that is named brings it back.
    let repository = name.split_once('/').map_or("", |(_, rest)| rest);
    let repository = repository.rsplit_once(':').map_or("", |(name, _)| name);
    let there = digest(&name)?;
    let target = format!("/v2/{repository}/manifests/{there}");
    let limit = std::time::Duration::from_secs(5);
    esb_test::request(sites.target.address(), "DELETE", &target, &[], &[], limit)?;
    let said = expect(&mut esb(&["image", "verify", "-e", "dev"]), 7)?;
    said.tells(&["asked by the registry", "asked by the engine", "esb image import "])?;
    let staged = ".esb/staging/esb-dev/dev/config/image-import.json";
    expect(&mut esb(&["image", "import", staged]), 0)?;
    expect(&mut esb(&["image", "verify", "-e", "dev"]), 0)?;
    // Without a network, from what was fetched.
    let layout = sites.folder.join("fetched");
    let to = format!("oci:{}", layout.display());
    expect(&mut esb(&["image", "fetch", "--to", &to]), 0)?.tells(&[])?;
    without_network(parts, &root, &sites, &to)
}

fn without_network(parts: &Parts, root: &Path, sites: &Sites, layout: &str) -> Outcome {
    let mirror = format!("{}={layout}", sites.source.address());
    let registry = sites.folder.join("inside");
    fs::create_dir_all(&registry)?;
    let config = registry.join("config.yml");
    let data = registry.join("data").display().to_string();
    fs::write(
        &config,
        format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: \"{data}\"\nhttp:\n  addr: \"127.0.0.1:5010\"\n"
        ),
    )?;
    let plain = parts.esb(root, "sync-inside");
    let script = "ip link set lo up; docker-registry serve \"$0\" >/dev/null 2>&1 & registry=$!; \
                  for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.3; \"$@\" && break; done; code=$?; \
                  kill $registry; exit $code";
    let mut command = Command::new("unshare");
    command.args(["-n", "sh", "-c", script]).arg(&config).arg(plain.get_program());
    command.args(["deploy", "-e", "inside", "--registry", "127.0.0.1:5010", "--mirror", &mirror]);
    command.current_dir(root).env_clear();
    for (name, value) in plain.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    expect(&mut command, 0).map(drop)
}
