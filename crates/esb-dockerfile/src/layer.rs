//! Locates each layer once, for all functions that use it.
//!
//! Owns the folder names of staged layers and the findings about layers. Refuses to decide where
//! a layer's content goes: that is `layout`.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
};

use esb_model::{
    Application, Cause, Dependencies, Finding, Function, Layer, LayerRef, Platform, Runtime,
    Severity, TemplateId, image_name,
};

use crate::{
    codes,
    content::{CopySource, LocatedCode, NotFound, find, plain},
    copied::SourceContext,
    layer_build::LayerBuild,
    layout::Layout,
    project::Project,
};

/// The most bytes of a `package.json`.
const MAX_MANIFEST: u64 = 1024 * 1024;

/// A layer whose content was found.
#[derive(Debug, Clone)]
pub(crate) struct ReadyLayer {
    /// As the Dockerfile's comment calls it.
    pub(crate) name: String,
    pub(crate) found: LocatedCode,
    pub(crate) content: CopySource,
    /// Where it goes when it has to be staged.
    pub(crate) target: PathBuf,
    pub(crate) layout: Layout,
    build: LayerBuild,
    /// The folder that its packages are installed below.
    packages: PathBuf,
}

/// The state of a layer.
#[derive(Debug, Clone)]
enum LayerState {
    Ready(Box<ReadyLayer>),
    /// Left out with a warning.
    Skipped,
    /// The functions that have it cannot be built.
    Wrong,
}

/// The layers of an application, found on first use.
pub(crate) struct Layers<'a> {
    app: &'a Application,
    maker: &'a SourceContext<'a>,
    folders: BTreeMap<(TemplateId, &'a str), String>,
    states: BTreeMap<(TemplateId, &'a str), LayerState>,
}

impl<'a> Layers<'a> {
    pub(crate) fn new(app: &'a Application, maker: &'a SourceContext<'a>) -> Self {
        let folders = folder_names(&app.layers);
        Self { app, maker, folders, states: BTreeMap::new() }
    }

    /// The layers of a function in its order; `None` when one of them is wrong.
    pub(crate) fn of(
        &mut self,
        function: &Function,
        references: &[LayerRef],
        findings: &mut Vec<Finding>,
    ) -> Option<Vec<ReadyLayer>> {
        let mut right = true;
        let mut layers = Vec::new();
        for reference in references {
            let (code, problem) = match reference {
                LayerRef::Local(id) => match self.app.layer(function.id.template, id) {
                    Some(layer) => {
                        match self.state(layer, findings) {
                            LayerState::Ready(ready) => layers.push(*ready),
                            LayerState::Skipped => {}
                            LayerState::Wrong => right = false,
                        }
                        continue;
                    }
                    None => {
                        (codes::MISSING_LAYER, format!("`{id}`, which its template does not have"))
                    }
                },
                LayerRef::Arn(arn) => (
                    codes::PUBLISHED_LAYER,
                    format!("`{arn}`, which cannot be fetched without AWS"),
                ),
                LayerRef::Unknown(symbolic) => {
                    (codes::PUBLISHED_LAYER, format!("`{symbolic}`, which only AWS knows"))
                }
            };
            let who = function.effective_name();
            let message = format!("the image of `{who}` lacks the layer {problem}");
            let mut finding = Finding::new(Severity::Warning, code, function.span, message);
            finding.cause = (code == codes::PUBLISHED_LAYER).then_some(Cause::PublishedLayer);
            findings.push(finding);
        }
        right.then_some(layers)
    }

    fn state(&mut self, layer: &'a Layer, findings: &mut Vec<Finding>) -> LayerState {
        let key = (layer.template, layer.logical_id.as_str());
        if let Some(known) = self.states.get(&key) {
            return known.clone();
        }
        let state = self.find(layer, findings);
        self.states.insert(key, state.clone());
        state
    }

    fn find(&self, layer: &Layer, findings: &mut Vec<Finding>) -> LayerState {
        let name = layer.name.as_deref().unwrap_or(&layer.logical_id);
        let what = format!("content of layer `{name}`");
        let SourceContext { settings, project, .. } = *self.maker;
        let folder = settings.template_folder(layer.template);
        let found = match find(project, &folder, &layer.content, &what, layer.span) {
            Ok(found) => found,
            Err(NotFound::S3 { uri, span }) => {
                let message = format!("the {what} is in S3 (`{uri}`); images are made without it");
                let code = codes::S3_CONTENT;
                let finding = Finding::new(Severity::Warning, code, span, message);
                findings.push(finding.cause(Cause::ContentElsewhere));
                return LayerState::Skipped;
            }
            Err(NotFound::Wrong(finding)) => {
                findings.push(*finding);
                return LayerState::Wrong;
            }
        };
        let names = match names(&found, project) {
            Ok(names) => names,
            Err(cause) => {
                let message = format!("could not list the {what}: {cause}");
                let code = codes::UNREADABLE;
                findings.push(Finding::new(Severity::Error, code, layer.span, message));
                return LayerState::Wrong;
            }
        };
        let id = (layer.template, layer.logical_id.as_str());
        let target = settings.layer_folder(&self.folders[&id]);
        match self.maker.content(&found, &target, (&what, layer.span), findings) {
            Some(content) => {
                let build = LayerBuild::of(layer.build_method.as_deref());
                findings.extend(self.unbuilt(layer, &build, (&found, &names), &what));
                let (name, layout) = (name.to_owned(), build.layout(&names));
                let packages = settings.layer_packages(&self.folders[&id]);
                LayerState::Ready(Box::new(ReadyLayer {
                    name,
                    found,
                    content,
                    target,
                    layout,
                    build,
                    packages,
                }))
            }
            None => LayerState::Wrong,
        }
    }
}

impl Layers<'_> {
    /// Warns of content that has to be built or installed first.
    fn unbuilt(
        &self,
        layer: &Layer,
        build: &LayerBuild,
        (found, names): (&LocatedCode, &[String]),
        what: &str,
    ) -> Option<Finding> {
        let LocatedCode::Folder(folder) = found else { return None };
        let shown = plain(folder);
        let package = || {
            let path = folder.join("package.json");
            self.maker.project.read(&path, MAX_MANIFEST).ok()
        };
        if let Some(finding) = build.unbuilt(names, (what, &shown), layer.span, &package) {
            return Some(finding);
        }
        if matches!(build, LayerBuild::Python(_))
            || !Layout::of(names).lacks_installed_requirements(names)
        {
            return None;
        }
        let message = format!("the {what} has a requirements.txt that nothing installs");
        let code = codes::LAYER_REQUIREMENTS;
        Some(Finding::new(Severity::Warning, code, layer.span, message).help(
            "add `Metadata: {BuildMethod: python3.x}` to the layer, which has them installed, or \
             install the packages into its `python/` folder",
        ))
    }
}

