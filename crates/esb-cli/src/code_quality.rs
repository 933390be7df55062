//! Findings as a report of GitLab's Code Quality, which shows them in a merge request.

use std::collections::BTreeMap;

use esb_model::{Finding, Severity, SourceMap};
use esb_oci::Digest;
use serde_json::{Value, json};

use crate::{checkout::Checkout, diagnostics, failed_run::FailedRun, hints};

/// The report of one run: <https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format>.
pub(crate) fn report(
    findings: &[Finding],
    sources: &SourceMap,
    checkout: &Checkout<'_>,
    template: &str,
) -> Value {
    let mut alike = BTreeMap::new();
    let entry = |finding: &Finding| {
        // A place is required: what has none is about the template.
        let place = finding.span.and_then(|span| sources.locate(span));
        let (name, line) = place.map_or((template, 1), |(name, place)| (name, place.line));
        let path = checkout.file(name);
        let code = finding.code.0;
        // A finding stays the same when lines before it come or go.
        let identity = format!("{code}\0{path}\0{}", finding.message);
        let number = alike.entry(identity.clone()).and_modify(|n| *n += 1).or_insert(0_usize);
        let fingerprint = Digest::of(format!("{identity}\0{number}").as_bytes());
        let help = finding.help.as_ref().map(|help| format!("; {}", hints::of_finding(help)));
        json!({
            "description": format!("{}{}", finding.message, help.unwrap_or_default()),
            "check_name": code,
            "fingerprint": fingerprint.hex(),
            "severity": match finding.severity {
                Severity::Error => "major",
                Severity::Warning => "minor",
                Severity::Note => "info",
            },
            "location": {"path": path, "lines": {"begin": line}},
        })
    };
    diagnostics::sorted(findings).into_iter().map(entry).collect::<Vec<_>>().into()
}

/// The report of a run that an error ended.
pub(crate) fn failed(run: &FailedRun<'_>, checkout: &Checkout<'_>) -> Value {
    let known = run.file(checkout);
    let (path, line) = known.unwrap_or_else(|| (checkout.file(run.template).into_owned(), None));
    let identity = format!("{}\0{path}\0{}", run.error.code, run.message());
    json!([{
        "description": run.text("; "),
        "check_name": run.error.code,
        "fingerprint": Digest::of(identity.as_bytes()).hex(),
        "severity": "blocker",
        "location": {"path": path, "lines": {"begin": line.unwrap_or(1)}},
    }])
}
