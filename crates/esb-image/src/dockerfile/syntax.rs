//! Cuts the text of a Dockerfile into instructions, flags, arguments and here-documents.
//!
//! Owns lines: parser directives, comments, continuations, here-documents, and where in the file
//! each word stands. Follows `BuildKit`'s reader. Refuses to know what an instruction means.

use std::ops::Range;

use super::{Problem, words};

/// What separates words: whitespace without the line feed, which ends a line.
const SPACES: [char; 5] = ['\t', '\u{b}', '\u{c}', '\r', ' '];

/// A Dockerfile as lines and words.
#[derive(Debug)]
pub(crate) struct Syntax {
    /// What starts an escape, and continues a line.
    pub(crate) escape: char,
    /// The comments at the top that tell the reader something.
    pub(crate) directives: Vec<Directive>,
    pub(crate) instructions: Vec<RawInstruction>,
}

/// `# name=value` at the top of the file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Directive {
    /// `syntax`, `escape` or `check`.
    pub(crate) name: String,
    pub(crate) value: String,
    /// From 1.
    pub(crate) line: usize,
    /// Where the value stands in the text.
    pub(crate) span: Range<usize>,
}

/// One instruction whose words have no meaning yet.
#[derive(Debug, Clone)]
pub(crate) struct RawInstruction {
    /// In upper case.
    pub(crate) keyword: String,
    /// The line on which it starts, from 1.
    pub(crate) line: usize,
    pub(crate) flags: Vec<Word>,
    /// What follows the flags, without space around it; of several lines it is one.
    pub(crate) arguments: String,
    pub(crate) heredocs: Vec<Heredoc>,
    /// Where it ends in the file: after its last line, and those of its here-documents.
    pub(crate) end: usize,
    text: Joined,
    /// Where the arguments begin in `text`.
    start: usize,
}

/// A word and where it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) text: String,
    pub(crate) span: Range<usize>,
}

/// `<<NAME` and the lines up to the one that says NAME.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heredoc {
    pub(crate) name: String,
    /// Variables in it are expanded: no part of the name is quoted.
    pub(crate) expands: bool,
    /// `<<-`: tabs at the start of lines go.
    pub(crate) strips_tabs: bool,
    /// The lines as they are.
    pub(crate) content: String,
}

/// A line that may be put together from several.
#[derive(Debug, Clone, Default)]
struct Joined {
    text: String,
    /// Where parts of the text begin: in it, and in the file.
    parts: Vec<(usize, usize)>,
}

impl Joined {
    fn push(&mut self, text: &str, at: usize) {
        self.parts.push((self.text.len(), at));
        self.text.push_str(text);
    }

    fn place(&self, offset: usize) -> usize {
        let next = self.parts.partition_point(|(start, _)| *start <= offset);
        self.parts[..next].last().map_or(offset, |(start, at)| at + (offset - start))
    }

    /// What follows some of the text.
    #[cfg(any(feature = "docker", feature = "buildkit"))]
    fn after(&self, start: usize) -> Self {
        let mut rest = Self::default();
        let ends = self.parts.iter().skip(1).map(|(end, _)| *end).chain([self.text.len()]);
        for ((part, at), end) in self.parts.iter().zip(ends) {
            let from = start.max(*part);
            if from < end {
                rest.push(&self.text[from..end], at + (from - part));
            }
        }
        rest
    }

    /// The place in the file of a part of the text.
    fn span(&self, part: Range<usize>) -> Range<usize> {
        let start = self.place(part.start);
        if part.is_empty() { start..start } else { start..self.place(part.end - 1) + 1 }
    }
}

/// The lines of a file, with their places.
struct Lines<'a> {
    text: &'a str,
    at: usize,
    /// The number of the line that was read last, from 1.
    number: usize,
}

