//! A project: its root, its templates, and the environment that a run is for.

use std::{
    collections::BTreeSet,
    os::unix::fs::PermissionsExt as _,
    path::{Component, Path, PathBuf},
};

use esb_model::{
    Brand, FollowLinks, STAGING_FOLDER, check_environment_name, decode_text, environment_folder,
};
use esb_oci::Links;

use crate::{
    Remedy,
    error::{Error, Kind},
    lockfile, settings,
};

/// Files that mark the root of a project.
const MARKERS: [&str; 3] = [settings::NAME, ".git", lockfile::NAME];

/// Names that a folder given as a template may hold one under, in that order.
pub const TEMPLATE_NAMES: [&str; 3] = ["template.yaml", "template.yml", "template.json"];

/// The most bytes of a template, of a file of parameters, and of what they name.
const FILE_LIMIT: u64 = 64 * 1024 * 1024;

/// A template file that exists.
#[derive(Debug, Clone)]
pub struct TemplateFile {
    /// As the user named it.
    pub name: String,
    /// Where it lies.
    pub path: PathBuf,
    /// Its folder relative to the project root; absolute when it lies outside.
    pub folder: PathBuf,
    /// Its path relative to the project root: the owner of what it publishes.
    pub owner: String,
}

/// A project: its root, its templates, and the environment that a run is for.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Project {
    /// The folder of `esb.lock` and of generated files.
    pub root: PathBuf,
    /// The folder that relative paths are seen from.
    pub current: PathBuf,
    /// The name that folders, images and labels carry.
    pub brand: Brand,
    /// The environment that the run is for.
    pub environment: String,
    /// The templates, in the order in which they were named.
    pub templates: Vec<TemplateFile>,
    /// Function (name or logical id) and variable that the Gateway's own environment fills in.
    pub secret_env: BTreeSet<(String, String)>,
    /// How far links that lead out of code or of a layer may lead.
    pub follow_links: FollowLinks,
    /// Whether the platform is said to run workers in containerd.
    pub containerd: bool,
    /// What happens when folders that are written to contain symbolic links.
    pub links: Links,
}

impl Project {
    /// A project without templates.
    ///
    /// # Errors
    /// When `environment` cannot name one.
    pub fn new(
        root: impl Into<PathBuf>,
        current: impl Into<PathBuf>,
        environment: impl Into<String>,
    ) -> Result<Self, Error> {
        let environment = environment.into();
        check_environment_name(&environment)
            .map_err(|error| Error::of(Kind::Usage, "env", &error))?;
        Ok(Self {
            root: root.into(),
            current: current.into(),
            brand: Brand::default(),
            environment,
            templates: Vec::new(),
            secret_env: BTreeSet::new(),
            follow_links: FollowLinks::default(),
            containerd: false,
            links: Links::Refused { unless: None },
        })
    }

    /// The project of one template; `current` is the folder that its path is seen from. The root is
    /// the nearest folder from the template upwards that holds `esb.toml` or `.git`, else the nearest
    /// that holds `esb.lock`, else the template's own.
    ///
    /// # Errors
    /// When there is no such template.
    pub fn of_template(current: &Path, template: &Path, environment: &str) -> Result<Self, Error> {
        let path = find_template(current, template, false)?;
        let root = project_root(current, None, &path)?;
        Ok(Self::new(root, current, environment)?.with_templates(vec![path]))
    }

    /// Gives the project its templates, by their paths; one that is named twice is taken once.
    #[must_use]
    pub fn with_templates(mut self, paths: Vec<PathBuf>) -> Self {
        let root = &self.root;
        let mut seen = BTreeSet::new();
        let is_new = |path: &PathBuf| {
            seen.insert(std::fs::canonicalize(path).unwrap_or_else(|_| path.clone()))
        };
        let templates = paths.into_iter().filter(is_new).map(|path| {
            let folder = path.parent().unwrap_or(root);
            TemplateFile {
                name: display_name(&self.current, &path),
                folder: folder.strip_prefix(root).unwrap_or(folder).to_owned(),
                owner: owner_path(root, &path),
                path,
            }
        });
        self.templates = templates.collect();
        self
    }

    /// The folder of generated files of this environment.
    pub fn generated(&self) -> PathBuf {
        self.brand.folder(&self.root).join(&*environment_folder(&self.environment))
    }

