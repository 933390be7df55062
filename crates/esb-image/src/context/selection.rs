//! Which entries of a source `COPY` takes: `--exclude` and `--parents`.
//!
//! Owns the patterns of both, which are read as those of `.dockerignore` are, and the folders on the
//! way to what they take. The top of a source itself is never left out. Follows `BuildKit`.

use std::collections::{BTreeMap, BTreeSet};

use esb_oci::{IgnoreRules, Matched, is_pattern};

use super::{Item, ItemKind, Selected};
use crate::paths;

/// What a source of `COPY` takes.
#[derive(Debug, Clone)]
pub(crate) struct Selection {
    /// The path or pattern below which it takes something.
    root: String,
    /// Patterns of what is taken; without them everything is.
    include: Option<IgnoreRules>,
    exclude: IgnoreRules,
    /// It has to take something.
    required: bool,
}

/// A folder of a source.
struct Folder {
    item: Item,
    include: Option<Matched>,
    exclude: Matched,
    taken: bool,
}

impl Selection {
    /// A source, with its folders kept when `parents` says so: those after `/./`, else all. The
    /// error is a reason.
    pub(crate) fn new(source: &str, parents: bool, excludes: &[String]) -> Result<Self, String> {
        let exclude = IgnoreRules::new(excludes.iter().map(String::as_str))
            .map_err(|reason| format!("`--exclude`: {reason}"))?;
        if !parents {
            let root = source.to_owned();
            return Ok(Self { root, include: None, exclude, required: false });
        }
        let (root, pattern) = source.split_once("/./").unwrap_or(("/", source));
        let pattern = paths::clean(pattern);
        let include =
            IgnoreRules::new([&*pattern]).map_err(|reason| format!("`--parents`: {reason}"))?;
        let required = !is_pattern(root) && !is_pattern(&pattern);
        Ok(Self { root: root.to_owned(), include: Some(include), exclude, required })
    }

    /// The path or pattern below which it takes something.
    pub(crate) fn root(&self) -> &str {
        &self.root
    }

    /// Whether it takes what patterns below its root match.
    pub(crate) fn keeps_folders(&self) -> bool {
        self.include.is_some()
    }

    /// Whether an entry, by its path below the root, is taken, or is a folder that may hold what is.
    pub(crate) fn needs(&self, path: &str, is_folder: bool) -> bool {
        if path.is_empty() {
            return true;
        }
        let excluded = self.exclude.excludes(&self.exclude.matched_from_root(path));
        if excluded && !(is_folder && self.exclude.has_exceptions()) {
            return false;
        }
        self.include.as_ref().is_none_or(|include| {
            is_folder && include.may_match_below(path)
                || include.excludes(&include.matched_from_root(path))
        })
    }

    /// The entries of what was found that are taken; none where there have to be some.
    pub(crate) fn take(&self, found: Vec<Selected>) -> Option<Vec<Selected>> {
        if self.include.is_none() && self.exclude.is_empty() {
            return Some(found);
        }
        let found: Vec<_> = found.into_iter().map(|selected| self.filter(selected)).collect();
        let is_empty =
            found.iter().all(|selected| selected.items.is_empty() || !selected.is_folder);
        (!(self.required && is_empty)).then_some(found)
    }

    fn filter(&self, selected: Selected) -> Selected {
        if !selected.is_folder {
            return selected;
        }
        let (mut items, mut passed) = (Vec::new(), BTreeSet::new());
        let mut folders: BTreeMap<String, Folder> = BTreeMap::new();
        for item in selected.items {
            let above = folders.get(paths::parent(&item.path));
            let include = self.include.as_ref().map(|rules| {
                let above = above.and_then(|folder| folder.include.clone());
                rules.matched(&above.unwrap_or_else(|| rules.root()), &item.path)
            });
            let exclude =
                above.map_or_else(|| self.exclude.root(), |folder| folder.exclude.clone());
            let exclude = self.exclude.matched(&exclude, &item.path);
            let included = self.include.as_ref().zip(include.as_ref());
            let taken = included.is_none_or(|(rules, matched)| rules.excludes(matched))
                && !self.exclude.excludes(&exclude);
            if taken {
                for end in item.path.match_indices('/').map(|(at, _)| at) {
                    if let Some(folder) = folders.get_mut(&item.path[..end]).filter(|it| !it.taken)
                    {
                        folder.taken = true;
                        passed.insert(folder.item.path.clone());
                        items.push(folder.item.clone());
                    }
                }
            }
            if matches!(item.kind, ItemKind::Folder) {
                let folder = Folder { item: item.clone(), include, exclude, taken };
                folders.insert(item.path.clone(), folder);
            }
            if taken {
                items.push(item);
            }
        }
        Selected { items, passed, ..selected }
    }
}

