//! Says what is wrong with a text that is not YAML or JSON: from what the parser expected, and from
//! the lines around the place, for it is often an earlier line that has to change.

mod brackets;
mod lines;
mod scalars;

use esb_model::{Finding, Severity, SourceId, Span};
use granit_parser::ErrorKind;

use self::lines::{Level, Line, Lines, missing_colon, mixed};
use crate::{codes, findings::quote};

/// A text that cannot be read, and where.
pub(super) struct Fault<'t> {
    source: SourceId,
    text: &'t str,
    /// Where the parser stopped.
    at: usize,
    /// Where the innermost list or map in brackets starts that is not closed.
    bracket: Option<usize>,
}

/// A message with its place, before it is a finding.
struct Told {
    message: String,
    span: (usize, usize),
    label: Option<String>,
    help: Option<String>,
    related: Vec<((usize, usize), String)>,
}

impl<'t> Fault<'t> {
    pub(super) fn new(source: SourceId, text: &'t str, at: usize, bracket: Option<usize>) -> Self {
        let at = floor(text, at);
        Self { source, text, at, bracket: bracket.filter(|start| *start <= at) }
    }

    /// The finding for what the parser says.
    pub(super) fn finding(&self, kind: &ErrorKind) -> Finding {
        let told = self.tabs().or_else(|| self.told(kind)).unwrap_or_else(|| self.unexpected());
        // A place of one byte may be part of a longer character.
        let span = |(start, end)| Span {
            source: self.source,
            start: floor(self.text, start),
            end: self.text.ceil_char_boundary(end),
        };
        let mut finding =
            Finding::new(Severity::Error, codes::SYNTAX, span(told.span), told.message);
        finding.label = told.label;
        finding.help = told.help.map(Into::into);
        finding.related =
            told.related.into_iter().map(|(range, words)| (span(range), words)).collect();
        finding
    }

    fn told(&self, kind: &ErrorKind) -> Option<Told> {
        match kind {
            ErrorKind::UnclosedQuotedScalar | ErrorKind::DocumentIndicatorInQuotedScalar => {
                Some(self.unclosed_quote())
            }
            ErrorKind::InvalidTrailingSingleQuotedScalar
            | ErrorKind::InvalidTrailingDoubleQuotedScalar => Some(self.after_quote()),
            ErrorKind::UnknownQuotedScalarEscape
            | ErrorKind::InvalidQuotedScalarHexEscape
            | ErrorKind::InvalidLowSurrogateHexEscape
            | ErrorKind::InvalidLowSurrogate
            | ErrorKind::MissingLowSurrogate
            | ErrorKind::UnpairedLowSurrogate
            | ErrorKind::InvalidUnicodeEscape => Some(self.escape()),
            ErrorKind::UnclosedFlowCollection { .. }
            | ErrorKind::UnexpectedEofFlowSequence
            | ErrorKind::UnexpectedEofFlowMapping => Some(self.unclosed_bracket()),
            ErrorKind::MismatchedFlowCollectionEnd { open, close } => {
                Some(self.mismatched(*open, *close))
            }
            ErrorKind::MisplacedFlowCollectionEnd => Some(self.closes_nothing()),
            _ if self.bracket.is_some() => Some(self.in_brackets()),
            ErrorKind::MappingValueNotAllowed
            | ErrorKind::InvalidMappingValueWhitespace
            | ErrorKind::InvalidColonPlacement => Some(self.colon()),
            ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => Some(self.no_colon()),
            ErrorKind::ExpectedBlockMappingKey
            | ErrorKind::ExpectedBlockSequenceEntry
            | ErrorKind::InvalidIndentation
            | ErrorKind::ExpectedDocumentStart => Some(self.indentation()),
            ErrorKind::BlockSequenceEntryNotAllowed | ErrorKind::InvalidBlockEntryWhitespace => {
                Some(self.list_item())
            }
            ErrorKind::UnknownAnchor
            | ErrorKind::MissingAnchorOrAliasName
            | ErrorKind::UnexpectedCharacter { .. }
            | ErrorKind::PlainScalarStartsWithDashFlowIndicator => Some(self.must_be_quoted()),
            ErrorKind::InvalidBlockScalarHeader | ErrorKind::ZeroBlockScalarIndent => {
                Some(self.block_header())
            }
            ErrorKind::CommentNotSeparated => {
                Some(self.here("a comment needs a space before its `#`"))
            }
            ErrorKind::CommentInterceptedScalar => {
                Some(self.here("a value of several lines cannot have a comment in it"))
            }
            ErrorKind::BomInsideDocument => {
                Some(self.here("a byte order mark can only be at the start of a file"))
            }
            ErrorKind::UndeclaredTagHandle
            | ErrorKind::InvalidTagTerminator
            | ErrorKind::MissingTagUri
            | ErrorKind::UnclosedVerbatimTag
            | ErrorKind::InvalidTagEscape => Some(self.tag()),
            _ => None,
        }
    }

