//! The tools to compare with, each in its fastest setup: buildx with the Docker engine, buildx with
//! a `BuildKit` daemon, and crane.
//!
//! Owns how each is told to build and push the whole project, and what it must forget for a cold
//! run. Refuses to help `esb`: whatever a peer would do beside the measured work is prepared.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use esb_test::DockerEngine;
use serde_json::{Value, json};

use crate::{
    bench::{
        buildx::{Buildx, OnDaemon},
        site::Site,
        workload::name,
    },
    checks::{Outcome, Trouble},
    command::output,
    tools,
};

/// Processes that a person would run beside each other.
const AT_ONCE: usize = 4;

/// `docker buildx bake` on an engine, then `docker push`.
pub(super) struct OnEngine<'a> {
    pub(super) site: Site,
    engine: &'a DockerEngine,
    buildx: Buildx,
}

impl<'a> OnEngine<'a> {
    pub(super) fn new(site: Site, engine: &'a DockerEngine, work: &Path) -> Outcome<Self> {
        site.esb(&["build"])?;
        let buildx = Buildx::new(&work.join("buildx-engine"))?;
        Ok(Self { site, engine, buildx })
    }

    pub(super) fn reset(&mut self) -> Outcome {
        self.site.reset()?;
        forget_images(self.engine, &self.site)
    }

    pub(super) fn run(&self) -> Outcome {
        let file = bake_file(&self.site, &json!(["type=docker"]), false)?;
        let mut bake = self.engine.docker();
        self.buildx.bake(&mut bake, &file);
        output(&mut bake)?;
        each(self.site.project.functions, |number| {
            let mut push = self.engine.docker();
            output(push.args(["push", "--quiet", &image(&self.site, number)])).map(drop)
        })
    }
}

/// Takes every image but the base from an engine, and what it has built.
pub(super) fn forget_images(engine: &DockerEngine, site: &Site) -> Outcome {
    engine.output(["builder", "prune", "--all", "--force"])?;
    let images = engine.output(["images", "--format", "{{.Repository}}:{{.Tag}}"])?;
    let prefix = format!("{}/", site.address());
    // Bases that were pulled by digest have no tag, and stay.
    let of_site = |image: &&str| {
        image.starts_with(&prefix) && *image != site.base() && !image.ends_with(":<none>")
    };
    let names: Vec<&str> = images.lines().filter(of_site).collect();
    if !names.is_empty() {
        engine.output(["rmi", "--force"].into_iter().chain(names))?;
    }
    engine.output(["pull", "--quiet", &site.base()])?;
    Ok(())
}

/// `docker buildx bake` on a daemon that pushes by itself.
pub(super) struct OnBuildkit {
    pub(super) site: Site,
    daemon: OnDaemon,
}

impl OnBuildkit {
    pub(super) fn new(site: Site, docker: PathBuf, work: &Path) -> Outcome<Self> {
        site.esb(&["build"])?;
        let mut peer = Self { site, daemon: OnDaemon::new(docker, &work.join("buildkit"))? };
        peer.forget()?;
        Ok(peer)
    }

    pub(super) fn reset(&mut self) -> Outcome {
        self.site.reset()?;
        self.forget()
    }

    /// Starts a daemon that knows nothing.
    pub(super) fn forget(&mut self) -> Outcome {
        self.daemon.renew()
    }

    /// Builds and pushes; with `cache`, what the registry holds of an earlier build is used.
    pub(super) fn run(&self, cache: bool) -> Outcome {
        let push = json!(["type=registry,registry.insecure=true"]);
        self.daemon.bake(&bake_file(&self.site, &push, cache)?)
    }
}

/// `crane append`, four at a time.
pub(super) struct Crane {
    pub(super) site: Site,
    program: PathBuf,
    archives: PathBuf,
}

impl Crane {
    pub(super) fn new(site: Site, work: &Path) -> Outcome<Self> {
        let archives = work.join("archives");
        site.project.archives(&archives)?;
        Ok(Self { site, program: tools::crane()?, archives })
    }

    /// The archive of a function that was edited.
    pub(super) fn archive(&self, number: usize) -> Outcome {
        self.site.project.archive(&self.archives, number)
    }

    pub(super) fn run(&self) -> Outcome {
        let layer = self.archives.join("layer.tar");
        each(self.site.project.functions, |number| {
            let mut append = Command::new(&self.program);
            append.args(["append", "--base", &self.site.base(), "--new_tag"]);
            append.arg(image(&self.site, number)).arg("--new_layer").arg(&layer);
            append.arg("--new_layer").arg(self.archives.join(format!("{}.tar", name(number))));
            output(&mut append).map(drop)
        })
    }
}

fn image(site: &Site, number: usize) -> String {
    format!("{}/peer-{}:latest", site.address(), name(number).to_lowercase())
}

/// One target for each function, from the Dockerfiles that `esb` wrote.
fn bake_file(site: &Site, outputs: &Value, cache: bool) -> Outcome<PathBuf> {
    let numbers = 0..site.project.functions;
    let target = |number: usize| {
        let function = name(number);
        let mut target = json!({
            "context": site.project.root,
            "dockerfile": format!(".esb/dev/functions/{function}/Dockerfile"),
            "tags": [image(site, number)],
            "output": outputs,
        });
        if cache {
            let reference = format!("{}-cache", image(site, number));
            let insecure = "registry.insecure=true";
            target["cache-from"] = json!([format!("type=registry,ref={reference},{insecure}")]);
            target["cache-to"] =
                json!([format!("type=registry,ref={reference},mode=max,{insecure}")]);
        }
        (function, target)
    };
    let targets: serde_json::Map<String, Value> = numbers.clone().map(target).collect();
    let names: Vec<String> = numbers.map(name).collect();
    let file = site.project.root.join(".esb/bake.json");
    let document = json!({"group": {"default": {"targets": names}}, "target": targets});
    fs::write(&file, document.to_string())?;
    Ok(file)
}

/// Does the work of each number, several at a time; the first trouble is told.
fn each(count: usize, work: impl Fn(usize) -> Outcome + Sync) -> Outcome {
    let (next, first) = (AtomicUsize::new(0), Mutex::new(None::<Trouble>));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    if number >= count {
                        return;
                    }
                    if let Err(trouble) = work(number) {
                        next.store(count, Ordering::SeqCst);
                        if let Ok(mut first) = first.lock() {
                            first.get_or_insert(trouble);
                        }
                    }
                }
            });
        }
    });
    first.into_inner().ok().flatten().map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_worked_on_once_and_trouble_is_told() {
        let seen = Mutex::new(Vec::new());
        each(9, |number| {
            seen.lock().unwrap().push(number);
            Ok(())
        })
        .unwrap();
        let mut seen = seen.into_inner().unwrap();
        seen.sort_unstable();
        assert_eq!(seen, (0..9).collect::<Vec<_>>());
        let trouble = each(9, |number| if number == 5 { Err("five".into()) } else { Ok(()) });
        assert!(matches!(trouble, Err(Trouble::Failed(text)) if text == "five"));
    }
}
