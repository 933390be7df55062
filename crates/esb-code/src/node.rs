//! The handler of a Node.js function: its file.
//!
//! What a file exports is not looked at: modules of JavaScript make their exports in too many ways.

use esb_model::{Finding, Severity};
use serde_json::Value;

use crate::{
    CodeFinding, codes,
    files::{ImageFiles, Kind},
    nearest::nearest,
    report::{Job, advice, quote},
};

/// What Lambda's own program looks for, in this order.
const ENDINGS: [&str; 4] = ["", ".js", ".mjs", ".cjs"];

/// Files that a compiler makes JavaScript of.
const SOURCES: [&str; 6] = [".ts", ".tsx", ".mts", ".cts", ".jsx", ".coffee"];

/// What says that code is built before it is deployed.
const BUILT: [&str; 8] = [
    "tsconfig.json",
    "webpack.config.js",
    "webpack.config.ts",
    "rollup.config.js",
    "esbuild.js",
    "esbuild.mjs",
    "babel.config.js",
    ".babelrc",
];

/// The most bytes of a `package.json` that is read.
const MAX_PACKAGE: u64 = 1024 * 1024;

/// The most bytes of a module that is searched for imports.
const MAX_SOURCE: u64 = 1024 * 1024;

/// Checks that the file of a handler is there.
pub(crate) fn check(job: &Job<'_>) -> Vec<CodeFinding> {
    let malformed = |what: &str, label: &str, help: &str| {
        let message = format!("the handler of {} {what}: {}", job.who(), quote(&job.code.handler));
        let severity = job.severity_of_missing(&ENDINGS[1..]);
        let finding = job.finding(severity, codes::MALFORMED_HANDLER, message);
        vec![finding.label(label).help(help).into()]
    };
    if job.code.handler.contains("..") {
        return malformed(
            "has `..`",
            "Node.js of Lambda refuses `..` here",
            "write the file's place below the code's folder, such as `src/index.handler`",
        );
    }
    let (folder, file) = job.code.handler.rsplit_once('/').unwrap_or(("", &job.code.handler));
    let Some((module, name)) = file.split_once('.').filter(|(module, _)| !module.is_empty()) else {
        return malformed(
            "names no function",
            "has no dot after the file's name",
            "write the file without its ending and the function, such as `index.handler`",
        );
    };
    let folder = place(folder, job.code.handler.starts_with('/'));
    let stem = format!("{folder}/{module}");
    let files = &job.files;
    let exists = ENDINGS.iter().any(|ending| files.kind(&format!("{stem}{ending}")).is_some());
    if exists || in_modules(files, &folder, module) {
        return missing_packages(job, &folder, &stem).into_iter().map(CodeFinding::from).collect();
    }
    let shown = |path: &str| path.strip_prefix("var/task/").unwrap_or(path).to_owned();
    let source = SOURCES.iter().map(|ending| format!("{stem}{ending}"));
    let source = source.into_iter().find(|path| files.is_file(path));
    let package = package(files);
    let is_built =
        source.is_some() || has_build(files, package.as_ref()) || files.has_code(&SOURCES);
    let is_of_package = is_of_package(files, package.as_ref(), &stem);
    let severity = if is_built || is_of_package {
        Severity::Warning
    } else {
        job.severity_of_missing(&ENDINGS[1..])
    };
    let message = format!(
        "cannot find file {} in {} of {}",
        quote(&format!("{}.js", shown(&stem))),
        job.place(),
        job.who()
    );
    let label = format!("there is no such file in {}", job.code_name());
    let mut finding = job.finding(severity, codes::MISSING_HANDLER, message).label(label);
    finding.help = advice(match source {
        Some(source) => {
            Some(format!("compile `{}` first, and name the result in `CodeUri`", shown(&source)))
        }
        None if is_of_package => Some("install the packages of `package.json` first".to_owned()),
        None => suggestion(files, &folder, &stem, name)
            .map(|handler| format!("did you mean `{handler}`?"))
            .or_else(|| is_built.then(|| "build the code first".to_owned())),
    });
    vec![finding.into()]
}

/// A folder of a handler in the image, without `.`.
fn place(folder: &str, is_absolute: bool) -> String {
    let above: &[&str] = if is_absolute { &[] } else { &["var", "task"] };
    let parts = folder.split('/').filter(|part| !matches!(*part, "" | "."));
    above.iter().copied().chain(parts).collect::<Vec<_>>().join("/")
}

/// Whether Node would find a package of the name.
fn in_modules(files: &ImageFiles, folder: &str, module: &str) -> bool {
    let mut above = Some(folder);
    let mut places = vec!["opt/nodejs".to_owned()];
    while let Some(folder) = above {
        places.push(folder.to_owned());
        above = folder.rsplit_once('/').map(|(above, _)| above);
    }
    places.iter().any(|place| {
        ENDINGS
            .iter()
            .any(|end| files.kind(&format!("{place}/node_modules/{module}{end}")).is_some())
    })
}

