//! The handler of a Java function: `package.Class::method`, or a class that implements an interface
//! of Lambda.

use esb_model::Severity;

use super::class_path::ClassPath;
use crate::{
    CodeFinding, codes,
    nearest::nearest,
    report::{Job, advice},
};

/// The method of Lambda's interfaces.
const OF_INTERFACES: &str = "handleRequest";

/// What says that a folder holds sources, not classes.
const PROJECTS: [&str; 7] = [
    "pom.xml",
    "build.gradle",
    "build.gradle.kts",
    "settings.gradle",
    "settings.gradle.kts",
    "build.sbt",
    "build.xml",
];

/// Checks that the class of a handler is there and has the method.
pub(crate) fn check(job: &Job<'_>) -> Vec<CodeFinding> {
    let (class, method) =
        job.code.handler.split_once("::").unwrap_or((&job.code.handler, OF_INTERFACES));
    if class.is_empty() || method.is_empty() || method.contains("::") {
        let message = format!(
            "the handler of {} is not a class and method: `{}`",
            job.who(),
            job.code.handler
        );
        let help = "write `package.Class::method`, or `package.Class` for one that implements \
                    `RequestHandler`";
        let finding = job.finding(Severity::Error, codes::MALFORMED_HANDLER, message).help(help);
        return vec![finding.into()];
    }
    // A project's own folder has a finding of its own: nothing in it can be loaded.
    if PROJECTS.iter().any(|name| job.files.is_file(&format!("var/task/{name}"))) {
        return Vec::new();
    }
    let Some(path) = ClassPath::of(&job.files, job.checker.archives()) else { return Vec::new() };
    let name = class.replace('.', "/");
    match path.class(&name) {
        Ok(None) => missing_class(job, &path, class, method).into_iter().collect(),
        Ok(Some(found)) if path.has_method(&name, method) == Some(false) => {
            let message = format!(
                "the class `{class}` has no method `{method}`, the handler of {}",
                job.who()
            );
            let mut finding = job.finding(job.severity(), codes::MISSING_FUNCTION, message);
            let methods = found.methods.iter().map(|name| &**name);
            finding.help = advice(
                nearest(method, methods.filter(|name| !name.starts_with('<')))
                    .map(|near| format!("did you mean `{class}::{near}`?")),
            );
            vec![finding.into()]
        }
        Err(()) | Ok(Some(_)) => Vec::new(),
    }
}

fn missing_class(
    job: &Job<'_>,
    path: &ClassPath<'_>,
    class: &str,
    method: &str,
) -> Option<CodeFinding> {
    if !path.has_classes() {
        return None;
    }
    let message = format!("cannot find class `{class}` in {} of {}", job.place(), job.who());
    let label = format!("there is no such class in {}", job.code_name());
    let mut finding = job.finding(job.severity(), codes::MISSING_HANDLER, message).label(label);
    let simple = class.rsplit('.').next().unwrap_or(class);
    let written = |name: String| name.replace('/', ".");
    // Nested classes are written with `$`; others may be in another package.
    let nested = class.rsplit_once('.').map(|(outer, inner)| format!("{outer}${inner}"));
    let nested =
        nested.filter(|name| path.class(&name.replace('.', "/")).is_ok_and(|c| c.is_some()));
    let elsewhere = || path.classes(simple).next().map(written);
    let near = || path.nearest(class).map(written);
    let meant = nested.or_else(elsewhere).or_else(near);
    let end = if job.code.handler.contains("::") { format!("::{method}") } else { String::new() };
    finding.help = advice(meant.map(|class| format!("did you mean `{class}{end}`?")));
    Some(finding.into())
}
