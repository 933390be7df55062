//! Findings of templates.

use esb_model::{Finding, SourceMap, Span};
use serde::Serialize;

use crate::{diagnostics, hints};

/// An error, a warning or a note about a template.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct FindingFields {
    /// `error`, `warning` or `note`.
    severity: String,
    /// The stable name of its kind, such as `esb::sam::unresolved-ref`.
    code: &'static str,
    #[serde(flatten)]
    place: PlaceFields,
    message: String,
    /// The text at the marked place in the excerpt that people see.
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    /// What to do.
    help: Option<String>,
    /// Further places.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related: Vec<RelatedFields>,
}

/// A range of a file. Lines and columns count from 1, columns in characters.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct PlaceFields {
    /// From the folder in which the command runs, or absolute; null where no place is known.
    file: Option<String>,
    line: Option<usize>,
    column: Option<usize>,
    /// The line of the range's end.
    end_line: Option<usize>,
    /// The column behind the range's last character.
    end_column: Option<usize>,
}

/// A further place of a finding.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct RelatedFields {
    #[serde(flatten)]
    place: PlaceFields,
    message: String,
}

impl PlaceFields {
    fn new(span: Span, sources: &SourceMap) -> Self {
        let Some(source) = sources.get(span.source) else { return Self::default() };
        let (start, end) = (source.place(span.start), source.place(span.end.max(span.start)));
        Self {
            file: Some(source.name.clone()),
            line: Some(start.line),
            column: Some(start.column),
            end_line: Some(end.line),
            end_column: Some(end.column),
        }
    }
}

impl FindingFields {
    pub(crate) fn new(finding: &Finding, sources: &SourceMap) -> Self {
        let related = finding.related.iter().map(|(span, message)| RelatedFields {
            place: PlaceFields::new(*span, sources),
            message: message.clone(),
        });
        Self {
            severity: finding.severity.to_string(),
            code: finding.code.0,
            place: finding.span.map(|span| PlaceFields::new(span, sources)).unwrap_or_default(),
            message: finding.message.clone(),
            label: finding.label.clone(),
            help: finding.help.as_ref().map(|help| hints::of_finding(help).into_owned()),
            related: related.collect(),
        }
    }

    /// All findings, in the order in which people see them.
    pub(crate) fn all(findings: &[Finding], sources: &SourceMap) -> Vec<Self> {
        let sorted = diagnostics::sorted(findings).into_iter();
        sorted.map(|finding| Self::new(finding, sources)).collect()
    }
}
