//! What is told of a function's code, and how sure it is.

use esb_model::{
    Finding, FindingCode, Function, FunctionCode, ImageRecipe, Remedy, Severity, Span, ZipPackage,
};

use crate::{BaseModules, Checker, CodeFinding, CodePlace, files::ImageFiles};

/// A function with the files of its image.
pub(crate) struct Job<'a> {
    pub(crate) function: &'a Function,
    pub(crate) package: &'a ZipPackage,
    pub(crate) recipe: &'a ImageRecipe,
    pub(crate) code: &'a FunctionCode,
    pub(crate) files: ImageFiles,
    /// Whether the packages are installed that the recipe asks for.
    pub(crate) installed: bool,
    pub(crate) checker: &'a Checker<'a>,
    /// What the base brings, where that is known.
    pub(crate) base: Option<&'a BaseModules>,
}

impl Job<'_> {
    /// Where findings about the handler point to.
    pub(crate) fn span(&self) -> Span {
        self.package.handler_span.unwrap_or(self.function.span)
    }

    /// Whether all that the image gets from layers is here: no published ones, none in S3.
    pub(crate) fn knows_layers(&self) -> bool {
        self.code.contents.len() == self.package.layers.len() + 1
    }

    /// How grave it is when the handler is certainly not in the files that are here.
    pub(crate) fn severity(&self) -> Severity {
        if self.knows_layers() { Severity::Error } else { Severity::Warning }
    }

    /// The same, where no file was found: a template alone, without any code of the language, is
    /// one that somebody looks at.
    pub(crate) fn severity_of_missing(&self, endings: &[&str]) -> Severity {
        if self.files.has_code(endings) { self.severity() } else { Severity::Warning }
    }

    /// The function as messages name it.
    pub(crate) fn who(&self) -> String {
        format!("function `{}`", self.function.effective_name())
    }

    /// What holds the function's files, for messages.
    pub(crate) fn place(&self) -> &'static str {
        let has_packages = self.installed && self.recipe.all_dependencies().next().is_some();
        match (has_packages, self.code.contents.len()) {
            (true, _) => "the image",
            (false, ..=1) => "the code",
            (false, _) => "the code and layers",
        }
    }

    /// The folder or archive of the code, for messages.
    pub(crate) fn code_name(&self) -> String {
        match self.files.code_name() {
            "" => "the project's folder".to_owned(),
            name => format!("`{name}`"),
        }
    }

    pub(crate) fn finding(
        &self,
        severity: Severity,
        code: FindingCode,
        message: impl Into<String>,
    ) -> Finding {
        Finding::new(severity, code, self.span(), message)
    }
}

/// A text of the template in backticks, with what a terminal would obey shown as escapes.
pub(crate) fn quote(text: &str) -> String {
    let shown = text.chars().map(|c| match c {
        c if c.is_control() || is_invisible(c) => c.escape_unicode().to_string(),
        c => c.to_string(),
    });
    format!("`{}`", shown.collect::<String>())
}

/// Whether a character turns the direction of a text or has no width.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// A suggestion, when there is one.
pub(crate) fn advice(words: Option<String>) -> Option<Remedy> {
    words.map(Remedy::from)
}

impl From<Finding> for CodeFinding {
    fn from(finding: Finding) -> Self {
        Self { finding, place: None }
    }
}

impl CodeFinding {
    /// A finding about a place in a file of code.
    pub(crate) fn at(finding: Finding, place: CodePlace) -> Self {
        Self { finding, place: Some(place) }
    }
}
