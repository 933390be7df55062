//! What other people's crates the program consists of, with their licences.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::Path,
};

use serde_json::Value;

use super::{TARGETS, release::Release};
use crate::{
    checks::Outcome,
    command::{cargo, output},
};

/// Licences that allow what we do: to ship a program with the code, its licence beside it.
const ALLOWED: [&str; 14] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "Unlicense",
    "Zlib",
];

/// A crate of others.
#[derive(Debug)]
pub(super) struct Crate {
    pub(super) name: String,
    pub(super) version: String,
    /// The licence's SPDX expression.
    pub(super) licence: String,
    /// The SHA-256 sum of its archive, from `Cargo.lock`.
    pub(super) checksum: String,
    /// Names and versions of the crates that it uses.
    pub(super) uses: BTreeSet<(String, String)>,
    /// Whether a crate of ours uses it.
    pub(super) is_direct: bool,
    folder: String,
}

/// The crates that are compiled into the program, for all targets, by name and version.
pub(super) fn of_program(release: &Release) -> Outcome<Vec<Crate>> {
    let sums = checksums(&fs::read_to_string(release.source.join("Cargo.lock"))?);
    let mut found: BTreeMap<(String, String), Crate> = BTreeMap::new();
    for target in TARGETS {
        let mut metadata = cargo();
        metadata.current_dir(&release.source);
        metadata.args(["metadata", "--format-version", "1", "--locked", "--filter-platform"]);
        let text = output(metadata.arg(target.triple))?;
        let graph: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        collect(&graph, &sums, &mut found);
    }
    if found.is_empty() {
        return Err("cargo names no crates of the program".into());
    }
    Ok(found.into_values().collect())
}

/// Walks the graph from the program along what is compiled into it.
fn collect(
    graph: &Value,
    sums: &BTreeMap<(String, String), String>,
    found: &mut BTreeMap<(String, String), Crate>,
) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let by_id = |list: &'_ Value| -> BTreeMap<String, Value> {
        let entries = list.as_array().into_iter().flatten();
        entries.map(|entry| (text(&entry["id"]), entry.clone())).collect()
    };
    let (packages, nodes) = (by_id(&graph["packages"]), by_id(&graph["resolve"]["nodes"]));
    let key = |id: &str| {
        let package = &packages[id];
        (text(&package["name"]), text(&package["version"]))
    };
    let is_compiled_in = |dependency: &&Value| {
        let kinds = dependency["dep_kinds"].as_array().into_iter().flatten();
        kinds.into_iter().any(|kind| kind["kind"].is_null())
    };
    let program = packages.iter().find(|(_, package)| package["name"] == "esb-cli");
    let mut open: Vec<String> = program.into_iter().map(|(id, _)| id.clone()).collect();
    let (mut seen, mut direct) = (BTreeSet::new(), BTreeSet::new());
    while let Some(id) = open.pop() {
        if !seen.insert(id.clone()) {
            continue;
        }
        let dependencies = nodes.get(&id).map(|node| &node["deps"]);
        let dependencies = dependencies.and_then(Value::as_array).into_iter().flatten();
        let used: Vec<String> =
            dependencies.filter(is_compiled_in).map(|used| text(&used["pkg"])).collect();
        open.extend(used.iter().cloned());
        let package = &packages[&id];
        if package["source"].is_null() {
            direct.extend(used);
            continue;
        }
        let key = key(&id);
        let entry = found.entry(key.clone()).or_insert_with(|| Crate {
            checksum: sums.get(&key).cloned().unwrap_or_default(),
            name: key.0,
            version: key.1,
            licence: text(&package["license"]).replace('/', " OR "),
            uses: BTreeSet::new(),
            is_direct: false,
            folder: text(&package["manifest_path"]).trim_end_matches("Cargo.toml").to_owned(),
        });
        entry.uses.extend(used.iter().map(|id| {
            let package = &packages[id];
            (text(&package["name"]), text(&package["version"]))
        }));
    }
    for id in direct {
        if let Some(entry) = found.get_mut(&key(&id)) {
            entry.is_direct = true;
        }
    }
}

/// The sums of `Cargo.lock`, by name and version.
fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let value = |block: &str, key: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
        line.map(|value| value.trim_matches('"').to_owned())
    };
    let entry = |block: &str| {
        Some(((value(block, "name")?, value(block, "version")?), value(block, "checksum")?))
    };
    lock.split("[[package]]").filter_map(entry).collect()
}

/// Whether all licences allow what we do.
pub(super) fn check(crates: &[Crate]) -> Outcome {
    let refused = crates.iter().filter(|one| !allows(&one.licence));
    let refused: Vec<String> =
        refused.map(|one| format!("{} {}: `{}`", one.name, one.version, one.licence)).collect();
    if refused.is_empty() { Ok(()) } else { Err(refused.join("\n").into()) }
}

