//! The files of a function's image that come from the user, as one tree.
//!
//! Owns how code, layers and installed packages lie over each other, and what is left out of a
//! folder. Paths are those of the image, without a slash at the start. Copies and unpacks nothing.

use std::{
    collections::BTreeMap,
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use esb_model::{ContentSource, Dependencies, ImageContent, ImageRecipe};
use esb_oci::IgnoreRules;

use crate::archive::{Archive, Archives};

/// The most entries of a folder that are listed.
const MAX_LISTED: usize = 20_000;

/// Where a layer's packages lie.
const LAYER_PACKAGES: &str = "opt/python";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Folder,
}

/// Parts of an image over each other.
pub(crate) struct ImageFiles {
    /// The one that covers the others first.
    mounts: Vec<Mount>,
    /// The project's root.
    root: PathBuf,
}

struct Mount {
    /// Where it lies in the image.
    folder: String,
    source: Source,
    /// What people call it.
    name: String,
    /// Whether a run put it together of packages.
    is_installed: bool,
}

enum Source {
    Folder { path: PathBuf, rules: IgnoreRules },
    File { name: String, path: PathBuf },
    Archive(Arc<Archive>, PathBuf),
    Text { name: String, text: String },
}

/// A file of an image with its place on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Origin {
    /// On disk; none for a text of the template.
    pub(crate) path: Option<PathBuf>,
    /// In an archive.
    pub(crate) inner: Option<String>,
    /// As messages name it.
    pub(crate) name: String,
}

impl ImageFiles {
    /// The files of a recipe, with its packages where they are installed. `None` when a part cannot
    /// be looked into.
    pub(crate) fn of(
        recipe: &ImageRecipe,
        contents: &[ImageContent],
        root: &Path,
        installed: bool,
        archives: &Archives,
    ) -> Option<Self> {
        let mut mounts = Vec::new();
        let (code, layers) = contents.split_last()?;
        let packages = |packages: &Dependencies, folder: &str| {
            let source =
                Source::Folder { path: root.join(&packages.target), rules: IgnoreRules::default() };
            let name = packages.target.display().to_string();
            Mount { folder: clean(folder), source, name, is_installed: true }
        };
        let (of_layers, of_code): (&[_], _) = if installed {
            (&recipe.layer_dependencies, recipe.dependencies.as_ref())
        } else {
            (&[], None)
        };
        mounts.extend(of_layers.iter().map(|one| packages(one, LAYER_PACKAGES)));
        for layer in layers {
            mounts.push(Mount::of(layer, root, archives)?);
        }
        mounts.extend(of_code.map(|one| packages(one, &code.folder)));
        mounts.push(Mount::of(code, root, archives)?);
        mounts.reverse();
        Some(Self { mounts, root: root.to_owned() })
    }

    /// What is at a path.
    pub(crate) fn kind(&self, path: &str) -> Option<Kind> {
        self.mounts.iter().find_map(|mount| mount.kind(path))
    }

    pub(crate) fn is_file(&self, path: &str) -> bool {
        self.kind(path) == Some(Kind::File)
    }

    /// Where a file comes from.
    pub(crate) fn origin(&self, path: &str) -> Option<Origin> {
        let mut mounts = self.mounts.iter();
        let mount = mounts.find(|mount| mount.kind(path) == Some(Kind::File))?;
        let inner = mount.inside(path)?;
        let name = |shown: &str| {
            if mount.name.is_empty() { shown.to_owned() } else { format!("{}/{shown}", mount.name) }
        };
        Some(match &mount.source {
            Source::Folder { path, .. } => {
                Origin { path: Some(path.join(inner)), inner: None, name: name(inner) }
            }
            Source::File { path, .. } => {
                Origin { path: Some(path.clone()), inner: None, name: mount.name.clone() }
            }
            Source::Archive(_, path) => Origin {
                path: Some(path.clone()),
                inner: Some(inner.to_owned()),
                name: name(inner),
            },
            Source::Text { name, .. } => Origin { path: None, inner: None, name: name.clone() },
        })
    }

