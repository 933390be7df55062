//! Checks that what changed of a promise since the last release stands in `CHANGELOG.md`.
//!
//! The promises are the pages of `docs/reference` (docs/operations.md#what-a-version-promises). They are
//! compared with those of the last release's tag; where there is none, as before the first release and
//! in a clone without tags, nothing is compared.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use crate::{
    checks::Outcome,
    command::{command, output},
    steps::say,
};

const PAGES: &str = "docs/reference";
const CHANGELOG: &str = "CHANGELOG.md";

/// Compares with the last release.
pub(super) fn check(root: &Path, wrong: &mut Vec<String>) -> Outcome {
    let Some(tag) = last_release(root) else {
        say("CHANGELOG.md is not compared: this clone has no tag of a release");
        return Ok(());
    };
    let log = fs::read_to_string(root.join(CHANGELOG))?;
    let Some(new) = since(&log, tag.trim_start_matches('v')) else {
        wrong.push(format!("{CHANGELOG} has no heading `## {}`", tag.trim_start_matches('v')));
        return Ok(());
    };
    for page in changed(root, &tag)? {
        let old = output(git(root).args(["show", &format!("{tag}:{page}")])).unwrap_or_default();
        let now = fs::read_to_string(root.join(&page)).unwrap_or_default();
        let missing = noted_by(&page, &old, &now).into_iter().filter(|name| !new.contains(name));
        let missing: Vec<String> = missing.collect();
        if !missing.is_empty() {
            wrong.push(format!(
                "{page} changed since {tag}, and {CHANGELOG} says nothing of {} above `## {}`",
                missing.join(", "),
                tag.trim_start_matches('v')
            ));
        }
    }
    Ok(())
}

/// The newest tag of a release that this commit comes after.
pub(crate) fn last_release(root: &Path) -> Option<String> {
    let mut tags = git(root);
    tags.args(["tag", "--merged", "HEAD", "--list", "v[0-9]*", "--sort=-version:refname"]);
    // Sources without a repository have no tags.
    let tags = output(&mut tags).unwrap_or_default();
    tags.lines().next().map(str::to_owned)
}

/// The pages of the reference that are not as the tag has them.
fn changed(root: &Path, tag: &str) -> Outcome<Vec<String>> {
    let pages = output(git(root).args(["diff", "--name-only", tag, "--", PAGES]))?;
    Ok(pages.lines().map(str::to_owned).collect())
}

/// What the changelog says above the heading of a release.
fn since<'a>(log: &'a str, version: &str) -> Option<&'a str> {
    let heading = format!("## {version}");
    let is_heading = |line: &str| {
        line.strip_prefix(&*heading)
            .is_some_and(|rest| !rest.starts_with(|c: char| !c.is_whitespace()))
    };
    let mut at = 0;
    for line in log.split_inclusive('\n') {
        if is_heading(line) {
            return Some(&log[..at]);
        }
        at += line.len();
    }
    None
}

/// The names that a note of a changed page must have: of libraries, documents, flags and variables.
fn noted_by(page: &str, old: &str, now: &str) -> Vec<String> {
    let name = page.strip_prefix(PAGES).unwrap_or(page).trim_start_matches('/');
    if let Some(library) = name.strip_prefix("api/").and_then(|name| name.strip_suffix(".txt")) {
        return vec![format!("`{library}`")];
    }
    if let Some(document) = name.strip_prefix("schemas/") {
        return vec![format!("`{document}`")];
    }
    let names = match name {
        "commands.md" => commands,
        "variables.md" => rows,
        "findings.md" => codes,
        "esb.toml" => return vec!["`esb.toml`".to_owned()],
        "exit-codes.md" => return vec!["exit code".to_owned()],
        _ => return Vec::new(),
    };
    let (old, now) = (names(old), names(now));
    let changed = old.symmetric_difference(&now);
    // A flag is noted by its own name, whichever command it is of.
    let changed: BTreeSet<String> = changed
        .map(|name| name.split_once(" --").map_or(name.clone(), |(_, flag)| format!("--{flag}")))
        .collect();
    changed.into_iter().collect()
}

