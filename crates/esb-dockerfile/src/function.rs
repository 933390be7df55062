//! One function's recipe.
//!
//! Owns the defaults of a function without runtime or handler, and the order of a Dockerfile's
//! parts. Refuses to name images: the caller has settled those.

use std::{
    error::Error,
    io,
    path::{Path, PathBuf},
};

use esb_model::{
    BaseRef, Cause, Code, Dependencies, Family, Finding, Function, FunctionCode, ImageKind,
    ImageRecipe, Platform, Remedy, Runtime, Severity, Span, ZipPackage,
};

use crate::{
    codes,
    content::{CopySource, LocatedCode, NotFound, find, plain},
    copied::SourceContext,
    finding::nearest,
    ignore::{Exclusions, Included},
    java::unbuilt,
    layer::{Layers, ReadyLayer},
    project::EntryKind,
    requirements::Requirements,
    settings::{DEFAULT_HANDLER, DEFAULT_RUNTIME},
    template::{CopyView, LayerView, View, function_dockerfile},
};

/// Where code goes; Docker expands it from the base's environment.
const TASK_ROOT: &str = "${LAMBDA_TASK_ROOT}/";

/// Where a layer's packages go.
const LAYER_PACKAGES: &str = "/opt/python/";

/// What that is in Lambda's images.
const TASK_FOLDER: &str = "/var/task";

/// The handler that runs a Java function's own (docs/contracts/platform.md#java-hooks).
const JAVA_WRAPPER: &str = "com.runtime.lambda.HandlerWrapper::handleRequest";

/// The most bytes of a requirements file.
const MAX_REQUIREMENTS: u64 = 1024 * 1024;

