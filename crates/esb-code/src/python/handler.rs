//! The handler of a Python function: its module, and the name in it.

use esb_model::{EnvValue, Severity};

use super::{
    imports::{self, Why},
    packages::{Provider, provider},
    resolve::{Finder, Found, parent},
    standard_library,
    suggestion::Suggestions,
    summary::text_of,
    version::Version,
};
use crate::{
    CodeFinding, CodePlace, Subject, codes,
    report::{Job, advice, quote},
};

/// Files with Python's code.
const ENDINGS: [&str; 3] = [".py", ".pyc", ".so"];

/// A handler, taken apart as Lambda's own program does it.
struct Handler<'a> {
    /// With `/` or `.` between its parts, as written.
    written: &'a str,
    module: String,
    name: &'a str,
}

/// Checks that the module of a handler is there and defines the function, and with `base` what it
/// imports.
pub(crate) fn check(job: &Job<'_>, version: Version, subject: &Subject<'_>) -> Vec<CodeFinding> {
    let Some(folders) = python_path(job) else { return Vec::new() };
    let parts = job.code.handler.rsplit_once('.');
    let Some((written, name)) =
        parts.filter(|(module, name)| !module.is_empty() && !name.is_empty())
    else {
        return if subject.handler { vec![malformed(job).into()] } else { Vec::new() };
    };
    let handler = Handler { written, module: written.replace('/', "."), name };
    let finder = Finder::new(&job.files, job.checker.modules(), version, folders);
    let found = finder.module(&handler.module);
    let mut findings = Vec::new();
    match &found {
        Found::Missing { found } => findings.extend(missing(job, &finder, &handler, *found)),
        Found::Namespace => findings.extend(missing(job, &finder, &handler, 1)),
        Found::Source { path, folder } => {
            let package = if folder.is_some() { &*handler.module } else { parent(&handler.module) };
            findings.extend(in_module(job, &finder, &handler, (path, package)));
        }
        Found::Binary | Found::Unknown => {}
    }
    if !subject.handler {
        findings.clear();
    }
    let has_fault = findings.iter().any(|found| found.finding.code == codes::PYTHON_SYNTAX);
    let is_found = matches!(found, Found::Source { .. } | Found::Unknown);
    let is_asked = subject.handler || subject.base.is_some();
    if is_asked && is_found && !has_fault && job.knows_layers() {
        findings.extend(failing_imports(job, &finder, subject, &handler));
    }
    findings
}

/// The value of `PYTHONPATH`; `None` when only AWS knows it.
fn python_path<'a>(job: &Job<'a>) -> Option<&'a str> {
    match job.function.environment.get("PYTHONPATH") {
        None => Some(""),
        Some(EnvValue::Known(path)) => Some(path),
        Some(EnvValue::Secret(_) | EnvValue::Symbolic(_)) => None,
    }
}

fn malformed(job: &Job<'_>) -> esb_model::Finding {
    let handler = &job.code.handler;
    let (what, label) = if handler.starts_with('.') && handler.matches('.').count() == 1 {
        ("module", "has no module before the dot")
    } else if handler.ends_with('.') {
        ("function", "has no function after the dot")
    } else {
        ("function", "has no dot")
    };
    let message = format!("the handler of {} names no {what}: {}", job.who(), quote(handler));
    job.finding(job.severity_of_missing(&ENDINGS), codes::MALFORMED_HANDLER, message)
        .label(label)
        .help("write the module and the function, such as `app.handler`")
}

fn missing(
    job: &Job<'_>,
    finder: &Finder<'_>,
    handler: &Handler<'_>,
    found: usize,
) -> Option<CodeFinding> {
    let top = handler.module.split('.').next().unwrap_or_default();
    if found == 0 && (standard_library::has(finder.version, top) || base_has(job, top)) {
        return None;
    }
    let suggestions = Suggestions::of(finder, "var/task");
    let suggestion = suggestions.module(finder, handler.written, handler.name);
    let provider = provider(job, top);
    let severity = match (provider, job.severity_of_missing(&ENDINGS)) {
        (Provider::Possible, _) => return None,
        (Provider::Unlikely, _) if suggestion.is_none() => Severity::Warning,
        (Provider::Unlikely | Provider::None, severity) => severity,
    };
    let message = format!(
        "cannot find module {} in {} of {}",
        quote(handler.written),
        job.place(),
        job.who()
    );
    let label = if handler.written.split('/').any(|part| part == "..") {
        "Python takes no `..` here: the module lies below the code's folder".to_owned()
    } else {
        let file = quote(&format!("{}.py", handler.module.replace('.', "/")));
        format!("there is no {file} in {}", job.code_name())
    };
    let mut finding = job.finding(severity, codes::MISSING_HANDLER, message).label(label);
    finding.help = advice(suggestion.map(|handler| format!("did you mean `{handler}`?")));
    Some(finding.into())
}