    /// A file of at most `limit` bytes; `None` when it cannot be read.
    pub(crate) fn read(&self, path: &str, limit: u64) -> Option<Vec<u8>> {
        let mut mounts = self.mounts.iter();
        let mount = mounts.find(|mount| mount.kind(path) == Some(Kind::File))?;
        let inner = mount.inside(path)?;
        match &mount.source {
            Source::Folder { path, .. } => {
                let file = path.join(inner);
                // Messages quote code: a link may lead to a file that is none.
                let is_foreign = !mount.is_installed
                    && esb_oci::leads_outside(&file, path)
                    && esb_oci::leads_outside(&file, &self.root);
                if is_foreign { None } else { read_file(&file, limit) }
            }
            Source::File { path, .. } => read_file(path, limit),
            Source::Archive(archive, _) => archive.read(inner, limit),
            Source::Text { text, .. } => {
                (text.len() as u64 <= limit).then(|| text.clone().into_bytes())
            }
        }
    }

    /// The entries of a folder.
    pub(crate) fn list(&self, folder: &str) -> BTreeMap<String, Kind> {
        let mut found = BTreeMap::new();
        for mount in &self.mounts {
            mount.list(folder, &mut found);
        }
        found
    }

    /// Whether a file with one of these endings lies in the code, apart from folders of tools.
    pub(crate) fn has_code(&self, endings: &[&str]) -> bool {
        let mut folders = vec!["var/task".to_owned()];
        let mut left = MAX_LISTED;
        while let Some(folder) = folders.pop() {
            for (name, kind) in self.list(&folder) {
                left = left.saturating_sub(1);
                match kind {
                    Kind::File if endings.iter().any(|end| name.ends_with(end)) => return true,
                    Kind::Folder if left > 0 && !is_of_tools(&name) => {
                        folders.push(format!("{folder}/{name}"));
                    }
                    Kind::File | Kind::Folder => {}
                }
            }
        }
        false
    }

    /// The archives that lie at paths of the image, for those who look into them.
    pub(crate) fn archive(&self, path: &str, archives: &Archives) -> Option<Arc<Archive>> {
        let origin = self.origin(path)?;
        origin.inner.is_none().then(|| archives.open(origin.path.as_deref()?)).flatten()
    }

    /// Whether a file on disk begins with some bytes; `None` when it cannot be read.
    pub(crate) fn begins(&self, path: &str, start: &[u8]) -> Option<bool> {
        let origin = self.origin(path).filter(|origin| origin.inner.is_none())?;
        let path = origin.path.filter(|path| path.is_file())?;
        let mut bytes = Vec::new();
        esb_oci::open_file(&path).ok()?.take(start.len() as u64).read_to_end(&mut bytes).ok()?;
        Some(bytes == start)
    }

    /// Whether a file is one of installed packages.
    pub(crate) fn is_installed(&self, path: &str) -> bool {
        let mut mounts = self.mounts.iter();
        let mount = mounts.find(|mount| mount.kind(path) == Some(Kind::File));
        mount.is_some_and(|mount| mount.is_installed)
    }

    /// Which part a file comes from.
    pub(crate) fn part_of(&self, path: &str) -> Option<usize> {
        self.mounts.iter().position(|mount| mount.kind(path) == Some(Kind::File))
    }

    /// Whether packages were installed into a folder of a part.
    pub(crate) fn has_distributions(&self, part: usize, folder: &str) -> bool {
        let mut names = BTreeMap::new();
        self.mounts[part].list(folder, &mut names);
        names.keys().any(|name| name.ends_with(".dist-info") || name.ends_with(".egg-info"))
    }

    /// Archives whose content is unpacked to a folder of the image.
    pub(crate) fn unpacked<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = &'a Archive> {
        self.mounts.iter().filter(move |mount| mount.folder == folder).filter_map(|mount| {
            match &mount.source {
                Source::Archive(archive, _) => Some(&**archive),
                _ => None,
            }
        })
    }

    /// The code's own place, as messages name it.
    pub(crate) fn code_name(&self) -> &str {
        self.mounts.first().map_or("", |code| &code.name)
    }
}