impl<'a> Lines<'a> {
    /// The next line with its end, and where it starts.
    fn next(&mut self) -> Option<(usize, &'a str)> {
        let rest = &self.text[self.at..];
        let line = rest.split_inclusive('\n').next()?;
        let start = self.at;
        self.at += line.len();
        self.number += 1;
        Some((start, line))
    }
}

fn without_end(line: &str) -> &str {
    line.trim_end_matches(['\r', '\n'])
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with('#')
}

impl Syntax {
    /// Reads the text of a Dockerfile.
    pub(crate) fn read(text: &str) -> Result<Self, Problem> {
        let mut syntax = Self { escape: '\\', directives: Vec::new(), instructions: Vec::new() };
        let mut lines = Lines { text, at: 0, number: 0 };
        if text.starts_with('\u{feff}') {
            lines.at = '\u{feff}'.len_utf8();
        }
        let mut at_top = true;
        while let Some((start, line)) = lines.next() {
            let number = lines.number;
            at_top = at_top && syntax.directive(number, start, line)?;
            let content = without_end(line).trim_start();
            let Some(joined) = syntax.join(&mut lines, start, content, line) else { continue };
            let mut raw = RawInstruction::cut(joined, number, syntax.escape);
            raw.read_heredocs(&mut lines)?;
            raw.end = lines.at;
            syntax.instructions.push(raw);
        }
        if syntax.instructions.is_empty() {
            return Err(Problem::invalid(1, "it has no instruction"));
        }
        Ok(syntax)
    }

    /// Takes a parser directive; whether the line was one, so that another may follow.
    fn directive(&mut self, number: usize, start: usize, line: &str) -> Result<bool, Problem> {
        let content = without_end(line).trim_start();
        let Some((name, value)) =
            content.strip_prefix('#').and_then(|comment| comment.split_once('='))
        else {
            return Ok(false);
        };
        let name = name.trim().to_ascii_lowercase();
        let value = value.trim();
        if !matches!(&*name, "syntax" | "escape" | "check") || value.is_empty() {
            return Ok(false);
        }
        if self.directives.iter().any(|other| other.name == name) {
            return Err(Problem::invalid(number, format!("`# {name}=` stands there twice")));
        }
        if name == "escape" {
            self.escape = match value {
                "\\" => '\\',
                "`" => '`',
                _ => return Err(Problem::invalid(number, "the escape has to be \\ or `")),
            };
        }
        let at = start + (value.as_ptr().addr() - line.as_ptr().addr());
        let span = at..at + value.len();
        self.directives.push(Directive { name, value: value.to_owned(), line: number, span });
        Ok(true)
    }

    /// Puts the lines of one instruction together; none for a comment or an empty line.
    fn join(
        &self,
        lines: &mut Lines<'_>,
        start: usize,
        first: &str,
        whole: &str,
    ) -> Option<Joined> {
        let first = if is_comment(first) { "" } else { first };
        let (content, mut continues) = self.continued(first);
        if content.is_empty() && !continues {
            return None;
        }
        let mut joined = Joined::default();
        joined.push(content, start + (whole.len() - whole.trim_start().len()));
        while continues {
            let Some((start, line)) = lines.next() else { break };
            let content = without_end(line);
            // Engines pass over comments and empty lines between the lines of an instruction.
            if is_comment(content) || content.trim().is_empty() {
                continue;
            }
            let (content, more) = self.continued(content);
            joined.push(content, start);
            continues = more;
        }
        Some(joined)
    }

    /// A line without the escape that continues it, and whether there was one. An escape that is
    /// escaped itself continues nothing.
    fn continued<'l>(&self, line: &'l str) -> (&'l str, bool) {
        let head = line.trim_end_matches([' ', '\t']).strip_suffix(self.escape);
        match head.filter(|head| !head.ends_with(self.escape)) {
            Some(head) => (head, true),
            None => (line, false),
        }
    }
}

