//! Checks that files and headings that comments and pages refer to exist.
//!
//! A citation is a path below `docs/` as in `docs/contracts/platform.md#labels`; a link in a page is
//! relative to the page. Files of code that a page names by the end of their path exist somewhere.

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    path::{Component, Path, PathBuf},
};

use crate::checks::Outcome;

/// Where numbers in comments that must keep their bytes lead to.
const NUMBERS: &str = "docs/contracts/platform.md#numbers-in-the-python-hooks";
/// Files with such comments.
const NUMBERED: &str = "runtime/python/extensions";
/// Ends of names of files that may have citations.
const ENDINGS: [&str; 8] = ["rs", "py", "java", "toml", "hbs", "md", "xml", "Dockerfile"];
/// Folders of files that others wrote, or that are made.
const LEFT_OUT: [&str; 3] = ["target", "fixtures", "dist"];

/// Looks at every file of the project.
pub(super) fn check(root: &Path, wrong: &mut Vec<String>) -> Outcome {
    let mut files = Vec::new();
    collect(root, &mut files)?;
    let mut pages = Pages { root, anchors: HashMap::new() };
    for file in &files {
        let Ok(text) = fs::read_to_string(file) else { continue };
        let place = file.strip_prefix(root).unwrap_or(file);
        if place == Path::new(file!()) {
            continue;
        }
        let is_page = place.extension().is_some_and(|end| end == "md");
        for (number, line) in text.lines().enumerate() {
            let mut tell =
                |what: String| wrong.push(format!("{}:{}: {what}", place.display(), number + 1));
            let cited = cited(line).into_iter().map(|path| (root.to_owned(), path));
            let folder = file.parent().unwrap_or(root);
            let linked = linked(line).into_iter().filter(|_| is_page);
            for (from, target) in cited.chain(linked.map(|path| (folder.to_owned(), path))) {
                if let Some(reason) = pages.missing(&from, file, target) {
                    tell(format!("`{target}` leads nowhere: {reason}"));
                }
            }
            for code in sources(line).into_iter().filter(|_| is_page) {
                if !files.iter().any(|file| file.ends_with(code)) {
                    tell(format!("there is no file `{code}`"));
                }
            }
            for number in numbers(line) {
                if !place.starts_with(NUMBERED) {
                    tell(format!(
                        "cite a heading, as in `docs/contracts/platform.md#labels`, not {number}"
                    ));
                } else if !pages.has_number(number) {
                    tell(format!("{NUMBERS} has no number {number}"));
                }
            }
        }
    }
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Outcome {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if !name.starts_with('.') && !LEFT_OUT.contains(&name.as_str()) {
                collect(&path, files)?;
            }
        } else if ENDINGS.contains(&name.rsplit('.').next().unwrap_or_default()) {
            files.push(path);
        }
    }
    files.sort();
    Ok(())
}

/// Paths of pages below `docs/`, with a heading or without, wherever they stand in a line.
fn cited(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (start, _) in line.match_indices("docs/") {
        let before = line[..start].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || "/.-_".contains(c)) {
            continue;
        }
        let part = |c: char| c.is_alphanumeric() || "/.-_#".contains(c);
        let rest = &line[start..];
        let path = &rest[..rest.find(|c| !part(c)).unwrap_or(rest.len())];
        let path = path.trim_end_matches(['.', '-', '/']);
        if path.contains(".md") {
            found.push(path);
        }
    }
    found
}

/// Targets of links in a page that are neither addresses nor empty.
fn linked(line: &str) -> Vec<&str> {
    let targets = line.match_indices("](").map(|(start, _)| &line[start + 2..]);
    let targets = targets.filter_map(|rest| rest.split_once(')').map(|(target, _)| target));
    targets.filter(|target| !target.is_empty() && !target.contains("://")).collect()
}

/// Files of code that a line names in backticks.
fn sources(line: &str) -> Vec<&str> {
    let words = line.split('`').skip(1).step_by(2);
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_/.".contains(c);
    let is_code = |word: &str| Path::new(word).extension().is_some_and(|end| end == "rs");
    words.filter(|word| is_code(word) && word.chars().all(plain)).collect()
}

/// Numbers of sections that a line cites without a page.
fn numbers(line: &str) -> Vec<&str> {
    let lower = line.to_ascii_lowercase();
    let Some(start) = lower.find("contracts, ").or_else(|| lower.find("(sam, section")) else {
        return Vec::new();
    };
    let is_number =
        |word: &&str| word.contains('.') && word.split('.').all(|part| part.parse::<u8>().is_ok());
    let words = line[start..].split(|c: char| !c.is_ascii_digit() && c != '.');
    words.map(|word| word.trim_matches('.')).filter(is_number).collect()
}

