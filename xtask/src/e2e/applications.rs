//! Applications on one platform: no application removes or takes over entries of another; and a
//! Gateway that reads the staging folder itself.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    parts::{Parts, expect},
    small_project::{SmallProject, dead_routes, exist, images},
};
use crate::{
    checks::{Outcome, Trouble, chain},
    command::words,
};

/// Where the platform's files lie, and what deploys into it.
struct Platform {
    folder: PathBuf,
    to: String,
}

impl Platform {
    fn new(parts: &Parts, name: &str) -> Outcome<Self> {
        let folder = parts.work.join("small").join(name).join("gateway");
        fs::create_dir_all(&folder)?;
        let to = folder.display().to_string();
        Ok(Self { folder, to })
    }

    fn deploys(&self, small: &SmallProject<'_>, more: &[&str]) -> Outcome<serde_json::Value> {
        small.deployed(&[&["--config-to", &*self.to], more].concat())
    }

    /// Deploys, which is refused with these words; nothing that is published changes.
    fn refuses(&self, small: &SmallProject<'_>, words: &[&str]) -> Outcome {
        let before = self.texts()?;
        expect(&mut small.deploy(&["--config-to", &self.to]), 1)?.tells(words)?;
        if self.texts()? == before {
            return Ok(());
        }
        Err("a refused deploy changed what is published".into())
    }

    fn texts(&self) -> Outcome<Vec<Vec<u8>>> {
        let names = ["functions.yml", "routing.yml", "resources.yml", "state.json"];
        Ok(names.iter().map(|name| fs::read(self.folder.join(name))).collect::<Result<_, _>>()?)
    }

    /// Fails unless these functions are published, each with its image and its route.
    fn has(&self, functions: &[&str]) -> Outcome {
        let published = esb_config::read(&self.folder).map_err(|error| chain(&error))?.config;
        let found: BTreeSet<&str> =
            published.functions.functions.keys().map(String::as_str).collect();
        let routed: BTreeSet<&str> =
            published.routing.routes.iter().map(|route| &*route.function).collect();
        let wanted: BTreeSet<&str> = functions.iter().copied().collect();
        if found != wanted || routed != wanted || !dead_routes(&self.folder)?.is_empty() {
            let text = format!("published are {found:?} with routes to {routed:?}, not {wanted:?}");
            return Err(Trouble::Failed(text));
        }
        exist(images(&self.folder)?)
    }
}

/// A project as `sam init` makes it: a template of the usual name, and a stack's name.
fn of_sam_init<'a>(
    parts: &'a Parts,
    name: &str,
    stack: &str,
    functions: &[&str],
) -> Outcome<SmallProject<'a>> {
    let small = SmallProject::new(parts, name, "small")?;
    let text = format!("version = 0.1\n\n[default.global.parameters]\nstack_name = \"{stack}\"\n");
    fs::write(small.root.join("samconfig.toml"), text)?;
    small.write("template.yaml", functions, name)?;
    Ok(small)
}

/// Projects of `sam init` with the same template path deploy into one platform.
pub(crate) fn two_on_one_platform(parts: &Parts) -> Outcome {
    let platform = Platform::new(parts, "platform")?;
    let one = of_sam_init(parts, "one/sam-app", "sam-app", &["A", "B"])?;
    platform.deploys(&one, &[])?;
    platform.has(&["a", "b"])?;

    // The same name, other functions.
    let two = of_sam_init(parts, "two/sam-app", "sam-app", &["C"])?;
    platform.refuses(&two, &["function `a`", "function `c`", "--adopt", "application ="])?;
    fs::write(two.root.join("esb.toml"), "application = \"two\"\n")?;
    platform.deploys(&two, &[])?;
    platform.has(&["a", "b", "c"])?;

    // Another name, the same function.
    let three = of_sam_init(parts, "three", "three", &["B", "D"])?;
    platform.refuses(&three, &["`three:template.yaml`", "`sam-app:template.yaml`", "--adopt"])?;
    platform.deploys(&three, &["--adopt"])?;
    platform.has(&["a", "b", "c", "d"])?;
    platform.refuses(&one, &["`sam-app:template.yaml`", "`three:template.yaml`"])?;

    // What a template no longer has goes, and only that.
    one.write("template.yaml", &["A"], "one")?;
    platform.deploys(&one, &[])?;
    three.write("template.yaml", &["D"], "three")?;
    platform.deploys(&three, &[])?;
    platform.has(&["a", "c", "d"])
}

