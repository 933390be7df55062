//! Builds where there is no network at all.

use std::{fs, path::Path, process::Command};

use super::{
    parts::{Parts, expect},
    small::Small,
    sync::equal,
};
use crate::checks::Outcome;

/// `esb build` into a layout of that name, with the base from a given mirror.
fn build(small: &Small<'_>, cache: &str, mirror: &str, layout: &str) -> Command {
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
    let small = Small::new(parts, "no-network", "no-network")?;
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

fn index(root: &Path) -> Outcome<String> {
    Ok(fs::read_to_string(root.join("images/index.json"))?)
}

/// The same command with `--offline`, where there is no network at all.
fn apart(small: &Small<'_>, command: &mut Command) -> Command {
    let mut unshare = Command::new("unshare");
    unshare.arg("-n").arg(command.get_program()).args(command.get_args()).arg("--offline");
    unshare.current_dir(&small.root).env_clear();
    for (name, value) in command.get_envs() {
        unshare.env(name, value.unwrap_or_default());
    }
    unshare
}