    /// The folder of the merged configuration of a compose project
    /// (docs/contracts/platform.md#merge-and-ownership).
    pub fn staging(&self, compose_project: &str) -> PathBuf {
        let folder = self.brand.folder(&self.root).join(STAGING_FOLDER);
        folder.join(compose_project).join(&self.environment).join("config")
    }

    /// The compose project where none is named: of brand and environment.
    pub fn compose_project(&self) -> String {
        format!("{}-{}", self.brand.slug(), self.environment)
    }

    /// A path for messages: relative to the project's root when it is inside.
    pub fn short(&self, path: &Path) -> String {
        match path.strip_prefix(&self.root) {
            Ok(below) if below.as_os_str().is_empty() => ".".to_owned(),
            Ok(below) => below.display().to_string(),
            Err(_) => path.display().to_string(),
        }
    }
}

/// The template that a path names, or that the folder which it names holds. `is_default` says that
/// nobody named it.
///
/// # Errors
/// When there is none.
pub fn find_template(current: &Path, given: &Path, is_default: bool) -> Result<PathBuf, Error> {
    let path = normal(&current.join(given));
    let missing = |path: &Path, source: Option<std::io::Error>| {
        let text = format!("could not read the template `{}`", display_name(current, path));
        let mut error = Error::new(Kind::Input, "template", text).in_file(path, None);
        error.causes.extend(source.map(|error| error.to_string()));
        error.hint(Remedy::NameTemplate)
    };
    let metadata = std::fs::metadata(&path).map_err(|error| missing(&path, Some(error)))?;
    if !metadata.is_dir() {
        return Ok(path);
    }
    let held = |folder: &Path| {
        TEMPLATE_NAMES.iter().map(|name| folder.join(name)).find(|path| path.is_file())
    };
    let found = if is_default { folders_of_project(&path).find_map(held) } else { held(&path) };
    found.ok_or_else(|| {
        let place = if is_default {
            "this folder and those above it hold".to_owned()
        } else {
            format!("`{}` holds", given.display())
        };
        let text = format!("{place} no {}", TEMPLATE_NAMES.join(", "));
        Error::new(Kind::Input, "template", text).hint(Remedy::NameTemplate)
    })
}

/// A folder and those above it, up to the project's root where something marks it. A folder that
/// everybody may write to is never looked at on the way up: whose template it holds is not known.
fn folders_of_project(folder: &Path) -> impl Iterator<Item = &Path> {
    let is_root = |dir: &Path| MARKERS.iter().any(|name| dir.join(name).exists());
    let is_private = |dir: &Path| {
        std::fs::metadata(dir).is_ok_and(|metadata| metadata.permissions().mode() & 0o002 == 0)
    };
    let mut is_inside = true;
    folder.ancestors().take_while(move |dir| {
        let is_looked_at = is_inside && (*dir == folder || is_private(dir));
        is_inside = is_looked_at && !is_root(dir);
        is_looked_at
    })
}

/// The root as given, else the nearest folder from the template upwards that holds `esb.toml` or
/// `.git`, else the nearest that holds `esb.lock`, as in a copy of a repository without `.git`, else
/// the template's own.
///
/// # Errors
/// When the given folder does not exist.
pub fn project_root(
    current: &Path,
    given: Option<&Path>,
    template: &Path,
) -> Result<PathBuf, Error> {
    let folder = template.parent().unwrap_or(current);
    let Some(given) = given else {
        let marked = |names: &[&str]| {
            folder.ancestors().find(|dir| names.iter().any(|name| dir.join(name).exists()))
        };
        let root = marked(&[settings::NAME, ".git"]).or_else(|| marked(&[lockfile::NAME]));
        return Ok(root.unwrap_or(folder).to_owned());
    };
    let root = normal(&current.join(given));
    if root.is_dir() {
        return Ok(root);
    }
    let text = format!("the project folder `{}` does not exist", given.display());
    Err(Error::new(Kind::Usage, "project-dir", text))
}

/// Removes `.` and `..` from a path; symbolic links are not resolved, so that paths stay as the
/// user wrote them.
pub fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            part => normal.push(part),
        }
    }
    normal
}

/// A template's path relative to the project root, the same on every machine: links on the way to
/// either do not count, and what lies outside is reached by `..`.
fn owner_path(root: &Path, template: &Path) -> String {
    let relative = template.strip_prefix(root).map(Path::to_owned);
    let relative = relative.unwrap_or_else(|_| {
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let root = real(root);
        let folder = real(template.parent().unwrap_or(&root));
        let path = folder.join(template.file_name().unwrap_or_default());
        let common = root.components().zip(path.components()).take_while(|(a, b)| a == b).count();
        let up = root.components().skip(common).map(|_| Component::ParentDir);
        up.chain(path.components().skip(common)).collect()
    });
    relative.display().to_string()
}

