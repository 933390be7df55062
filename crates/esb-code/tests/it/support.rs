//! Projects on disk, functions and recipes by hand, and findings as text.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
};

use esb_code::{BaseModules, Cache, Checker, NoCache, Subject};
use esb_model::{
    Architecture, BaseRef, Code, ContentSource, Dependencies, EnvValue, FollowLinks, Function,
    FunctionCode, FunctionId, ImageContent, ImageKind, ImageRecipe, LayerRef, Package, Platform,
    Remedy, SourceMap, Span, TemplateId, ZipPackage,
};
use tempfile::TempDir;
use zip::{ZipWriter, write::SimpleFileOptions};

/// A project, and the function whose code is looked at.
pub(crate) struct Sample {
    folder: TempDir,
    pub(crate) function: Function,
    pub(crate) recipe: ImageRecipe,
    pub(crate) base: Option<BaseModules>,
    pub(crate) installed: bool,
}

/// A function with a handler whose code is the folder `code`.
pub(crate) fn sample(runtime: &str, handler: &str) -> Sample {
    let source = SourceMap::default().add("template.yaml", "");
    let span = |start| Span { source, start, end: start };
    let id = FunctionId { template: TemplateId(0), logical_id: "Hello".to_owned() };
    let package = ZipPackage {
        runtime: Some(Ok(runtime.parse().unwrap())),
        handler: Some(handler.to_owned()),
        handler_span: Some(span(7)),
        build_method: None,
        code: Code::Path { path: "code".to_owned(), span: None },
        layers: Vec::new(),
    };
    let function = Function {
        id: id.clone(),
        span: span(1),
        name: None,
        name_span: None,
        package: Package::Zip(package),
        timeout: None,
        memory: None,
        memory_span: None,
        ephemeral_storage: None,
        architectures: Vec::new(),
        environment: BTreeMap::new(),
        reserved_concurrency: None,
        provisioned_concurrency: None,
    };
    let code = FunctionCode {
        runtime: runtime.parse().unwrap(),
        handler: handler.to_owned(),
        contents: vec![part(
            ContentSource::Folder { path: "code".into(), exclude: excluded() },
            "/var/task",
        )],
    };
    let platform = Platform { architecture: Architecture::default() };
    let recipe = ImageRecipe::new(
        "esb-hello",
        "latest",
        ImageKind::Function(id),
        platform,
        BaseRef::InDockerfile,
        "",
    )
    .with_code(Some(code));
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("code")).unwrap();
    Sample { folder, function, recipe, base: None, installed: false }
}

fn excluded() -> Vec<String> {
    ["**/__pycache__", "**/*.pyc"].map(str::to_owned).to_vec()
}

fn part(source: ContentSource, folder: &str) -> ImageContent {
    ImageContent { source, folder: folder.to_owned() }
}

impl Sample {
    /// Writes a file of the project.
    pub(crate) fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    /// Writes a zip archive of the project.
    pub(crate) fn archive(self, path: &str, entries: &[(&str, Vec<u8>)]) -> Self {
        let bytes = archive(entries);
        self.file(path, bytes)
    }

    /// Takes the code from a zip archive.
    pub(crate) fn code_from(self, path: &str) -> Self {
        self.change(|contents| {
            contents.last_mut().unwrap().source = ContentSource::Archive(path.into());
        })
    }

    /// Takes the code from the template.
    pub(crate) fn inline(self, text: &str) -> Self {
        let source = ContentSource::Text { file_name: "index.py".into(), text: text.into() };
        self.change(|contents| contents.last_mut().unwrap().source = source)
    }

    /// Puts a folder of the project below the code.
    pub(crate) fn layer(mut self, folder: &str, to: &str) -> Self {
        self.zip().layers.push(LayerRef::Local(folder.to_owned()));
        let source = ContentSource::Folder { path: folder.into(), exclude: Vec::new() };
        let part = part(source, to);
        self.change(|contents| contents.insert(contents.len() - 1, part))
    }

    /// Adds a layer that is not here.
    pub(crate) fn published_layer(mut self) -> Self {
        self.zip().layers.push(LayerRef::Arn("arn:aws:lambda:r:1:layer:x:1".to_owned()));
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: EnvValue) -> Self {
        self.function.environment.insert(name.to_owned(), value);
        self
    }

    pub(crate) fn build_method(mut self, method: &str) -> Self {
        self.zip().build_method = Some(method.to_owned());
        self
    }

    /// Depends on packages, which lie in the folder `packages` once they are installed.
    pub(crate) fn requirements(mut self, file: &str, text: &str) -> Self {
        let path = format!("code/{file}");
        self.recipe.dependencies = Some(Dependencies {
            requirements: PathBuf::from(&path),
            target: "packages".into(),
            runtime: self.recipe.code.as_ref().unwrap().runtime.clone(),
            platform: self.recipe.platform,
            follow: FollowLinks::default(),
        });
        self.file(&path, text)
    }

    /// The packages are installed.
    pub(crate) fn installed(mut self) -> Self {
        self.installed = true;
        self
    }

    /// The base brings these modules.
    pub(crate) fn base(mut self, names: &[&str]) -> Self {
        self.base = Some(BaseModules::new(names.iter().copied()));
        self
    }

    fn change(mut self, change: impl FnOnce(&mut Vec<ImageContent>)) -> Self {
        change(&mut self.recipe.code.as_mut().unwrap().contents);
        self
    }

    fn zip(&mut self) -> &mut ZipPackage {
        match &mut self.function.package {
            Package::Zip(package) => package,
            Package::Image(_) => panic!("no zip package"),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    /// What is found, a line each; none when nothing is.
    pub(crate) fn findings(&self) -> String {
        self.findings_with(&NoCache)
    }

    pub(crate) fn findings_with(&self, cache: &dyn Cache) -> String {
        let subject = Subject {
            function: &self.function,
            recipe: &self.recipe,
            installed: self.installed,
            handler: true,
            base: self.base.as_ref(),
        };
        let mut text = String::new();
        for found in Checker::new(self.root(), cache).check(&[subject]) {
            let finding = &found.finding;
            write!(text, "{}: {}", finding.severity, finding.message).unwrap();
            if let Some(place) = &found.place {
                let line = place.text[..place.start].matches('\n').count() + 1;
                write!(text, " [{}:{line}]", place.file).unwrap();
            } else {
                assert_eq!(finding.span.unwrap().start, 7, "the handler's place");
            }
            if let Some(help) = finding.help.as_ref().and_then(Remedy::advice) {
                write!(text, " ({help})").unwrap();
            }
            text.push('\n');
        }
        text.trim_end().to_owned()
    }

    /// Nothing is found.
    #[track_caller]
    pub(crate) fn is_silent(&self) {
        assert_eq!(self.findings(), "");
    }

    /// The one finding, or all of them.
    #[track_caller]
    pub(crate) fn finds(&self, expected: &str) {
        assert_eq!(self.findings(), expected);
    }
}

/// The bytes of a zip archive.
pub(crate) fn archive(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut file: File = tempfile::tempfile().unwrap();
    let mut writer = ZipWriter::new(&mut file);
    for (name, content) in entries {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap();
    let mut bytes = Vec::new();
    std::io::Seek::rewind(&mut file).unwrap();
    std::io::Read::read_to_end(&mut file, &mut bytes).unwrap();
    bytes
}
