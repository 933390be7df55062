//! Checks that the commands and flags which pages mention exist.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use crate::{checks::Outcome, command::root};

/// Pages with commands of other programs of the same name, or of times that are over.
const LEFT_OUT: [&str; 3] = ["docs/adr/", "docs/reference/", "docs/benchmarks.md"];
/// The earlier command line's commands stand in the first column of this page's tables.
const EARLIER: &str = "from-the-earlier-cli.md";
/// What ends a command in a line.
const ENDS: [&str; 7] = ["#", "|", ">", "&&", ";", "\\", "/"];

/// Every command with its long flags; the name of `esb` itself is empty.
type Known = BTreeMap<String, BTreeSet<String>>;

/// Looks at all pages. `commands` is the reference page of commands.
pub(crate) fn check(commands: &str, wrong: &mut Vec<String>) -> Outcome {
    let known = known(commands);
    for folder in ["README.md", "docs", "crates", "runtime"] {
        for entry in walkdir::WalkDir::new(root().join(folder)).sort_by_file_name() {
            let entry = entry.map_err(|error| error.to_string())?;
            let name = entry.path().strip_prefix(root()).unwrap_or(entry.path());
            let name = name.to_string_lossy();
            let is_page = entry.path().extension().is_some_and(|end| end == "md");
            if !is_page || LEFT_OUT.iter().any(|left| name.starts_with(left)) {
                continue;
            }
            let text = fs::read_to_string(entry.path())?;
            for (number, line) in text.lines().enumerate() {
                let line = match line.strip_prefix("| ").and_then(|row| row.split_once(" | ")) {
                    Some((_, rest)) if name.ends_with(EARLIER) => rest,
                    _ => line,
                };
                let unknown = mentioned(line).filter_map(|words| unknown(&words, &known));
                wrong.extend(unknown.map(|what| format!("{name}:{}: {what}", number + 1)));
            }
        }
    }
    Ok(())
}

/// The sections of the reference page.
fn known(commands: &str) -> Known {
    let mut known = Known::new();
    let mut section = String::new();
    for line in commands.lines() {
        if let Some(title) = line.strip_prefix("## esb") {
            title.trim().clone_into(&mut section);
            known.entry(section.clone()).or_default();
        } else if let Some(flag) = flag(line) {
            known.entry(section.clone()).or_default().insert(flag);
        }
    }
    known
}

/// The long flag that a line of a help text begins with.
pub(crate) fn flag(line: &str) -> Option<String> {
    let start = line.find("--")?;
    let before = line[..start].trim();
    let is_first = before.is_empty() || (before.starts_with('-') && before.ends_with(','));
    let name = line[start..].chars().take_while(|c| c.is_ascii_lowercase() || *c == '-');
    let name: String = name.collect();
    (is_first && name.len() > 2).then_some(name)
}

/// The commands of `esb` in a line, as words: what stands in backticks, and lines of code.
fn mentioned(line: &str) -> impl Iterator<Item = Vec<&str>> {
    let spans = line.split('`').skip(1).step_by(2).map(str::trim);
    let code = line.trim_start();
    let code =
        ["$ ", "- run: ", "run: ", "- ", "  "].iter().find_map(|start| code.strip_prefix(start));
    spans.chain(code.map(str::trim)).filter_map(|text| {
        let mut words = text.strip_prefix("esb ")?.split_whitespace();
        let is_end = |word: &&str| !ENDS.contains(word);
        Some(words.by_ref().take_while(is_end).collect())
    })
}

/// What of a command does not exist.
fn unknown(words: &[&str], known: &Known) -> Option<String> {
    let first = *words.first()?;
    if !first.starts_with(|c: char| c.is_ascii_lowercase()) {
        return None;
    }
    let nested = words.get(1).map(|second| format!("{first} {second}"));
    let name = nested.filter(|name| known.contains_key(name)).unwrap_or_else(|| first.to_owned());
    let Some(own) = known.get(&name) else {
        return Some(format!("there is no command `esb {first}`"));
    };
    let flags = words.iter().filter_map(|word| flag(word.trim_end_matches([',', ')', '.'])));
    let is_known = |flag: &String| own.contains(flag) || known[""].contains(flag);
    let mut unknown = flags.filter(|flag| !is_known(flag));
    unknown.next().map(|flag| format!("`esb {name}` has no flag `{flag}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMANDS: &str = "## esb\n      --env <NAME>\n          a --text\n## esb image\n\
                            ## esb image ls\n  -p, --project <NAME>\n## esb deploy\n      --yes\n";

    #[test]
    fn commands_and_flags_of_pages_are_looked_up() {
        let known = known(COMMANDS);
        let check = |line: &str| -> Vec<String> {
            mentioned(line).filter_map(|words| unknown(&words, &known)).collect()
        };
        for right in [
            "run `esb deploy --yes --env dev`, or `esb image ls --project=x`",
            "$ esb deploy --yes # not --this",
            "`esb <command> --help`, `esb`, `esbuild deploy`, `esb -V`",
            "    - run: esb deploy > --out",
        ] {
            assert!(check(right).is_empty(), "{right}");
        }
        assert_eq!(check("`esb deplot`"), ["there is no command `esb deplot`"]);
        assert_eq!(check("$ esb deploy --no"), ["`esb deploy` has no flag `--no`"]);
        assert_eq!(check("`esb image ls --yes`."), ["`esb image ls` has no flag `--yes`"]);
    }
}
