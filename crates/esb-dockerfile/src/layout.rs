//! Where a layer's content goes below `/opt`.
//!
//! Lambda looks for Python modules in `/opt/python`. A layer that has them at its root, as many
//! hand-made ones do, is nested there by its `COPY`, so that its files stay where they are
//! (docs/contracts/platform.md#code-and-layers). Layers of other languages are never moved.

use std::collections::BTreeSet;

use esb_model::{Family, Runtime};

/// The layout of a layer's root, as Python sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// As AWS wants it, or nothing that Python could import.
    Opt,
    /// Modules or packages at the root.
    Modules,
    /// A `site-packages` folder at the root.
    SitePackages,
    /// What a build puts into this folder, as `BuildMethod` asks for.
    Below(&'static str),
}

/// Folders that have a meaning right below `/opt`.
const OPT_FOLDERS: [&str; 7] = ["python", "bin", "lib", "extensions", "java", "nodejs", "ruby"];

impl Layout {
    /// Reads the layout off the names in a layer, folders with a `/` at the end.
    pub(crate) fn of(names: &[String]) -> Self {
        let mut folders = BTreeSet::new();
        let mut packages = BTreeSet::new();
        let mut modules = false;
        for name in names {
            match name.trim_start_matches("./").split_once('/') {
                None => modules |= is_module(name),
                Some((folder, inner)) => {
                    folders.insert(folder);
                    if folder.ends_with(".dist-info") || (!inner.contains('/') && is_module(inner))
                    {
                        packages.insert(folder);
                    }
                }
            }
        }
        let initialised =
            |folder: &str| names.iter().any(|n| *n == format!("{folder}/__init__.py"));
        let means_opt = |folder: &&str| {
            // A package may well be called `lib`; `python` is what Lambda looks for in any case.
            OPT_FOLDERS.contains(folder) && (*folder == "python" || !initialised(folder))
        };
        if folders.iter().any(means_opt) {
            Self::Opt
        } else if folders.contains("site-packages") {
            Self::SitePackages
        } else if modules || !packages.is_empty() {
            Self::Modules
        } else {
            Self::Opt
        }
    }

    /// Whether a requirements file lies at the root of a layer that has no Python in it.
    pub(crate) fn lacks_installed_requirements(self, names: &[String]) -> bool {
        self == Self::Opt
            && names.iter().any(|name| name == "requirements.txt")
            && !names.iter().any(|name| name.starts_with("python/"))
    }

    /// The destination of the layer's `COPY` for a function of a runtime.
    pub(crate) fn destination(self, runtime: &Runtime) -> String {
        match self {
            Self::Modules if runtime.family() == Family::Python => "/opt/python/".to_owned(),
            Self::SitePackages if runtime.family() == Family::Python => {
                format!("/opt/python/lib/python{}/", runtime.version())
            }
            Self::Below(folder) => format!("/opt/{folder}/"),
            _ => "/opt/".to_owned(),
        }
    }
}

/// Whether Python can import a file of this name.
fn is_module(name: &str) -> bool {
    [".py", ".pyc", ".so"].iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(names: &[&str], python: &str, node: &str) {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let layout = Layout::of(&names);
        let destination = |runtime: &str| layout.destination(&runtime.parse().unwrap());
        assert_eq!(destination("python3.13"), python, "{names:?}");
        assert_eq!(destination("nodejs20.x"), node, "{names:?}");
    }

    #[test]
    fn only_bare_python_is_nested() {
        check(&[], "/opt/", "/opt/");
        check(&["python/", "python/common.py", "notes.py"], "/opt/", "/opt/");
        check(&["python/lib/python3.13/site-packages/x.py"], "/opt/", "/opt/");
        check(&["common.py"], "/opt/python/", "/opt/");
        check(&["README.md", "common/", "common/__init__.py"], "/opt/python/", "/opt/");
        check(&["common/deep/", "common/deep/x.py", "common/"], "/opt/", "/opt/");
        check(&["inflection.py", "inflection-0.5.1.dist-info/METADATA"], "/opt/python/", "/opt/");
        check(&["bin/", "bin/tool"], "/opt/", "/opt/");
        check(&["bin/", "bin/tool", "helper.py"], "/opt/", "/opt/");
        check(&["lib/", "lib/libx.so"], "/opt/", "/opt/");
        check(&["lib/__init__.py", "lib/x.py"], "/opt/python/", "/opt/");
        check(&["site-packages/", "site-packages/x.py"], "/opt/python/lib/python3.13/", "/opt/");
        check(&["nodejs/node_modules/x/index.js"], "/opt/", "/opt/");
        check(&["etc/", "etc/settings.ini"], "/opt/", "/opt/");
    }

    #[test]
    fn requirements_without_packages_are_noticed() {
        let lacks = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            Layout::of(&names).lacks_installed_requirements(&names)
        };
        assert!(lacks(&["requirements.txt"]));
        assert!(!lacks(&["requirements.txt", "python/x.py"]));
        assert!(!lacks(&["requirements.txt", "x.py"]));
        assert!(!lacks(&["README.md"]));
    }
}