/// A path as short as it can be said from the current folder.
pub(crate) fn display_name(current: &Path, path: &Path) -> String {
    if let Ok(below) = path.strip_prefix(current) {
        return below.display().to_string();
    }
    let above = path.parent().and_then(|folder| current.strip_prefix(folder).ok());
    let (Some(up), Some(name)) = (above, path.file_name()) else {
        return path.display().to_string();
    };
    let up: PathBuf = up.components().map(|_| Component::ParentDir).collect();
    up.join(name).display().to_string()
}

/// The content of a regular file of bounded size.
pub(crate) fn read_limited(path: &Path) -> Result<Vec<u8>, String> {
    esb_oci::read_file(path, FILE_LIMIT).map_err(|error| error.to_string())
}

/// Reads the text of a regular file of limited size.
///
/// # Errors
/// In words, when it is not regular, too large, or no text.
pub fn read_text(path: &Path) -> Result<String, String> {
    decode_text(read_limited(path)?).map_err(|error| error.to_string())
}

/// Reads a text of limited size that a person names: a file, or a pipe of another program.
///
/// # Errors
/// In words, when it cannot be read, is too large, or no text.
pub fn read_given_text(path: &Path) -> Result<String, String> {
    let bytes = esb_oci::read_given(path, FILE_LIMIT).map_err(|error| error.to_string())?;
    decode_text(bytes).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_has_one_path_however_the_template_is_reached() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("real/shop");
        std::fs::create_dir_all(root.join("svc")).unwrap();
        std::fs::create_dir_all(folder.path().join("real/other")).unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path().join("real"), &link).unwrap();
        let linked = link.join("shop");
        for (root, template, expected) in [
            (&root, root.join("template.yaml"), "template.yaml"),
            (&root, linked.join("svc/template.yaml"), "svc/template.yaml"),
            (&linked, root.join("svc/template.yaml"), "svc/template.yaml"),
            (&linked, linked.join("template.yaml"), "template.yaml"),
            (&linked, folder.path().join("real/other/template.yaml"), "../other/template.yaml"),
            (&root, root.join("absent/t.yaml"), "absent/t.yaml"),
        ] {
            assert_eq!(owner_path(root, &template), expected, "{}", template.display());
        }
    }

    #[test]
    fn esb_lock_marks_the_root_where_nothing_else_does() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("shop");
        let template = root.join("svc/template.yaml");
        std::fs::create_dir_all(root.join("svc")).unwrap();
        let found = || project_root(folder.path(), None, &template).unwrap();
        assert_eq!(found(), root.join("svc"));
        std::fs::write(root.join("esb.lock"), "").unwrap();
        assert_eq!(found(), root);
        // What an earlier run left further down is no root of its own.
        std::fs::write(root.join("svc/esb.lock"), "").unwrap();
        assert_eq!(found(), root.join("svc"));
        std::fs::write(root.join("esb.toml"), "").unwrap();
        assert_eq!(found(), root);
    }

    #[test]
    fn a_template_is_found_from_folders_below_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("shop");
        let below = root.join("functions/hello");
        std::fs::create_dir_all(&below).unwrap();
        let template = root.join("template.yaml");
        std::fs::write(&template, "").unwrap();
        let found = |from: &Path| find_template(from, Path::new("."), true);
        assert_eq!(found(&below).unwrap(), template);
        assert_eq!(display_name(&below, &template), "../../template.yaml");
        // Only the folder that is named is looked at.
        find_template(&below, Path::new("."), false).unwrap_err();
        // Another project begins where a root is marked.
        std::fs::write(root.join("functions/esb.toml"), "").unwrap();
        let error = found(&below).unwrap_err();
        assert!(error.message.contains("this folder and those above it"), "{error}");
        std::fs::remove_file(root.join("functions/esb.toml")).unwrap();
        let everybody = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(&root, everybody).unwrap();
        found(&below).unwrap_err();
        assert_eq!(found(&root).unwrap(), template);
    }

    #[test]
    fn paths_lose_their_dots() {
        assert_eq!(normal(Path::new("/a/./b/../c")), Path::new("/a/c"));
        assert_eq!(normal(Path::new("/..")), Path::new("/"));
    }
}
