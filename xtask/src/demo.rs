//! `demo`: deploys the quickstart with the embedded engine, on a machine without a registry and
//! without base images.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use esb_test::DockerEngine;

use crate::{
    base_image::Version,
    bases,
    checks::{Checks, Outcome, Trouble},
    command::{cargo, command, output, root, run, target},
    steps::say,
};

/// What a person who starts it has to know.
const PLAN: &str = "\
The demo builds esb, deploys fixtures/quickstart into an OCI layout without a Docker daemon, and, where
a Docker engine is there or can be started, invokes one of its functions. Four steps:
  1. build esb as a release: 3 to 6 minutes the first time, seconds later
  2. get AWS's base image, or make a stand-in from Debian and Python packages: up to 2 minutes, once
  3. esb deploy: a second
  4. esb invoke: a few seconds, and 1 minute more the first time where an engine has to be installed
Everything that it makes lies below `target`.
";

/// The function that is invoked.
const FUNCTION: &str = "GetOrderFunction";

/// Deploys the quickstart into an OCI layout and, where an engine is there, invokes a function.
pub(crate) fn demo() -> bool {
    let start = Instant::now();
    let mut checks = Checks::default();
    say(PLAN);
    say("1. cargo build --release --package esb-cli");
    let esb = checks.run("build esb (release)", build);
    say("2. AWS's base image of Python 3.13");
    let mirrors = checks.run("AWS base image", || bases::mirrors(&[Version::Python313]));
    if let (Some(esb), Some(mirrors)) = (esb, mirrors) {
        let demo = Demo { esb, mirrors, project: root().join("fixtures/quickstart") };
        say("3. esb deploy");
        let deployed = checks.run("esb deploy (embedded engine, OCI layout)", || demo.deploy());
        if deployed.is_some() {
            checks.run("what was written", || demo.tree());
            say("4. esb invoke");
            let engine = checks.run("container engine", engine);
            if let Some(engine) = engine {
                checks.run(&format!("esb invoke {FUNCTION}"), || demo.invoke(&engine));
            }
        }
    }
    say(&format!("demo took {:.1} s", start.elapsed().as_secs_f64()));
    checks.finish("demo")
}

/// Builds esb; cargo shows how far it is.
fn build() -> Outcome<PathBuf> {
    run(cargo().args(["build", "--release", "--package", "esb-cli"]))?;
    Ok(target().join("release/esb"))
}

struct Demo {
    esb: PathBuf,
    mirrors: Vec<String>,
    project: PathBuf,
}

impl Demo {
    fn esb(&self) -> Command {
        let mut esb = command(&self.esb);
        esb.env("ESB_CACHE_DIR", target().join("demo/cache"))
            .env("ESB_MIRRORS", self.mirrors.join(","))
            .env_remove("CONTAINER_REGISTRY")
            .env_remove("CONFIG_DIR");
        esb
    }

    fn deploy(&self) -> Outcome {
        let template = self.project.join("template.yaml");
        let mut esb = self.esb();
        // Stand-ins of the base image may be others than last time.
        esb.args(["deploy", "--env", "dev", "--to", "oci", "--update-lock", "--template"])
            .arg(template);
        say(&format!("$ {}", crate::command::words(&esb).trim_matches('`')));
        run(&mut esb)
    }

    /// Prints the generated files; blobs and stores are counted.
    fn tree(&self) -> Outcome {
        let folder = self.project.join(".esb/dev");
        say(&folder.display().to_string());
        print_tree(&folder, 1)?;
        say(&fs::read_to_string(folder.join("config/functions.yml"))?);
        Ok(())
    }

    fn invoke(&self, engine: &DockerEngine) -> Outcome {
        let event = self.project.join(format!("events/{FUNCTION}.json"));
        let template = self.project.join("template.yaml");
        let mut esb = self.esb();
        esb.env("DOCKER_HOST", engine.host())
            .args(["invoke", FUNCTION, "--env", "dev", "--template"])
            .arg(template)
            .arg("--event")
            .arg(&event);
        let response = output(&mut esb)?;
        say(&format!("response: {}", response.trim_end()));
        let parse = |text: &str| {
            serde_json::from_str::<serde_json::Value>(text).map_err(|error| error.to_string())
        };
        let expected = self.project.join(format!("expected/{FUNCTION}.json"));
        if parse(&response)? == parse(&fs::read_to_string(expected)?)? {
            return Ok(());
        }
        Err(Trouble::Failed("that is not the expected response".to_owned()))
    }
}

/// An engine of this machine, else one of our own where it can be had.
fn engine() -> Outcome<DockerEngine> {
    let host = std::env::var("DOCKER_HOST");
    let host = host.unwrap_or_else(|_| DockerEngine::DEFAULT_HOST.to_owned());
    if let Ok(engine) = DockerEngine::existing(&host) {
        return Ok(engine);
    }
    Ok(DockerEngine::start(&target().join("demo/engine"))?)
}

fn print_tree(folder: &Path, depth: usize) -> Outcome {
    let mut entries: Vec<_> = fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    let indent = "  ".repeat(depth);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = entry.path();
        if !path.is_dir() {
            say(&format!("{indent}{name}  {} bytes", entry.metadata()?.len()));
        } else if depth >= 3 || name == "blobs" {
            say(&format!("{indent}{name}/  {} files", count(&path)?));
        } else {
            say(&format!("{indent}{name}/"));
            print_tree(&path, depth + 1)?;
        }
    }
    Ok(())
}

fn count(folder: &Path) -> Outcome<usize> {
    let mut files = 0;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        files += if path.is_dir() { count(&path)? } else { 1 };
    }
    Ok(files)
}