/// The headings of pages, each page read once.
struct Pages<'a> {
    root: &'a Path,
    anchors: HashMap<PathBuf, Option<BTreeSet<String>>>,
}

impl Pages<'_> {
    /// Why a target does not exist.
    fn missing(&mut self, from: &Path, page: &Path, target: &str) -> Option<&'static str> {
        let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
        let path = if path.is_empty() { page.to_owned() } else { plain(&from.join(path)) };
        if !path.exists() {
            return Some("there is no such file");
        }
        let known = anchor.is_empty()
            || path.extension().is_none_or(|end| end != "md")
            || self.anchors(&path).is_some_and(|anchors| anchors.contains(anchor));
        (!known).then_some("the page has no such heading")
    }

    fn anchors(&mut self, path: &Path) -> Option<&BTreeSet<String>> {
        let read = || fs::read_to_string(path).ok().map(|text| headings(&text));
        self.anchors.entry(path.to_owned()).or_insert_with(read).as_ref()
    }

    /// Whether the table of numbers has one.
    fn has_number(&self, number: &str) -> bool {
        let (page, _) = NUMBERS.split_once('#').unwrap_or((NUMBERS, ""));
        let text = fs::read_to_string(self.root.join(page)).unwrap_or_default();
        text.lines().any(|line| line.starts_with(&format!("| {number} |")))
    }
}

/// A path without `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

/// The anchors of a page's headings, as GitHub makes them; code in fences has none.
fn headings(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        let title = line.trim_start_matches('#');
        if fenced || title.len() == line.len() || !title.starts_with(' ') {
            continue;
        }
        let anchor = anchor(title.trim());
        let mut name = anchor.clone();
        let mut count = 1;
        while !found.insert(name) {
            name = format!("{anchor}-{count}");
            count += 1;
        }
    }
    found
}

fn anchor(title: &str) -> String {
    let kept = |c: char| c.is_alphanumeric() || "-_ ".contains(c);
    title
        .to_lowercase()
        .chars()
        .filter(|c| kept(*c))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_are_githubs() {
        let text =
            "# A page\n## functions.yml\n```\n# no heading\n```\n## `esb` & more\n## A page\n";
        let anchors: Vec<_> = headings(text).into_iter().collect();
        assert_eq!(anchors, ["a-page", "a-page-1", "esb--more", "functionsyml"]);
    }

    #[test]
    fn citations_are_found_wherever_they_stand() {
        let line =
            "/// The labels (docs/contracts/platform.md#labels). See docs/adr/ and `docs/x.md`.";
        assert_eq!(cited(line), ["docs/contracts/platform.md#labels", "docs/x.md"]);
        assert!(cited("//docs.rs/x, ../docs/y.md").is_empty());
        assert_eq!(linked("[a](b.md#c), [d](https://e) and ![f](g.png)"), ["b.md#c", "g.png"]);
    }

    #[test]
    fn numbers_are_no_citations() {
        assert_eq!(numbers("//! (contracts, sections 5.2 and 10.10)."), ["5.2", "10.10"]);
        assert_eq!(numbers("/// as before (Contracts, 3.3)"), ["3.3"]);
        assert!(numbers("/// the contract's version 1.2").is_empty());
    }

    #[test]
    fn what_is_not_there_is_told_with_its_line() {
        let root = tempfile::tempdir().unwrap();
        let docs = root.path().join("docs/contracts");
        fs::create_dir_all(&docs).unwrap();
        fs::write(
            docs.join("platform.md"),
            "# Platform\n\n## Labels\n[x](sam.md)\n`a.rs`, `b/c.rs`\n",
        )
        .unwrap();
        let code = "//! docs/contracts/platform.md#labels\n//! docs/contracts/platform.md#tags\n\
                    //! docs/contracts/cli.md#a\n//! (contracts, section 2.4)\n";
        fs::write(root.path().join("a.rs"), code).unwrap();
        let mut wrong = Vec::new();
        check(root.path(), &mut wrong).unwrap();
        assert_eq!(
            wrong,
            [
                "a.rs:2: `docs/contracts/platform.md#tags` leads nowhere: the page has no such heading",
                "a.rs:3: `docs/contracts/cli.md#a` leads nowhere: there is no such file",
                "a.rs:4: cite a heading, as in `docs/contracts/platform.md#labels`, not 2.4",
                "docs/contracts/platform.md:4: `sam.md` leads nowhere: there is no such file",
                "docs/contracts/platform.md:5: there is no file `b/c.rs`",
            ]
        );
    }
}
