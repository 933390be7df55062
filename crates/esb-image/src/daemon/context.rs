//! Makes the context that a daemon gets: the files that the Dockerfile copies, sorted by path.

use std::{io, path::Path};

use esb_model::ImageRecipe;
use esb_oci::{Digest, IgnoreRules};

use crate::{
    Error,
    context::{
        Context, ContextError, Item, ItemKind,
        listing::{self, Files},
        own_folders::OwnFolders,
        stat_cache::StatCache,
    },
    dockerfile::rewrite::CopiedPaths,
    error::io_error,
    fingerprint::Fingerprint,
};

/// Reads what is copied, with the folders that it lies in. Sockets, pipes and devices are left out.
/// Remembered digests of files are good enough when `trust` says so.
pub(crate) fn read(
    recipe: &ImageRecipe,
    root: &Path,
    needs: &CopiedPaths,
    stats: &StatCache,
    trust: bool,
) -> Result<Vec<Item>, Error> {
    let root = root.join(&recipe.context.folder);
    let root = root.canonicalize().map_err(io_error("open the build context", &root))?;
    let rules = IgnoreRules::parse(&recipe.dockerignore)
        .map_err(|reason| Error::Dockerignore { image: recipe.repository.clone(), reason })?;
    let own = OwnFolders::of(recipe);
    let through_link = match needs {
        CopiedPaths::Paths(paths) => paths.iter().any(|path| follows_link(&root, path, &own)),
        CopiedPaths::All => false,
    };
    let needs = if through_link { &CopiedPaths::All } else { needs };
    let context = Context::new(root.clone(), rules, stats, trust).with_own(own);
    let mut items = context.all(&|path| is_needed(path, needs)).map_err(|error| match error {
        ContextError::Other(error) => *error,
        ContextError::NotText(path) => {
            io_error("read", &path)(io::Error::other("the name is not UTF-8"))
        }
        ContextError::Link(fault) => Error::Link { image: recipe.repository.clone(), fault },
        ContextError::Missing(reason)
        | ContextError::Invalid(reason)
        | ContextError::Unsupported(reason) => io_error("read", &root)(io::Error::other(reason)),
    })?;
    items.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(items)
}

/// Whether a path of a context leads through a link: what lies behind may lie anywhere.
pub(crate) fn follows_link(root: &Path, path: &str, own: &OwnFolders) -> bool {
    let on_the_way = Path::new(path).ancestors().filter_map(Path::to_str);
    on_the_way
        .filter(|part| !part.is_empty() && !own.has(part))
        .any(|part| root.join(part).is_symlink())
}

/// Whether a path is copied, or lies above or below what is copied.
fn is_needed(path: &str, needs: &CopiedPaths) -> bool {
    let CopiedPaths::Paths(paths) = needs else { return true };
    let below = |inner: &str, outer: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    paths.iter().any(|needed| below(path, needed) || below(needed, path))
}

/// A key of what lies at a path or below it; none when nothing does.
pub(crate) fn fingerprint(items: &[Item], path: &str) -> Option<Digest> {
    let mut key = Fingerprint::new("docker source");
    let mut found = false;
    for item in items.iter().filter(|item| is_below(&item.path, path)) {
        found = true;
        key.text(&item.path);
        match &item.kind {
            ItemKind::Folder => key.text("folder"),
            ItemKind::Link(target) => key.text("link").text(target),
            ItemKind::File(content) => {
                let kind = if item.attributes.mode & 0o111 != 0 { "program" } else { "file" };
                key.text(kind).digest(content.digest)
            }
        };
    }
    (found || path.is_empty()).then(|| key.finish())
}

/// The files of a path, by their paths in the context.
pub(super) fn files(items: &[Item], path: &str) -> Files {
    let below = items.iter().filter(|item| is_below(&item.path, path));
    below.filter_map(|item| Some((item.path.clone(), listing::of_item(item)?))).collect()
}

fn is_below(item: &str, path: &str) -> bool {
    item.strip_prefix(path)
        .is_some_and(|rest| path.is_empty() || rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use esb_model::{BuildContext, Staged, StagedSource};

    use std::fs;

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
        let needs = paths.map_or(CopiedPaths::All, |paths| {
            CopiedPaths::Paths(paths.iter().map(|path| (*path).to_owned()).collect())
        });
        let recipe = recipe("")
            .with_dockerignore(dockerignore.to_owned())
            .with_context(BuildContext { folder: "ctx".into() });
        let entries =
            read(&recipe, root.path(), &needs, &StatCache::without_store(), true).unwrap();
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
            let recipe = recipe("")
                .with_dockerignore("**/.esb\n!.esb/dev/code\n".to_owned())
                .with_staged(targets.iter().map(content).collect());
            let needs = CopiedPaths::Paths([".esb/dev/code".to_owned()].into());
            let root = root.path().join("project");
            let entries = read(&recipe, &root, &needs, &StatCache::without_store(), true).unwrap();
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
