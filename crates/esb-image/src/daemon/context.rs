//! The context as an engine gets it: the files that the Dockerfile copies.

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use esb_model::ImageRecipe;
use esb_oci::{Digest, IgnoreRules};

use crate::{
    Error,
    context::{
        listing::{self, Files},
        own_folders::OwnFolders,
        stat_cache::{Folder, StatCache},
    },
    dockerfile::rewrite::Needs,
    fingerprint::Fingerprint,
};

/// One entry of a context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Relative to the context, with `/` between the parts.
    pub(crate) path: String,
    pub(crate) kind: Kind,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Folder,
    File { source: PathBuf, executable: bool, content: Digest },
    Link { target: String },
}

/// The most entries that a context may have.
const ENTRIES: usize = 2_000_000;

/// Reads the entries that are copied, with the folders that they lie in, in the order of their
/// paths. Sockets, pipes and devices are left out. Remembered digests of files are good enough
/// when `trust` says so.
pub(crate) fn read(
    recipe: &ImageRecipe,
    root: &Path,
    needs: &Needs,
    stats: &StatCache,
    trust: bool,
) -> Result<Vec<Entry>, Error> {
    let root = root.join(&recipe.context.folder);
    let root = root.canonicalize().map_err(|source| Error::Io {
        action: "open the build context",
        path: root,
        source,
    })?;
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Io { action: "read", path, source }
    };
    let rules = IgnoreRules::parse(&recipe.dockerignore)
        .map_err(|reason| Error::Dockerignore { image: recipe.repository.clone(), reason })?;
    let seen = stats.folder(&root, trust);
    let mut seen = Folder::lock(&seen);
    let own = OwnFolders::of(recipe);
    let through_link = match needs {
        Needs::Paths(paths) => paths.iter().any(|path| follows_link(&root, path, &own)),
        Needs::All => false,
    };
    let needs = if through_link { &Needs::All } else { needs };
    let mut entries = Vec::new();
    let mut open = vec![(String::new(), rules.root())];
    while let Some((folder, matched)) = open.pop() {
        let on_disk = root.join(&folder);
        for child in fs::read_dir(&on_disk).map_err(failed(&on_disk))? {
            let child = child.map_err(failed(&on_disk))?;
            let source = child.path();
            let name = child
                .file_name()
                .into_string()
                .map_err(|_| failed(&source)(io::Error::other("the name is not UTF-8")))?;
            let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            if !is_needed(&path, needs) {
                continue;
            }
            let inner = rules.matched(&matched, &path);
            let excluded = rules.excludes(&inner);
            let metadata = fs::symlink_metadata(&source).map_err(failed(&source))?;
            let is_own = || own.has(&path) && source.is_dir();
            let kind = if metadata.is_dir() || metadata.is_symlink() && is_own() {
                if !excluded || rules.may_include_below(&path) {
                    open.push((path.clone(), inner));
                }
                Kind::Folder
            } else if metadata.is_symlink() {
                let target = fs::read_link(&source).map_err(failed(&source))?;
                let target = target.into_os_string().into_string().map_err(|_| {
                    failed(&source)(io::Error::other("the link's target is not UTF-8"))
                })?;
                Kind::Link { target }
            } else if metadata.is_file() {
                if excluded {
                    continue;
                }
                let content = seen.digest(&path, &source, &metadata, trust);
                Kind::File {
                    executable: metadata.permissions().mode() & 0o111 != 0,
                    content: content.map_err(failed(&source))?,
                    source,
                }
            } else {
                continue;
            };
            if excluded {
                continue;
            }
            if entries.len() == ENTRIES {
                let text = format!("it has more than {ENTRIES} entries");
                return Err(failed(&root)(io::Error::other(text)));
            }
            entries.push(Entry { path, kind });
        }
    }
    stats.save(&mut seen);
    folders_above(&mut entries);
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(entries)
}

/// Whether a path of a context leads through a link: what lies behind may lie anywhere.
pub(crate) fn follows_link(root: &Path, path: &str, own: &OwnFolders) -> bool {
    let on_the_way = Path::new(path).ancestors().filter_map(Path::to_str);
    on_the_way
        .filter(|part| !part.is_empty() && !own.has(part))
        .any(|part| root.join(part).is_symlink())
}

/// Whether a path is copied, or lies above or below what is copied.
fn is_needed(path: &str, needs: &Needs) -> bool {
    let Needs::Paths(paths) = needs else { return true };
    let below = |inner: &str, outer: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    paths.iter().any(|needed| below(path, needed) || below(needed, path))
}

/// The folders above what was put back into a folder that is left out.
fn folders_above(entries: &mut Vec<Entry>) {
    let known: BTreeSet<&str> = entries.iter().map(|entry| &*entry.path).collect();
    let above: BTreeSet<String> = entries
        .iter()
        .flat_map(|entry| entry.path.match_indices('/').map(|(end, _)| &entry.path[..end]))
        .filter(|folder| !known.contains(folder))
        .map(str::to_owned)
        .collect();
    entries.extend(above.into_iter().map(|path| Entry { path, kind: Kind::Folder }));
}

