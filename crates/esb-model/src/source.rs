//! Source texts, and the positions in them that findings point to.

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
    /// The name that messages show: a path from the folder in which the command runs, or
    /// an absolute one.
    pub name: String,
    pub text: String,
    marks: Vec<Mark>,
}

/// What is known at the start of every [`BLOCK`] bytes of a text, so that a place is found by
/// reading one block: a table of lines would be larger than a text of empty lines.
#[derive(Debug, Clone, Copy)]
struct Mark {
    /// Line feeds before.
    lines: usize,
    /// Characters before.
    characters: usize,
    /// Where the line starts that goes on here.
    line_start: usize,
}

/// Bytes between two marks.
const BLOCK: usize = 4096;

/// A line and a column, both from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

/// The source texts of a run.
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
        let mut mark = Mark { lines: 0, characters: 0, line_start: 0 };
        let mut marks = Vec::with_capacity(text.len() / BLOCK + 1);
        marks.push(mark);
        for (number, block) in text.as_bytes().chunks(BLOCK).enumerate() {
            mark.lines += line_feeds(block);
            mark.characters += characters(block);
            if let Some(at) = block.iter().rposition(|byte| *byte == b'\n') {
                mark.line_start = number * BLOCK + at + 1;
            }
            marks.push(mark);
        }
        self.sources.push(Source { name: name.into(), text, marks });
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
        let block = offset - offset % BLOCK;
        let mark = self.marks[offset / BLOCK];
        let before = &self.text.as_bytes()[block..offset];
        let lines = mark.lines + line_feeds(before);
        let start = before.iter().rposition(|byte| *byte == b'\n');
        let start = start.map_or(mark.line_start, |at| block + at + 1);
        let column = self.characters_before(offset) - self.characters_before(start);
        Place { line: lines + 1, column: column + 1 }
    }

    fn characters_before(&self, offset: usize) -> usize {
        let block = offset - offset % BLOCK;
        self.marks[offset / BLOCK].characters + characters(&self.text.as_bytes()[block..offset])
    }
}

#[expect(clippy::naive_bytecount, reason = "fast enough, and no dependency")]
fn line_feeds(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

/// How many characters start in these bytes of UTF-8.
fn characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| (**byte & 0xC0) != 0x80).count()
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

    #[test]
    fn places_beyond_the_first_block() {
        // Lines of 1 to 99 characters of two bytes each, and one that is longer than a block.
        let mut lines: Vec<String> = (1..100).map(|length| "é".repeat(length)).collect();
        lines.push("ü".repeat(BLOCK));
        lines.push("end".to_owned());
        let text = lines.join("\n");
        let mut map = SourceMap::default();
        let id = map.add("t", text.as_str());
        let (mut line, mut column) = (1, 1);
        for (offset, c) in text.char_indices() {
            let source = map.get(id).expect("it was just added");
            assert_eq!(source.place(offset), Place { line, column }, "{offset}");
            (line, column) = if c == '\n' { (line + 1, 1) } else { (line, column + 1) };
        }
        assert_eq!((line, column), (101, 4));
    }
}