/// Looks into the module of a handler: its file, and its package.
fn in_module(
    job: &Job<'_>,
    finder: &Finder<'_>,
    handler: &Handler<'_>,
    (path, package): (&str, &str),
) -> Option<CodeFinding> {
    let module = finder.read(path)?;
    let summary = module.summary.as_ref()?;
    let file = &module.origin.name;
    if let Some(fault) = &summary.fault {
        let message =
            format!("`{file}` is not valid Python {}: {}", finder.version.name(), fault.message);
        let finding = job.finding(Severity::Error, codes::PYTHON_SYNTAX, message);
        let related = (job.span(), format!("the handler of {}", job.who()));
        let finding = esb_model::Finding { span: None, related: vec![related], ..finding };
        let place = CodePlace {
            file: file.clone(),
            text: text_of(&job.files, path)?,
            start: fault.start,
            end: fault.end,
        };
        return Some(CodeFinding::at(finding, place));
    }
    let defines = finder.defines(path, package, handler.name);
    if defines != Some(false) || imports::may_give(finder, &handler.module, handler.name) {
        return None;
    }
    let has_stars = !summary.stars.is_empty();
    let severity = if has_stars { Severity::Warning } else { job.severity() };
    let message =
        format!("`{file}` does not define {}, the handler of {}", quote(handler.name), job.who());
    let mut finding = job
        .finding(severity, codes::MISSING_FUNCTION, message)
        .label(format!("{} is not defined there", quote(handler.name)));
    finding.help = advice(match Suggestions::name(summary, handler.name) {
        Some(name) => Some(format!("did you mean `{}.{name}`?", handler.written)),
        None => Suggestions::functions(summary).map(|names| format!("it defines {names}")),
    });
    Some(finding.into())
}

/// Whether the base brings a module; without the base at hand, whether those of AWS do.
fn base_has(job: &Job<'_>, module: &str) -> bool {
    match job.base {
        Some(base) => base.has(module),
        None => standard_library::base_has(module),
    }
}

fn failing_imports(
    job: &Job<'_>,
    finder: &Finder<'_>,
    subject: &Subject<'_>,
    handler: &Handler<'_>,
) -> Vec<CodeFinding> {
    let failing = imports::failing(finder, subject.base, &handler.module).into_iter();
    let finding = |failing: imports::Failing| {
        let file = &failing.origin.name;
        let version = finder.version.name();
        let (severity, code, message) = match &failing.why {
            Why::Missing(module) => (
                Severity::Warning,
                codes::MISSING_IMPORT,
                format!(
                    "nothing in the image provides the module `{module}`, which `{file}` imports"
                ),
            ),
            Why::Fault(fault) => (
                Severity::Error,
                codes::PYTHON_SYNTAX,
                format!("`{file}` is not valid Python {version}: {fault}"),
            ),
            Why::Relative => (
                Severity::Error,
                codes::MISSING_IMPORT,
                format!("`{file}` is in no package that this relative import could start from"),
            ),
            Why::Name { name, module } => (
                if name == handler.name { Severity::Error } else { Severity::Warning },
                codes::MISSING_IMPORT,
                format!("`{module}` does not define `{name}`, which `{file}` imports"),
            ),
        };
        let related = (job.span(), format!("the handler of {}", job.who()));
        let finding = job.finding(severity, code, message);
        let mut finding = esb_model::Finding { span: None, related: vec![related], ..finding };
        finding.help = advice(match &failing.why {
            Why::Missing(_) => {
                Some("add its package to `requirements.txt`, or to a layer".to_owned())
            }
            Why::Relative => Some("import the module by its name, without a dot".to_owned()),
            Why::Fault(_) | Why::Name { .. } => None,
        });
        let text = text_of(&job.files, &failing.path)?;
        let (start, end) = (failing.start, failing.end);
        Some(CodeFinding::at(finding, CodePlace { file: file.clone(), text, start, end }))
    };
    failing.filter_map(finding).collect()
}