impl ReadyLayer {
    /// What is installed for the layer in the image of a function.
    ///
    /// # Errors
    /// When the file that asks for it cannot be read.
    pub(crate) fn dependencies(
        &self,
        context: &SourceContext<'_>,
        runtime: &Runtime,
        platform: Platform,
    ) -> io::Result<Option<Dependencies>> {
        let LayerBuild::Python(own) = &self.build else { return Ok(None) };
        let runtime = own.as_ref().unwrap_or(runtime);
        let held = Path::new("python");
        let found = context.requirements(&self.found, runtime, Some(held))?;
        Ok(found.map(|requirements| Dependencies {
            requirements,
            target: self.packages.join(format!("{runtime}-{}", platform.architecture.oci_name())),
            runtime: runtime.clone(),
            platform,
            follow: context.settings.follow_links,
        }))
    }
}

/// The names in a layer as an archive would list them, two levels deep where it matters.
fn names(found: &LocatedCode, project: &dyn Project) -> std::io::Result<Vec<String>> {
    use crate::project::EntryKind::Dir;
    let folder = match found {
        LocatedCode::Folder(folder) => folder,
        LocatedCode::File(path) => {
            return Ok(path.file_name().map(|n| n.to_string_lossy().into()).into_iter().collect());
        }
        LocatedCode::Archive { names, .. } => return Ok(names.clone()),
        LocatedCode::Inline { file_name, .. } => return Ok(vec![file_name.clone()]),
    };
    let mut names = Vec::new();
    for entry in project.entries(folder)? {
        if entry.kind != Dir {
            names.push(entry.name);
            continue;
        }
        // A folder that cannot be listed fails where it is copied, with its own message.
        for inner in project.entries(&folder.join(&entry.name)).unwrap_or_default() {
            let slash = if inner.kind == Dir { "/" } else { "" };
            names.push(format!("{}/{}{slash}", entry.name, inner.name));
        }
        names.push(format!("{}/", entry.name));
    }
    Ok(names)
}

/// One folder name for each layer; a number distinguishes layers of the same name.
fn folder_names(layers: &[Layer]) -> BTreeMap<(TemplateId, &str), String> {
    let mut taken = BTreeSet::new();
    let mut names = BTreeMap::new();
    for layer in layers {
        let wanted = layer.name.as_deref().unwrap_or(&layer.logical_id);
        let wanted = image_name(wanted).unwrap_or_else(|_| "layer".to_owned());
        let name = (1..=layers.len())
            .map(|n| if n == 1 { wanted.clone() } else { format!("{wanted}-{n}") })
            .find(|name| !taken.contains(name))
            .expect("one of as many names as there are layers is free");
        taken.insert(name.clone());
        names.insert((layer.template, layer.logical_id.as_str()), name);
    }
    names
}
