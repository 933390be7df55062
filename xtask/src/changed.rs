//! `test --changed`: formatting, lints, and the tests of what differs from a commit, for whoever works
//! on one part. It says what it leaves out.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use serde_json::Value;

use crate::{
    checks::{Checks, Outcome},
    command::{cargo, command, output, root, run},
    generate, hooks,
    steps::say,
    test::clippy,
    tidy::{self, packages::metadata},
};

/// Runs what the files say that differ from `commit`, or where that is empty from the commit at which
/// this branch left `main`.
pub(crate) fn test(commit: &str) -> bool {
    let start = Instant::now();
    let mut checks = Checks::default();
    if let Some(changed) = checks.run("what changed", || Changed::since(commit)) {
        changed.check(&mut checks);
    }
    say(&format!("test took {:.1} min", start.elapsed().as_secs_f64() / 60.0));
    checks.finish("cargo xtask test --changed")
}

/// What differs from a commit.
struct Changed {
    files: BTreeSet<PathBuf>,
    /// Packages of the workspace that hold such files or depend on one that does.
    packages: Vec<Package>,
}

impl Changed {
    fn since(commit: &str) -> Outcome<Self> {
        let git = |arguments: &[&str]| output(command("git").args(arguments));
        let commit = if commit.is_empty() {
            git(&["merge-base", "HEAD", "main"]).map_err(|_| {
                "there is no branch `main` here: name a commit, `--changed=COMMIT`".to_owned()
            })?
        } else {
            commit.to_owned()
        };
        let commit = commit.trim();
        let differ = git(&["diff", "--name-only", "-z", commit, "--"])?;
        let new = git(&["ls-files", "--others", "--exclude-standard", "-z"])?;
        let files: BTreeSet<PathBuf> = [differ, new]
            .iter()
            .flat_map(|list| list.split('\0'))
            .filter(|name| !name.is_empty())
            .map(PathBuf::from)
            .collect();
        let packages = affected(packages(&metadata()?), &files);
        let names: Vec<&str> = packages.iter().map(|package| &*package.name).collect();
        say(&format!("  {} files differ from {commit}: {}", files.len(), names.join(", ")));
        Ok(Self { files, packages })
    }

    fn check(&self, checks: &mut Checks) {
        if self.files.is_empty() {
            return;
        }
        checks.run("fmt", || run(cargo().args(["fmt", "--all", "--check"])));
        checks.run("tidy", tidy::tidy);
        if !self.packages.is_empty() {
            checks.run("clippy", clippy);
            checks.run("tests", || tests(&self.packages));
            checks.run("reference pages are those of the code", || generate::reference(true));
        }
        if self.files.iter().any(|file| file.starts_with("runtime/python")) {
            checks.run("Python hooks", hooks::of_every_python);
        }
        say(
            "left out: documentation tests, public API, Java hooks, end-to-end; `cargo xtask test` runs all",
        );
    }
}

/// A package of the workspace.
#[derive(Debug)]
struct Package {
    name: String,
    /// Its folder, below the root.
    folder: PathBuf,
    /// The packages of the workspace that it uses, for its tests too.
    uses: BTreeSet<String>,
}

fn packages(metadata: &Value) -> Vec<Package> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let package = |package: &Value| {
        let manifest = PathBuf::from(text(&package["manifest_path"]));
        let folder = manifest.parent().and_then(|folder| folder.strip_prefix(root()).ok());
        let uses = list(&package["dependencies"]);
        Package {
            name: text(&package["name"]),
            folder: folder.unwrap_or(Path::new("")).to_owned(),
            uses: uses.iter().map(|used| text(&used["name"])).collect(),
        }
    };
    list(&metadata["packages"]).iter().map(package).collect()
}

/// The packages that hold files or depend on one that does. Files of the root and fixtures belong to
/// all; documents to none.
fn affected(packages: Vec<Package>, files: &BTreeSet<PathBuf>) -> Vec<Package> {
    let is_of_all = |file: &PathBuf| {
        file.starts_with("fixtures")
            || ["Cargo.toml", "Cargo.lock"].contains(&&*file.to_string_lossy())
    };
    if files.iter().any(is_of_all) {
        return packages;
    }
    let holds = |package: &&Package| files.iter().any(|file| file.starts_with(&package.folder));
    let mut found: BTreeSet<String> =
        packages.iter().filter(holds).map(|package| package.name.clone()).collect();
    loop {
        let depends = |package: &&Package| package.uses.iter().any(|used| found.contains(used));
        let more: Vec<String> =
            packages.iter().filter(depends).map(|package| package.name.clone()).collect();
        let before = found.len();
        found.extend(more);
        if found.len() == before {
            break;
        }
    }
    packages.into_iter().filter(|package| found.contains(&package.name)).collect()
}

/// Runs the test programs of some packages. All are compiled, as the whole test does it: with fewer
/// packages Cargo would choose other features of their dependencies, and compile those again.
fn tests(packages: &[Package]) -> Outcome {
    let mut build = cargo();
    build.args(["test", "--workspace", "--all-features", "--no-run", "--message-format", "json"]);
    let said = output(build.arg("--quiet"))?;
    let mut programs: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
    for line in said.lines() {
        let Ok(message) = serde_json::from_str::<Value>(line) else { continue };
        let (Some(program), Some(manifest), Some(true)) = (
            message["executable"].as_str(),
            message["manifest_path"].as_str(),
            message["profile"]["test"].as_bool(),
        ) else {
            continue;
        };
        let folder = Path::new(manifest).parent().unwrap_or(Path::new("/"));
        programs.insert(program.into(), folder.to_owned());
    }
    let wanted: BTreeSet<PathBuf> =
        packages.iter().map(|package| root().join(&package.folder)).collect();
    let mut failed = Vec::new();
    for (program, folder) in programs.iter().filter(|(_, folder)| wanted.contains(*folder)) {
        // As Cargo runs them: in the folder of their package.
        let mut test = Command::new(program);
        test.arg("--quiet").current_dir(folder).env("CARGO_MANIFEST_DIR", folder);
        if run(&mut test).is_err() {
            failed.push(format!("{} fails", program.display()));
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n").into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_depends_on_a_changed_package_is_affected() {
        let package = |name: &str, uses: &[&str]| Package {
            name: name.to_owned(),
            folder: Path::new("crates").join(name),
            uses: uses.iter().map(|&used| used.to_owned()).collect(),
        };
        let check = |file: &str, expected: &[&str]| {
            let all = vec![
                package("cli", &["image", "sam"]),
                package("image", &["oci"]),
                package("oci", &[]),
                package("sam", &[]),
            ];
            let found = affected(all, &BTreeSet::from([PathBuf::from(file)]));
            let found: Vec<&str> = found.iter().map(|package| &*package.name).collect();
            assert_eq!(found, expected, "{file}");
        };
        check("crates/oci/src/lib.rs", &["cli", "image", "oci"]);
        check("crates/sam/README.md", &["cli", "sam"]);
        check("crates/cli/src/main.rs", &["cli"]);
        check("docs/tutorial.md", &[]);
        check("Cargo.lock", &["cli", "image", "oci", "sam"]);
        check("fixtures/quickstart/template.yaml", &["cli", "image", "oci", "sam"]);
    }
}
