//! Looks into the code of functions: before anything is built, and once packages are installed.
//!
//! Owns what of a run the checks of `esb-code` get, and how their findings join the others.

use std::collections::BTreeMap;

use esb_code::{BaseModules, Cache, Checker, CodeFinding, NoCache, Remembered, Subject};
use esb_model::{Family, Finding, ImageKind, ImageRecipe, Runtime, Severity, Span};
use esb_oci::{ContentStore, Digest};

use crate::{
    deployment::Deployment,
    error::{Error, Kind},
    levels,
    load::Loaded,
    project::{Project, display_name},
    release::bases::Bases,
};

/// The kind of records of what was read of files.
const RECORD: &str = "code";

/// The kind of records of the names that a base image brings.
const BASE_RECORD: &str = "code-base";

/// Looks at handlers, as far as that needs nothing but what lies in the project.
pub(crate) fn before(
    project: &Project,
    store: Option<&ContentStore>,
    recipes: &[ImageRecipe],
    loaded: &mut Loaded,
) {
    let subject = |recipe| subject(recipe, loaded, None);
    let subjects: Vec<_> = recipes.iter().filter_map(subject).collect();
    let findings = check(project, store, &subjects);
    loaded.add_code_findings(project, findings);
}

/// Looks at the imports of all functions, and at the handlers that may be in packages, which lie
/// now where recipes copy them from. Gives what was found.
///
/// # Errors
/// When a handler is not in what would be its image.
pub(crate) fn after_installation(
    run: &Deployment,
    recipes: &[ImageRecipe],
    bases: &Bases,
    loaded: &mut Loaded,
) -> Result<Vec<Finding>, Error> {
    let mut modules = BTreeMap::new();
    for recipe in recipes {
        let Some((digest, runtime)) = python_base(recipe, bases) else { continue };
        let store = &run.connections.store;
        modules.entry(digest).or_insert_with(|| base_modules(store, digest, runtime));
    }
    let mut subjects = Vec::new();
    for recipe in recipes {
        let base = python_base(recipe, bases);
        let base = base.and_then(|(digest, _)| modules.get(&digest)?.as_ref());
        // What needs no packages was judged before.
        let handler = recipe.all_dependencies().next().is_some();
        if handler || base.is_some() {
            let subject = subject(recipe, loaded, base);
            subjects.extend(subject.map(|found| Subject { installed: true, handler, ..found }));
        }
    }
    let findings = check(&run.project, Some(&run.connections.store), &subjects);
    let findings = loaded.add_code_findings(&run.project, findings);
    let findings = loaded.with_levels(findings);
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
    let failed: Vec<String> = errors.map(|finding| finding.message.clone()).collect();
    if failed.is_empty() {
        return Ok(findings);
    }
    let text = "the packages that were installed do not have the handler of a function";
    let mut error = Error::new(Kind::Input, "handler", text);
    error.causes = failed;
    Err(error)
}

/// A function of the platform's runtimes, as its recipe makes it.
fn subject<'a>(
    recipe: &'a ImageRecipe,
    loaded: &'a Loaded,
    base: Option<&'a BaseModules>,
) -> Option<Subject<'a>> {
    let ImageKind::Function(id) = &recipe.kind else { return None };
    let function = loaded.app.function(id)?;
    recipe.code.is_some().then_some(Subject {
        function,
        recipe,
        installed: false,
        handler: true,
        base,
    })
}

fn check(
    project: &Project,
    store: Option<&ContentStore>,
    subjects: &[Subject<'_>],
) -> Vec<CodeFinding> {
    let records = store.map(Records);
    let cache: &dyn Cache = match &records {
        Some(records) => records,
        None => &NoCache,
    };
    Checker::new(&project.root, cache).check(subjects)
}

/// The base image of a recipe for Python, with its runtime.
fn python_base<'a>(recipe: &'a ImageRecipe, bases: &Bases) -> Option<(Digest, &'a Runtime)> {
    let runtime = &recipe.code.as_ref()?.runtime;
    if runtime.family() != Family::Python {
        return None;
    }
    let base = bases.get(&recipe.platform)?.get(recipe.base.reference()?)?;
    Some((base.image.digest(), runtime))
}

/// What a base brings, when its index is in the store and looks as Lambda's images do.
fn base_modules(store: &ContentStore, digest: Digest, runtime: &Runtime) -> Option<BaseModules> {
    if let Some(known) = store.record::<Vec<String>>(BASE_RECORD, digest) {
        return Some(BaseModules::new(known.iter().map(|name| &**name)));
    }
    let library = format!("var/lang/lib/python{}", runtime.version());
    let packages = format!("{library}/site-packages");
    let folders = [&*library, &format!("{library}/lib-dynload"), &packages, "var/runtime"];
    let entries = esb_image::base_entries(store, digest, &folders)?;
    if !entries.iter().any(|(folder, _)| *folder == packages) {
        return None;
    }
    let names: Vec<String> = entries.into_iter().map(|(_, name)| name).collect();
    // Without it they are read from the index again.
    let _not_kept = store.set_record(BASE_RECORD, digest, &names);
    Some(BaseModules::new(names.iter().map(|name| &**name)))
}

/// Records of the content store as a cache.
struct Records<'a>(&'a ContentStore);

impl Cache for Records<'_> {
    fn get(&self, key: Digest) -> Option<Remembered> {
        self.0.record(RECORD, key)
    }

    fn set(&self, key: Digest, value: &Remembered) {
        // Without it the file is read again.
        let _not_kept = self.0.set_record(RECORD, key, value);
    }
}

impl Loaded {
    /// Adds findings of code, whose files join the sources; gives those that were added.
    fn add_code_findings(&mut self, project: &Project, found: Vec<CodeFinding>) -> Vec<Finding> {
        let mut files = BTreeMap::new();
        let mut added = Vec::new();
        for CodeFinding { mut finding, place } in found {
            if let Some(place) = place {
                if levels::allowed_in_code(&place.text, place.start, finding.code) {
                    continue;
                }
                // As templates are: named from where the command runs.
                let name = display_name(&project.current, &project.root.join(place.file));
                let sources = &mut self.sources;
                let source =
                    *files.entry(name).or_insert_with_key(|name| sources.add(name, place.text));
                finding.span = Some(Span { source, start: place.start, end: place.end });
            }
            let is_known = self
                .findings
                .iter()
                .any(|known| known.code == finding.code && known.message == finding.message);
            if !is_known {
                added.push(finding);
            }
        }
        self.findings.extend(added.iter().cloned());
        added
    }
}