impl SourceContext<'_> {
    /// The recipe of one function, or nothing when findings say why.
    pub(crate) fn recipe(
        &self,
        function: &Function,
        package: &ZipPackage,
        image: &str,
        layers: &mut Layers<'_>,
        findings: &mut Vec<Finding>,
    ) -> Option<ImageRecipe> {
        let who = format!("code of function `{}`", function.effective_name());
        let folder = self.settings.template_folder(function.id.template);
        findings.extend(default_code(function, &package.code));
        let code = match find(self.project, &folder, &package.code, &who, function.span) {
            Ok(found) => Some(found),
            Err(NotFound::S3 { uri, span }) => {
                findings.push(skipped(function, &who, &uri, span));
                return None; // the runtime and layers of what is skipped do not matter
            }
            Err(NotFound::Wrong(finding)) => {
                findings.push(*finding);
                None
            }
        };
        // All parts are looked at before the first gives up, so that one run shows all findings.
        let runtime = runtime(function, package, findings);
        let command = handler(function, package, findings);
        let layers = layers.of(function, &package.layers, findings);
        let (found, runtime, layers) = (code?, runtime?, layers?);

        let folder = self.settings.function_folder(&function.effective_name(), image);
        let code_target = folder.join("code");
        let code = self.content(&found, &code_target, (&who, function.span), findings)?;
        if runtime.family() == Family::Java {
            findings.extend(unbuilt(self.project, &found, &who, function.span));
        }
        let architecture = function.architecture();
        let platform = self.settings.platform.unwrap_or(Platform { architecture });
        let target = folder.join("dependencies");
        let installed = self.installed((&found, &layers), (&runtime, platform), target);
        let (dependencies, layer_dependencies) = match installed {
            Ok(installed) => installed,
            Err((what, cause)) => {
                let what = what.unwrap_or(who);
                let message = format!("could not read the dependencies of the {what}: {cause}");
                let code = codes::UNREADABLE;
                findings.push(Finding::new(Severity::Error, code, function.span, message));
                return None;
            }
        };

        let of_layer = |layer: &ReadyLayer| {
            self.image_content(&layer.found, &layer.content, &layer.layout.destination(&runtime))
        };
        let mut contents: Vec<_> = layers.iter().map(of_layer).collect();
        contents.push(self.image_content(&found, &code, TASK_FOLDER));
        let own_code =
            FunctionCode { runtime: runtime.clone(), handler: command.clone(), contents };
        let mut parts = Parts { code, code_target, layers, layer_dependencies, dependencies };
        let included = parts.settle(self.exclusions);
        let base = self.base(&runtime);
        let dockerfile = match function_dockerfile(&parts.view(&base, &runtime, command)) {
            Ok(text) => text,
            Err(error) => {
                let cause = innermost(&error);
                let message = format!("could not write the Dockerfile of `{image}`: {cause}");
                let code = codes::INVALID_NAME;
                findings.push(Finding::new(Severity::Error, code, function.span, message));
                return None;
            }
        };
        Some(
            ImageRecipe::new(
                self.settings.brand.function_repository(image),
                self.settings.tag.to_owned(),
                ImageKind::Function(function.id.clone()),
                platform,
                base,
                dockerfile,
            )
            .with_dockerignore(self.exclusions.dockerignore(&included))
            .with_folder(folder)
            .with_staged(parts.contents().filter_map(CopySource::staged).cloned().collect())
            .with_dependencies(parts.dependencies)
            .with_layer_dependencies(parts.layer_dependencies.into_iter().flatten().collect())
            .with_code(Some(own_code)),
        )
    }

    /// What is installed for the code, and for each layer. An error comes with the layer that it is
    /// about.
    #[expect(clippy::type_complexity, reason = "it has one caller")]
    fn installed(
        &self,
        (found, layers): (&LocatedCode, &[ReadyLayer]),
        (runtime, platform): (&Runtime, Platform),
        target: PathBuf,
    ) -> Result<(Option<Dependencies>, Vec<Option<Dependencies>>), (Option<String>, io::Error)>
    {
        let own = self.requirements(found, runtime, None).map_err(|cause| (None, cause))?;
        let own = own.map(|requirements| Dependencies {
            requirements,
            target,
            runtime: runtime.clone(),
            platform,
            follow: self.settings.follow_links,
        });
        let of_layer = |layer: &ReadyLayer| {
            let named = |cause| (Some(format!("layer `{}`", layer.name)), cause);
            layer.dependencies(self, runtime, platform).map_err(named)
        };
        Ok((own, layers.iter().map(of_layer).collect::<Result<_, _>>()?))
    }

    fn base(&self, runtime: &Runtime) -> BaseRef {
        if runtime.has_hooks() {
            let reference = self.settings.base_reference(runtime);
            BaseRef::Own { runtime: runtime.clone(), reference }
        } else {
            BaseRef::External { reference: runtime.aws_base_image() }
        }
    }

    /// The file that says what Python code depends on, when something of it is still to be
    /// installed: `requirements.txt`, else `uv.lock`, else `pyproject.toml`. Packages may lie in a
    /// folder of it, too.
    pub(crate) fn requirements(
        &self,
        found: &LocatedCode,
        runtime: &Runtime,
        packages: Option<&Path>,
    ) -> io::Result<Option<PathBuf>> {
        let LocatedCode::Folder(folder) = found else { return Ok(None) };
        if runtime.family() != Family::Python {
            return Ok(None);
        }
        let entries = self.project.entries(folder)?;
        let file = |name: &str| entries.iter().any(|e| e.name == name && e.kind == EntryKind::File);
        let bytes = |name: &str| self.project.read(&folder.join(name), MAX_REQUIREMENTS);
        let (name, wanted) = if file("requirements.txt") {
            ("requirements.txt", Requirements::parse(&bytes("requirements.txt")?, runtime.name()))
        } else if file("pyproject.toml") {
            let text = String::from_utf8_lossy(&bytes("pyproject.toml")?).into_owned();
            let wanted = Requirements::of_project(&text, runtime.name());
            let wanted = wanted.map_err(|reason| {
                io::Error::new(io::ErrorKind::InvalidData, format!("`pyproject.toml`: {reason}"))
            })?;
            (if file("uv.lock") { "uv.lock" } else { "pyproject.toml" }, wanted)
        } else {
            return Ok(None);
        };
        let inside = packages.and_then(|inside| self.project.entries(&folder.join(inside)).ok());
        let present = || entries.iter().chain(inside.iter().flatten());
        let held = || wanted.are_held_by(present().map(|entry| entry.name.as_str()));
        Ok((!wanted.is_empty() && !held()).then(|| folder.join(name)))
    }
}

/// The parts of a function's image.
struct Parts {
    code: CopySource,
    code_target: PathBuf,
    layers: Vec<ReadyLayer>,
    /// Of each layer.
    layer_dependencies: Vec<Option<Dependencies>>,
    dependencies: Option<Dependencies>,
}

impl Parts {
    /// Everything that is copied, in the Dockerfile's order, apart from dependencies.
    fn contents(&self) -> impl Iterator<Item = &CopySource> {
        self.layers.iter().map(|layer| &layer.content).chain([&self.code])
    }

    /// Stages what would take along what was excluded for a reason, such as `CodeUri: ./` beside
    /// installed dependencies, and gives what the context has to include.
    fn settle(&mut self, exclusions: &Exclusions) -> Included {
        loop {
            let included = self.included(exclusions);
            let mut changed = self.code.stage_around(&included, &self.code_target, exclusions);
            for layer in &mut self.layers {
                changed |= layer.content.stage_around(&included, &layer.target, exclusions);
            }
            if !changed {
                return included;
            }
        }
    }

    fn included(&self, exclusions: &Exclusions) -> Included {
        let mut included = Included::default();
        for content in self.contents() {
            content.include(exclusions, &mut included);
        }
        let installed = self.layer_dependencies.iter().flatten().chain(&self.dependencies);
        included.staged.extend(installed.map(|d| plain(&d.target)));
        included
    }

