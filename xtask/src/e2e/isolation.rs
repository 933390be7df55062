//! Checks that environments and projects on one registry, brands, and secrets are isolated from
//! each other.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use super::{
    parts::{Parts, expect},
    small_project::{SmallProject, exist, images},
};
use crate::checks::{Outcome, Trouble};

/// Two environments and two projects have a function of the same name on one registry: a deploy of
/// one changes no reference, no digest and no file of the others.
pub(crate) fn environments_and_projects(parts: &Parts) -> Outcome {
    let first = SmallProject::new(parts, "first", "small")?;
    let second = SmallProject::new(parts, "second", "small")?;
    first.write("template.yaml", &["A"], "first, dev")?;
    first.deployed(&["--config-to", "none"])?;
    let file = first.staging().join("functions.yml");
    let text = fs::read(&file)?;
    let before = digests(&first.staging())?;
    first.write("template.yaml", &["A"], "first, prod")?;
    let mut other = parts.esb_to_registry(&first.root, "small");
    expect(other.args(["deploy", "-e", "prod", "--config-to", "none"]), 0)?;
    second.write("template.yaml", &["A"], "second, dev")?;
    second.deployed(&["--config-to", "none"])?;
    if fs::read(&file)? != text || digests(&first.staging())? != before {
        return Err("a deploy changed what another environment or project published".into());
    }
    exist(images(&first.staging())?)
}

/// The references of a folder with the digests that they lead to now.
fn digests(folder: &Path) -> Outcome<Vec<(String, Option<String>)>> {
    let mut digests = Vec::new();
    for image in images(folder)? {
        let (registry, rest) = image.split_once('/').ok_or("an image without a registry")?;
        let (name, tag) = rest.rsplit_once(':').ok_or("an image without a tag")?;
        let accept = [("Accept", "application/vnd.oci.image.manifest.v1+json")];
        let target = format!("/v2/{name}/manifests/{tag}");
        let limit = Duration::from_secs(10);
        let answer = esb_test::request(registry, "HEAD", &target, &accept, &[], limit)?;
        digests.push((image.clone(), answer.header("docker-content-digest").map(str::to_owned)));
    }
    Ok(digests)
}

/// Under another brand nothing that is written carries the default one.
pub(crate) fn brands(parts: &Parts) -> Outcome {
    let small = SmallProject::new(parts, "branded", "branded")?;
    small.write("template.yaml", &["A"], "branded")?;
    let mut command = parts.esb_to_registry(&small.root, "branded");
    command
        .env("ACME_CACHE_DIR", parts.work.join("caches/branded"))
        .env("ACME_MIRRORS", parts.mirrors.join(","))
        .args(["deploy", "-e", "dev", "--brand", "Acme", "--config-to", "none"]);
    expect(&mut command, 0)?;
    if small.root.join(".esb").exists() {
        return Err("there is a folder .esb".into());
    }
    let folder = small.root.join(".acme");
    let mut wrong = Vec::new();
    for path in files(&folder)? {
        let below = path.strip_prefix(&folder).unwrap_or(&path).display().to_string();
        // The hooks know their own project by name, in comments.
        let is_ours = !below.starts_with("dev/base/") || below.ends_with("Dockerfile");
        let text = String::from_utf8_lossy(&fs::read(&path)?).to_lowercase();
        if is_ours && (text.contains("esb") || below.contains("esb")) {
            wrong.push(below);
        }
    }
    let staging = folder.join("staging/acme-dev/dev/config");
    for image in images(&staging)? {
        parts.engine.output(["pull", "--quiet", &image])?;
        let labels =
            parts.engine.output(["inspect", "--format", "{{json .Config.Labels}}", &image])?;
        if labels.contains("esb") || !labels.contains("com.acme.managed") {
            wrong.push(format!("{image}: {labels}"));
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Trouble::Failed(format!("the default brand is in {}", wrong.join(", "))))
}

const SECRET: &str = "s3cr3t-value-of-a-parameter";

const TEMPLATE: &str = "Transform: AWS::Serverless-2016-10-31
Parameters:
  Password: {Type: String, NoEcho: true}
Resources:
  A:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: a
      Runtime: python3.13
      Handler: app.handler
      CodeUri: code/a/
      Environment: {Variables: {PASSWORD: !Ref Password}}
";

/// The value of a `NoEcho` parameter reaches functions.yml and nothing else; with `--secret-env`
/// not even that.
pub(crate) fn secrets(parts: &Parts) -> Outcome {
    let small = SmallProject::new(parts, "secret", "secret")?;
    small.write("template.yaml", &["A"], "secret")?;
    fs::write(small.root.join("template.yaml"), TEMPLATE)?;
    let deploy = |arguments: &[&str]| -> Command {
        let mut command = parts.esb_to_registry(&small.root, "secret");
        command
            .env("ESB_PARAM_Password", SECRET)
            .args(["deploy", "-e", "dev", "--config-to", "none", "-vv"])
            .args(arguments);
        command
    };
    let holders = |said: &super::parts::Said| -> Outcome<Vec<PathBuf>> {
        if said.stdout.contains(SECRET) || said.stderr.contains(SECRET) {
            return Err("the secret was printed".into());
        }
        let mut holders = Vec::new();
        for root in [&small.root, &parts.work.join("caches/secret")] {
            for path in files(root)? {
                let bytes = fs::read(&path)?;
                if bytes.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()) {
                    holders.push(path);
                }
            }
        }
        Ok(holders)
    };
    let said = in_no_arguments(|| expect(&mut deploy(&[]), 0))?;
    said.tells(&["--secret-env"])?;
    let found = holders(&said)?;
    let is_expected = |path: &PathBuf| path.file_name().is_some_and(|name| name == "functions.yml");
    if found.is_empty() || !found.iter().all(is_expected) {
        return Err(Trouble::Failed(format!("the secret is in {found:?}")));
    }
    expect(&mut deploy(&["--dry-run"]), 0).and_then(|said| holders(&said))?;
    let said = expect(&mut deploy(&["--secret-env", "a.PASSWORD"]), 0)?;
    let found = holders(&said)?;
    if found.is_empty() {
        return Ok(());
    }
    Err(Trouble::Failed(format!("with `--secret-env` the secret is in {found:?}")))
}

/// Does the work, while the arguments of all processes are looked at again and again.
fn in_no_arguments<T>(work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let (mut looks, mut seen) = (0, false);
            while !done.load(Ordering::Relaxed) {
                seen |= in_arguments(SECRET);
                looks += 1;
                thread::sleep(Duration::from_millis(2));
            }
            (looks, seen)
        });
        let result = work();
        done.store(true, Ordering::Relaxed);
        match watch.join() {
            Ok((1.., false)) => result,
            Ok((_, true)) => Err("the secret is among the arguments of a process".into()),
            _ => Err("nobody looked at the arguments of processes".into()),
        }
    })
}

/// Whether a text is among the arguments of any process.
fn in_arguments(text: &str) -> bool {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut arguments = processes.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    arguments.any(|bytes| bytes.windows(text.len()).any(|part| part == text.as_bytes()))
}

/// All regular files below a folder.
fn files(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                open.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    Ok(found)
}
