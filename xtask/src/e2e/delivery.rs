//! Delivery to where a Gateway reads: readers during many deploys, and a container with a volume.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    parts::{Parts, expect},
    small_project::{SmallProject, exist},
};
use crate::{
    checks::{Outcome, Trouble},
    command::root,
    python,
};

const FOLDER: &str = "/app/runtime-config";
const LIMIT: Duration = Duration::from_secs(30);

/// A reader on this machine watches deploys into a folder.
pub(crate) fn folder_is_watched(parts: &Parts) -> Outcome {
    let small = SmallProject::new(parts, "watched", "small")?;
    let folder = small.root.join("gateway");
    small.write("template.yaml", &["A", "B"], "first")?;
    small.deployed(&["--config-to", &text(&folder)])?;
    let python = python::environment("pyyaml", "xtask/tools/read_config.requirements.txt")?;
    let log = small.root.join("watched.jsonl");
    let mut watcher = Watcher(
        Command::new(python)
            .arg(root().join("xtask/tools/watch_config.py"))
            .args([&folder, &small.root])
            .stdout(fs::File::create(&log)?)
            .spawn()?,
    );
    wait(|| Ok(fs::read_to_string(&log)?.contains("started")))?;
    many_deploys(&small, 50, &["--config-to", &text(&folder)])?;
    fs::write(small.root.join("stop"), "")?;
    watcher.0.wait()?;
    states(&fs::read_to_string(&log)?, 50)
}

/// A Gateway's container with a named volume is found by its labels; a reader inside watches.
pub(crate) fn volume_is_watched(parts: &Parts) -> Outcome {
    let small = SmallProject::new(parts, "volume", "small")?;
    small.write("template.yaml", &["A", "B"], "first")?;
    let first = small.deployed(&["--config-to", "none"])?;
    let image = image_of(&first, "A")?;
    parts.engine.output(["pull", "--quiet", &image])?;
    gateway(parts, &image, &["--volume", "esb-runtime-config:/app/runtime-config"])?;
    let result = watch_volume(parts, &small).and_then(|()| stopped(parts, &small));
    parts.engine.output(["rm", "--force", "esb-dev-gateway"])?;
    result?;
    places(parts, &small, &image)
}

fn watch_volume(parts: &Parts, small: &SmallProject<'_>) -> Outcome {
    let logs = || -> Outcome<String> { Ok(parts.engine.output(["logs", "esb-dev-gateway"])?) };
    wait(|| Ok(logs()?.contains("started")))?;
    many_deploys(small, 20, &["--pull", "off"])?;
    parts.engine.output(["exec", "esb-dev-gateway", "touch", "/tmp/stop"])?;
    wait(|| Ok(logs()?.contains("ended")))?;
    states(&logs()?, 20)?;
    // The volume's files keep their owner and may be read by everybody.
    let listed = parts.engine.output([
        "run",
        "--rm",
        "--volumes-from",
        "esb-dev-gateway",
        "--entrypoint",
        "ls",
        &image_of_gateway(parts)?,
        "-ln",
        FOLDER,
    ])?;
    for name in ["functions.yml", "routing.yml", "state.json"] {
        let line = listed.lines().find(|line| line.ends_with(name)).ok_or(listed.clone())?;
        let words: Vec<&str> = line.split_whitespace().collect();
        if !line.starts_with("-rw-r--r--") || words.get(2..4) != Some(&["1000", "1000"]) {
            return Err(format!("{name} is {line}").into());
        }
    }
    Ok(())
}

/// A stopped Gateway gets the configuration too, for its next start.
fn stopped(parts: &Parts, small: &SmallProject<'_>) -> Outcome {
    parts.engine.output(["stop", "--time", "0", "esb-dev-gateway"])?;
    small.write("template.yaml", &["D"], "while it stands")?;
    // None of the functions is left, so the run has to say that it is the same application.
    let summary = small.deployed(&["--adopt", "--config-to", "container:esb-dev-gateway"])?;
    if summary["config"]["delivered"] != "container:esb-dev-gateway" {
        return Err(format!("{summary:#}").into());
    }
    let image = image_of_gateway(parts)?;
    let cat = ["run", "--rm", "--volumes-from", "esb-dev-gateway", "--entrypoint", "cat", &image];
    let text = parts.engine.output(cat.into_iter().chain(["/app/runtime-config/functions.yml"]))?;
    if !text.contains("\"d\":") || text.contains("\"a\":") {
        return Err(format!("the volume has\n{text}").into());
    }
    let left = parts.engine.output([
        "ps",
        "--all",
        "--quiet",
        "--filter",
        "label=com.esb.kind=delivery",
    ])?;
    if left.is_empty() { Ok(()) } else { Err(format!("left behind: {left}").into()) }
}

/// A bind mount is written directly; what cannot be written is told before the build; local names
/// are refused while a Gateway runs.
fn places(parts: &Parts, small: &SmallProject<'_>, image: &str) -> Outcome {
    let bound = small.root.join("bound");
    fs::create_dir_all(&bound)?;
    gateway(parts, image, &["--volume", &format!("{}:{FOLDER}", bound.display())])?;
    let result = (|| {
        small.write("template.yaml", &["D"], "bound")?;
        let summary = small.deployed(&[])?;
        if !bound.join("functions.yml").exists() {
            return Err(format!("the bind mount is empty: {summary:#}").into());
        }
        let mut local = parts.esb(&small.root, "small");
        local.args(["deploy", "-e", "dev", "--to", "docker"]);
        expect(&mut local, 1)?.tells(&["Gateway `esb-dev-gateway` runs", "--allow-local"])
    })();
    parts.engine.output(["rm", "--force", "esb-dev-gateway"])?;
    result?;
    gateway(parts, image, &["--volume", &format!("esb-runtime-config:{FOLDER}:ro")])?;
    small.write("template.yaml", &["A"], "may not be built")?;
    let mut refused = small.deploy(&[]);
    let said = expect(&mut refused, 9);
    parts.engine.output(["rm", "--force", "esb-dev-gateway"])?;
    let said = said?;
    said.tells(&["may only read"])?;
    if said.stderr.contains("build") && said.stderr.contains("esb-a") {
        return Err(format!("something was built first:\n{}", said.stderr).into());
    }
    Ok(())
}

