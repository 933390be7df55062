//! A project in memory, applications by hand, and recipes as text.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io,
    path::{Component, Path, PathBuf},
};

use esb_dockerfile::{
    CopyRules, EntryKind, Located, Project, ProjectEntry, RecipeSettings, Recipes, recipes,
};
use esb_model::{
    Application, Brand, Code, FollowLinks, Function, FunctionId, ImageKind, ImageRecipe, Layer,
    LayerRef, Package, SourceMap, Span, StagedSource, TemplateId, ZipPackage,
};
use esb_oci::CopiedLinks;

const ROOT: &str = "/project";

enum Node {
    Dir,
    File(Vec<u8>),
    Archive(Vec<String>),
    Socket,
}

/// A project whose root is `/project`.
#[derive(Default)]
pub(crate) struct Memory {
    nodes: BTreeMap<PathBuf, Node>,
}

impl Memory {
    /// Files with these paths; one with a `/` at the end is a folder.
    pub(crate) fn new(paths: &[&str]) -> Self {
        paths.iter().fold(Self::default(), |memory, path| memory.file(path, ""))
    }

    pub(crate) fn file(self, path: &str, content: &str) -> Self {
        let node = if path.ends_with('/') { Node::Dir } else { Node::File(content.into()) };
        self.add(path, node)
    }

    pub(crate) fn archive(self, path: &str, names: &[&str]) -> Self {
        self.add(path, Node::Archive(names.iter().map(|name| (*name).to_owned()).collect()))
    }

    pub(crate) fn socket(self, path: &str) -> Self {
        self.add(path, Node::Socket)
    }

    fn add(mut self, path: &str, node: Node) -> Self {
        let path = absolute(Path::new(path));
        for folder in path.ancestors().skip(1) {
            self.nodes.entry(folder.to_owned()).or_insert(Node::Dir);
        }
        self.nodes.insert(path, node);
        self
    }

    fn get(&self, path: &Path) -> io::Result<&Node> {
        self.nodes.get(&absolute(path)).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Project for Memory {
    fn locate(&self, path: &Path) -> io::Result<Located> {
        let path = absolute(path);
        let kind = kind(self.get(&path)?);
        let path = path.strip_prefix(ROOT).map_or_else(|_| path.clone(), Path::to_path_buf);
        Ok(Located { path, kind })
    }

    fn entries(&self, path: &Path) -> io::Result<Vec<ProjectEntry>> {
        let folder = absolute(path);
        let inside = self.nodes.iter().filter(|(path, _)| path.parent() == Some(&folder));
        let entry = |(path, node): (&PathBuf, &Node)| ProjectEntry {
            name: path.file_name().unwrap().to_str().unwrap().to_owned(),
            kind: kind(node),
        };
        Ok(inside.map(entry).collect())
    }

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        match self.get(path)? {
            Node::File(content) if content.len() as u64 <= limit => Ok(content.clone()),
            _ => Err(io::Error::other("is too long")),
        }
    }

    fn archive_names(&self, path: &Path) -> io::Result<Vec<String>> {
        match self.get(path)? {
            Node::Archive(names) => Ok(names.clone()),
            _ => Err(io::Error::other("no end of central directory")),
        }
    }

    fn links(&self, _: &Path, _: &CopyRules) -> io::Result<CopiedLinks> {
        Ok(CopiedLinks::default())
    }
}

fn kind(node: &Node) -> EntryKind {
    match node {
        Node::Dir => EntryKind::Dir,
        Node::File(_) | Node::Archive(_) => EntryKind::File,
        Node::Socket => EntryKind::Other,
    }
}

fn absolute(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in Path::new(ROOT).join(path).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            part => clean.push(part),
        }
    }
    clean
}

/// A place in a template, told apart by its start.
pub(crate) fn span(start: usize) -> Span {
    let source = SourceMap::default().add("template.yaml", "");
    Span { source, start, end: start }
}

pub(crate) fn path(path: &str) -> Code {
    Code::Path { path: path.to_owned(), span: None }
}

/// A Python 3.12 function of the first template.
pub(crate) fn function(id: &str, code: Code) -> Function {
    Function {
        id: FunctionId { template: TemplateId(0), logical_id: id.to_owned() },
        span: span(id.len()),
        name: None,
        package: Package::Zip(ZipPackage {
            runtime: Some(Ok("python3.12".parse().unwrap())),
            handler: Some("lambda_function.lambda_handler".to_owned()),
            handler_span: None,
            build_method: None,
            code,
            layers: Vec::new(),
        }),
        timeout: None,
        memory: None,
        name_span: None,
        memory_span: None,
        ephemeral_storage: None,
        architectures: Vec::new(),
        environment: BTreeMap::new(),
        reserved_concurrency: None,
        provisioned_concurrency: None,
    }
}

