//! Names of files as a code host knows them: relative to the checkout that a pipeline works in.

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
};

use esb_deploy::normal;

use crate::environment::Environment;

/// The variables in which GitHub and GitLab name the checkout.
const VARIABLES: [&str; 2] = ["GITHUB_WORKSPACE", "CI_PROJECT_DIR"];

/// The folders that names of files are seen from.
pub(crate) struct Checkout<'a> {
    /// The folder in which the command runs, which findings name files from.
    current: &'a Path,
    /// The checkout by all its paths; none outside a pipeline.
    roots: Vec<PathBuf>,
}

impl<'a> Checkout<'a> {
    /// The checkout that the environment names.
    pub(crate) fn new(current: &'a Path, environment: &Environment) -> Self {
        let root = VARIABLES.iter().find_map(|name| environment.get(name));
        Self::at(current, root.map(Path::new))
    }

    pub(crate) fn at(current: &'a Path, root: Option<&Path>) -> Self {
        let root = root.map(|root| normal(&current.join(root)));
        let real = root.as_ref().and_then(|root| root.canonicalize().ok());
        Self { current, roots: root.into_iter().chain(real).collect() }
    }

    /// The name of a file in the checkout; as findings name it where it lies elsewhere, or where
    /// there is no checkout.
    pub(crate) fn file<'n>(&self, name: &'n str) -> Cow<'n, str> {
        if self.roots.is_empty() {
            return Cow::Borrowed(name);
        }
        let path = normal(&self.current.join(name));
        // A folder may be named by a link to it.
        let real = path.canonicalize().ok();
        for path in [Some(path), real].iter().flatten() {
            for root in &self.roots {
                if let Ok(inside) = path.strip_prefix(root) {
                    return Cow::Owned(inside.to_string_lossy().into_owned());
                }
            }
        }
        Cow::Borrowed(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_from_the_checkout() {
        let check = |current: &str, root: Option<&str>, name: &str, expected: &str| {
            let checkout = Checkout::at(current.as_ref(), root.map(Path::new));
            assert_eq!(checkout.file(name), expected, "{current} {root:?}");
        };
        check("/w/repo", Some("/w/repo"), "template.yaml", "template.yaml");
        check("/w/repo", Some("/w/repo/"), "./a/../template.yaml", "template.yaml");
        check("/w/repo/services/shop", Some("/w/repo"), "t.yaml", "services/shop/t.yaml");
        check("/w/repo/services", Some("/w/repo"), "../other/t.yaml", "other/t.yaml");
        check("/w/repo/services", Some("/w/repo"), "/w/repo/t.yaml", "t.yaml");
        check("/w/repo", Some("."), "t.yaml", "t.yaml");
        check("/elsewhere", Some("/w/repo"), "t.yaml", "t.yaml");
        check("/elsewhere", Some("/w/repo"), "/srv/t.yaml", "/srv/t.yaml");
        check("/elsewhere", None, "../t.yaml", "../t.yaml");
    }

    #[test]
    fn a_checkout_behind_a_link_is_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        std::fs::create_dir(&real).unwrap();
        std::fs::write(real.join("t.yaml"), "").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        for (current, root) in [(&real, &link), (&link, &real)] {
            assert_eq!(Checkout::at(current, Some(root)).file("t.yaml"), "t.yaml");
        }
        // A template that is a link itself keeps its own name.
        std::os::unix::fs::symlink(real.join("t.yaml"), real.join("u.yaml")).unwrap();
        assert_eq!(Checkout::at(&real, Some(&real)).file("u.yaml"), "u.yaml");
    }
}
