//! Local code for functions whose code is not on this machine.

use std::path::{Path, PathBuf};

use esb_model::{Application, Code, Finding, Function, Package};
use esb_sam::codes;

use crate::{
    error::{Error, Kind},
    project::{Project, normal},
};

/// Most names that a message lists.
const NAMES_SHOWN: usize = 20;

/// Gives functions their local code; what was found about the code they had is settled.
pub(crate) fn apply(
    project: &Project,
    given: &[(String, PathBuf)],
    app: &mut Application,
    findings: &mut Vec<Finding>,
) -> Result<(), Error> {
    if given.is_empty() {
        return Ok(());
    }
    for (wanted, path) in given {
        let path = normal(&project.current.join(path));
        if !path.exists() {
            let text = format!("the code of `{wanted}` does not exist: `{}`", path.display());
            return Err(Error::new(Kind::Input, "code", text));
        }
        let fits = |function: &Function| {
            function.id.logical_id == *wanted || function.effective_name() == *wanted
        };
        let mut found = false;
        for function in app.functions.iter_mut().filter(|function| fits(function)) {
            found = true;
            let Package::Zip(package) = &mut function.package else {
                let text = format!("`{wanted}` is an image function: it has no code to replace");
                return Err(Error::new(Kind::Input, "code", text));
            };
            let span = match &package.code {
                Code::Path { span, .. } | Code::S3 { span, .. } | Code::Unknown { span, .. } => {
                    *span
                }
                Code::Inline { .. } => None,
            };
            findings.retain(|finding| {
                finding.code != codes::CODE_NOT_LOCAL || span.is_none() || finding.span != span
            });
            let template = project.templates.get(function.id.template.0);
            let folder = template.and_then(|file| file.path.parent()).unwrap_or(&project.root);
            let path = relative(&project.root, folder, &path).display().to_string();
            package.code = Code::Path { path, span: span.or(Some(function.span)) };
        }
        if !found {
            return Err(unknown(wanted, app));
        }
    }
    Ok(())
}

fn unknown(wanted: &str, app: &Application) -> Error {
    let text = format!("local code is given for `{wanted}`, and no template has this function");
    let names = app.functions.iter().map(Function::effective_name);
    let mut shown: Vec<_> = names.take(NAMES_SHOWN).collect();
    if app.functions.len() > NAMES_SHOWN {
        shown.push("…".into());
    }
    Error::new(Kind::Input, "code", text).hint(if shown.is_empty() {
        "the template has no functions".to_owned()
    } else {
        format!("there are {}", shown.join(", "))
    })
}

/// A path as a template in `folder` would write it; outside of the project it stays absolute.
fn relative(root: &Path, folder: &Path, path: &Path) -> PathBuf {
    if !path.starts_with(root) || !folder.starts_with(root) {
        return path.to_owned();
    }
    let common = folder.ancestors().find(|folder| path.starts_with(folder)).unwrap_or(root);
    let up = folder.strip_prefix(common).map_or(0, |rest| rest.components().count());
    let down = path.strip_prefix(common).unwrap_or(path);
    let relative: PathBuf = std::iter::repeat_n(Path::new(".."), up).chain([down]).collect();
    if relative.as_os_str().is_empty() { PathBuf::from(".") } else { relative }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_as_the_template_would_write_them() {
        let check = |folder: &str, path: &str, expected: &str| {
            let shown = relative(Path::new("/p"), Path::new(folder), Path::new(path));
            assert_eq!(shown, Path::new(expected), "{folder} {path}");
        };
        check("/p", "/p/code", "code");
        check("/p/a/b", "/p/a/code/x", "../code/x");
        check("/p/a", "/p/code.zip", "../code.zip");
        check("/p/a", "/p/a", ".");
        check("/p/a", "/q/code", "/q/code");
        check("/q", "/p/code", "/p/code");
    }
}
