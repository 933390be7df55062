//! Builds and deploys without any network.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    parts::{Parts, expect},
    small_project::{SmallProject, images},
    sync::equal,
};
use crate::checks::Outcome;

/// `esb build` into a layout of that name, with the base from a given mirror.
fn build(small: &SmallProject<'_>, cache: &str, mirror: &str, layout: &str) -> Command {
    let mut command = small.parts.esb(&small.root, cache);
    command.env("ESB_MIRRORS", mirror).args(["build", "-e", "dev", "--quiet", "--to"]);
    command.arg(format!("oci:{layout}"));
    command
}

/// In a namespace without any network, with `--offline`: from a store that has all, and from a
/// layout that was carried there.
pub(crate) fn without_network(parts: &Parts) -> Outcome {
    let Some((host, layout)) = parts.mirrors.iter().find_map(|mirror| mirror.split_once('='))
    else {
        return Ok(()); // nothing was carried here: the real registry answers
    };
    let mirror = format!("{host}={layout}");
    let small = SmallProject::new(parts, "no-network", "no-network")?;
    small.write("template.yaml", &["A"], "one")?;
    expect(&mut build(&small, "no-network", &mirror, "images"), 0)?;
    small.write("template.yaml", &["A"], "two")?;
    let gone = format!("{host}=127.0.0.1:9");
    expect(&mut apart(&small, &mut build(&small, "no-network", &gone, "images")), 0)?;
    let warm = index(&small.root)?;
    expect(&mut apart(&small, &mut build(&small, "no-network-cold", &mirror, "images")), 0)?;
    equal("images of an empty store", &warm, &index(&small.root)?)?;
    let mut nothing = build(&small, "no-network-nothing", &gone, "images");
    expect(&mut apart(&small, &mut nothing), 4).map(drop)
}

/// A deploy in a namespace without any network but a registry on its own loopback, as a site that is
/// shut off has it: from a store that has all, from a layout that was carried there, and once more,
/// when nothing changed. What is published can be pulled, and another base is not to be had.
pub(crate) fn deploy_without_network(parts: &Parts) -> Outcome {
    let Some((host, layout)) = parts.mirrors.iter().find_map(|mirror| mirror.split_once('='))
    else {
        return Ok(()); // nothing was carried here: the real registry answers
    };
    let carried = format!("{host}={layout}");
    let gone = format!("{host}=127.0.0.1:9");
    let small = SmallProject::new(parts, "shut-off", "shut-off")?;
    small.write("template.yaml", &["A", "B"], "one")?;
    expect(&mut build(&small, "shut-off", &carried, "images"), 0)?;
    let esb = |cache: &str, mirror: &str, arguments: &[&str]| {
        let mut command = parts.esb(&small.root, cache);
        // The engine of all checks is outside, where nobody reaches the site's registry.
        command.env("DOCKER_HOST", "unix:///no/such/socket");
        command.env("ESB_MIRRORS", mirror).env("CONTAINER_REGISTRY", INSIDE);
        command.args(arguments).args(["-e", "dev", "--format", "json"]);
        command
    };
    let deploy = ["deploy", "--offline"];
    let verify = || esb("shut-off", &gone, &["image", "verify"]);
    let site = Site::new(&small, "warm")?;
    // The layers of the base lie in the layout alone, and this registry has none of them.
    let said = site.run(&[esb("shut-off", &gone, &deploy)], 4)?;
    if !said.contains("is not in the content store") || !said.contains("--mirror HOST=oci:DIR") {
        return Err(format!("what is missing is not named:\n{said}").into());
    }
    let warm = site.run(&[esb("shut-off", &carried, &deploy), verify()], 0)?;
    let again = site.run(&[esb("shut-off", &gone, &deploy), verify()], 0)?;
    if again.contains("\"action\": \"built\"") {
        return Err(format!("a second deploy built something:\n{again}").into());
    }
    let published = images(&small.staging())?;
    equal("images of the second deploy", &digests(&warm), &digests(&again))?;
    fs::remove_dir_all(small.root.join(".esb"))?;
    let cold = Site::new(&small, "cold")?;
    cold.run(&[esb("shut-off-cold", &carried, &deploy), verify()], 0)?;
    equal("images of an empty store", &published, &images(&small.staging())?)?;
    // A change of code needs no network either.
    small.write("template.yaml", &["A", "B"], "two")?;
    cold.run(&[esb("shut-off-cold", &gone, &deploy), verify()], 0)?;
    let changed = images(&small.staging())?;
    let said = cold.run(&[esb("shut-off-nothing", &gone, &deploy)], 4)?;
    if !said.contains(host) {
        return Err(format!("what is missing is not named:\n{said}").into());
    }
    equal("images after a failure", &changed, &images(&small.staging())?)
}

/// The digests in the summary of a run, in its order.
fn digests(said: &str) -> Vec<&str> {
    said.lines().filter(|line| line.trim_start().starts_with("\"digest\"")).collect()
}

/// Where the registry of a site listens, in a namespace of its own.
const INSIDE: &str = "127.0.0.1:5010";

/// A registry's data, served where there is no other network.
struct Site<'a> {
    small: &'a SmallProject<'a>,
    config: PathBuf,
}

impl<'a> Site<'a> {
    fn new(small: &'a SmallProject<'a>, name: &str) -> Outcome<Self> {
        let folder = small.parts.work.join("sites").join(name);
        fs::create_dir_all(&folder)?;
        let data = folder.join("data").display().to_string();
        let config = folder.join("config.yml");
        let text = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: \"{data}\"\nhttp:\n  addr: \"{INSIDE}\"\n"
        );
        fs::write(&config, text)?;
        Ok(Self { small, config })
    }

    /// Runs commands one after the other, all of one environment; gives what they wrote.
    fn run(&self, commands: &[Command], code: i32) -> Outcome<String> {
        let quoted = |word: &std::ffi::OsStr| format!("'{}'", word.display());
        let line = |command: &Command| {
            let values = command
                .get_envs()
                .filter_map(|(name, value)| Some(format!("{}={}", name.display(), quoted(value?))));
            let words = [command.get_program()].into_iter().chain(command.get_args()).map(quoted);
            let words = values.chain(words).collect::<Vec<_>>().join(" ");
            format!("env -i {words} || exit $?")
        };
        let script = format!(
            "ip link set lo up; docker-registry serve '{}' >/dev/null 2>&1 & registry=$!\n\
             trap 'kill $registry' EXIT\n\
             until (: </dev/tcp/{}) 2>/dev/null; do sleep 0.05; done\n{}\n",
            self.config.display(),
            INSIDE.replace(':', "/"),
            commands.iter().map(line).collect::<Vec<_>>().join("\n")
        );
        let mut unshare = Command::new("unshare");
        unshare.args(["-n", "bash", "-c", &script]).current_dir(&self.small.root);
        let said = expect(&mut unshare, code)?;
        Ok(said.stdout + &said.stderr)
    }
}

fn index(root: &Path) -> Outcome<String> {
    Ok(fs::read_to_string(root.join("images/index.json"))?)
}

/// The same command with `--offline`, where there is no network at all.
fn apart(small: &SmallProject<'_>, command: &mut Command) -> Command {
    let mut unshare = Command::new("unshare");
    unshare.arg("-n").arg(command.get_program()).args(command.get_args()).arg("--offline");
    unshare.current_dir(&small.root).env_clear();
    for (name, value) in command.get_envs() {
        unshare.env(name, value.unwrap_or_default());
    }
    unshare
}