/// A container as compose would start the Gateway's: labelled, with a reader inside.
fn gateway(parts: &Parts, image: &str, mount: &[&str]) -> Outcome {
    let python = python::environment("pyyaml", "xtask/tools/read_config.requirements.txt")?;
    let packages = packages(&python)?;
    let tool = root().join("xtask/tools/watch_config.py");
    let packages = format!("{}:/opt/pyyaml:ro", packages.display());
    let tool = format!("{}:/watch_config.py:ro", tool.display());
    let mut arguments = vec![
        "run",
        "--detach",
        "--name",
        "esb-dev-gateway",
        "--label",
        "com.docker.compose.project=esb-dev",
        "--label",
        "com.docker.compose.service=gateway",
        "--env",
        "PYTHONPATH=/opt/pyyaml",
        "--volume",
        &packages,
        "--volume",
        &tool,
    ];
    arguments.extend(mount);
    // The seed files of the real one, of the user that it runs as.
    let start = "cd /app/runtime-config; [ -w . ] && [ ! -e functions.yml ] && \
                 echo 'functions: {}' > functions.yml && echo 'routes: []' > routing.yml && \
                 echo 'resources: {}' > resources.yml && chown -R 1000:1000 .; \
                 exec /var/lang/bin/python3 /watch_config.py /app/runtime-config /tmp";
    arguments.extend(["--entrypoint", "sh", image, "-c", start]);
    parts.engine.output(arguments)?;
    Ok(())
}

fn image_of_gateway(parts: &Parts) -> Outcome<String> {
    Ok(parts.engine.output(["inspect", "--format", "{{.Config.Image}}", "esb-dev-gateway"])?)
}

/// The folder of packages of an environment.
fn packages(python: &Path) -> Outcome<PathBuf> {
    let lib = python.ancestors().nth(2).ok_or("an interpreter without a folder")?.join("lib");
    let version = fs::read_dir(lib)?.next().ok_or("an environment without packages")??;
    Ok(version.path().join("site-packages"))
}

/// Deploys again and again: code changes each time, functions and their routes come and go.
fn many_deploys(small: &SmallProject<'_>, count: usize, arguments: &[&str]) -> Outcome {
    for number in 0..count {
        let own: &[&str] = match number % 3 {
            0 => &["A", "B"],
            1 => &["A"],
            _ => &["A", "C"],
        };
        small.write("template.yaml", own, &format!("deploy {number}"))?;
        small.deployed(arguments)?;
    }
    Ok(())
}

/// What a reader saw: always whole files, only images that exist, and hardly a dead route.
fn states(log: &str, deploys: usize) -> Outcome {
    let lines = log.lines().map(serde_json::from_str::<Value>);
    let lines: Vec<Value> = lines.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
    if let Some(line) = lines.iter().find(|line| line["wrong"].is_string()) {
        return Err(format!("a reader met {line}").into());
    }
    let seen: Vec<&Value> = lines.iter().filter(|line| line["functions"].is_object()).collect();
    if seen.len() < deploys {
        return Err(format!("{} states of {deploys} deploys were seen", seen.len()).into());
    }
    let mut images = BTreeSet::new();
    let mut dead = 0;
    for state in &seen {
        let functions = state["functions"].as_object().ok_or("no functions")?;
        images.extend(functions.values().filter_map(|image| image.as_str().map(str::to_owned)));
        let mut routes = state["routes"].as_object().into_iter().flatten();
        let is_dead = routes.any(|(_, name)| !functions.contains_key(name.as_str().unwrap_or("")));
        // For one look at most: two in a row would be a state that lasts.
        dead = if is_dead { dead + 1 } else { 0 };
        if dead > 1 {
            return Err(format!("a route without its function lasts: {state}").into());
        }
    }
    exist(images)?;
    let last = seen.last().and_then(|state| state["functions"].as_object());
    let names: Vec<&str> = last.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    // The reader knows the last deploy, whose modification times it had to notice.
    let expected: &[&str] = match (deploys - 1) % 3 {
        0 => &["a", "b"],
        1 => &["a"],
        _ => &["a", "c"],
    };
    if names == expected {
        return Ok(());
    }
    Err(format!("the reader's last state has {names:?}, not {expected:?}").into())
}

/// The reference of a function's image in a summary.
pub(super) fn image_of(summary: &Value, function: &str) -> Outcome<String> {
    let mut images = summary["images"].as_array().into_iter().flatten();
    let image = images.find(|image| image["function"] == function);
    let reference = image.and_then(|image| image["reference"].as_str());
    Ok(reference.ok_or_else(|| format!("no image of `{function}` in {summary}"))?.to_owned())
}

struct Watcher(Child);

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(super) fn wait(mut ready: impl FnMut() -> Outcome<bool>) -> Outcome {
    let start = Instant::now();
    while !ready()? {
        if start.elapsed() > LIMIT {
            return Err(Trouble::Failed("it did not get ready".to_owned()));
        }
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
