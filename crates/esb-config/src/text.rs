//! Text of functions.yml, which the Gateway interpolates before it parses the file.
//!
//! Owns the rules of that interpolation (Python's `string.Template.safe_substitute`;
//! docs/contracts/platform.md#interpolation): what is a placeholder, and how a literal `$`
//! survives.

use std::fmt;

use serde::{Deserialize, Deserializer};

/// A text with placeholders, as the template that stands in the file.
///
/// Equal when the files are: `$NAME` and `${NAME}` differ.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Text(String);

/// A piece of a [`Text`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextPart<'a> {
    /// Stands for itself.
    Literal(&'a str),
    /// The name of a variable of the Gateway's process.
    Placeholder(&'a str),
}

impl Text {
    /// Makes a text that interpolation leaves as it is.
    pub fn literal(text: &str) -> Self {
        Self(text.replace('$', "$$"))
    }

    /// `${NAME}`: filled from the Gateway's environment, left verbatim where it is not set.
    ///
    /// None when the name is no ASCII identifier, which the Gateway would not fill.
    pub fn placeholder(name: &str) -> Option<Self> {
        (identifier(name) == name.len() && !name.is_empty()).then(|| Self(format!("${{{name}}}")))
    }

    /// Puts a literal text in front.
    #[must_use]
    pub fn after(self, before: &str) -> Self {
        Self(Self::literal(before).0 + &self.0)
    }

    /// Makes a text of what a file holds, with its placeholders.
    pub fn from_template(template: impl Into<String>) -> Self {
        Self(template.into())
    }

    /// The text as the file holds it, with `$` doubled.
    pub fn template(&self) -> &str {
        &self.0
    }

    /// The pieces, in order; neighbouring literals are not joined.
    pub fn parts(&self) -> TextParts<'_> {
        TextParts(&self.0)
    }

    /// The text, when it has no placeholder.
    pub fn as_literal(&self) -> Option<String> {
        self.parts()
            .map(|part| match part {
                TextPart::Literal(text) => Some(text),
                TextPart::Placeholder(_) => None,
            })
            .collect()
    }

    /// The text as the Gateway sees it: placeholders filled by `lookup`, else left as they stand.
    pub fn resolve(&self, lookup: impl Fn(&str) -> Option<String>) -> String {
        let mut out = String::with_capacity(self.0.len());
        let mut parts = self.parts();
        loop {
            let before = parts.0;
            let Some(part) = parts.next() else { return out };
            match part {
                TextPart::Literal(text) => out.push_str(text),
                TextPart::Placeholder(name) => match lookup(name) {
                    Some(value) => out.push_str(&value),
                    None => out.push_str(&before[..before.len() - parts.0.len()]),
                },
            }
        }
    }
}

/// Iterates over the pieces of a [`Text`].
#[derive(Debug, Clone)]
pub struct TextParts<'a>(&'a str);

impl<'a> Iterator for TextParts<'a> {
    type Item = TextPart<'a>;

    fn next(&mut self) -> Option<TextPart<'a>> {
        let text = self.0;
        let Some(after) = text.strip_prefix('$') else {
            let end = text.find('$').unwrap_or(text.len());
            self.0 = &text[end..];
            return (end > 0).then(|| TextPart::Literal(&text[..end]));
        };
        if let Some(rest) = after.strip_prefix('$') {
            self.0 = rest;
            return Some(TextPart::Literal("$"));
        }
        let (name, rest) = if let Some(inner) = after.strip_prefix('{') {
            let (name, rest) = inner.split_at(identifier(inner));
            (name, rest.strip_prefix('}'))
        } else {
            let (name, rest) = after.split_at(identifier(after));
            (name, Some(rest))
        };
        if let Some(rest) = rest
            && !name.is_empty()
        {
            self.0 = rest;
            Some(TextPart::Placeholder(name))
        } else {
            self.0 = after;
            Some(TextPart::Literal("$"))
        }
    }
}

/// The length of the ASCII identifier that a text starts with.
pub(crate) fn identifier(text: &str) -> usize {
    let bytes = text.as_bytes();
    if bytes.first().is_none_or(u8::is_ascii_digit) {
        return 0;
    }
    bytes.iter().position(|b| !b.is_ascii_alphanumeric() && *b != b'_').unwrap_or(bytes.len())
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpolates_as_python_does() {
        for (template, expected) in [
            ("plain", "plain"),
            ("$A-${A}", "1-1"),
            ("$$A $${A}", "$A ${A}"),
            ("$$$A", "$1"),
            ("$AB ${AB}", "$AB ${AB}"), // not set: verbatim
            ("$100 $. $ ${ ${} ${A ${A-b} $é", "$100 $. $ ${ ${} ${A ${A-b} $é"),
            ("${1A}$_", "${1A}2"),
            ("a$", "a$"),
        ] {
            let lookup = |name: &str| match name {
                "A" => Some("1".to_owned()),
                "_" => Some("2".to_owned()),
                _ => None,
            };
            assert_eq!(Text::from_template(template).resolve(lookup), expected, "{template:?}");
        }
    }

    #[test]
    fn literals_survive() {
        for text in ["", "$", "$$", "${HOME}", "$HOME", "a$b$$c", "${a", "é$é"] {
            let literal = Text::literal(text);
            assert_eq!(literal.resolve(|_| Some("filled".into())), text, "{text:?}");
            assert_eq!(literal.as_literal().as_deref(), Some(text), "{text:?}");
        }
        assert_eq!(Text::from_template("x${A}").as_literal(), None);
    }

    #[test]
    fn placeholders_are_identifiers() {
        assert_eq!(Text::placeholder("DB_PASS2").unwrap().template(), "${DB_PASS2}");
        for bad in ["", "1A", "A-B", "é", "A B"] {
            assert_eq!(Text::placeholder(bad), None, "{bad:?}");
        }
    }
}
