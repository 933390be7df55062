//! Findings as workflow commands of GitHub Actions, which shows them beside the lines of a pull
//! request.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use esb_model::{Finding, Severity, SourceMap};

use crate::{diagnostics, escape, hints};

/// Where the files of findings lie.
pub(crate) struct Folders<'a> {
    /// The project's root, which names of files are relative to.
    pub(crate) project: &'a Path,
    /// The checkout, which annotations name files relative to: `GITHUB_WORKSPACE`.
    pub(crate) checkout: Option<&'a Path>,
}

/// One line for each finding, the first place first.
pub(crate) fn lines(
    findings: &[Finding],
    sources: &SourceMap,
    folders: &Folders<'_>,
) -> Vec<String> {
    let line = |finding: &&Finding| {
        let command = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "notice",
        };
        let mut line = format!("::{command} title={}", property(finding.code.0));
        let source = finding.span.and_then(|span| Some((span, sources.get(span.source)?)));
        if let Some((span, source)) = source {
            let (start, end) = (source.place(span.start), source.place(span.end.max(span.start)));
            let file = property(&folders.file(&source.name));
            let _ = write!(line, ",file={file},line={},endLine={}", start.line, end.line);
            // Columns are of one line, by GitHub's rules.
            if start.line == end.line {
                let _ = write!(line, ",col={},endColumn={}", start.column, end.column);
            }
        }
        let mut message = finding.message.clone();
        if let Some(help) = &finding.help {
            let _ = write!(message, "\n{}", hints::of_finding(help));
        }
        format!("{line}::{}", data(&message))
    };
    diagnostics::sorted(findings).iter().map(line).collect()
}

impl Folders<'_> {
    /// The name of a file in the checkout; as it is where it lies elsewhere.
    fn file(&self, name: &str) -> String {
        let path: PathBuf = self.project.join(name);
        let inside = self.checkout.and_then(|checkout| path.strip_prefix(checkout).ok());
        inside.map_or_else(|| name.to_owned(), |path| path.to_string_lossy().into_owned())
    }
}

/// A message: what would end the line is written as GitHub reads it.
fn data(text: &str) -> String {
    let text = text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    escape::terminal(&text).into_owned()
}

/// A value among others.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_cannot_end_the_line_or_begin_another() {
        assert_eq!(data("50 %: a\r\nb"), "50 %25: a%0D%0Ab");
        assert_eq!(property("a:b,c\n"), "a%3Ab%2Cc%0A");
    }

    #[test]
    fn files_are_named_from_the_checkout() {
        let check = |project: &str, checkout: Option<&str>, expected: &str| {
            let folders = Folders { project: project.as_ref(), checkout: checkout.map(Path::new) };
            assert_eq!(folders.file("template.yaml"), expected, "{project} {checkout:?}");
        };
        check("/w/repo", Some("/w/repo"), "template.yaml");
        check("/w/repo/services/shop", Some("/w/repo"), "services/shop/template.yaml");
        check("/elsewhere", Some("/w/repo"), "template.yaml");
        check("/elsewhere", None, "template.yaml");
    }
}
