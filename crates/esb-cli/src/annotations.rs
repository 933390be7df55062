//! Findings as workflow commands of GitHub Actions, which shows them beside the lines of a pull
//! request.

use std::fmt::Write as _;

use esb_model::{Finding, Severity, SourceMap};

use crate::{checkout::Checkout, diagnostics, escape, failed_run::FailedRun, hints, secrets};

/// One line for each finding, the first place first.
pub(crate) fn lines(
    findings: &[Finding],
    sources: &SourceMap,
    checkout: &Checkout<'_>,
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
            let (start, end) = diagnostics::range(source, span);
            let file = property(&checkout.file(&source.name));
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

/// The line for an error that ended the run.
pub(crate) fn failed(run: &FailedRun<'_>, checkout: &Checkout<'_>) -> String {
    let mut line = format!("::error title={}", property(&run.error.code));
    if let Some((file, number)) = run.file(checkout) {
        let _ = write!(line, ",file={}", property(&file));
        if let Some(number) = number {
            let _ = write!(line, ",line={number}");
        }
    }
    format!("{line}::{}", data(&run.text("\n")))
}

/// A message: what would end the line is written as GitHub reads it.
fn data(text: &str) -> String {
    // A secret is known by its own letters.
    let text = secrets::hide(text);
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
}