impl RawInstruction {
    /// Takes keyword and flags off a line.
    fn cut(text: Joined, line: usize, escape: char) -> Self {
        let whole = &text.text;
        let begin = whole.len() - whole.trim_start().len();
        let end = whole.trim_end().len().max(begin);
        let keyword_end = whole[begin..end].find(SPACES).map_or(end, |length| begin + length);
        let keyword = whole[begin..keyword_end].to_uppercase();
        let mut at = keyword_end;
        let mut flags = Vec::new();
        loop {
            at = end - whole[at..end].trim_start().len();
            if !whole[at..end].starts_with("--") {
                break;
            }
            let (word, length) = flag(&whole[at..end], escape);
            let span = text.span(at..at + length);
            at += length;
            // Two dashes alone end the flags.
            if word == "--" {
                at = end - whole[at..end].trim_start().len();
                break;
            }
            flags.push(Word { text: word, span });
        }
        let arguments = whole[at..end].to_owned();
        Self { keyword, line, flags, arguments, heredocs: Vec::new(), end: 0, start: at, text }
    }

    /// The instruction that `ONBUILD` has as its arguments.
    #[cfg(any(feature = "docker", feature = "buildkit"))]
    pub(crate) fn trigger(&self, escape: char) -> Self {
        let mut trigger = Self::cut(self.text.after(self.start), self.line, escape);
        trigger.end = self.end;
        trigger
    }

    /// The arguments as words, split at whitespace whatever is quoted.
    pub(crate) fn words(&self) -> Vec<Word> {
        let mut words = Vec::new();
        for word in self.arguments.split(SPACES).filter(|word| !word.is_empty()) {
            let at = self.start + (word.as_ptr().addr() - self.arguments.as_ptr().addr());
            let span = self.text.span(at..at + word.len());
            words.push(Word { text: word.to_owned(), span });
        }
        words
    }

    /// The arguments as a JSON list of texts; none when they are no JSON list.
    pub(crate) fn list(&self) -> Result<Option<Vec<Word>>, Problem> {
        let Some(texts) = json_list(&self.arguments, self.line)? else { return Ok(None) };
        let spans = strings(&self.arguments);
        let word = |(text, place): (String, Range<usize>)| {
            let span = self.text.span(self.start + place.start..self.start + place.end);
            Word { text, span }
        };
        Ok(Some(texts.into_iter().zip(spans).map(word).collect()))
    }

    /// The arguments as a JSON list, else as words.
    pub(crate) fn list_or_words(&self) -> Result<Vec<Word>, Problem> {
        Ok(self.list()?.unwrap_or_else(|| self.words()))
    }

    /// The paths that `COPY` and `ADD` copy: neither here-documents nor the destination.
    #[cfg(any(feature = "docker", feature = "buildkit"))]
    pub(crate) fn sources(&self) -> Result<Vec<Word>, Problem> {
        let mut words = self.list_or_words()?;
        words.pop();
        words.retain(|word| Heredoc::of(&word.text).is_none());
        Ok(words)
    }

    /// The values of the flags of a name. A flag that has quotes is longer in the file than its text.
    pub(crate) fn flags(&self, name: &str) -> impl Iterator<Item = Word> {
        self.flags.iter().filter_map(move |flag| {
            let text = flag.text.strip_prefix("--")?.strip_prefix(name)?.strip_prefix('=')?;
            let start = flag.span.start + (flag.text.len() - text.len());
            Some(Word { text: text.to_owned(), span: start..flag.span.end })
        })
    }

    /// Reads the here-documents that the instruction begins, which follow it.
    fn read_heredocs(&mut self, lines: &mut Lines<'_>) -> Result<(), Problem> {
        let takes = matches!(&*self.keyword, "ADD" | "COPY" | "RUN" | "ONBUILD");
        if !takes || !self.arguments.contains("<<") || self.list()?.is_some() {
            return Ok(());
        }
        for word in words::split(&self.arguments, '\\') {
            let Some(mut heredoc) = Heredoc::of(&word) else { continue };
            loop {
                let Some((_, line)) = lines.next() else {
                    let reason = format!("the here-document `{}` has no end", heredoc.name);
                    return Err(Problem::invalid(self.line, reason));
                };
                let mut end = without_end(line);
                if heredoc.strips_tabs {
                    end = end.trim_start_matches('\t');
                }
                if end == heredoc.name {
                    break;
                }
                heredoc.content.push_str(line);
            }
            self.heredocs.push(heredoc);
        }
        Ok(())
    }
}

