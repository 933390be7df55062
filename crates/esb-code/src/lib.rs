#![doc = include_str!("../README.md")]

mod archive;
pub mod codes;
mod files;
mod identity;
mod java;
mod nearest;
mod node;
mod python;
mod report;

use std::{
    collections::BTreeSet,
    fmt,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use esb_model::{Family, Finding, Function, ImageRecipe, Package, Runtime};
use esb_oci::Digest;
use serde::{Deserialize, Serialize};

use crate::{
    archive::Archives,
    files::ImageFiles,
    python::{Modules, Summary, Version},
    report::Job,
};

/// The variable that names a program that starts the runtime in its own way.
const WRAPPER: &str = "AWS_LAMBDA_EXEC_WRAPPER";

/// Keeps what was read of files, by a key of their content.
pub trait Cache: Sync {
    /// What was kept for a key.
    fn get(&self, key: Digest) -> Option<Remembered>;

    /// Keeps a value.
    fn set(&self, key: Digest, value: &Remembered);
}

/// A [`Cache`] that keeps nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCache;

impl Cache for NoCache {
    fn get(&self, _: Digest) -> Option<Remembered> {
        None
    }

    fn set(&self, _: Digest, _: &Remembered) {}
}

/// What a [`Cache`] keeps of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Remembered(pub(crate) Option<Summary>);

/// The modules that a base image brings, the standard library included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BaseModules {
    names: BTreeSet<String>,
}

impl BaseModules {
    /// The modules in files and folders of the places where the base's Python looks, by their
    /// names there: `boto3`, `six.py`, `_ssl.cpython-312-x86_64-linux-gnu.so`.
    pub fn new<'a>(entries: impl IntoIterator<Item = &'a str>) -> Self {
        let name = |entry: &'a str| entry.split('.').next().unwrap_or(entry).to_owned();
        Self { names: entries.into_iter().map(name).collect() }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }
}

/// A function whose code is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    pub function: &'a Function,
    /// How its image is made.
    pub recipe: &'a ImageRecipe,
    /// Whether the packages that the recipe asks for are where it copies them from.
    pub installed: bool,
    /// Whether its handler is looked at, not its imports alone.
    pub handler: bool,
    /// What the base brings; with it, imports are looked at too.
    pub base: Option<&'a BaseModules>,
}

/// A finding, and the place in a file of code that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeFinding {
    /// Without a span when it has a place of its own.
    pub finding: Finding,
    pub place: Option<CodePlace>,
}

/// A place in a file that no template includes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodePlace {
    /// Relative to the project root when inside it; in an archive its path goes on.
    pub file: String,
    pub text: String,
    /// The first byte, and one past the last.
    pub start: usize,
    pub end: usize,
}

/// Looks into the code of functions. Reads each file and archive once.
pub struct Checker<'a> {
    /// The project root.
    root: &'a Path,
    archives: Archives,
    modules: Modules<'a>,
}

impl fmt::Debug for Checker<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checker").field("root", &self.root).finish_non_exhaustive()
    }
}

impl<'a> Checker<'a> {
    /// A checker for the project with this root.
    pub fn new(root: &'a Path, cache: &'a dyn Cache) -> Self {
        Self { root, archives: Archives::default(), modules: Modules::new(cache) }
    }

    /// What is wrong with the handlers of functions, in the functions' order. Works on all
    /// processors.
    pub fn check(&self, subjects: &[Subject<'_>]) -> Vec<CodeFinding> {
        let next = AtomicUsize::new(0);
        let work = || {
            let mut found = Vec::new();
            while let Some((at, subject)) = {
                let at = next.fetch_add(1, Ordering::Relaxed);
                subjects.get(at).map(|subject| (at, subject))
            } {
                found.push((at, self.check_one(subject)));
            }
            found
        };
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let helpers = processors.min(subjects.len()).saturating_sub(1);
        let mut found = thread::scope(|scope| {
            let helpers: Vec<_> = (0..helpers).map(|_| scope.spawn(work)).collect();
            let mut found = work();
            for helper in helpers {
                found.extend(helper.join().unwrap_or_default());
            }
            found
        });
        found.sort_by_key(|(at, _)| *at);
        let mut findings = Vec::new();
        for finding in found.into_iter().flat_map(|(_, found)| found) {
            // A file of several functions has its faults once.
            let is_same = |known: &CodeFinding| {
                known.place.is_some()
                    && known.place == finding.place
                    && known.finding.message == finding.finding.message
            };
            if !findings.iter().any(is_same) {
                findings.push(finding);
            }
        }
        findings
    }

    fn check_one(&self, subject: &Subject<'_>) -> Vec<CodeFinding> {
        let Subject { function, recipe, installed, base, .. } = *subject;
        let Package::Zip(package) = &function.package else { return Vec::new() };
        let Some(code) = &recipe.code else { return Vec::new() };
        let is_symbolic = package.handler.is_none() && package.handler_span.is_some();
        let is_built_otherwise = package.build_method.as_deref().is_some_and(makes_other_files);
        if is_symbolic || is_built_otherwise || function.environment.contains_key(WRAPPER) {
            return Vec::new();
        }
        let files = ImageFiles::of(recipe, &code.contents, self.root, installed, &self.archives);
        let Some(files) = files else { return Vec::new() };
        let installed = installed || recipe.all_dependencies().next().is_none();
        let job = Job { function, package, recipe, code, files, installed, checker: self, base };
        match code.runtime.family() {
            Family::Python => match Version::of(&code.runtime) {
                Some(version) => python::check(&job, version, subject),
                None => Vec::new(),
            },
            Family::Java if subject.handler => java::check(&job),
            Family::Nodejs if subject.handler => node::check(&job),
            _ => Vec::new(),
        }
    }

    pub(crate) fn archives(&self) -> &Archives {
        &self.archives
    }

    pub(crate) fn modules(&self) -> &Modules<'a> {
        &self.modules
    }
}

/// Whether `sam build` makes other files of the code than those that lie there.
fn makes_other_files(build_method: &str) -> bool {
    build_method.parse::<Runtime>().is_err()
}