    /// Tabs cannot indent; what the parser says of it depends on what follows.
    fn tabs(&self) -> Option<Told> {
        let lines = Lines::new(self.text);
        let here = lines.at(self.at);
        if self.bracket.is_some() || self.is_json() {
            return None;
        }
        let with_tab = |line: &Line<'_>| line.text[..line.indent].contains('\t');
        let around = [Some(here), lines.after(&here), lines.before(&here)];
        let line = around.into_iter().flatten().find(with_tab)?;
        let first = line.start + line.text.find('\t')?;
        let mut told = Told::new("tabs cannot indent YAML", (first, line.start + line.indent))
            .label("indent with spaces");
        if let Some(parent) = lines.before(&line).filter(|parent| !with_tab(parent)) {
            told = told.related(parent.content(), indented(parent.indent));
        }
        Some(told.help("replace the tabs with spaces, two for each level"))
    }

    /// A line that is neither beside nor below what it stands under.
    fn indentation(&self) -> Told {
        let lines = Lines::new(self.text);
        let here = lines.at(self.at);
        if self.is_json() {
            return Told::new("unexpected text after the end of the template", here.content());
        }
        let name = quote(here.word());
        if here.value().is_none() && lines.block_text(&here).is_some() {
            return self.no_colon();
        }
        let mut levels = lines.levels(&here);
        let beside = levels.iter().find(|level| level.indent == here.indent);
        if let Some(level) = beside.filter(|level| level.is_item != here.is_item()) {
            return mixed(&here, level);
        }
        if beside.is_some() {
            return self.unexpected();
        }
        // A key is never beside a list item.
        levels.retain(|level| !level.is_item || here.is_item());
        if levels.is_empty() {
            return self.unexpected();
        }
        let message = match levels.iter().map(|level| level.indent).min() {
            Some(least) if here.indent < least => {
                format!("{name} is indented less than everything above it")
            }
            _ => format!("{name} is not indented like anything above it"),
        };
        let mut told = Told::new(message, here.content()).label(indented(here.indent));
        // The nearest ones on both sides.
        let deeper = levels.iter().rfind(|level| level.indent > here.indent);
        let flatter = levels.iter().find(|level| level.indent < here.indent);
        let near: Vec<&Level<'_>> = [deeper, flatter].into_iter().flatten().collect();
        for level in &near {
            told = told.related(level.line.content(), indented(level.indent));
        }
        let choice = |level: &&Level<'_>| {
            let how = match level.indent {
                0 => "remove its indentation".to_owned(),
                n => format!("indent it by {}", spaces(n)),
            };
            format!("{how} to put it beside {}", quote(level.line.word()))
        };
        let choices: Vec<String> = near.iter().map(choice).collect();
        told.help(choices.join(", or "))
    }

    /// A colon where no value can start.
    fn colon(&self) -> Told {
        let lines = Lines::new(self.text);
        let here = lines.at(self.at);
        let key = here.content();
        let before = &self.text[here.start + here.indent..self.at];
        // `key: value: more`
        if let Some(at) = before.find(": ") {
            let text = self.text[here.start + here.indent + at + 2..key.1].trim_start();
            let quoted = text.replace('\'', "''");
            return Told::new("a value with `: ` in it must be quoted", (self.at, self.at + 1))
                .label("a second `:`")
                .help(format!("write {}", quote(&format!("{}'{quoted}'", &before[..at + 2]))));
        }
        let Some(above) = lines.before(&here) else { return self.unexpected() };
        if above.value().is_none() {
            return missing_colon(&above);
        }
        let told = Told::new(
            format!(
                "{} is indented deeper than {}, which has a value",
                quote(here.word()),
                quote(above.word())
            ),
            key,
        );
        let told = told.label(indented(here.indent));
        told.related(above.content(), indented(above.indent)).help(format!(
            "indent both alike, or remove the value of {} to put {} below it",
            quote(above.word()),
            quote(here.word())
        ))
    }

    /// A word that is no key.
    fn no_colon(&self) -> Told {
        let lines = Lines::new(self.text);
        let here = lines.at(self.at);
        let told = missing_colon(&here);
        match lines.block_text(&here) {
            Some(header) => told
                .related(header.content(), "the text of this value ends above")
                .help("to go on with that text, indent this line as far as its first line"),
            None => told,
        }
    }

    /// `key: - item`
    fn list_item(&self) -> Told {
        let lines = Lines::new(self.text);
        let here = lines.at(self.at);
        let span = (self.at, (self.at + 1).min(self.text.len()));
        Told::new("a list item must start on a line of its own", span).help(format!(
            "put {} on the next line, or write the list in brackets: `[…]`",
            quote(self.text[self.at..here.start + here.text.len()].trim_end())
        ))
    }

    /// What is wrong with the word where the parser stopped.
    fn here(&self, message: &str) -> Told {
        Told::new(message, (self.at, self.token_end(self.at)))
    }

    fn tag(&self) -> Told {
        let end = self.token_end(self.at);
        let message = format!("{} is not a tag", quote(&self.text[self.at..end]));
        Told::new(message, (self.at, end))
            .help("write a short form such as `!Sub`, or put the value in quotes")
    }

    /// Nothing better is known.
    fn unexpected(&self) -> Told {
        let end = self.token_end(self.at);
        match self.text[self.at..end].trim() {
            "" => Told::new("the template ends too early", (self.at, self.at)),
            text => Told::new(format!("unexpected {}", quote(text)), (self.at, end))
                .label("cannot be here"),
        }
    }

    fn is_json(&self) -> bool {
        self.text.trim_start().starts_with('{')
    }

    fn next_char(&self) -> char {
        self.text[self.at..].chars().next().unwrap_or('\n')
    }

    /// Where the word starts that ends where the parser stopped, at a colon for instance.
    fn token_start(&self) -> usize {
        if self.next_char() != ':' {
            return self.at;
        }
        let before = &self.text[..self.at];
        if let Some(c @ ('"' | '\'')) = before.chars().next_back() {
            let inner = &before[..before.len() - 1];
            inner.rfind(c).unwrap_or(self.at)
        } else {
            let ends = |c: char| c.is_whitespace() || ",{[\"'".contains(c);
            let word = before.rsplit(ends).next().unwrap_or_default();
            before.len() - word.len()
        }
    }

    fn token_end(&self, start: usize) -> usize {
        let rest = &self.text[start..];
        let first = rest.chars().next();
        if let Some(c @ ('"' | '\'')) = first
            && let Some(end) = rest[1..].find(c)
            && !rest[1..=end].contains('\n')
        {
            return start + end + 2;
        }
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, ',' | '}' | ']' | ':'));
        let end = end.unwrap_or(rest.len());
        start + end.max(first.map_or(0, char::len_utf8))
    }
}

impl Told {
    fn new(message: impl Into<String>, span: (usize, usize)) -> Self {
        Self { message: message.into(), span, label: None, help: None, related: Vec::new() }
    }

    fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    fn related(mut self, range: (usize, usize), words: impl Into<String>) -> Self {
        self.related.push((range, words.into()));
        self
    }
}

/// The largest border of a character that is not beyond an offset.
fn floor(text: &str, offset: usize) -> usize {
    let mut at = offset.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn spaces(count: usize) -> String {
    match count {
        1 => "1 space".to_owned(),
        n => format!("{n} spaces"),
    }
}

fn indented(count: usize) -> String {
    match count {
        0 => "not indented".to_owned(),
        n => format!("indented by {}", spaces(n)),
    }
}
