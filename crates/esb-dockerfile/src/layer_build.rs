//! What `Metadata: BuildMethod` of a layer asks for.
//!
//! Owns where a built layer's content goes, what is installed for it, and the findings about
//! content that cannot be built here. `sam build` leaves the property in its own output, whose
//! content has the folder of its language already: that is taken as it is.

use esb_model::{Family, Finding, Runtime, Severity, Span};

use crate::{codes, finding::nearest, layout::Layout};

/// The methods of `sam build` that no runtime is named after.
const METHODS: [&str; 6] =
    ["makefile", "esbuild", "python-uv", "rust-cargolambda", "rust-cargo", "go1.x"];

/// Files that a build starts from, and that a built layer has no longer.
const SOURCES: [&str; 7] =
    ["Makefile", "pom.xml", "build.gradle", "build.gradle.kts", "Gemfile", "Cargo.toml", "go.mod"];

/// How a layer is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LayerBuild {
    /// It is taken as it is.
    None,
    /// Its packages are installed: for this runtime, or for that of each function.
    Python(Option<Runtime>),
    /// Its packages are installed by npm, before.
    Node,
    /// Something that is not done here.
    Other(String),
}

impl LayerBuild {
    /// Reads a `BuildMethod`.
    pub(crate) fn of(method: Option<&str>) -> Self {
        let Some(method) = method.filter(|method| !method.is_empty()) else { return Self::None };
        match method.parse::<Runtime>() {
            Ok(runtime) if runtime.family() == Family::Python => Self::Python(Some(runtime)),
            Ok(runtime) if runtime.family() == Family::Nodejs => Self::Node,
            _ if method == "python-uv" => Self::Python(None),
            _ => Self::Other(method.to_owned()),
        }
    }

    /// The folder of the language in a built layer.
    fn folder(&self) -> Option<&'static str> {
        match self {
            Self::Python(_) => Some("python"),
            Self::Node => Some("nodejs"),
            Self::None | Self::Other(_) => None,
        }
    }

    /// The layout of a layer with these names at its root.
    pub(crate) fn layout(&self, names: &[String]) -> Layout {
        let layout = Layout::of(names);
        match self.folder() {
            Some(folder) if !is_built(names, folder) && layout != Layout::SitePackages => {
                Layout::Below(folder)
            }
            _ => layout,
        }
    }

    /// Warns of content that has to be built first. `shown` names its folder; `package` reads its
    /// `package.json`.
    pub(crate) fn unbuilt(
        &self,
        names: &[String],
        (what, shown): (&str, &str),
        span: Span,
        package: &dyn Fn() -> Option<Vec<u8>>,
    ) -> Option<Finding> {
        let has = |wanted: &str| names.iter().any(|name| name == wanted);
        let warn = |message| Finding::new(Severity::Warning, codes::UNBUILT_LAYER, span, message);
        match self {
            Self::Node if has("package.json") && !is_built(names, "node_modules") => {
                let wanted = wanted_packages(&package()?)?;
                let message = format!(
                    "the {what} lacks the packages that `{shown}/package.json` asks for \
                     ({wanted}): there is no `node_modules`"
                );
                Some(warn(message).help(format!("run `npm ci` in `{shown}` first")))
            }
            Self::Other(method) if !is_known(method) => {
                let message = format!(
                    "the {what} is taken as it is: its `BuildMethod`, `{}`, is unknown",
                    method.escape_debug()
                );
                let known = Runtime::names().chain(METHODS);
                let near = nearest(method, known).map(|near| format!("did you mean `{near}`?"));
                Some(warn(message).help(near.unwrap_or_else(|| {
                    "name a runtime, such as `python3.13`, or `makefile`".to_owned()
                })))
            }
            Self::Other(method) => {
                let source = SOURCES.into_iter().find(|source| has(source))?;
                let message = format!(
                    "the {what} is not built, and is taken as it is: `BuildMethod: {method}` asks \
                     for what `{source}` in `{shown}` makes"
                );
                Some(warn(message).help(
                    "run `sam build` and deploy `.aws-sam/build/template.yaml`, or build the \
                     layer and name the result in `ContentUri`",
                ))
            }
            Self::None | Self::Python(_) | Self::Node => None,
        }
    }
}

/// Whether a layer has a folder, as one that was built has that of its language.
fn is_built(names: &[String], folder: &str) -> bool {
    names.iter().any(|name| {
        name.trim_start_matches("./").strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
    })
}

/// What a `package.json` asks for, in a few words; `None` when that is nothing.
fn wanted_packages(package: &[u8]) -> Option<String> {
    let package: serde_json::Value = serde_json::from_slice(package).ok()?;
    let mut names: Vec<_> = package.get("dependencies")?.as_object()?.keys().cloned().collect();
    names.sort();
    match names.as_slice() {
        [] => None,
        [one] => Some(format!("`{}`", one.escape_debug())),
        [one, more @ ..] => Some(format!("`{}` and {} more", one.escape_debug(), more.len())),
    }
}

fn is_known(method: &str) -> bool {
    METHODS.contains(&method) || method.parse::<Runtime>().is_ok()
}
