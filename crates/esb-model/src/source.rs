//! Texts that findings point into, and places inside them.

use std::fmt;

/// A text of a [`SourceMap`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(u32);

/// A range of bytes in one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    pub source: SourceId,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// A named text, as it was read.
#[derive(Debug, Clone)]
pub struct Source {
    /// How a person calls it: a path relative to the project root, or to where it was given.
    pub name: String,
    pub text: String,
    line_starts: Vec<usize>,
}

/// A place as people count it: both numbers start at 1, columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

/// All texts of a run.
#[derive(Debug, Clone, Default)]
pub struct SourceMap {
    sources: Vec<Source>,
}

impl SourceMap {
    /// Adds a text and gives the id that spans in it carry.
    ///
    /// # Panics
    /// With more than 2^32 sources.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> SourceId {
        let text = text.into();
        let line_starts = std::iter::once(0)
            .chain(
                text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1),
            )
            .collect();
        self.sources.push(Source { name: name.into(), text, line_starts });
        SourceId(u32::try_from(self.sources.len() - 1).expect("fewer than 2^32 sources"))
    }

    /// The text behind an id; `None` for an id of another map.
    pub fn get(&self, id: SourceId) -> Option<&Source> {
        self.sources.get(id.0 as usize)
    }

    /// Name, line and column of a span's first byte.
    pub fn locate(&self, span: Span) -> Option<(&str, Place)> {
        let source = self.get(span.source)?;
        Some((&source.name, source.place(span.start)))
    }

    /// `file:line:column` of a span's first byte.
    pub fn describe(&self, span: Span) -> String {
        self.locate(span).map_or_else(String::new, |(name, place)| format!("{name}:{place}"))
    }
}

impl Source {
    /// Line and column of a byte offset; offsets past the end give the end.
    pub fn place(&self, offset: usize) -> Place {
        let offset = offset.min(self.text.len());
        let line = self.line_starts.partition_point(|start| *start <= offset) - 1;
        let start = self.line_starts[line];
        let column = self.text.as_bytes()[start..offset]
            .iter()
            .filter(|byte| (**byte & 0xC0) != 0x80) // count the first bytes of characters
            .count();
        Place { line: line + 1, column: column + 1 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_characters_from_one() {
        let mut map = SourceMap::default();
        let id = map.add("t.yaml", "a: é\nbé: c\n");
        let at = |start| map.describe(Span { source: id, start, end: start });
        assert_eq!(at(0), "t.yaml:1:1");
        assert_eq!(at(5), "t.yaml:1:5");
        assert_eq!(at(6), "t.yaml:2:1");
        assert_eq!(at(9), "t.yaml:2:3");
        assert_eq!(at(999), "t.yaml:3:1");
    }
}
