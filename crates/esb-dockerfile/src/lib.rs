#![doc = include_str!("../README.md")]

mod base;
pub mod codes;
mod content;
mod copied;
mod finding;
mod function;
mod ignore;
mod image_function;
mod image_hooks;
mod java;
mod layer;
mod layer_build;
mod layout;
mod names;
mod project;
mod quote;
mod requirements;
mod settings;
mod template;

use std::collections::BTreeSet;

use esb_model::{Application, BaseRef, Finding, Function, ImageRecipe, Package, Runtime, Severity};

pub use image_hooks::{ImageHooks, ImageSettings, image_hooks};
pub use project::{CopyRules, DiskProject, EntryKind, Located, Project, ProjectEntry};
pub use settings::RecipeSettings;

use crate::{copied::SourceContext, ignore::Exclusions, layer::Layers, names::Names};

/// The result of [`recipes`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recipes {
    /// Base images first, one per runtime and platform in use; then functions by image name.
    pub images: Vec<ImageRecipe>,
    /// In the order in which they were found; any error means that a function has no recipe.
    pub findings: Vec<Finding>,
}

/// Turns the functions of an application into image recipes.
///
/// Looks at the disk through `project` only as far as a recipe needs it, and changes nothing.
/// Functions that cannot or need not be built have no recipe; findings say why. Several recipes
/// may stage the same layer: equal entries of [`ImageRecipe::staged`] are one piece of work.
pub fn recipes(app: &Application, settings: &RecipeSettings<'_>, project: &dyn Project) -> Recipes {
    let exclusions = Exclusions::new(settings.brand);
    let maker = SourceContext { settings, project, exclusions: &exclusions };
    let mut layers = Layers::new(app, &maker);
    let mut names = Names::default();
    let mut findings = Vec::new();
    let mut functions = Vec::new();
    for function in &app.functions {
        let package = match &function.package {
            Package::Zip(package) => package,
            Package::Image(package) => {
                let Some(build) = &package.build else { continue };
                let Some(image) = names.take(function, &mut findings) else { continue };
                functions.extend(maker.image_recipe(
                    function,
                    package,
                    build,
                    &image,
                    &mut findings,
                ));
                continue;
            }
        };
        let Some(image) = names.take(function, &mut findings) else { continue };
        functions.extend(maker.recipe(function, package, &image, &mut layers, &mut findings));
    }
    functions.sort_by(|a, b| a.repository.cmp(&b.repository));
    findings.extend(missing_hooks(app, &functions));

    let bases: BTreeSet<_> = functions
        .iter()
        .filter_map(|recipe| match &recipe.base {
            BaseRef::Own { runtime, .. } => Some((runtime.clone(), recipe.platform)),
            BaseRef::External { .. } | BaseRef::InDockerfile => None,
        })
        .collect();
    let mut images: Vec<_> = bases
        .iter()
        .map(|(runtime, platform)| {
            let both = bases.iter().filter(|(other, _)| other == runtime).count() > 1;
            base::recipe(settings, runtime, *platform, both)
        })
        .collect();
    images.append(&mut functions);
    Recipes { images, findings }
}

/// One finding for each runtime whose images go without hooks.
fn missing_hooks(app: &Application, functions: &[ImageRecipe]) -> Vec<Finding> {
    let built = |function: &Function| {
        functions.iter().any(|recipe| match &recipe.kind {
            esb_model::ImageKind::Function(id) => *id == function.id,
            esb_model::ImageKind::Base(_) => false,
        })
    };
    let mut told = BTreeSet::new();
    let mut findings = Vec::new();
    for function in app.functions.iter().filter(|function| built(function)) {
        let Package::Zip(package) = &function.package else { continue };
        let Some(Ok(runtime)) = &package.runtime else { continue };
        // Of a runtime that does not exist nothing is made.
        let exists = runtime.is_known() || runtime.may_be_newer();
        if exists && !runtime.has_hooks() && told.insert(runtime.name()) {
            findings.push(no_hooks(runtime, function));
        }
    }
    findings
}

fn no_hooks(runtime: &Runtime, function: &Function) -> Finding {
    let message = format!(
        "images of {runtime} are made from {} without the platform's hooks: no log shipping, no \
         trace ids, no redirected AWS clients",
        runtime.aws_base_image()
    );
    Finding::new(Severity::Warning, codes::NO_HOOKS, function.span, message)
}
