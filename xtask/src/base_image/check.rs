//! Checks that a stand-in behaves as AWS's image does.
//!
//! Owns one container with one handler, invoked once through the interface emulator. Refuses to
//! check what our own images add: that is e2e's part.

use super::{Error, version::Version};
use crate::steps::Steps;
use esb_test::{DockerEngine, ensure_packages, find_program, request};
use serde_json::{Value, json};
use std::{
    env, fs,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

const HANDLER: &str = include_str!("files/check_handler.py");
const HOOK: &str = "import os\nos.environ[\"STAND_IN_HOOK\"] = \"ran\"\n";
const INVOCATIONS: &str = "/2015-03-31/functions/function/invocations";
const EVENT: &str = r#"{"word":"héllo"}"#;
const READY: Duration = Duration::from_secs(30);
const ANSWER: Duration = Duration::from_secs(30);

/// Loads the stand-in in `dir` into an engine, runs a handler on it and compares what it sees.
pub(super) fn check(version: Version, dir: &Path, steps: &mut Steps) -> Result<(), Error> {
    let parent = dir.parent().unwrap_or(Path::new("."));
    let work = tempfile::Builder::new().prefix(".check-").tempdir_in(parent);
    let work = work.map_err(Error::file("make folder below", parent))?;
    let host = env::var("DOCKER_HOST").unwrap_or_else(|_| DockerEngine::DEFAULT_HOST.to_owned());
    let engine = steps.step("a Docker engine", || match DockerEngine::existing(&host) {
        Ok(engine) => Ok(engine),
        Err(_) => DockerEngine::start(&work.path().join("engine")),
    })?;
    let image = format!("esb-stand-in/python:{}", version.name());
    steps.step("stand-in into the engine", || load(&engine, dir, work.path(), &image))?;
    let answer = steps.step("handler invoked", || invoke(&engine, version, work.path(), &image));
    engine.output(["image", "rm", "--force", &image])?;
    let answer = answer?;
    let wanted = wanted(version);
    if answer == wanted {
        return Ok(());
    }
    Err(Error::Differs { wanted: wanted.to_string(), got: answer.to_string() })
}

fn load(engine: &DockerEngine, dir: &Path, work: &Path, image: &str) -> Result<(), Error> {
    if find_program("skopeo").is_none() {
        ensure_packages(&["skopeo"])?;
    }
    let archive = work.join("image.tar");
    let mut skopeo = Command::new("skopeo");
    skopeo.args(["--insecure-policy", "copy", "--quiet"]).args([
        format!("oci:{}", dir.display()),
        format!("docker-archive:{}:{image}", archive.display()),
    ]);
    super::rootfs::output(&mut skopeo)?;
    engine.output(["load", "--quiet", "--input", &archive.to_string_lossy()])?;
    Ok(())
}

fn invoke(
    engine: &DockerEngine,
    version: Version,
    work: &Path,
    image: &str,
) -> Result<Value, Error> {
    let (task, hook) = (work.join("task"), work.join("sitecustomize.py"));
    fs::create_dir(&task).map_err(Error::file("make folder", &task))?;
    let handler = task.join("check_handler.py");
    fs::write(&handler, HANDLER).map_err(Error::file("write", &handler))?;
    fs::write(&hook, HOOK).map_err(Error::file("write", &hook))?;
    let work = work.canonicalize().map_err(Error::file("find", work))?;
    let volumes = [
        format!("{}:/var/task:ro", work.join("task").display()),
        format!(
            "{}:/var/lang/lib/python{}/site-packages/sitecustomize.py:ro",
            work.join("sitecustomize.py").display(),
            version.name()
        ),
    ];
    let id = engine.output([
        "run",
        "--detach",
        "--publish=127.0.0.1::8080",
        "--volume",
        &volumes[0],
        "--volume",
        &volumes[1],
        image,
        "check_handler.handler",
    ])?;
    let answer = ask(engine, &id);
    let log = engine.output(["logs", &id]).unwrap_or_default();
    engine.output(["rm", "--force", &id])?;
    let text = answer?;
    serde_json::from_str(&text).map_err(|_| Error::Differs {
        wanted: "JSON".to_owned(),
        got: format!("{} (log: {})", text.escape_debug(), log.escape_debug()),
    })
}

fn ask(engine: &DockerEngine, id: &str) -> Result<String, Error> {
    let address = engine.output(["port", id, "8080/tcp"])?;
    let address = address.lines().next().unwrap_or_default();
    let start = Instant::now();
    loop {
        // The port is open before anyone listens behind it.
        match request(address, "POST", INVOCATIONS, &[], EVENT.as_bytes(), ANSWER) {
            Ok(response) => return Ok(response.text()),
            Err(error) if start.elapsed() > READY => return Err(error.into()),
            Err(_) => thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// What a function sees on AWS's image.
fn wanted(version: Version) -> Value {
    let version = version.name();
    let library = format!("/var/lang/lib/python{version}");
    let packages = format!("/opt/python/lib/python{version}/site-packages");
    let zipped = format!("/var/lang/lib/python{}.zip", version.replace('.', ""));
    json!({
        "event": { "word": "héllo" },
        "hook": "ran",
        "version": version,
        "prefix": "/var/lang",
        "path": [
            "/var/task",
            packages,
            "/opt/python",
            "/var/runtime",
            zipped,
            library,
            format!("{library}/lib-dynload"),
            format!("{library}/site-packages"),
        ],
        "folder": "/var/task",
        "bucket": "https://s3.eu-west-1.amazonaws.com",
        "function": true,
    })
}