impl Mount {
    fn of(content: &ImageContent, root: &Path, archives: &Archives) -> Option<Self> {
        let mut name = String::new();
        let mut named = |path: &Path| name = path.display().to_string();
        let source = match &content.source {
            ContentSource::Folder { path, exclude } => {
                named(path);
                let rules = IgnoreRules::new(exclude.iter().map(String::as_str)).ok()?;
                Source::Folder { path: root.join(path), rules }
            }
            ContentSource::File(path) => {
                named(path);
                let name = path.file_name()?.to_str()?.to_owned();
                Source::File { name, path: root.join(path) }
            }
            ContentSource::Archive(path) => {
                named(path);
                let path = root.join(path);
                Source::Archive(archives.open(&path)?, path)
            }
            ContentSource::Text { file_name, text } => {
                Source::Text { name: file_name.clone(), text: text.clone() }
            }
        };
        Some(Self { folder: clean(&content.folder), source, name, is_installed: false })
    }

    /// A path of the image as one of this part; empty for its own folder.
    fn inside<'p>(&self, path: &'p str) -> Option<&'p str> {
        let rest = path.strip_prefix(&*self.folder)?;
        if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
    }

    fn kind(&self, path: &str) -> Option<Kind> {
        let Some(inner) = self.inside(path) else {
            let is_above = self.folder.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
            return is_above.then_some(Kind::Folder);
        };
        if inner.is_empty() {
            return Some(Kind::Folder);
        }
        match &self.source {
            Source::Folder { path, rules } => {
                let place = path.join(inner);
                let kind = match fs::metadata(&place) {
                    Ok(found) if found.is_dir() => Kind::Folder,
                    Ok(_) => Kind::File,
                    // A link that means a path of the image: something is there.
                    Err(_) => fs::symlink_metadata(&place).ok().map(|_| Kind::File)?,
                };
                (!rules.excludes(&rules.matched_from_root(inner))).then_some(kind)
            }
            Source::Archive(archive, _) if archive.has_file(inner) => Some(Kind::File),
            Source::Archive(archive, _) => archive.has_folder(inner).then_some(Kind::Folder),
            Source::File { name, .. } | Source::Text { name, .. } => {
                (name == inner).then_some(Kind::File)
            }
        }
    }

    fn list(&self, folder: &str, found: &mut BTreeMap<String, Kind>) {
        let Some(inner) = self.inside(folder) else { return };
        match &self.source {
            Source::Folder { path, rules } => {
                let Ok(entries) = fs::read_dir(path.join(inner)) else { return };
                let slash = if inner.is_empty() { "" } else { "/" };
                for entry in entries.take(MAX_LISTED).flatten() {
                    let Ok(name) = entry.file_name().into_string() else { continue };
                    let path = format!("{inner}{slash}{name}");
                    if rules.excludes(&rules.matched_from_root(&path)) {
                        continue;
                    }
                    let is_folder = match entry.file_type() {
                        Ok(kind) if !kind.is_symlink() => kind.is_dir(),
                        _ => entry.path().is_dir(),
                    };
                    let kind = if is_folder { Kind::Folder } else { Kind::File };
                    found.entry(name).or_insert(kind);
                }
            }
            Source::Archive(archive, _) => {
                for name in archive.below(inner).take(MAX_LISTED) {
                    let (name, kind) = match name.split_once('/') {
                        Some((folder, _)) => (folder, Kind::Folder),
                        None => (name, Kind::File),
                    };
                    found.entry(name.to_owned()).or_insert(kind);
                }
            }
            Source::File { name, .. } | Source::Text { name, .. } if inner.is_empty() => {
                found.entry(name.clone()).or_insert(Kind::File);
            }
            Source::File { .. } | Source::Text { .. } => {}
        }
    }
}

/// Whether a folder holds nothing that a handler is meant to be in.
pub(crate) fn is_of_tools(name: &str) -> bool {
    name.starts_with('.')
        || name.ends_with(".dist-info")
        || ["node_modules", "__pycache__", "venv"].contains(&name)
}

fn clean(folder: &str) -> String {
    folder.trim_matches('/').to_owned()
}

/// A regular file of at most `limit` bytes.
pub(crate) fn read_file(path: &Path, limit: u64) -> Option<Vec<u8>> {
    esb_oci::read_file(path, limit).ok()
}
