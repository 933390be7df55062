//! Renders the four configuration files of an application and its images.
//!
//! Pure. What the platform cannot do becomes a finding, never a guess.

mod containerd;
mod functions;
mod gateway;
mod path;
mod resources;
mod routes;
mod schedules;

use std::collections::{BTreeMap, BTreeSet};

use esb_model::{Application, Finding, FunctionId, TemplateId};

use crate::{
    Owner,
    config::ConfigSet,
    functions::own_defaults,
    import::{ImageImportFile, ImportEntry},
    state::{OwnershipState, Section},
};

/// The published image of a function.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PublishedImage {
    /// The reference that the runtime pulls: the text of `image`.
    pub reference: String,
    /// The digest of the manifest that the reference must point to.
    pub digest: String,
    /// Set for an external image that is copied to the internal registry.
    pub import: Option<ImportedImage>,
    /// The variable that loads hooks which the image got on its way, and what a function's own
    /// value of it has to begin with for them to be loaded.
    pub hooks_loaded_by: Option<(String, String)>,
}

/// An external image of a function of package type `Image`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedImage {
    /// As in the template.
    pub source: String,
    /// Where it is copied to, as the runtime names it: `name:tag`.
    pub image_ref: String,
}

/// Settings of a run that are not in its templates.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RenderSettings {
    /// For each template, the owner of what it publishes. Where one is missing, the template's name
    /// stands in.
    pub owners: Vec<Owner>,
    /// `HOST[:PORT]` of the internal registry as this machine reaches it.
    pub push_target: String,
    /// Function (name or logical id) and variable whose value comes from the Gateway's
    /// environment instead of from the template.
    pub secret_env: BTreeSet<(String, String)>,
    /// What the names of workers begin with (`<brand>-<environment>-`), where they are containers of
    /// containerd's.
    pub containerd_prefix: Option<String>,
}

/// The rendered configuration of an application.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rendered {
    pub config: ConfigSet,
    /// Owners and digests of the entries.
    pub state: OwnershipState,
    pub findings: Vec<Finding>,
}

/// Renders the files of an application whose images are known.
///
/// Functions without an image are left out with their routes and schedules.
pub fn render(
    app: &Application,
    images: &BTreeMap<FunctionId, PublishedImage>,
    settings: &RenderSettings,
) -> Rendered {
    let mut context = Context { app, settings, rendered: Rendered::default() };
    context.rendered.config.functions.defaults = own_defaults(&app.region);
    let names = functions::render(&mut context, images);
    schedules::render(&mut context, &names);
    routes::render(&mut context, &names);
    resources::render(&mut context);
    context.rendered.config.images = imports(&mut context, images, &names);
    context.rendered
}

/// The functions that are written, with their names.
type FunctionNames = BTreeMap<FunctionId, String>;

struct Context<'a> {
    app: &'a Application,
    settings: &'a RenderSettings,
    rendered: Rendered,
}

impl Context<'_> {
    fn find(&mut self, finding: Finding) {
        self.rendered.findings.push(finding);
    }

    /// Records which template an entry comes from.
    fn own(&mut self, section: Section, key: &str, template: TemplateId) {
        let owner = self.settings.owners.get(template.0).cloned();
        let name = || self.app.templates.get(template.0).map(Owner::without_application);
        if let Some(owner) = owner.or_else(name) {
            self.rendered.state.owners.add(section, key, owner);
        }
    }
}

fn imports(
    context: &mut Context<'_>,
    images: &BTreeMap<FunctionId, PublishedImage>,
    names: &FunctionNames,
) -> ImageImportFile {
    let mut file = ImageImportFile {
        push_target: context.settings.push_target.clone(),
        ..ImageImportFile::default()
    };
    for (id, name) in names {
        let Some(image) = images.get(id) else { continue };
        let Some(import) = &image.import else { continue };
        context.own(Section::Image, name, id.template);
        file.images.push(ImportEntry {
            function_name: name.clone(),
            image_source: import.source.clone(),
            image_ref: import.image_ref.clone(),
            digest: Some(image.digest.clone()).filter(|digest| !digest.is_empty()),
        });
    }
    file.images.sort_by(|a, b| a.function_name.cmp(&b.function_name));
    file
}