/// The place is the run's own staging, by every kind of name: no deploy waits for its own lock.
pub(crate) fn staging_is_read(parts: &Parts) -> Outcome {
    let small = of_sam_init(parts, "staged", "staged", &["A"])?;
    let staging = small.staging();
    let deploy = |place: &str| {
        let mut command = small.deploy(&[]);
        command.env("CONFIG_DIR", place).env("ESB_LOCK_WAIT", "0");
        command
    };
    let linked = small.root.join("linked");
    std::os::unix::fs::symlink(&staging, &linked)?;
    for place in [".esb/staging/esb-dev/dev/config", "linked", &*staging.display().to_string()] {
        let said = expect(&mut deploy(place), 0)?.json()?;
        if !said["config"]["delivered"].is_string() {
            return Err(Trouble::Failed(format!("{place} is not delivered to: {said:#}")));
        }
    }
    mounted_twice(&small, &staging, &deploy("mounted"))?;
    gateway_reads(parts, &small, &staging)
}

/// A bind mount of it, in a mount namespace of its own.
fn mounted_twice(small: &SmallProject<'_>, staging: &Path, deploy: &Command) -> Outcome {
    let mounted = small.root.join("mounted");
    fs::create_dir_all(&mounted)?;
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", "mount --bind \"$0\" \"$1\" && shift && exec \"$@\""])
        .args([staging, &mounted])
        .arg(deploy.get_program())
        .args(deploy.get_args())
        .current_dir(&small.root)
        .env_clear()
        .envs(deploy.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let said = expect(&mut command, 0)?.json()?;
    if said["config"]["delivered"] == "mounted" && fs::read_dir(&mounted)?.next().is_none() {
        return Ok(());
    }
    Err(Trouble::Failed(format!("{} delivered wrongly: {said:#}", words(&command))))
}

/// The Gateway's container has staging mounted, as `CONFIG_DIR` of its compose file says.
fn gateway_reads(parts: &Parts, small: &SmallProject<'_>, staging: &Path) -> Outcome {
    let image = images(staging)?.pop_first().ok_or("no image is published")?;
    parts.engine.output(["pull", "--quiet", &image])?;
    let mount = format!("{}:/app/runtime-config", staging.display());
    let labels = ["com.docker.compose.project=esb-dev", "com.docker.compose.service=gateway"];
    let mut run = vec!["run", "--detach", "--name", "esb-dev-gateway", "--volume", &mount];
    run.extend(labels.iter().flat_map(|label| ["--label", *label]));
    run.extend(["--entrypoint", "sleep", &image, "600"]);
    parts.engine.output(run)?;
    let result = (|| {
        small.write("template.yaml", &["A", "B"], "read by a Gateway")?;
        let said = expect(small.deploy(&[]).env("ESB_LOCK_WAIT", "0"), 0)?.json()?;
        let text = parts.engine.output([
            "exec",
            "esb-dev-gateway",
            "cat",
            "/app/runtime-config/functions.yml",
        ])?;
        if said["config"]["delivered"].is_string() && text.contains("\"b\":") {
            return Ok(());
        }
        Err(Trouble::Failed(format!("the Gateway reads\n{text}\nafter {said:#}")))
    })();
    parts.engine.output(["rm", "--force", "esb-dev-gateway"])?;
    result
}
