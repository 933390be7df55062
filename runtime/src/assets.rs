//! The list of what is carried, and nothing else.
//!
//! Every file is named here by hand, so that what goes into an image is what was reviewed; a test
//! compares the list with the tree. Nothing is read at run time, and nothing is interpreted.

use std::path::Path;

/// One file that this crate carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asset {
    /// Relative to the root of its tree, with `/` between the parts.
    pub path: &'static str,
    pub content: &'static [u8],
}

/// A list of assets below one folder of this crate.
macro_rules! assets {
    ($root:literal: $($path:literal),* $(,)?) => {
        &[$(Asset { path: $path, content: include_bytes!(concat!("../", $root, "/", $path)) }),*]
    };
}

/// The build context of the Python base image (docs/contracts/platform.md#base-images), sorted by
/// path.
const PYTHON_BASE: &[Asset] = assets!["python":
    "docker/Dockerfile",
    "extensions/sitecustomize/site-packages/esb_hooks.pth",
    "extensions/sitecustomize/site-packages/esb_hooks/__init__.py",
    "extensions/sitecustomize/site-packages/esb_hooks/cloudwatch.py",
    "extensions/sitecustomize/site-packages/esb_hooks/exits.py",
    "extensions/sitecustomize/site-packages/esb_hooks/http1.py",
    "extensions/sitecustomize/site-packages/esb_hooks/lambda_runtime.py",
    "extensions/sitecustomize/site-packages/esb_hooks/lines.py",
    "extensions/sitecustomize/site-packages/esb_hooks/logrecords.py",
    "extensions/sitecustomize/site-packages/esb_hooks/records.py",
    "extensions/sitecustomize/site-packages/esb_hooks/report.py",
    "extensions/sitecustomize/site-packages/esb_hooks/sdk.py",
    "extensions/sitecustomize/site-packages/esb_hooks/shipping.py",
    "extensions/sitecustomize/site-packages/esb_hooks/sink.py",
    "extensions/sitecustomize/site-packages/esb_hooks/start.py",
    "extensions/sitecustomize/site-packages/esb_hooks/streams.py",
    "extensions/sitecustomize/site-packages/esb_hooks/trace.py",
    "extensions/sitecustomize/site-packages/sitecustomize.py",
    "extensions/trace-bridge/layer/trace_bridge.py",
];

/// The build context of the Java base image (docs/contracts/platform.md#java-hooks), sorted by
/// path.
const JAVA_BASE: &[Asset] = assets!["java":
    "dist/lambda-java-agent.jar",
    "dist/lambda-java-wrapper.jar",
    "docker/Dockerfile",
];

/// The build context of the Python base image, its `docker/Dockerfile` included, sorted by path.
///
/// Paths are relative to the context.
pub fn python_base() -> &'static [Asset] {
    PYTHON_BASE
}

/// The build context of the Java base image, its `docker/Dockerfile` included, sorted by path.
///
/// Paths are relative to the context. The jars are built from the sources beside them.
pub fn java_base() -> &'static [Asset] {
    JAVA_BASE
}

/// Where the Python hooks lie in their base's context.
const PYTHON_HOOKS: &str = "extensions/sitecustomize/site-packages/";

/// What takes the place of the base's `sitecustomize.py` in other images; a `.pth` is not read there.
const IMAGE_PYTHON: &[Asset] = assets!["image/python": "sitecustomize.py"];

/// The Python hooks for an image that was not built on our base: what a folder on `PYTHONPATH`
/// holds, sorted by path.
pub fn image_python() -> Vec<Asset> {
    let of_base = PYTHON_BASE.iter().filter_map(|asset| {
        let path = asset.path.strip_prefix(PYTHON_HOOKS)?;
        let is_start = Path::new(path).extension().is_some_and(|end| end == "pth");
        let ours = path != IMAGE_PYTHON[0].path && !is_start;
        ours.then_some(Asset { path, content: asset.content })
    });
    of_base.chain(IMAGE_PYTHON.iter().copied()).collect()
}

/// The Java agent for an image that was not built on our base.
pub fn image_java() -> Asset {
    let path = "lambda-java-agent.jar";
    let jar = JAVA_BASE.iter().find(|asset| asset.path.strip_prefix("dist/") == Some(path));
    Asset { path, content: jar.map_or(&[], |jar| jar.content) }
}

/// The handlebars template of a function's Dockerfile
/// (docs/contracts/platform.md#function-dockerfiles).
///
/// Its helpers (`reference`, `comment`, `copy`, `exec`) quote what they are given; it is meant to
/// be rendered in strict mode and without escaping for HTML.
pub fn function_dockerfile_template() -> &'static str {
    include_str!("../templates/function.Dockerfile.hbs")
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs, path::Path};

    use super::*;

    /// What lies beside the sources and is never part of a base image.
    fn is_development_file(name: &str) -> bool {
        matches!(
            name,
            "tests" | "__pycache__" | "pyproject.toml" | "agent" | "wrapper" | "pom.xml" | "target"
        ) || name.starts_with("README")
            || name.starts_with('.')
    }

    fn walk(folder: &Path, prefix: &str, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if is_development_file(&name) {
                continue;
            }
            let path = format!("{prefix}{name}");
            if entry.file_type().unwrap().is_dir() {
                walk(&entry.path(), &format!("{path}/"), found);
            } else {
                found.insert(path, fs::read(entry.path()).unwrap());
            }
        }
    }

    #[test]
    fn the_lists_are_the_trees() {
        for (folder, list) in [("python", python_base()), ("java", java_base())] {
            let mut tree = BTreeMap::new();
            walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), "", &mut tree);
            let listed: Vec<_> = list.iter().map(|asset| asset.path).collect();
            assert_eq!(listed, tree.keys().collect::<Vec<_>>(), "adjust the list in this file");
            for asset in list {
                assert_eq!(asset.content, tree[asset.path], "{} is an old copy", asset.path);
            }
        }
    }

    #[test]
    fn images_get_the_hooks_of_the_base_and_another_start() {
        let files = image_python();
        assert!(files.iter().any(|file| file.path == "esb_hooks/start.py"));
        let starts: Vec<_> = files.iter().filter(|file| file.path == "sitecustomize.py").collect();
        assert_eq!(starts.len(), 1);
        assert!(starts[0].content.starts_with(b"\"\"\"Loads the platform's hooks in an image"));
        assert!(files.is_sorted_by_key(|file| file.path));
        assert!(image_java().content.starts_with(b"PK"));
    }

    #[test]
    fn the_base_has_its_dockerfile_and_hooks() {
        for wanted in [
            "docker/Dockerfile",
            "extensions/sitecustomize/site-packages/sitecustomize.py",
            "extensions/trace-bridge/layer/trace_bridge.py",
        ] {
            let asset = python_base().iter().find(|asset| asset.path == wanted);
            assert!(asset.is_some_and(|asset| !asset.content.is_empty()), "{wanted}");
        }
    }

    #[test]
    fn the_template_ends_with_one_line_feed() {
        let template = function_dockerfile_template();
        assert!(template.ends_with("}}\n") && template.starts_with("FROM "), "{template}");
    }
}
