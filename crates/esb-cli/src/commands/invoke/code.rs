//! Looks whether a function's code on disk is newer than its image.

use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use esb_deploy::{Loaded, Project};
use esb_model::{Code, Function, LayerRef, Package, TemplateId};

/// The most files that are looked at.
const LIMIT: usize = 20_000;

/// What is never part of an image, or changes when the code does not.
const LEFT_OUT: [&str; 4] = [".git", ".venv", "__pycache__", ".aws-sam"];

/// A file of a function's code or layers that changed after `built`.
pub(super) fn newer_file(
    project: &Project,
    loaded: &Loaded,
    function: &Function,
    built: SystemTime,
) -> Option<PathBuf> {
    let mut search = Search { built, left: LIMIT, own: project.brand.folder_name() };
    places(project, loaded, function).iter().find_map(|place| search.newer(place))
}

/// The files and folders of this machine that a function's image is made of.
fn places(project: &Project, loaded: &Loaded, function: &Function) -> Vec<PathBuf> {
    let folder = |template: TemplateId| {
        project.templates.get(template.0).map(|file| project.root.join(&file.folder))
    };
    let of = |template: TemplateId, code: &Code| match code {
        Code::Path { path, .. } => Some(folder(template)?.join(path)),
        _ => None,
    };
    let template = function.id.template;
    match &function.package {
        Package::Zip(zip) => {
            let layers = zip.layers.iter().filter_map(|layer| match layer {
                LayerRef::Local(id) => loaded.app.layer(template, id),
                _ => None,
            });
            let layers = layers.filter_map(|layer| of(layer.template, &layer.content));
            of(template, &zip.code).into_iter().chain(layers).collect()
        }
        Package::Image(image) => {
            let context = image.build.as_ref().and_then(|build| build.context.as_ref());
            context.and_then(|path| Some(folder(template)?.join(path))).into_iter().collect()
        }
    }
}

struct Search {
    built: SystemTime,
    /// Files that may still be looked at.
    left: usize,
    /// The name of the folder of generated files.
    own: String,
}

impl Search {
    fn newer(&mut self, path: &Path) -> Option<PathBuf> {
        self.left = self.left.checked_sub(1)?;
        let metadata = fs::symlink_metadata(path).ok()?;
        if !metadata.is_dir() {
            let is_newer = metadata.modified().is_ok_and(|time| time > self.built);
            return is_newer.then(|| path.to_owned());
        }
        let mut entries: Vec<_> = fs::read_dir(path).ok()?.flatten().collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        let is_code = |name: &std::ffi::OsStr| {
            !LEFT_OUT.iter().any(|other| name == *other) && name != self.own.as_str()
        };
        entries.retain(|entry| is_code(&entry.file_name()));
        entries.iter().find_map(|entry| self.newer(&entry.path()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_file_that_changed_later_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let write = |name: &str, age: u64| {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "x").unwrap();
            let time = SystemTime::now() - Duration::from_secs(age);
            fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        };
        let built = SystemTime::now() - Duration::from_secs(100);
        let found = || {
            let mut search = Search { built, left: LIMIT, own: ".esb".to_owned() };
            search.newer(root)
        };
        write("app.py", 200);
        for other in ["__pycache__/app.pyc", ".git/index", ".esb/dev/images.json"] {
            write(other, 0);
        }
        assert_eq!(found(), None);
        write("lib/words.py", 50);
        assert_eq!(found(), Some(root.join("lib/words.py")));
        let mut search = Search { built, left: 2, own: String::new() };
        assert_eq!(search.newer(root), None);
    }
}