    fn view(&self, base: &BaseRef, runtime: &Runtime, handler: String) -> View {
        let to_task = |source| CopyView { source, destination: TASK_ROOT.to_owned() };
        let installed = |one: &Dependencies| format!("{}/", plain(&one.target));
        let (command, original_handler) = if runtime.has_java_hooks() {
            (JAVA_WRAPPER.to_owned(), Some(handler))
        } else {
            (handler, None)
        };
        View {
            base: base.reference().unwrap_or_default().to_owned(),
            original_handler,
            layers: self
                .layers
                .iter()
                .zip(&self.layer_dependencies)
                .map(|(layer, packages)| LayerView {
                    name: layer.name.clone(),
                    packages: packages.as_ref().map(|packages| CopyView {
                        source: installed(packages),
                        destination: LAYER_PACKAGES.to_owned(),
                    }),
                    content: CopyView {
                        source: layer.content.source(),
                        destination: layer.layout.destination(runtime),
                    },
                })
                .collect(),
            dependencies: self
                .dependencies
                .as_ref()
                .map(|dependencies| to_task(installed(dependencies))),
            code: to_task(self.code.source()),
            command,
        }
    }
}

/// The error that says what is wrong, below those that say where it came through.
fn innermost(error: &dyn Error) -> &dyn Error {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost
}

fn skipped(function: &Function, what: &str, uri: &str, span: Span) -> Finding {
    let message = format!("the {what} is in S3 (`{uri}`); the function is skipped");
    let help = Remedy::GiveCode { function: Some(function.id.logical_id.clone()) };
    let finding = Finding::new(Severity::Warning, codes::S3_CONTENT, span, message);
    finding.help(help).cause(Cause::ContentElsewhere)
}

fn runtime(
    function: &Function,
    package: &ZipPackage,
    findings: &mut Vec<Finding>,
) -> Option<Runtime> {
    let name = function.effective_name();
    match &package.runtime {
        Some(Ok(runtime)) if runtime.has_aws_base_image() => Some(runtime.clone()),
        Some(Ok(runtime)) => {
            let message =
                format!("function `{name}` runs on `{runtime}`, for which AWS has no base image");
            let code = codes::UNKNOWN_RUNTIME;
            let finding = Finding::new(Severity::Error, code, function.span, message);
            findings.push(finding.help("use a later runtime").cause(Cause::UnknownRuntime));
            None
        }
        Some(Err(unknown)) => {
            let message = format!("function `{name}` has the unknown runtime `{unknown}`");
            let code = codes::UNKNOWN_RUNTIME;
            let finding = Finding::new(Severity::Error, code, function.span, message)
                .cause(Cause::UnknownRuntime);
            findings.push(match nearest(unknown, Runtime::names()) {
                Some(known) => finding.help(format!("did you mean `{known}`?")),
                None => finding,
            });
            None
        }
        None => {
            let message = format!("function `{name}` has no Runtime; {DEFAULT_RUNTIME} is used");
            let code = codes::DEFAULT_RUNTIME;
            let finding = Finding::new(Severity::Warning, code, function.span, message);
            findings.push(finding.cause(Cause::MissingProperty));
            Some(DEFAULT_RUNTIME.parse().expect("the default is a runtime's name"))
        }
    }
}

/// Without a place for its code, a function gets everything that lies beside its template.
fn default_code(function: &Function, code: &Code) -> Option<Finding> {
    let Code::Path { path, span: None } = code else { return None };
    if path != "." && !path.ends_with("/.") {
        return None;
    }
    let name = function.effective_name();
    let message =
        format!("function `{name}` does not say where its code is; the template's folder is used");
    let finding = Finding::new(Severity::Warning, codes::DEFAULT_CODE, function.span, message);
    Some(
        finding
            .help("set `CodeUri` to the folder of the code, or to `.` for the template's folder"),
    )
}

fn handler(function: &Function, package: &ZipPackage, findings: &mut Vec<Finding>) -> String {
    package.handler.clone().unwrap_or_else(|| {
        let name = function.effective_name();
        let (span, message, cause) = if let Some(span) = package.handler_span {
            let message = format!(
                "the Handler of function `{name}` is known only to AWS; {DEFAULT_HANDLER} is used"
            );
            (span, message, Cause::UnknownValue)
        } else {
            let message = format!("function `{name}` has no Handler; {DEFAULT_HANDLER} is used");
            (function.span, message, Cause::MissingProperty)
        };
        let finding = Finding::new(Severity::Warning, codes::DEFAULT_HANDLER, span, message);
        findings.push(finding.cause(cause));
        DEFAULT_HANDLER.to_owned()
    })
}
