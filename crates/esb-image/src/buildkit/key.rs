//! Computes the placement key of a build: its bases and everything that decides its dependency
//! layers.
//!
//! Owns the key that placement works with. It does not change when code changes that is copied
//! after the last `RUN`, nor when folders change that are copied before it, because the cached
//! layers below are then still the ones to reuse.

use std::collections::BTreeSet;

use esb_oci::Digest;

use crate::{
    context::{Item, ItemKind},
    daemon::job::Job,
    dockerfile::syntax::Syntax,
    fingerprint::Fingerprint,
    paths,
};

/// The key of a build.
pub(super) fn key(job: &Job) -> Digest {
    let mut key = Fingerprint::new("buildkit dependency layers");
    key.text(&job.platform);
    for base in job.bases.values() {
        key.digest(base.image.descriptor.digest);
    }
    let shared = shared(&job.dockerfile, &job.items);
    key.text(&shared.steps);
    for (path, content) in shared.files {
        key.text(&path).digest(content);
    }
    if shared.is_own {
        key.text(&job.image);
    }
    key.finish()
}

/// The inputs of a build that come before its code.
#[derive(Debug, PartialEq, Eq)]
struct Shared {
    /// The Dockerfile up to the end of the last `RUN`.
    steps: String,
    /// Files that are copied until then.
    files: BTreeSet<(String, Digest)>,
    /// Folders are copied too, or nothing runs: nobody else has the same.
    is_own: bool,
}

fn shared(dockerfile: &str, items: &[Item]) -> Shared {
    let mut shared = Shared { steps: String::new(), files: BTreeSet::new(), is_own: true };
    let Ok(parsed) = Syntax::read(dockerfile) else { return shared };
    let last = parsed.instructions.iter().rposition(|raw| raw.keyword == "RUN");
    let Some(last) = last else { return shared };
    dockerfile[..parsed.instructions[last].end].clone_into(&mut shared.steps);
    shared.is_own = false;
    for raw in &parsed.instructions[..last] {
        let is_copy = matches!(&*raw.keyword, "COPY" | "ADD");
        if !is_copy || raw.flags("from").next().is_some() {
            continue;
        }
        for source in raw.sources().unwrap_or_default() {
            let path = paths::clean(&source.text);
            match items.iter().find(|item| item.path == path).map(|item| &item.kind) {
                Some(ItemKind::File(content)) => {
                    shared.files.insert((path, content.digest));
                }
                _ => shared.is_own = true,
            }
        }
    }
    shared
}

#[cfg(test)]
mod tests {
    use esb_oci::Attributes;

    use super::*;
    use crate::context::Content;

    fn file(path: &str, text: &str) -> Item {
        let digest = Digest::of(text.as_bytes());
        let content = Content { path: path.into(), size: text.len() as u64, digest };
        let (path, attributes) = (path.to_owned(), Attributes::root(0o644));
        Item { path, attributes, kind: ItemKind::File(content) }
    }

    fn folder(path: &str) -> Item {
        let attributes = Attributes::root(0o755);
        Item { path: path.to_owned(), attributes, kind: ItemKind::Folder }
    }

    const DOCKERFILE: &str = "FROM b\nCOPY f/requirements.txt ./\nRUN pip install \\\n  -r \
                              requirements.txt\nCOPY f/ ./\nCMD [\"a\"]\n";

    #[test]
    fn code_is_no_part_of_it() {
        let entries = |requirements: &str, code: &str| {
            vec![folder("f"), file("f/app.py", code), file("f/requirements.txt", requirements)]
        };
        let shared = |dockerfile: &str, requirements: &str, code: &str| {
            super::shared(dockerfile, &entries(requirements, code))
        };
        let first = shared(DOCKERFILE, "a", "1");
        assert!(!first.is_own && first.steps.ends_with("-r requirements.txt\n"), "{first:?}");
        assert_eq!(first, shared(DOCKERFILE, "a", "2"));
        assert_eq!(first, shared(&DOCKERFILE.replace("CMD [\"a\"]", "CMD [\"b\"]"), "a", "1"));
        assert_ne!(first, shared(DOCKERFILE, "b", "1"));
        assert_ne!(first, shared(&DOCKERFILE.replace("FROM b", "FROM c"), "a", "1"));
    }

    #[test]
    fn what_copies_folders_first_is_its_own() {
        let folder = [folder("f"), file("f/a", "1")];
        assert!(shared("FROM b\nCOPY f/ ./\nRUN make\n", &folder).is_own);
        assert!(shared("FROM b\nCOPY f/ ./\n", &folder).is_own);
        assert!(!shared("FROM b\nRUN make\nCOPY f/ ./\n", &folder).is_own);
    }
}