/// Commands by their headings, and the long flags of each as `COMMAND --FLAG`.
fn commands(text: &str) -> BTreeSet<String> {
    let (mut names, mut command) = (BTreeSet::new(), "");
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            command = heading.trim_matches('`');
            names.insert(command.to_owned());
        } else if line.trim_start().starts_with('-') {
            let flag = line.split_whitespace().take(2).find(|word| word.starts_with("--"));
            let flag = flag.map(|flag| flag.split(['=', '[']).next().unwrap_or(flag));
            names.extend(flag.map(|flag| format!("{command} {flag}")));
        }
    }
    names
}

/// What the rows of a table are about.
fn rows(text: &str) -> BTreeSet<String> {
    let names = text.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    names.map(str::to_owned).collect()
}

/// Codes of findings.
fn codes(text: &str) -> BTreeSet<String> {
    let is_end = |c: char| !c.is_ascii_alphanumeric() && c != ':' && c != '-';
    let codes = text.split(is_end).filter(|word| word.starts_with("esb::"));
    codes.map(str::to_owned).collect()
}

fn git(root: &Path) -> Command {
    let mut git = command("git");
    git.current_dir(root);
    git
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(root: &Path, message: &str) {
        let who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"];
        output(git(root).args(["add", "--all"])).unwrap();
        output(git(root).args(who).args(["commit", "--quiet", "-m", message])).unwrap();
    }

    fn wrong(root: &Path) -> Vec<String> {
        let mut wrong = Vec::new();
        check(root, &mut wrong).unwrap();
        wrong
    }

    #[test]
    fn a_change_of_a_promise_has_to_be_noted() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        assert_eq!(wrong(root), [""; 0], "no repository");
        output(git(root).args(["init", "--quiet"])).unwrap();
        write(CHANGELOG, "# Changelog\n\n## Unreleased\n\n## 0.1.0 - 2026-01-01\n\n- `esb-oci`\n");
        write("docs/reference/api/esb-oci.txt", "pub fn a\n");
        write("docs/reference/commands.md", "## esb deploy\n  -o, --old <X>\n      --stays\n");
        write("docs/reference/schemas/deploy.json", "{}");
        write("docs/reference/exit-codes.md", "0");
        write("docs/reference/variables.md", "| `ESB_A` | `ESB_X` |\n");
        write("docs/reference/findings.md", "# Findings\n");
        commit(root, "one");
        write("docs/reference/api/esb-oci.txt", "pub fn b\n");
        assert_eq!(wrong(root), [""; 0], "no release");
        output(git(root).args(["tag", "v0.1.0"])).unwrap();
        write("docs/reference/commands.md", "## esb deploy\n  --new[=<X>]\n  --stays\n## esb up\n");
        write("docs/reference/schemas/deploy.json", "{1}");
        write("docs/reference/exit-codes.md", "1");
        write("docs/reference/json.md", "of people");
        write("docs/reference/variables.md", "| `ESB_A` | `ESB_Y` |\n| `ESB_B` | |\n");
        write("docs/reference/findings.md", "## `esb::a::b`: text\n");
        let told = wrong(root).join("\n");
        for words in [
            "of --new, --old, esb up above `## 0.1.0`",
            "of ESB_B above",
            "of esb::a::b above",
            "`esb-oci`",
            "`deploy.json`",
            "exit code",
        ] {
            assert!(told.contains(words), "{words}: {told}");
        }
        let notes = "`--new` for `--old`, `esb up`, `esb-oci`, `deploy.json`, exit code 1, ESB_B, esb::a::b";
        let log = format!("# Changelog\n\n## Unreleased\n\n- {notes}\n\n## 0.1.0\n");
        write(CHANGELOG, &log);
        assert_eq!(wrong(root), [""; 0]);
        // The notes get their release's heading before it has a tag.
        write(CHANGELOG, &log.replace("Unreleased", "0.2.0"));
        assert_eq!(wrong(root), [""; 0]);
        write(CHANGELOG, "# Changelog\n\n## 0.1.01\n");
        assert_eq!(wrong(root), ["CHANGELOG.md has no heading `## 0.1.0`"]);
    }
}
