//! Image functions that SAM's `Metadata` builds from a Dockerfile of the user.
//!
//! Owns finding that Dockerfile with its context and exclusions. Refuses to read the Dockerfile's
//! instructions, and to write any: that is a builder's work.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use esb_model::{
    BaseRef, BuildContext, Code, DockerBuild, EnvValue, Finding, Function, ImageKind, ImagePackage,
    ImageRecipe, OwnDockerfile, Platform, Secret, Severity, decode_text,
};

use crate::{
    codes,
    content::{LocatedCode, NotFound, find, plain},
    copied::SourceContext,
    project::EntryKind,
    quote,
};

/// The most bytes of a Dockerfile, and of its exclusions.
const MAX_TEXT: u64 = 1024 * 1024;

impl SourceContext<'_> {
    /// The recipe of an image function that is built, or nothing when findings say why.
    pub(crate) fn image_recipe(
        &self,
        function: &Function,
        package: &ImagePackage,
        build: &DockerBuild,
        image: &str,
        findings: &mut Vec<Finding>,
    ) -> Option<ImageRecipe> {
        let name = function.effective_name();
        let context = match self.context(function, build) {
            Ok(context) => context,
            Err(finding) => {
                findings.push(*finding);
                return None;
            }
        };
        let file = build.dockerfile.as_deref().unwrap_or("Dockerfile");
        let path = context.join(file);
        let text = self.text(&path).and_then(|found| found.ok_or(io::ErrorKind::NotFound.into()));
        let text = match text {
            Ok(text) => text,
            Err(cause) => {
                let (code, message) = if cause.kind() == io::ErrorKind::NotFound {
                    let message = format!(
                        "the Dockerfile of the image function `{name}` does not exist: there is no `{}`",
                        plain(&path).escape_debug()
                    );
                    (codes::MISSING_CODE, message)
                } else {
                    let message = format!(
                        "could not read the Dockerfile of the image function `{name}`, `{}`: {cause}",
                        plain(&path).escape_debug()
                    );
                    (codes::UNREADABLE, message)
                };
                let finding = Finding::new(Severity::Error, code, function.span, message);
                findings
                    .push(finding.help("`Metadata: Dockerfile` is relative to `DockerContext`"));
                return None;
            }
        };
        let dockerignore = match self.exclusions_of(&path, &context) {
            Ok(text) => text,
            Err(cause) => {
                let message = format!(
                    "could not read the exclusions of the image function `{name}`: {cause}"
                );
                let code = codes::UNREADABLE;
                findings.push(Finding::new(Severity::Error, code, function.span, message));
                return None;
            }
        };
        let overrides = package.overrides.clone();
        let folder = overrides.working_directory.as_deref().unwrap_or_default();
        if quote::has_control(folder) {
            let message = format!(
                "the WorkingDirectory of `{name}`, `{}`, has a control character, which cannot be \
                 written in a Dockerfile",
                folder.escape_debug()
            );
            let code = codes::INVALID_NAME;
            findings.push(Finding::new(Severity::Error, code, function.span, message));
            return None;
        }
        let args = arguments(function, build, findings);
        let architecture = function.architecture();
        Some(
            ImageRecipe::new(
                self.settings.brand.function_repository(image),
                self.settings.tag.to_owned(),
                ImageKind::Function(function.id.clone()),
                self.settings.platform.unwrap_or(Platform { architecture }),
                BaseRef::InDockerfile,
                text,
            )
            .with_dockerignore(dockerignore)
            .with_folder(self.settings.function_folder(&name, image))
            .with_context(BuildContext { folder: context })
            .with_own(Some(OwnDockerfile {
                args,
                target: build.target.clone(),
                tag: self.tag(function, build, findings),
                overrides,
            })),
        )
    }

    /// The folder that `COPY` reads.
    fn context(&self, function: &Function, build: &DockerBuild) -> Result<PathBuf, Box<Finding>> {
        let what = format!("build context of the image function `{}`", function.effective_name());
        let path = build.context.clone().unwrap_or_else(|| ".".to_owned());
        let folder = self.settings.template_folder(function.id.template);
        let code = Code::Path { path: path.clone(), span: None };
        match find(self.project, &folder, &code, &what, function.span) {
            Ok(LocatedCode::Folder(folder)) => Ok(folder),
            Err(NotFound::Wrong(finding)) => Err(finding),
            Ok(_) | Err(NotFound::S3 { .. }) => {
                let message = format!("the {what}, `{}`, is not a folder", path.escape_debug());
                let code = codes::MISSING_CODE;
                Err(Box::new(Finding::new(Severity::Error, code, function.span, message)))
            }
        }
    }

    /// A text file that may be missing.
    fn text(&self, path: &Path) -> io::Result<Option<String>> {
        let located = match self.project.locate(path) {
            Ok(located) => located,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if located.kind != EntryKind::File {
            return Err(io::Error::other("it is not a file"));
        }
        let bytes = self.project.read(&located.path, MAX_TEXT)?;
        decode_text(bytes).map(Some).map_err(io::Error::other)
    }

    /// The exclusions of the context: the folder of generated files, and those of the user's ignore
    /// file. A file named after the Dockerfile wins over the folder's, as in Docker.
    fn exclusions_of(&self, dockerfile: &Path, context: &Path) -> io::Result<String> {
        let mut named = dockerfile.as_os_str().to_owned();
        named.push(".dockerignore");
        let own = match self.text(Path::new(&named))? {
            Some(text) => Some(text),
            None => self.text(&context.join(".dockerignore"))?,
        };
        let folder = self.settings.brand.folder_name();
        Ok(format!("**/{folder}\n{}", own.unwrap_or_default()))
    }

    /// `DockerTag`, when it is a tag.
    fn tag(
        &self,
        function: &Function,
        build: &DockerBuild,
        findings: &mut Vec<Finding>,
    ) -> Option<String> {
        let tag = build.tag.clone()?;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let starts = tag.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        if !starts || tag.len() > 128 || !tag.chars().all(plain) {
            let message = format!(
                "the DockerTag of `{}`, `{}`, is not a valid tag; it is ignored",
                function.effective_name(),
                tag.escape_debug()
            );
            let code = codes::INVALID_NAME;
            findings.push(Finding::new(Severity::Warning, code, function.span, message));
            return None;
        }
        (tag != self.settings.tag).then_some(tag)
    }
}

/// The build arguments; one that holds a secret gets a warning.
fn arguments(
    function: &Function,
    build: &DockerBuild,
    findings: &mut Vec<Finding>,
) -> BTreeMap<String, Secret<String>> {
    let mut args = BTreeMap::new();
    for (name, value) in &build.args {
        let value = match value {
            EnvValue::Known(value) => Secret::new(value.clone()),
            EnvValue::Secret(value) => {
                let message = format!(
                    "the build argument `{}` of `{}` holds a NoEcho value, and an image's history \
                     shows the arguments that its `RUN` steps used",
                    name.escape_debug(),
                    function.effective_name()
                );
                let code = codes::SECRET_ARGUMENT;
                findings.push(Finding::new(Severity::Warning, code, function.span, message));
                value.clone()
            }
            EnvValue::Symbolic(_) => continue, // the template's own findings say so
        };
        args.insert(name.clone(), value);
    }
    args
}
