//! Findings: what is wrong, ignored or noteworthy in a template or project, as plain data.

use std::fmt;

use crate::{Remedy, Span};

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing; nothing is lost.
    Note,
    /// Something is ignored or guessed.
    Warning,
    /// The input is wrong; `deploy` and `build` refuse it.
    Error,
}

/// The stable name of a kind of finding, such as `esb::sam::unresolved-ref`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(pub &'static str);

/// A fault of the input that more than one stage notices. Of findings with the same cause about the
/// same function or layer, only the first stage's is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// Code or the content of a layer is not on this machine.
    ContentElsewhere,
    /// Two functions have the same name.
    DuplicateName,
    /// A layer is published in AWS.
    PublishedLayer,
    /// A parameter without a value leaves something unknown.
    MissingParameter,
    /// A property is missing, and a default is used.
    MissingProperty,
    /// No Lambda runtime has the name.
    UnknownRuntime,
    /// Only AWS knows the value.
    UnknownValue,
    /// A schedule cannot run as its expression says.
    ScheduleExpression,
}

/// An error, a warning or a note about the input, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub severity: Severity,
    pub code: Code,
    /// A sentence fragment; may hold untrusted text, which the printer escapes.
    pub message: String,
    pub span: Option<Span>,
    /// The text under the marked place in the excerpt.
    pub label: Option<String>,
    /// What to do about it.
    pub help: Option<Remedy>,
    /// Further places, each with a text.
    pub related: Vec<(Span, String)>,
    /// The fault, where other stages notice it too.
    pub cause: Option<Cause>,
}

impl Finding {
    /// A finding without label, help and further places.
    pub fn new(
        severity: Severity,
        code: Code,
        span: impl Into<Option<Span>>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            severity,
            code,
            message: message.into(),
            span: span.into(),
            label: None,
            help: None,
            related: Vec::new(),
            cause: None,
        }
    }

    /// Sets the text under the marked place.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<Remedy>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Says which fault it is, where other stages notice it too.
    #[must_use]
    pub fn cause(mut self, cause: Cause) -> Self {
        self.cause = Some(cause);
        self
    }

    /// Adds a further place with a text.
    #[must_use]
    pub fn related(mut self, span: Span, words: impl Into<String>) -> Self {
        self.related.push((span, words.into()));
        self
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Declares a stage's finding codes as constants, `CODES`: the table of all of them with what they
/// mean, from which the reference page is made, and `FIXED`: those whose errors nobody can allow,
/// because without what they miss it is not known what is to be built.
#[macro_export]
macro_rules! finding_codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal $(, $fixed:ident)?;)+) => {
        $($(#[doc = $doc])+ pub const $name: $crate::FindingCode = $crate::FindingCode($code);)+

        /// Every code of this stage with what it means.
        pub const CODES: &[($crate::FindingCode, &str)] = &[$(($name, concat!($($doc),+))),+];

        /// The codes whose errors stay errors, marked `fixed`.
        pub const FIXED: &[$crate::FindingCode] = &[$($({
            // Only the mark is repeated here.
            const _: &str = stringify!($fixed);
            $name
        },)?)+];

        #[cfg(test)]
        #[test]
        fn codes_are_distinct_and_described() {
            let names = CODES.iter().map(|(code, _)| code.0);
            assert_eq!(names.collect::<std::collections::BTreeSet<_>>().len(), CODES.len());
            for (code, meaning) in CODES {
                assert!(code.0.starts_with("esb::") && meaning.ends_with('.'), "{code}: {meaning}");
            }
        }
    };
}
