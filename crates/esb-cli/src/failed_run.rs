//! An error that ended a run, in the format that a code host reads: it has asked for a document, and
//! an empty one would be refused, or taken for a run that found nothing.

use std::path::Path;

use esb_deploy::FilePlace;
use serde_json::Value;

use crate::{
    annotations, checkout::Checkout, cli::Format, code_quality, documents::ErrorFields,
    environment::Environment, printer::Printer, sarif,
};

/// An error and the file that it is about.
pub(crate) struct FailedRun<'a> {
    pub(crate) error: &'a ErrorFields,
    pub(crate) place: Option<&'a FilePlace>,
    /// The name of the template, for hosts that show nothing without a file.
    pub(crate) template: &'a str,
}

impl FailedRun<'_> {
    /// Prints the document, when the format is one of a code host.
    pub(crate) fn print(&self, format: Format, environment: &Environment, printer: Printer) {
        let current = environment.current_folder().unwrap_or(Path::new("/"));
        let checkout = &Checkout::new(current, environment);
        let document: Value = match format {
            Format::Text | Format::Json | Format::Mermaid => return,
            Format::Github => {
                printer.out_as_it_is(&annotations::failed(self, checkout));
                return;
            }
            Format::Gitlab => code_quality::failed(self, checkout),
            Format::Sarif => sarif::failed(self, checkout),
        };
        printer.document_as_it_is(&document);
    }

    /// The file as the code host knows it, and the line, when it is known.
    pub(crate) fn file(&self, checkout: &Checkout<'_>) -> Option<(String, Option<usize>)> {
        let FilePlace { path, line } = self.place?;
        Some((checkout.file(&path.to_string_lossy()).into_owned(), *line))
    }

    /// What failed, and why.
    pub(crate) fn message(&self) -> String {
        let ErrorFields { message, causes, list, .. } = self.error;
        let list = (!list.is_empty()).then(|| list.join("; "));
        let parts: Vec<&str> =
            [message].into_iter().chain(causes).chain(&list).map(|text| &**text).collect();
        parts.join(": ")
    }

    /// What failed, why, and what to do.
    pub(crate) fn text(&self, separator: &str) -> String {
        let mut text = self.message();
        if let Some(hint) = &self.error.hint {
            text.push_str(separator);
            text.push_str(hint);
        }
        text
    }
}