impl Heredoc {
    /// The content as a file has it, before variables are expanded.
    pub(crate) fn text(&self) -> String {
        if !self.strips_tabs {
            return self.content.clone();
        }
        let lines = self.content.split_inclusive('\n');
        lines.map(|line| line.trim_start_matches('\t')).collect()
    }

    /// The here-document that a word begins, without its content.
    pub(crate) fn of(word: &str) -> Option<Self> {
        let rest = word.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("<<")?;
        let (strips_tabs, rest) = match rest.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        if rest.is_empty() || rest.contains('<') {
            return None;
        }
        let name = words::unquote(rest)?;
        let quotes = |text: &str| text.matches(['"', '\'']).count();
        let expands = quotes(&name) == quotes(rest);
        Some(Self { name, expands, strips_tabs, content: String::new() })
    }
}

/// The flag that a text begins with, without its quotes, and its length.
fn flag(text: &str, escape: char) -> (String, usize) {
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        if quote.is_none() && c.is_whitespace() {
            return (word, at);
        }
        if c == escape {
            word.extend(chars.next().map(|(_, escaped)| escaped));
        } else if quote == Some(c) {
            quote = None;
        } else if quote.is_none() && matches!(c, '"' | '\'') {
            quote = Some(c);
        } else {
            word.push(c);
        }
    }
    (word, text.len())
}

/// A text as a JSON list of texts; none when it is no JSON list.
pub(super) fn json_list(text: &str, line: usize) -> Result<Option<Vec<String>>, Problem> {
    if !text.starts_with('[') {
        return Ok(None);
    }
    let Ok(values) = serde_json::from_str::<Vec<serde_json::Value>>(text) else { return Ok(None) };
    let texts = values.into_iter().map(|value| match value {
        serde_json::Value::String(text) => Ok(text),
        _ => Err(Problem::invalid(line, "a list holds something else than texts")),
    });
    texts.collect::<Result<_, _>>().map(Some)
}