#[cfg(test)]
mod tests {
    use esb_oci::{Attributes, Digest};

    use super::*;
    use crate::context::Content;

    /// A folder with these entries; those that end with a slash are folders.
    fn folder(paths: &[&str]) -> Vec<Selected> {
        let content = Content { path: "x".into(), size: 0, digest: Digest::of(b"") };
        let item = |path: &&str| {
            let kind = if path.ends_with('/') {
                ItemKind::Folder
            } else {
                ItemKind::File(content.clone())
            };
            let path = path.trim_end_matches('/').to_owned();
            Item { path, attributes: Attributes::root(0o644), kind }
        };
        let items = paths.iter().map(item).collect();
        let (name, passed) = ("d".to_owned(), BTreeSet::new());
        vec![Selected { name, is_folder: true, items, passed }]
    }

    const FILES: [&str; 7] = ["a/", "a/b/", "a/b/x.so", "a/b/y.txt", "a/z.txt", "c/", "d.txt"];

    /// What a source takes of the files, folders on the way in brackets.
    fn taken(source: &str, parents: bool, excludes: &[&str]) -> Option<String> {
        let excludes: Vec<String> = excludes.iter().map(|text| (*text).to_owned()).collect();
        let selection = Selection::new(source, parents, &excludes).unwrap();
        let found = selection.take(folder(&FILES))?.remove(0);
        for item in &found.items {
            let is_folder = matches!(item.kind, ItemKind::Folder);
            assert!(selection.needs(&item.path, is_folder), "{source}: {} is read", item.path);
        }
        let show = |item: &Item| {
            let path = &item.path;
            if found.passed.contains(path) { format!("[{path}]") } else { path.clone() }
        };
        Some(found.items.iter().map(show).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn patterns_leave_out() {
        let check = |excludes: &[&str], expected: &str| {
            assert_eq!(taken("src", false, excludes).as_deref(), Some(expected), "{excludes:?}");
        };
        check(&[], "a a/b a/b/x.so a/b/y.txt a/z.txt c d.txt");
        check(&["*.txt"], "a a/b a/b/x.so a/b/y.txt a/z.txt c");
        check(&["**/*.txt"], "a a/b a/b/x.so c");
        check(&["a", "c"], "d.txt");
        check(&["*", "!a/b/x.so"], "[a] [a/b] a/b/x.so");
        check(&["a/b", "!a/b/x.so"], "a [a/b] a/b/x.so a/z.txt c d.txt");
    }

    #[test]
    fn folders_of_sources_are_kept() {
        let check = |source: &str, expected: Option<&str>| {
            assert_eq!(taken(source, true, &["y*"]).as_deref(), expected, "{source}");
        };
        check("a/b/x.so", Some("[a] [a/b] a/b/x.so"));
        check("./a/b", Some("[a] a/b a/b/x.so a/b/y.txt"));
        check("root/./a/*.txt", Some("[a] a/z.txt"));
        check("**/*.so", Some("[a] [a/b] a/b/x.so"));
        check("c/", Some("c"));
        check("none*", Some(""));
        check("none", None);
        check(".", None);
        let root = |source: &str| Selection::new(source, true, &[]).unwrap().root().to_owned();
        assert_eq!((root("a/./b/./c"), root("/a/b")), ("a".to_owned(), "/".to_owned()));
        assert!(Selection::new("[a", true, &[]).is_err());
    }

    #[test]
    fn what_cannot_be_taken_is_not_read() {
        let selection = Selection::new("a/b", true, &["a/b/x*".to_owned()]).unwrap();
        let needs = |path: &str, is_folder| selection.needs(path, is_folder);
        assert!(needs("a", true) && needs("a/b", true) && needs("a/b/y", false));
        assert!(!needs("a", false) && !needs("c", true) && !needs("a/b/x.so", false));
    }
}
