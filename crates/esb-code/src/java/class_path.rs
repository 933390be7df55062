//! Where Lambda's Java finds classes: the code's folder, and the jars of `lib` folders.

use std::{collections::BTreeSet, sync::Arc};

use super::class_file::{self, ClassFile};
use crate::{
    archive::{Archive, Archives, is_jar},
    files::{ImageFiles, Kind},
    nearest::nearest,
};

/// The most bytes of a class.
const MAX_CLASS: u64 = 4 * 1024 * 1024;

/// The most classes that are looked at for one handler.
const MAX_CLASSES: usize = 500;

/// The interfaces of Lambda, whose one method is `handleRequest`.
const OF_LAMBDA: [&str; 2] = [
    "com/amazonaws/services/lambda/runtime/RequestHandler",
    "com/amazonaws/services/lambda/runtime/RequestStreamHandler",
];

/// Classes and interfaces of Java itself without methods that a handler could have.
const WITHOUT_METHODS: [&str; 4] =
    ["java/lang/Object", "java/lang/Record", "java/lang/Cloneable", "java/io/Serializable"];

/// Where classes are looked for.
pub(super) struct ClassPath<'a> {
    files: &'a ImageFiles,
    jars: Vec<Arc<Archive>>,
}

impl<'a> ClassPath<'a> {
    /// The class path of an image; `None` when a part of it cannot be looked into.
    pub(super) fn of(files: &'a ImageFiles, archives: &Archives) -> Option<Self> {
        let mut jars = Vec::new();
        for folder in ["var/task/lib", "opt/java/lib"] {
            for (name, kind) in files.list(folder) {
                let path = format!("{folder}/{name}");
                let is_inner = files.origin(&path).is_some_and(|origin| origin.inner.is_some());
                if kind == Kind::File && is_jar(&name) && !is_inner {
                    match files.archive(&path, archives) {
                        Some(jar) => jars.push(jar),
                        // Java looks into no file that is not a zip archive.
                        None if files.begins(&path, b"PK") == Some(false) => {}
                        None => return None,
                    }
                }
            }
        }
        Some(Self { files, jars })
    }

    /// Whether there are classes at all; sources alone are not built yet.
    pub(super) fn has_classes(&self) -> bool {
        let mut folders = vec![("var/task".to_owned(), 0)];
        if !self.jars.is_empty() || self.inner().next().is_some() {
            return true;
        }
        if self.files.unpacked("var/task").next().is_some() {
            return true;
        }
        let mut entries = 0;
        while let Some((folder, depth)) = folders.pop() {
            for (name, kind) in self.files.list(&folder) {
                entries += 1;
                if name.strip_suffix(".class").is_some() {
                    return true;
                }
                if kind == Kind::Folder && depth < 12 && entries < 20_000 {
                    folders.push((format!("{folder}/{name}"), depth + 1));
                }
            }
        }
        false
    }

    /// A class by its name with `/`; `Err` when one that may be it cannot be looked into.
    pub(super) fn class(&self, name: &str) -> Result<Option<ClassFile>, ()> {
        let file = format!("{name}.class");
        let path = format!("var/task/{file}");
        let bytes = if self.files.is_file(&path) {
            Some(self.files.read(&path, MAX_CLASS).ok_or(())?)
        } else if let Some(jar) = self.jars.iter().find(|jar| jar.has_file(&file)) {
            Some(jar.read(&file, MAX_CLASS).ok_or(())?)
        } else {
            self.in_inner(&file)?
        };
        bytes.map(|bytes| class_file::read(&bytes).ok_or(())).transpose()
    }

    /// Whether a class has a method, its own or inherited; `None` when a class above it is not
    /// here.
    pub(super) fn has_method(&self, class: &str, method: &str) -> Option<bool> {
        let mut asked = BTreeSet::new();
        let mut open = vec![class.to_owned()];
        let mut all_known = true;
        while let Some(name) = open.pop() {
            if !asked.insert(name.clone()) || WITHOUT_METHODS.contains(&&*name) {
                continue;
            }
            if asked.len() > MAX_CLASSES {
                return None;
            }
            // A concrete class has what these interfaces ask for, itself or from above.
            if OF_LAMBDA.contains(&&*name) {
                if method == "handleRequest" {
                    return Some(true);
                }
                continue;
            }
            match self.class(&name) {
                Ok(Some(found)) if found.methods.iter().any(|own| own == method) => {
                    return Some(true);
                }
                Ok(Some(found)) => {
                    open.extend(found.superclass.into_iter().chain(found.interfaces));
                }
                Ok(None) | Err(()) => all_known = false,
            }
        }
        all_known.then_some(false)
    }

    /// The classes that end in a name, for suggestions: `a/b/Handler` for `Handler`.
    pub(super) fn classes<'n>(&'n self, simple: &'n str) -> impl Iterator<Item = String> + 'n {
        let ending = format!("{simple}.class");
        let unpacked = self.files.unpacked("var/task");
        let archives = unpacked.chain(self.jars.iter().map(|jar| &**jar));
        let names = archives.flat_map(|archive| archive.below(""));
        let is_it = move |name: &&str| {
            name.strip_suffix(&*ending).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
        };
        names.filter(is_it).filter_map(|name| name.strip_suffix(".class")).map(str::to_owned)
    }

    /// The class of the code whose name is nearest to a wrong one.
    pub(super) fn nearest(&self, class: &str) -> Option<String> {
        let wanted = class.replace('.', "/");
        let (package, _) = wanted.rsplit_once('/').unwrap_or(("", &wanted));
        let folder = format!("var/task/{package}");
        let slash = if package.is_empty() { "" } else { "/" };
        let names: Vec<String> = self
            .files
            .list(folder.trim_end_matches('/'))
            .keys()
            .filter_map(|name| name.strip_suffix(".class"))
            .map(|name| format!("{package}{slash}{name}"))
            .collect();
        nearest(&wanted, names.iter().map(|name| &**name)).map(str::to_owned)
    }

    /// The archives with jars in a `lib` folder.
    fn inner(&self) -> impl Iterator<Item = (&Archive, &'static str)> {
        let task = self.files.unpacked("var/task").map(|archive| (archive, "lib"));
        let layers = self.files.unpacked("opt").map(|archive| (archive, "java/lib"));
        task.chain(layers).filter(|(archive, folder)| archive.below(folder).any(is_jar))
    }

    fn in_inner(&self, file: &str) -> Result<Option<Vec<u8>>, ()> {
        for (archive, folder) in self.inner() {
            let jars = archive.archives_in(folder).ok_or(())?;
            if let Some((jar, _)) = jars.iter().find(|(_, names)| names.contains(file)) {
                return archive.read_inner(jar, file, MAX_CLASS).ok_or(()).map(Some);
            }
        }
        Ok(None)
    }
}