/// Whether one way to read an expression has allowed licences alone. A group in brackets is read
/// before what is around it.
fn allows(expression: &str) -> bool {
    if let Some(end) = expression.find(')')
        && let Some(start) = expression[..end].rfind('(')
    {
        let word = if allows(&expression[start + 1..end]) { "MIT" } else { "none" };
        return allows(&[&expression[..start], word, &expression[end + 1..]].concat());
    }
    let is_allowed = |licence: &str| ALLOWED.contains(&licence.trim());
    expression.split(" OR ").any(|way| way.split(" AND ").all(is_allowed))
}

/// A licence's text, with the crates and libraries that have it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Licence {
    pub(super) titles: Vec<String>,
    pub(super) text: String,
}

impl Licence {
    /// With other words where its text has the whole Apache licence.
    pub(super) fn without_apache(&self, instead: &str) -> Self {
        const END: &str = "END OF TERMS AND CONDITIONS";
        let whole = |text: &str| {
            let end = text.find(END)?;
            let start = text[..end].rfind("Version 2.0, January 2004")?;
            let start = text[..start].rfind("Apache License")?;
            let start = text[..start].rfind('\n').map_or(0, |line| line + 1);
            Some(start..end + END.len())
        };
        let (titles, mut text) = (self.titles.clone(), self.text.clone());
        while let Some(range) = whole(&text) {
            text.replace_range(range, instead);
        }
        Self { titles, text }
    }
}

/// The texts of all licences, each once.
pub(super) fn licences(
    crates: &[Crate],
    libraries: Vec<(String, String)>,
) -> Outcome<Vec<Licence>> {
    let mut by_text: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (title, text) in libraries {
        by_text.entry(text.trim().to_owned()).or_default().push(title);
    }
    for one in crates {
        let title = format!("{} {} ({})", one.name, one.version, one.licence);
        let mut files = licence_files(Path::new(&one.folder))?;
        if files.is_empty() {
            files.push("Without a file of its own: the licence is the one named above.".to_owned());
        }
        for text in files {
            by_text.entry(text).or_default().push(title.clone());
        }
    }
    let mut licences: Vec<Licence> =
        by_text.into_iter().map(|(text, titles)| Licence { titles, text }).collect();
    licences.sort();
    Ok(licences)
}

/// Licences as one text.
pub(super) fn document(licences: impl Iterator<Item = Licence>) -> String {
    let mut all =
        "esb contains code of these crates and libraries, under these licences.\n".to_owned();
    for Licence { titles, text } in licences {
        let _ = write!(all, "\n{}\n{}\n\n{text}\n", "=".repeat(78), titles.join("\n"));
    }
    all
}

fn licence_files(folder: &Path) -> Outcome<Vec<String>> {
    const NAMES: [&str; 5] = ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE"];
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
        if path.is_file() && NAMES.iter().any(|start| name.starts_with(start)) {
            paths.push(path);
        }
    }
    paths.sort();
    let read = |path| Ok(String::from_utf8_lossy(&fs::read(path)?).trim().replace("\r\n", "\n"));
    paths.into_iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_way_of_an_expression_has_to_be_allowed() {
        let check =
            |expression: &str, expected| assert_eq!(allows(expression), expected, "{expression}");
        check("MIT", true);
        check("MIT OR GPL-3.0", true);
        check("GPL-3.0", false);
        check("Apache-2.0 AND ISC", true);
        check("Apache-2.0 AND GPL-2.0", false);
        check("(MIT OR Apache-2.0) AND Unicode-3.0", true);
        check("(GPL-2.0 OR GPL-3.0) AND MIT", false);
        check("Apache-2.0 WITH LLVM-exception OR GPL-2.0", true);
        check("", false);
    }

    #[test]
    fn the_apache_licence_is_replaced_wherever_it_stands() {
        let check = |text: &str, expected: &str| {
            let licence = Licence { titles: Vec::new(), text: text.to_owned() };
            assert_eq!(licence.without_apache("X").text, expected);
        };
        let apache = "  Apache License\n  Version 2.0, January 2004\n  1.\n\
                      END OF TERMS AND CONDITIONS";
        check(apache, "X");
        check(&format!("under the\n{apache}\nof b\n{apache}\n"), "under the\nX\nof b\nX\n");
        check("MIT, or the Apache License, Version 2.0", "MIT, or the Apache License, Version 2.0");
    }

    #[test]
    fn sums_are_found_by_name_and_version() {
        let lock = "[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"x\"\nchecksum = \"12\"\n\
                    \n[[package]]\nname = \"own\"\nversion = \"0.1.0\"\n";
        let sums = checksums(lock);
        assert_eq!(sums.len(), 1);
        assert_eq!(sums[&("a".to_owned(), "1.0.0".to_owned())], "12");
    }
}