/// Chainable changes of a function.
pub(crate) trait With {
    fn zip(self, change: impl FnOnce(&mut ZipPackage)) -> Self;
    fn named(self, name: &str) -> Self;
    fn layers(self, ids: &[&str]) -> Self;
    fn runtime(self, name: &str) -> Self;
}

impl With for Function {
    fn zip(mut self, change: impl FnOnce(&mut ZipPackage)) -> Self {
        match &mut self.package {
            Package::Zip(package) => change(package),
            Package::Image(_) => panic!("no zip package"),
        }
        self
    }

    fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    fn layers(self, ids: &[&str]) -> Self {
        let references = ids.iter().map(|id| LayerRef::Local((*id).to_owned()));
        self.zip(|package| package.layers.extend(references))
    }

    fn runtime(self, name: &str) -> Self {
        let runtime = name.parse().map_err(|_| name.to_owned());
        self.zip(|package| package.runtime = Some(runtime))
    }
}

pub(crate) fn layer(id: &str, content: Code) -> Layer {
    Layer {
        template: TemplateId(0),
        logical_id: id.to_owned(),
        span: span(1000 + id.len()),
        name: None,
        content,
        compatible_architectures: Vec::new(),
        build_method: None,
    }
}

pub(crate) fn application(functions: Vec<Function>, layers: Vec<Layer>) -> Application {
    Application { functions, layers, ..Application::default() }
}

/// Recipes with the usual settings, changed by `change`.
pub(crate) fn make_with(
    app: &Application,
    project: &dyn Project,
    change: impl FnOnce(&mut RecipeSettings<'_>),
) -> Recipes {
    let brand = Brand::default();
    let mut settings = RecipeSettings {
        brand: &brand,
        environment: "dev",
        registry_prefix: None,
        tag: "latest",
        template_folders: vec![PathBuf::new()],
        platform: None,
        follow_links: FollowLinks::default(),
    };
    change(&mut settings);
    recipes(app, &settings, project)
}

pub(crate) fn make(app: &Application, project: &dyn Project) -> Recipes {
    make_with(app, project, |_| ())
}

/// Recipes of functions and layers without any finding.
pub(crate) fn make_clean(
    functions: Vec<Function>,
    layers: Vec<Layer>,
    project: &dyn Project,
) -> Recipes {
    let made = make(&application(functions, layers), project);
    assert_eq!(findings(&made), "");
    made
}

/// The only function's recipe.
pub(crate) fn only(made: &Recipes) -> &ImageRecipe {
    let mut functions =
        made.images.iter().filter(|image| matches!(image.kind, ImageKind::Function(_)));
    let first = functions.next().expect("a function has a recipe");
    assert!(functions.next().is_none(), "more than one function");
    first
}

/// The `COPY` lines of a Dockerfile.
pub(crate) fn copies(recipe: &ImageRecipe) -> String {
    let lines = recipe.dockerfile.lines().filter(|line| line.starts_with("COPY"));
    lines.collect::<Vec<_>>().join("\n")
}

/// What is staged, one line each.
pub(crate) fn staged(recipe: &ImageRecipe) -> String {
    let mut text = String::new();
    for staged in &recipe.staged {
        let target = staged.target.display();
        match &staged.source {
            StagedSource::Unpack(from) => writeln!(text, "{target} <- unpack {}", from.display()),
            StagedSource::Copy { from, exclude, .. } => {
                let from = from.display();
                writeln!(text, "{target} <- copy `{from}` without {}", exclude.join(" "))
            }
            StagedSource::Content(bytes) => {
                writeln!(text, "{target} <- {:?}", String::from_utf8_lossy(bytes))
            }
        }
        .unwrap();
    }
    text
}

/// The findings, one line each: severity, code, place, message, help, further places.
pub(crate) fn findings(made: &Recipes) -> String {
    let mut text = String::new();
    for finding in &made.findings {
        let place = finding.span.map_or_else(|| "-".to_owned(), |span| span.start.to_string());
        write!(text, "{} {} @{place}: {}", finding.severity, finding.code, finding.message)
            .unwrap();
        if let Some(help) = &finding.help {
            match help.advice() {
                Some(advice) => write!(text, " | {advice}").unwrap(),
                None => write!(text, " | {help:?}").unwrap(),
            }
        }
        for (span, words) in &finding.related {
            write!(text, " | @{}: {words}", span.start).unwrap();
        }
        text.push('\n');
    }
    text
}

/// One line for each image.
pub(crate) fn images(made: &Recipes) -> String {
    let line = |image: &ImageRecipe| {
        let kind = if matches!(image.kind, ImageKind::Base(_)) { "base" } else { "function" };
        format!(
            "{kind} {}:{} {} {} <- {}\n",
            image.repository,
            image.tag,
            image.platform,
            image.folder.display(),
            image.base.reference().unwrap_or("-")
        )
    };
    made.images.iter().map(line).collect()
}