/// The code's own `package.json`.
fn package(files: &ImageFiles) -> Option<Value> {
    serde_json::from_slice(&files.read("var/task/package.json", MAX_PACKAGE)?).ok()
}

/// Packages that `package.json` asks for and the handler's file imports, and that are nowhere.
fn missing_packages(job: &Job<'_>, folder: &str, stem: &str) -> Option<Finding> {
    let files = &job.files;
    let package = package(files).filter(|_| job.knows_layers())?;
    let wanted = package.get("dependencies")?.as_object()?;
    let path = ENDINGS.iter().map(|end| format!("{stem}{end}")).find(|path| files.is_file(path))?;
    let text = files.read(&path, MAX_SOURCE)?;
    let text = String::from_utf8_lossy(&text);
    let missing = |name: &&String| {
        !is_in_base(name) && imports(&text, name) && !in_modules(files, folder, name)
    };
    let mut missing: Vec<_> = wanted.keys().filter(missing).collect();
    missing.sort();
    let (first, more) = missing.split_first()?;
    let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
    let message = format!(
        "{} imports `{}`{more}, which {} lacks: packages of `package.json` are not installed",
        job.who(),
        first.escape_debug(),
        job.code_name()
    );
    let help = format!("run `npm ci` in {} first", job.code_name());
    Some(job.finding(Severity::Warning, codes::MISSING_IMPORT, message).help(help))
}

/// Whether Lambda's own images bring a package.
fn is_in_base(name: &str) -> bool {
    name == "aws-sdk" || name.starts_with("@aws-sdk/") || name.starts_with("@smithy/")
}

/// Whether a line of a module imports a package: by `require("x")`, `from "x"` or `import "x"`.
fn imports(text: &str, name: &str) -> bool {
    text.lines().map(str::trim_start).filter(|line| !line.starts_with("//")).any(|line| {
        line.match_indices(name).any(|(at, _)| {
            let (before, after) = (&line[..at], &line[at + name.len()..]);
            let Some(quote) = before.chars().last().filter(|c| "\"'`".contains(*c)) else {
                return false;
            };
            let before = before[..before.len() - 1].trim_end();
            let is_whole = after.starts_with(quote) || after.starts_with('/');
            is_whole && ["require(", "from", "import"].iter().any(|word| before.ends_with(word))
        })
    })
}

/// Whether something in the code's folder says that it is built first.
fn has_build(files: &ImageFiles, package: Option<&Value>) -> bool {
    if BUILT.iter().any(|name| files.is_file(&format!("var/task/{name}"))) {
        return true;
    }
    let scripts = package.and_then(|package| package.get("scripts")?.as_object());
    scripts.is_some_and(|scripts| {
        scripts
            .keys()
            .any(|name| ["build", "compile", "bundle"].iter().any(|word| name.contains(word)))
    })
}

/// Whether a file is meant as one of a package that is not installed yet.
fn is_of_package(files: &ImageFiles, package: Option<&Value>, stem: &str) -> bool {
    let path = stem.strip_prefix("var/task/").unwrap_or(stem);
    let name = path.strip_prefix("node_modules/").unwrap_or(path);
    let scoped = usize::from(name.starts_with('@'));
    let end = name.match_indices('/').nth(scoped).map_or(name.len(), |(end, _)| end);
    let name = &name[..end];
    let dependencies = package.and_then(|package| package.get("dependencies")?.as_object());
    dependencies.is_some_and(|names| names.contains_key(name))
        && files.kind(&format!("var/task/node_modules/{name}")).is_none()
}

/// The handler that was meant: a file of a near name in the same folder, or one of the same name
/// elsewhere.
fn suggestion(files: &ImageFiles, folder: &str, stem: &str, function: &str) -> Option<String> {
    let file =
        |name: &str| ENDINGS[1..].iter().find_map(|end| name.strip_suffix(end)).map(str::to_owned);
    let entries = files.list(folder);
    let names: Vec<String> = entries.keys().filter_map(|name| file(name)).collect();
    let (_, module) = stem.rsplit_once('/').unwrap_or(("", stem));
    let below = |folder: &str, name: &str| {
        let path = format!("{folder}/{name}.{function}");
        path.strip_prefix("var/task/").unwrap_or(&path).to_owned()
    };
    if let Some(near) = nearest(module, names.iter().map(|name| &**name)) {
        return Some(below(folder, near));
    }
    let root = files.list("var/task");
    let folders = root.iter().filter(|(name, kind)| {
        **kind == Kind::Folder && !name.starts_with('.') && *name != "node_modules"
    });
    let folders = folders.map(|(name, _)| format!("var/task/{name}"));
    let mut places = std::iter::once("var/task".to_owned()).chain(folders);
    places
        .find(|place| {
            ENDINGS[1..].iter().any(|end| files.is_file(&format!("{place}/{module}{end}")))
        })
        .map(|place| below(&place, module))
}
