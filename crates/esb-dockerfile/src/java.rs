//! Warns of Java code that was not compiled or packaged: the runtime would find no class in it.
//!
//! Recognises folders that hold a project's sources instead of its build output. Builds nothing;
//! `content` reads the code.

use std::path::{Path, PathBuf};

use esb_model::{Finding, Severity, Span};

use crate::{
    codes,
    content::{LocatedCode, plain},
    project::{EntryKind, Project, ProjectEntry},
};

/// What a project's folder holds, who built it, and where the outcome lies.
const PROJECTS: [(&str, &str, &str); 3] = [
    ("pom.xml", "Maven", "target"),
    ("build.gradle", "Gradle", "build/libs"),
    ("build.gradle.kts", "Gradle", "build/libs"),
];

/// Suffixes of jars that do not hold the compiled code of a project.
const NOT_MEANT: [&str; 4] = ["-sources.jar", "-javadoc.jar", "-tests.jar", "-plain.jar"];

/// A warning for a folder in which the runtime would find no class.
///
/// Lambda loads classes from the folder itself and from the jars in its `lib/`.
pub(crate) fn unbuilt(
    project: &dyn Project,
    found: &LocatedCode,
    what: &str,
    span: Span,
) -> Option<Finding> {
    let LocatedCode::Folder(folder) = found else { return None };
    let entries = project.entries(folder).ok()?;
    let has = |name: &str, kind| entries.iter().any(|e| e.name == name && e.kind == kind);
    if has("lib", EntryKind::Dir) || has("META-INF", EntryKind::Dir) {
        return None;
    }
    let warn = |message| Finding::new(Severity::Warning, codes::UNBUILT_JAVA, span, message);
    let built = PROJECTS.iter().find(|(file, ..)| has(file, EntryKind::File));
    if let Some((_, tool, output)) = built {
        let message = format!("the {what} is a {tool} project: no class in it can be loaded");
        return Some(
            warn(message).help(match jar_in(project, &folder.join(output)) {
                Some(jar) => format!("use what was built: `{jar}`"),
                None => {
                    "run `sam build` and deploy its template, or build a jar with all it needs and \
                 name that"
                        .to_owned()
                }
            }),
        );
    }
    let jar = meant(&entries)?;
    let message =
        format!("the {what} has the jar `{jar}` in a place where its classes are not loaded");
    let help = format!("use the jar itself: `{}`", plain(&folder.join(jar)));
    Some(warn(message).help(help))
}

fn jar_in(project: &dyn Project, folder: &Path) -> Option<String> {
    let entries = project.entries(folder).ok()?;
    let jar: PathBuf = folder.join(meant(&entries)?);
    Some(plain(&jar))
}

/// The one jar of a folder that holds classes to run.
fn meant(entries: &[ProjectEntry]) -> Option<&str> {
    let mut jars = entries.iter().filter(|entry| {
        let name = entry.name.as_str();
        entry.kind == EntryKind::File
            && Path::new(name).extension().is_some_and(|end| end == "jar")
            && !name.starts_with("original-")
            && !NOT_MEANT.iter().any(|end| name.ends_with(end))
    });
    jars.next().map(|entry| entry.name.as_str())
}
