//! Findings as a SARIF 2.1.0 log, which code hosts and editors read.

use std::fmt::Write as _;

use esb_deploy::levels;
use esb_model::{Finding, Severity, SourceMap, Span};
use serde_json::{Value, json};

use crate::{checkout::Checkout, diagnostics, failed_run::FailedRun, hints};

/// The address of the page of findings, when the build was given one: `ESB_FINDINGS_URL`.
const PAGE: Option<&str> = option_env!("ESB_FINDINGS_URL");

/// The log of one run; what has no place is about the template.
pub(crate) fn log(
    findings: &[Finding],
    sources: &SourceMap,
    checkout: &Checkout<'_>,
    template: &str,
) -> Value {
    let codes = levels::codes();
    let results = diagnostics::sorted(findings).into_iter().map(|finding| {
        let code = finding.code.0;
        let mut result = json!({
            "ruleId": code,
            "level": finding.severity.to_string(),
            "message": {"text": text(finding)},
        });
        if let Some(index) = codes.iter().position(|known| known.code.0 == code) {
            result["ruleIndex"] = index.into();
        }
        // GitHub refuses the whole log where one result has no place.
        let known = finding.span.and_then(|span| place(span, sources, checkout));
        let known = known.unwrap_or_else(|| line(&checkout.file(template), 1));
        result["locations"] = json!([{ "physicalLocation": known }]);
        let related = finding.related.iter().enumerate().filter_map(|(id, (span, message))| {
            let place = place(*span, sources, checkout)?;
            Some(json!({"id": id, "physicalLocation": place, "message": {"text": message}}))
        });
        let related: Vec<Value> = related.collect();
        if !related.is_empty() {
            result["relatedLocations"] = related.into();
        }
        result
    });
    let results: Vec<Value> = results.collect();
    let is_bad = findings.iter().any(|finding| finding.severity == Severity::Error);
    document(&json!({"executionSuccessful": !is_bad}), &results)
}

/// The log of a run that an error ended.
pub(crate) fn failed(run: &FailedRun<'_>, checkout: &Checkout<'_>) -> Value {
    let mut notification = json!({
        "level": "error",
        "descriptor": {"id": run.error.code},
        "message": {"text": run.text("\n")},
    });
    if let Some((file, number)) = run.file(checkout) {
        let place = line(&file, number.unwrap_or(1));
        notification["locations"] = json!([{ "physicalLocation": place }]);
    }
    let invocation = json!({
        "executionSuccessful": false,
        "exitCode": run.error.exit,
        "toolExecutionNotifications": [notification],
    });
    document(&invocation, &[])
}

fn document(invocation: &Value, results: &[Value]) -> Value {
    let rules = levels::codes().iter().map(|known| rule(known.code.0, known.meaning));
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "esb",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules.collect::<Vec<_>>(),
            }},
            "invocations": [invocation],
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

/// A line of a file.
fn line(file: &str, number: usize) -> Value {
    json!({"artifactLocation": {"uri": address(file)}, "region": {"startLine": number}})
}

fn rule(code: &str, meaning: &str) -> Value {
    json!({
        "id": code,
        "shortDescription": {"text": meaning},
        "help": {"text": format!("{meaning}\n\n`esb explain {code}` says more.")},
        "helpUri": help_address(PAGE, code),
    })
}

/// The address of a code's heading; without a page, one that names the code.
fn help_address(page: Option<&str>, code: &str) -> String {
    match page {
        // A page's headings lose their colons in addresses.
        Some(page) => format!("{page}#{}", code.replace(':', "")),
        None => format!("urn:esb:finding:{code}"),
    }
}

/// The message, and what to do.
fn text(finding: &Finding) -> String {
    match &finding.help {
        Some(help) => format!("{}\n{}", finding.message, hints::of_finding(help)),
        None => finding.message.clone(),
    }
}

fn place(span: Span, sources: &SourceMap, checkout: &Checkout<'_>) -> Option<Value> {
    let source = sources.get(span.source)?;
    let (start, end) = diagnostics::range(source, span);
    Some(json!({
        "artifactLocation": {"uri": address(&checkout.file(&source.name))},
        "region": {
            "startLine": start.line,
            "startColumn": start.column,
            "endLine": end.line,
            "endColumn": end.column,
        },
    }))
}

/// The address of a file: relative, or absolute.
fn address(name: &str) -> String {
    let mut address = if name.starts_with('/') { "file://".to_owned() } else { String::new() };
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                address.push(char::from(byte));
            }
            byte => {
                let _infallible = write!(address, "%{byte:02X}");
            }
        }
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_rule() {
        let log =
            log(&[], &SourceMap::default(), &Checkout::at("/".as_ref(), None), "template.yaml");
        let rules = log["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
        let has = |stage: &str| {
            rules.iter().any(|rule| {
                rule["id"].as_str().unwrap().starts_with(stage) && rule["helpUri"].is_string()
            })
        };
        for stage in ["esb::sam::", "esb::recipe::", "esb::platform::", "esb::code::"] {
            assert!(has(stage), "{stage}");
        }
    }

    #[test]
    fn addresses_of_files_and_of_help() {
        assert_eq!(address("a b/é.yaml"), "a%20b/%C3%A9.yaml");
        assert_eq!(address("/srv/t.yaml"), "file:///srv/t.yaml");
        let page = Some("https://docs.example/findings");
        let event = "esb::sam::event";
        assert_eq!(help_address(page, event), "https://docs.example/findings#esbsamevent");
        assert_eq!(help_address(None, event), "urn:esb:finding:esb::sam::event");
    }
}
