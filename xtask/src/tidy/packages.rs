//! Checks that each crate can be published: what its manifest says, and which files its package holds.
//!
//! Nothing is compiled; `cargo xtask packages` does that.

use std::{
    collections::BTreeSet,
    fs,
    path::{Component, Path, PathBuf},
};

use serde_json::Value;

use crate::{
    checks::{Outcome, Trouble},
    command::{cargo, output},
};

/// Crates for this workspace alone.
const PRIVATE: [&str; 2] = ["esb-test", "xtask"];
/// The page with a line for each crate, and one for each of its features.
const PAGE: &str = "docs/crates.md";
/// The names of the categories that we use; a registry ignores those that it does not know.
const CATEGORIES: [&str; 9] = [
    "api-bindings",
    "command-line-utilities",
    "config",
    "data-structures",
    "development-tools",
    "development-tools::build-utils",
    "filesystem",
    "network-programming",
    "parser-implementations",
];
/// What takes a file beside a source into the program.
const INCLUDING: [&str; 4] = ["include_str!(\"", "include_bytes!(\"", "include!(\"", "#[path = \""];

/// A crate as `cargo metadata` describes it.
struct Package<'a> {
    metadata: &'a Value,
    folder: &'a Path,
}

/// Looks at every crate of the workspace.
pub(super) fn check(root: &Path, wrong: &mut Vec<String>) -> Outcome {
    let metadata = metadata()?;
    let page = fs::read_to_string(root.join(PAGE))?;
    for metadata in metadata["packages"].as_array().into_iter().flatten() {
        let folder = Path::new(text(&metadata["manifest_path"])).parent().unwrap_or(root);
        let package = Package { metadata, folder };
        let name = text(&metadata["name"]);
        if is_private(metadata) != PRIVATE.contains(&name) {
            wrong.push(format!("{name}: `publish` is not what {} says", file!()));
        }
        if !is_private(metadata) {
            package.manifest(wrong);
            package.dependencies(wrong);
            package.described(&page, wrong);
            let listed = output(cargo().args([
                "package",
                "--list",
                "--allow-dirty",
                "--offline",
                "-p",
                name,
            ]))?;
            package.files(&listed.lines().collect(), wrong);
        }
    }
    Ok(())
}

/// What cargo knows of the workspace's crates.
pub(crate) fn metadata() -> Outcome<Value> {
    let mut metadata = cargo();
    metadata.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]);
    serde_json::from_str(&output(&mut metadata)?)
        .map_err(|error| Trouble::Failed(error.to_string()))
}

/// Whether a crate's manifest says `publish = false`.
pub(crate) fn is_private(package: &Value) -> bool {
    package["publish"].as_array().is_some_and(Vec::is_empty)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().map(text)
}

impl Package<'_> {
    fn name(&self) -> &str {
        text(&self.metadata["name"])
    }

    /// What a registry shows of a crate, by the rules of Rust's public one.
    fn manifest(&self, wrong: &mut Vec<String>) {
        let name = self.name();
        for key in ["description", "license", "readme", "documentation", "rust_version"] {
            if text(&self.metadata[key]).is_empty() {
                wrong.push(format!("{name}: its Cargo.toml has no `{key}`"));
            }
        }
        let keywords: Vec<&str> = texts(&self.metadata["keywords"]).collect();
        let is_keyword = |word: &&str| {
            let inside = |c: char| c.is_ascii_alphanumeric() || "-_+".contains(c);
            word.len() <= 20
                && word.starts_with(|c: char| c.is_ascii_alphanumeric())
                && word.chars().all(inside)
        };
        if keywords.is_empty() || keywords.len() > 5 || !keywords.iter().all(is_keyword) {
            wrong
                .push(format!("{name}: `keywords` are one to five words of at most 20 characters"));
        }
        let categories: BTreeSet<&str> = texts(&self.metadata["categories"]).collect();
        if categories.is_empty() || categories.iter().any(|name| !CATEGORIES.contains(name)) {
            wrong.push(format!("{name}: `categories` are one or more of {CATEGORIES:?}"));
        }
    }

    /// A package does not know the folders beside it: it needs the version of each crate of ours.
    fn dependencies(&self, wrong: &mut Vec<String>) {
        let expected = format!("^{}", text(&self.metadata["version"]));
        for dependency in self.metadata["dependencies"].as_array().into_iter().flatten() {
            let (name, other) = (self.name(), text(&dependency["name"]));
            let is_ours = dependency.get("path").is_some_and(Value::is_string);
            if !is_ours || (dependency["kind"] == "dev" && PRIVATE.contains(&other)) {
                continue;
            }
            if PRIVATE.contains(&other) {
                wrong.push(format!("{name} depends on {other}, which is not published"));
            } else if dependency["req"] != *expected {
                wrong.push(format!(
                    "{name} does not depend on version {} of {other}",
                    &expected[1..]
                ));
            }
        }
    }

    /// A stranger finds out what the crate is, how it is called, and what its features are.
    fn described(&self, page: &str, wrong: &mut Vec<String>) {
        let name = self.name();
        let readme = fs::read_to_string(self.folder.join("README.md")).unwrap_or_default();
        if !readme.starts_with(&format!("# {name}\n\n")) {
            wrong.push(format!("{name}: its README.md does not begin with its name"));
        }
        let is_library = self.folder.join("src/lib.rs").exists();
        if is_library && !readme.contains("```rust\n") && !readme.contains("```no_run\n") {
            wrong.push(format!("{name}: its README.md has no example"));
        }
        let (of, rust) =
            (format!("`{name}`"), format!("| {} |", text(&self.metadata["rust_version"])));
        if !page.lines().any(|line| line.contains(&of) && line.contains(&rust)) {
            wrong.push(format!("{PAGE} does not say `{rust}` of {name}"));
        }
        let features = self.metadata["features"].as_object().into_iter().flatten();
        let features = features.filter(|(feature, _)| *feature != "default");
        let rows = features.map(|(feature, _)| format!("| `{name}` | `{feature}` |"));
        for row in rows.chain([format!("| `{name}` |")]) {
            if !page.lines().any(|line| line.starts_with(&row)) {
                wrong.push(format!("{PAGE} has no row `{row}`"));
            }
        }
    }

    /// The package holds its licences, and whatever its sources include.
    fn files(&self, listed: &BTreeSet<&str>, wrong: &mut Vec<String>) {
        let name = self.name();
        for file in ["Cargo.toml", "README.md", "LICENSE-MIT", "LICENSE-APACHE"] {
            if !listed.contains(file) {
                wrong.push(format!("{name}: its package has no {file}"));
            }
        }
        for source in
            listed.iter().filter(|path| Path::new(path).extension().is_some_and(|end| end == "rs"))
        {
            let code = fs::read_to_string(self.folder.join(source)).unwrap_or_default();
            for included in included(&code) {
                let path = plain(&Path::new(source).with_file_name(included));
                if !path.to_str().is_some_and(|path| listed.contains(path)) {
                    wrong.push(format!("{name}: its package has {source}, but not `{included}`"));
                }
            }
        }
    }
}

