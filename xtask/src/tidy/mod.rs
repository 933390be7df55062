//! Checks the invariants of `docs/architecture.md`.

pub(crate) mod changelog;
mod citations;
mod dependencies;
mod glossary;
mod layers;
mod own_flags;
mod own_version;
pub(crate) mod packages;
mod reads;

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    checks::{Outcome, Trouble},
    command::root,
};

/// Crates that may talk to people and to the process environment.
const TALKERS: [&str; 2] = ["esb-cli", "esb-test"];
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
const BANNED: [(&str, &str); 18] = [
    ("println!", "prints"),
    ("eprintln!", "prints"),
    ("print!(", "prints"),
    ("dbg!", "prints"),
    ("std::process::exit", "exits"),
    ("process::exit(", "exits"),
    ("env::var", "reads the environment"),
    ("env::args", "reads the command line"),
    ("env::current_dir", "reads the environment"),
    ("env::home_dir", "reads the environment"),
    ("env::temp_dir", "reads the environment"),
    ("io::stdout", "prints"),
    ("io::stderr", "prints"),
    ("io::stdin", "prompts"),
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
    for krate in krates(&root)? {
        let mut sources = Vec::new();
        walk(&krate.join("src"), &mut sources)?;
        let name = name_of(&krate);
        for source in &sources {
            module(&root, source, &mut wrong)?;
            reads::check(&root, source, &mut wrong)?;
            if !TALKERS.contains(&name.as_str()) {
                silent(&root, source, &mut wrong)?;
            }
        }
        if !krate.join("README.md").exists() {
            wrong.push(format!("{name} has no README.md"));
        }
    }
    let mut own = Vec::new();
    walk(&root.join("xtask/src"), &mut own)?;
    for source in &own {
        module(&root, source, &mut wrong)?;
    }
    citations::check(&root, &mut wrong)?;
    dependencies::check(&root, &mut wrong)?;
    glossary::check(&root, &mut wrong)?;
    layers::check(&root, &mut wrong)?;
    own_flags::check(&root, &mut wrong)?;
    own_version::check(&root, &mut wrong)?;
    packages::check(&root, &mut wrong)?;
    changelog::check(&root, &mut wrong)?;
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
    let mut lines = text.lines().enumerate().peekable();
    while let Some((number, line)) = lines.next() {
        let next = lines.peek().map_or("", |(_, line)| line);
        if line == "#[cfg(test)]" && next.starts_with("mod ") && next.ends_with('{') {
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

/// The folders of the libraries and of the program.
fn krates(root: &Path) -> Outcome<Vec<PathBuf>> {
    let mut krates = folders(&root.join("crates"))?;
    krates.extend(Some(root.join("runtime")).filter(|folder| folder.is_dir()));
    Ok(krates)
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
    fn a_library_that_prints_or_reads_the_environment_is_told() {
        let root = tempfile::tempdir().unwrap();
        let source = root.path().join("lib.rs");
        let text = "#[cfg(test)]\nmod tests;\n// println! is not one\nlet x = std::env::var(\"X\");\n\
                    #[cfg(test)]\nmod more {\n    fn f() { println!() }\n}\n";
        fs::write(&source, text).unwrap();
        let mut wrong = Vec::new();
        silent(root.path(), &source, &mut wrong).unwrap();
        assert_eq!(wrong, ["lib.rs:4: `env::var` reads the environment, and this is a library"]);
    }
}
