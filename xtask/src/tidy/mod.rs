//! Holds the invariants of `docs/architecture.md` as checks.

mod citations;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::{
    checks::{Outcome, Trouble},
    command::root,
};

const STAGES: [&str; 5] = ["esb-sam", "esb-dockerfile", "esb-image", "esb-registry", "esb-config"];
const VALUES: [&str; 2] = ["esb-model", "esb-oci"];
/// Crates that may talk to people and to the process environment.
const TALKERS: [&str; 2] = ["esb-cli", "esb-test"];
/// What belongs to the command line alone.
const TERMINAL_PACKAGES: [&str; 4] = ["clap", "clap_complete", "indicatif", "annotate-snippets"];
const TOP_LEVEL: [&str; 12] = [
    "Cargo.toml",
    "Cargo.lock",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "crates",
    "docs",
    "fixtures",
    "runtime",
    "target",
    "xtask",
    "CHANGELOG.md",
];
/// Longer files are not read in one sitting.
const LINE_LIMIT: usize = 600;

/// Calls that a library may not make, with the reason.
const BANNED: [(&str, &str); 12] = [
    ("println!", "prints"),
    ("eprintln!", "prints"),
    ("print!(", "prints"),
    ("dbg!", "prints"),
    ("std::process::exit", "exits"),
    ("process::exit(", "exits"),
    ("env::var", "reads the environment"),
    ("env::args", "reads the command line"),
    ("connect_with_defaults", "reads the environment"),
    ("connect_with_local_defaults", "reads the environment"),
    ("connect_with_socket_defaults", "reads the environment"),
    ("docker_credential::get_credential(", "reads the environment"),
];

/// Checks everything and tells everything that is wrong.
pub(crate) fn tidy() -> Outcome {
    let root = root();
    let mut wrong = Vec::new();
    top_level(&root, &mut wrong)?;
    for krate in folders(&root.join("crates"))?.into_iter().chain([root.join("runtime")]) {
        dependencies(&krate, &mut wrong)?;
        let mut sources = Vec::new();
        walk(&krate.join("src"), &mut sources)?;
        let name = name_of(&krate);
        for source in &sources {
            module(&root, source, &mut wrong)?;
            if !TALKERS.contains(&name.as_str()) {
                silent(&root, source, &mut wrong)?;
            }
        }
        if !krate.join("README.md").exists() && name != "esb-test" && name != "esb-cli" {
            wrong.push(format!("{name} has no README.md"));
        }
    }
    let mut own = Vec::new();
    walk(&root.join("xtask/src"), &mut own)?;
    for source in &own {
        module(&root, source, &mut wrong)?;
    }
    citations::check(&root, &mut wrong)?;
    if wrong.is_empty() { Ok(()) } else { Err(Trouble::Failed(wrong.join("\n"))) }
}

fn top_level(root: &Path, wrong: &mut Vec<String>) -> Outcome {
    for entry in fs::read_dir(root)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && !TOP_LEVEL.contains(&name.as_str()) {
            wrong.push(format!("`{name}` does not belong at the top level"));
        }
    }
    Ok(())
}

/// A stage never depends on a stage, values on nothing of ours but values, and the terminal's
/// packages belong to the command line.
fn dependencies(krate: &Path, wrong: &mut Vec<String>) -> Outcome {
    let name = name_of(krate);
    let allowed: BTreeSet<&str> = match name.as_str() {
        "esb-model" | "esb-runtime" | "esb-test" => BTreeSet::new(),
        "esb-oci" => BTreeSet::from(["esb-model"]),
        "esb-dockerfile" => VALUES.into_iter().chain(["esb-runtime"]).collect(),
        "esb-cli" => STAGES.into_iter().chain(VALUES).chain(["esb-runtime"]).collect(),
        _ => VALUES.into_iter().collect(),
    };
    for dependency in dependency_names(&fs::read_to_string(krate.join("Cargo.toml"))?) {
        if dependency.starts_with("esb-") && !allowed.contains(dependency.as_str()) {
            wrong.push(format!("{name} may not depend on {dependency}"));
        }
        if name != "esb-cli" && TERMINAL_PACKAGES.contains(&dependency.as_str()) {
            wrong.push(format!("{name} may not depend on {dependency}: that is esb-cli's"));
        }
    }
    Ok(())
}

/// The names below `[dependencies]` of a manifest.
fn dependency_names(manifest: &str) -> Vec<String> {
    let mut inside = false;
    let mut names = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.trim() == "[dependencies]";
        } else if inside && let Some(name) = line.split(['.', ' ', '=']).next() {
            names.push(name.trim().to_owned());
        }
    }
    names.retain(|name| !name.is_empty() && !name.starts_with('#'));
    names
}

/// Every module says what it owns, and is short enough to read.
fn module(root: &Path, source: &Path, wrong: &mut Vec<String>) -> Outcome {
    let text = fs::read_to_string(source)?;
    let place = source.strip_prefix(root).unwrap_or(source).display().to_string();
    if !text.starts_with("//!") && !text.starts_with("#![doc") {
        wrong.push(format!("{place} does not start with `//!`"));
    }
    let lines = text.lines().count();
    if lines > LINE_LIMIT {
        wrong.push(format!("{place} has {lines} lines; {LINE_LIMIT} is the limit"));
    }
    if source.file_stem().is_some_and(|stem| stem == "utils" || stem == "util" || stem == "helpers")
    {
        wrong.push(format!("{place} has no one reason to change"));
    }
    Ok(())
}

/// No library prints, exits or reads the environment. Tests may.
fn silent(root: &Path, source: &Path, wrong: &mut Vec<String>) -> Outcome {
    let text = fs::read_to_string(source)?;
    let place = source.strip_prefix(root).unwrap_or(source).display().to_string();
    for (number, line) in text.lines().enumerate() {
        if line.starts_with("#[cfg(test)]") {
            break;
        }
        if line.trim_start().starts_with("//") {
            continue;
        }
        for (call, does) in BANNED {
            if line.contains(call) {
                wrong.push(format!(
                    "{place}:{}: `{call}` {does}, and this is a library",
                    number + 1
                ));
            }
        }
    }
    Ok(())
}

fn name_of(krate: &Path) -> String {
    let name = krate.file_name().unwrap_or_default().to_string_lossy();
    if name == "runtime" { "esb-runtime".to_owned() } else { name.into_owned() }
}

fn folders(dir: &Path) -> Outcome<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}

fn walk(dir: &Path, sources: &mut Vec<PathBuf>) -> Outcome {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, sources)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push(path);
        }
    }
    sources.sort();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_real_dependencies_count() {
        let manifest = "[package]\nname = \"a\"\n[dependencies]\n# c\nesb-model.workspace = true\n\
                        tar = \"1\"\n[dev-dependencies]\nesb-sam = \"1\"\n";
        assert_eq!(dependency_names(manifest), ["esb-model", "tar"]);
    }
}
