//! Paths inside images and contexts, as text.
//!
//! Owns the lexical rules: such a path has no leading slash, no `.` and no `..`; the root is the
//! empty text. Refuses to look at a disk.

/// The path without `.`, `..` and doubled slashes; `..` at the root stays there.
pub(crate) fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Whether a path is as [`clean`] leaves it.
pub(crate) fn is_clean(path: &str) -> bool {
    path.is_empty() || path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

/// Whether `..` leads out of the folder that the path starts in.
pub(crate) fn escapes(path: &str) -> bool {
    let mut depth = 0_usize;
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if depth == 0 => return true,
            ".." => depth -= 1,
            _ => depth += 1,
        }
    }
    false
}

/// What the paths below a clean path begin with.
pub(crate) fn prefix(folder: &str) -> String {
    if folder.is_empty() { String::new() } else { format!("{folder}/") }
}

/// A clean path below a clean path.
pub(crate) fn join(folder: &str, name: &str) -> String {
    match (folder, name) {
        ("", name) => name.to_owned(),
        (folder, "") => folder.to_owned(),
        (folder, name) => format!("{folder}/{name}"),
    }
}

/// The folder of a clean path; the root's is the root.
pub(crate) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The last part of a clean path.
pub(crate) fn name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// The most links that one path may pass.
const MAX_LINKS: usize = 255;

/// The path with every link in it followed, the last one too; what is not there stays as it is.
/// `link` gives the target of a path that is a link. No link leads above the root: an absolute
/// target counts from there, and `..` stops there.
pub(crate) fn follow_links<E>(
    path: &str,
    mut link: impl FnMut(&str) -> Result<Option<String>, E>,
    too_many: impl FnOnce() -> E,
) -> Result<String, E> {
    let mut done = String::new();
    let mut open: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
    let mut links = 0;
    while let Some(part) = open.pop() {
        match &*part {
            "" | "." => continue,
            ".." => {
                done.truncate(parent(&done).len());
                continue;
            }
            _ => {}
        }
        let next = join(&done, &part);
        let Some(target) = link(&next)? else {
            done = next;
            continue;
        };
        links += 1;
        if links > MAX_LINKS {
            return Err(too_many());
        }
        if target.starts_with('/') {
            done.clear();
        }
        open.extend(target.split('/').rev().map(str::to_owned));
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lexical_rules() {
        assert_eq!(clean("/a//b/./c/../d/"), "a/b/d");
        assert_eq!(clean("../../x"), "x");
        assert_eq!(clean("/"), "");
        for path in ["a", "a/b", "", "/", "/a", "a/", "a//b", "./a", "a/..", "..a/b."] {
            assert_eq!(is_clean(path), clean(path) == path, "{path}");
        }
        assert!(escapes("a/../../b") && escapes(".."));
        assert!(!escapes("/a/../b") && !escapes("a/b/../.."));
        assert_eq!(
            (join("", "a"), join("a", ""), join("a", "b/c")),
            ("a".into(), "a".into(), "a/b/c".into())
        );
        assert_eq!((parent("a/b"), parent("a"), name("a/b"), name("a")), ("a", "", "b", "a"));
    }
}