/// The places of the strings in a JSON list of strings, without their quotes.
fn strings(list: &str) -> Vec<Range<usize>> {
    let mut places = Vec::new();
    let mut start = None;
    let mut bytes = list.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match (byte, start) {
            (b'\\', Some(_)) => drop(bytes.next()),
            (b'"', Some(begin)) => {
                places.push(begin..at);
                start = None;
            }
            (b'"', None) => start = Some(at + 1),
            _ => {}
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Syntax {
        Syntax::read(text).unwrap()
    }

    /// The only instruction of a text: keyword, flags and arguments.
    #[track_caller]
    fn check(text: &str, keyword: &str, flags: &[&str], arguments: &str) {
        let syntax = read(text);
        let [raw] = &*syntax.instructions else { panic!("{syntax:?}") };
        let found: Vec<&str> = raw.flags.iter().map(|flag| &*flag.text).collect();
        assert_eq!((&*raw.keyword, &*found, &*raw.arguments), (keyword, flags, arguments));
    }

    #[test]
    fn lines_are_joined() {
        check("cmd echo  hi \\\n# c\n\n there $x  ", "CMD", &[], "echo  hi  there $x");
        check("ENV a=b \\ \t\n  c=d", "ENV", &[], "a=b   c=d");
        check("\\\nENV a=b\n", "ENV", &[], "a=b");
        check("\u{feff}ENV a=b\r\n", "ENV", &[], "a=b");
        check("# escape=`\nENV a=b `\n c=\\\n", "ENV", &[], "a=b  c=\\");
        let lines = |text: &str| -> Vec<usize> {
            read(text).instructions.iter().map(|raw| raw.line).collect()
        };
        assert_eq!(lines("FROM a\n\n# c\nENV C=a\\\\\nENV D=b\n"), [1, 4, 5]);
        assert_eq!(lines("FROM a\nENV C=a \\\n\n  d=e\nUSER x"), [1, 2, 5]);
    }

    #[test]
    fn flags_come_first() {
        check("COPY --a=b --c='d e' f --g", "COPY", &["--a=b", "--c=d e"], "f --g");
        check("COPY --a=\\ b c d", "COPY", &["--a= b"], "c d");
        check("COPY --a=b -- --c d", "COPY", &["--a=b"], "--c d");
        check("USER --x", "USER", &["--x"], "");
    }

    #[test]
    fn directives_stand_at_the_top() {
        let text = "# syntax = a/b:1\n#check=skip=all\nFROM x\n# escape=`\n";
        let syntax = read(text);
        let found = syntax.directives.iter().map(|d| (&*d.name, &text[d.span.clone()]));
        assert_eq!(found.collect::<Vec<_>>(), [("syntax", "a/b:1"), ("check", "skip=all")]);
        assert_eq!(syntax.escape, '\\');
        assert_eq!(read("# c\n# escape=`\nFROM x").directives, []);
        for bad in ["#escape=x\nFROM a", "#check=a\n#check=b\nFROM a", "# only\n\n", ""] {
            assert!(Syntax::read(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn words_have_places() {
        let places = |text: &str| -> Vec<String> {
            let syntax = read(text);
            let raw = &syntax.instructions[0];
            let words = raw.list_or_words().unwrap();
            words.into_iter().map(|word| text[word.span].to_owned()).collect()
        };
        assert_eq!(places("COPY --x=y  a \\\n  bc \"d\n"), ["a", "bc", "\"d"]);
        assert_eq!(places("COPY [\"a b\", \"\\\"c\"]\n"), ["a b", "\\\"c"]);
        assert_eq!(places("VOLUME []"), [""; 0]);
        assert_eq!(places("CMD [1"), ["[1"]);
        assert!(read("CMD [\"a\", 1]").instructions[0].list().is_err());
    }

    #[cfg(any(feature = "docker", feature = "buildkit"))]
    #[test]
    fn triggers_have_places() {
        let text = "FROM a\nONBUILD COPY --x=y \\\n  bc d\nUSER x\n";
        let trigger = read(text).instructions[1].trigger('\\');
        let places: Vec<_> = trigger.words().into_iter().map(|word| &text[word.span]).collect();
        assert_eq!((&*trigger.keyword, trigger.line, places), ("COPY", 2, vec!["bc", "d"]));
        assert_eq!(&text[trigger.flags[0].span.clone()], "--x=y");
    }

    #[test]
    fn here_documents_follow() {
        let text = "RUN <<EOF cat <<-\"Two\"\na $b\nEOF\n\tc\n\tTwo\nUSER x\n";
        let syntax = read(text);
        let heredoc = |name: &str, expands, strips_tabs, content: &str| {
            let (name, content) = (name.to_owned(), content.to_owned());
            Heredoc { name, expands, strips_tabs, content }
        };
        let expected =
            [heredoc("EOF", true, false, "a $b\n"), heredoc("Two", false, true, "\tc\n")];
        assert_eq!(syntax.instructions[0].heredocs, expected);
        assert_eq!((&*syntax.instructions[1].keyword, syntax.instructions[1].line), ("USER", 6));
        assert!(Syntax::read("COPY <<E /x\nE F\n").is_err());
        // Other instructions have none.
        assert_eq!(read("ENV a=<<E\nUSER x").instructions.len(), 2);
        assert_eq!(read("RUN [\"<<E\"]\nUSER x").instructions.len(), 2);
    }
}
