//! How often the layers of a base are fetched: once where an output needs them, else never.

use std::{collections::BTreeMap, process::Command};

use esb_test::{LoggingProxy, Registry};

use super::{
    parts::{Parts, expect},
    small::Small,
};
use crate::{
    checks::{Outcome, Trouble},
    command::run,
};

/// Where the base lies in the registry.
const REPOSITORY: &str = "lambda/python";

/// Two functions on an empty cache: into a layout, into engine and layout, into a registry that knows
/// nothing of ours, and again into it, now that it has our base image, whose index travels with it.
pub(crate) fn once_or_never(parts: &Parts) -> Outcome {
    let stand_in = parts.mirrors.iter().find_map(|mirror| mirror.split_once("=oci:"));
    let Some((host, layout)) = stand_in else {
        return Ok(()); // the base is the real one, whose registry nobody can watch
    };
    // One of its own: in the one of all checks, an earlier check's base image has an index for us.
    let registry = Registry::start(&parts.work.join("base-reads-registry"))?;
    let proxy = LoggingProxy::start(registry.address())?;
    run(Command::new("skopeo")
        .args(["--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"])
        .arg(format!("oci:{layout}:{REPOSITORY}:3.13"))
        .arg(format!("docker://{}/{REPOSITORY}:3.13", registry.address())))?;
    let mirror = format!("{host}={}", proxy.address());
    let small = Small::new(parts, "base-reads", "base-reads")?;
    small.write("template.yaml", &["A", "B"], "one")?;
    let build = |cache: &str, to: &[&str]| {
        proxy.clear();
        let mut command = parts.esb_to_registry(&small.root, cache);
        command.env("ESB_MIRRORS", &mirror).env("CONTAINER_REGISTRY", registry.address());
        command.args(["build", "-e", "dev", "--quiet"]);
        expect(command.args(to), 0)?;
        Ok::<_, Trouble>(fetched(&proxy))
    };
    let once = |what: &str, fetched: &BTreeMap<String, usize>| match fetched.len() {
        0 | 1 => Err(Trouble::Failed(format!("{what}: no layer of the base was fetched"))),
        _ if fetched.values().all(|times| *times == 1) => Ok(()),
        _ => Err(Trouble::Failed(format!("{what}: not each blob once: {fetched:#?}"))),
    };
    once("layout", &build("base-reads-layout", &["--to", "oci:images"])?)?;
    let both = build("base-reads-both", &["--to", "docker", "--to", "oci:both"])?;
    once("engine and layout", &both)?;
    once("registry, made anew", &build("base-reads-first", &["--to", "registry"])?)?;
    small.write("template.yaml", &["A", "B"], "two")?;
    let cold = build("base-reads-cold", &["--to", "registry"])?;
    if cold.len() > 1 {
        return Err(Trouble::Failed(format!("more than the base's config was read: {cold:#?}")));
    }
    Ok(())
}

/// The blobs of the base that were asked for, and how often.
fn fetched(proxy: &LoggingProxy) -> BTreeMap<String, usize> {
    let blobs = format!("/v2/{REPOSITORY}/blobs/sha256:");
    let mut times = BTreeMap::new();
    for asked in proxy.requests() {
        if let Some(digest) = asked.target.strip_prefix(&blobs).filter(|_| asked.method == "GET") {
            *times.entry(digest.to_owned()).or_default() += 1;
        }
    }
    times
}