/// A key of what lies at a path or below it; none when nothing does.
pub(crate) fn fingerprint(entries: &[Entry], path: &str) -> Option<Digest> {
    let mut key = Fingerprint::new("docker source");
    let mut found = false;
    for entry in entries {
        if !is_below(&entry.path, path) {
            continue;
        }
        found = true;
        key.text(&entry.path);
        match &entry.kind {
            Kind::Folder => key.text("folder"),
            Kind::Link { target } => key.text("link").text(target),
            Kind::File { executable, content, .. } => {
                key.text(if *executable { "program" } else { "file" }).digest(*content)
            }
        };
    }
    (found || path.is_empty()).then(|| key.finish())
}

/// The files of a path, by their paths in the context.
pub(super) fn files(entries: &[Entry], path: &str) -> Files {
    let file = |entry: &Entry| {
        let what = match &entry.kind {
            Kind::Folder => return None,
            Kind::Link { target } => listing::link(target),
            Kind::File { executable, content, .. } => {
                listing::file(if *executable { 0o755 } else { 0o644 }, *content)
            }
        };
        Some((entry.path.clone(), what))
    };
    entries.iter().filter(|entry| is_below(&entry.path, path)).filter_map(file).collect()
}

fn is_below(entry: &str, path: &str) -> bool {
    entry
        .strip_prefix(path)
        .is_some_and(|rest| path.is_empty() || rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use esb_model::{BuildContext, Staged, StagedSource};

    use super::{super::bundle::context_tar, *};
    use crate::dockerfile::rewrite::tests::recipe;

    #[track_caller]
    fn check(paths: Option<&[&str]>, dockerignore: &str, expected: &str) {
        let root = tempfile::tempdir().unwrap();
        for file in ["a/x/1", "a/y", "ab", "b/.env", "b/c"] {
            let path = root.path().join("ctx").join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        std::os::unix::fs::symlink("a", root.path().join("ctx/l")).unwrap();
        let needs = paths.map_or(Needs::All, |paths| {
            Needs::Paths(paths.iter().map(|path| (*path).to_owned()).collect())
        });
        let recipe = ImageRecipe {
            dockerignore: dockerignore.to_owned(),
            context: BuildContext { folder: "ctx".into() },
            ..recipe("")
        };
        let entries = read(&recipe, root.path(), &needs, &StatCache::forgetful(), true).unwrap();
        let paths: Vec<_> = entries.iter().map(|entry| &*entry.path).collect();
        assert_eq!(paths.join(" "), expected);
        let mut tar = Vec::new();
        context_tar(&entries, Some("FROM b"), true, 0, &mut tar).unwrap();
        let mut archive = tar::Archive::new(&tar[..]);
        assert_eq!(archive.entries().unwrap().count(), entries.len() + 2);
    }

    #[test]
    fn a_link_above_what_was_staged_is_a_folder() {
        let root = tempfile::tempdir().unwrap();
        let staged = root.path().join("else/dev/code");
        fs::create_dir_all(&staged).unwrap();
        fs::write(staged.join("a"), "a").unwrap();
        fs::create_dir(root.path().join("project")).unwrap();
        std::os::unix::fs::symlink("../else", root.path().join("project/.esb")).unwrap();
        let paths = |targets: &[&str]| {
            let content = |target: &&str| Staged {
                target: target.into(),
                source: StagedSource::Content(Vec::new()),
            };
            let recipe = ImageRecipe {
                dockerignore: "**/.esb\n!.esb/dev/code\n".to_owned(),
                staged: targets.iter().map(content).collect(),
                ..recipe("")
            };
            let needs = Needs::Paths([".esb/dev/code".to_owned()].into());
            let root = root.path().join("project");
            let entries = read(&recipe, &root, &needs, &StatCache::forgetful(), true).unwrap();
            let paths: Vec<_> = entries.into_iter().map(|entry| entry.path).collect();
            paths.join(" ")
        };
        assert_eq!(paths(&[".esb/dev/code"]), ".esb .esb/dev .esb/dev/code .esb/dev/code/a");
        assert_eq!(paths(&[]), "");
    }

    #[test]
    fn only_what_is_copied_is_sent() {
        check(None, "", "a a/x a/x/1 a/y ab b b/.env b/c l");
        check(None, "**/.env\na\n!a/y\n", "a a/y ab b b/c l");
        check(Some(&["a/x"]), "", "a a/x a/x/1");
        check(Some(&["a"]), "a/x", "a a/y");
        check(Some(&["l/y"]), "b", "a a/x a/x/1 a/y ab l");
    }
}