/// The files that a source names to be compiled in.
fn included(code: &str) -> impl Iterator<Item = &str> {
    let after = INCLUDING.iter().flat_map(|call| code.split(call).skip(1));
    after.filter_map(|rest| rest.split('"').next())
}

/// A path without `..`, where that does not lead out of the package.
fn plain(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut plain, part| {
        if part != Component::ParentDir || !plain.pop() {
            plain.push(part);
        }
        plain
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_registry_would_refuse_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let metadata = json!({
            "name": "esb-x", "version": "0.2.0", "description": "X", "license": "MIT",
            "readme": "README.md", "documentation": null, "rust_version": "1.95",
            "keywords": ["a b"], "categories": ["no-such"],
            "features": {"default": [], "known": [], "new": []},
            "dependencies": [
                {"name": "tar", "req": "^1", "kind": null},
                {"name": "esb-model", "req": "^0.2.0", "kind": null, "path": "/m"},
                {"name": "esb-oci", "req": "*", "kind": "build", "path": "/o"},
                {"name": "esb-test", "req": "*", "kind": "dev", "path": "/t"},
                {"name": "esb-test", "req": "*", "kind": null, "path": "/t"},
            ],
        });
        let package = Package { metadata: &metadata, folder: folder.path() };
        let mut wrong = Vec::new();
        package.manifest(&mut wrong);
        package.dependencies(&mut wrong);
        package.described("| `esb-x` | what | 1.91 |\n| `esb-x` | `known` |\n", &mut wrong);
        assert_eq!(
            wrong,
            [
                "esb-x: its Cargo.toml has no `documentation`",
                "esb-x: `keywords` are one to five words of at most 20 characters",
                &format!("esb-x: `categories` are one or more of {CATEGORIES:?}"),
                "esb-x does not depend on version 0.2.0 of esb-oci",
                "esb-x depends on esb-test, which is not published",
                "esb-x: its README.md does not begin with its name",
                "docs/crates.md does not say `| 1.95 |` of esb-x",
                "docs/crates.md has no row `| `esb-x` | `new` |`",
            ]
        );
    }

    #[test]
    fn a_file_that_is_compiled_in_and_not_packed_is_told() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("src/a")).unwrap();
        let code = "include_str!(\"../../in.txt\"); include_bytes!(\"b\"); \
                    include_str!(\"../../../out.txt\");\n#[path = \"../x.rs\"]\nmod x;\n";
        fs::write(folder.path().join("src/a/b.rs"), code).unwrap();
        let metadata = json!({"name": "esb-x"});
        let package = Package { metadata: &metadata, folder: folder.path() };
        let listed = ["Cargo.toml", "README.md", "LICENSE-MIT", "in.txt", "src/a/b.rs", "src/x.rs"];
        let mut wrong = Vec::new();
        package.files(&listed.into(), &mut wrong);
        assert_eq!(
            wrong,
            [
                "esb-x: its package has no LICENSE-APACHE",
                "esb-x: its package has src/a/b.rs, but not `../../../out.txt`",
                "esb-x: its package has src/a/b.rs, but not `b`",
            ]
        );
    }
}
