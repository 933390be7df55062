//! Lines of requirements files, by pip's own rules: encodings, continued lines, comments, options.
//!
//! Owns how bytes become lines and a line becomes a requirement and its options. Refuses to know
//! what a requirement means, and to read any file.

/// A line that counts, comments gone and continued lines joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Where it begins, from 1.
    pub number: usize,
    /// What it says.
    pub text: String,
}

/// A line, taken apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parsed {
    /// What stands before the options; empty when there is nothing.
    pub requirement: String,
    /// Options by name, with their values.
    pub options: Vec<(Name, String)>,
}

/// The options that pip knows in a requirements file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// `-r`: another file of requirements.
    Requirement,
    /// `-c`: a file of constraints.
    Constraint,
    /// `-e`: a folder or a repository that is installed in place.
    Editable,
    /// `-i`: the index.
    IndexUrl,
    /// One more index.
    ExtraIndexUrl,
    /// No index is asked.
    NoIndex,
    /// `-f`: a folder or a page of archives.
    FindLinks,
    /// A host that needs no TLS.
    TrustedHost,
    /// `no-binary`, `only-binary` and the like, by name.
    Format(&'static str),
    /// Versions before a release count too.
    Pre,
    /// Each requirement needs a hash.
    RequireHashes,
    /// A hash of the line's requirement.
    Hash,
    /// What only the build of a package listens to, by name.
    Build(&'static str),
    /// Says nothing that matters here.
    Ignored,
}

/// Long names, and whether a value follows.
const LONG: [(&str, Name, bool); 23] = [
    ("requirement", Name::Requirement, true),
    ("constraint", Name::Constraint, true),
    ("editable", Name::Editable, true),
    ("index-url", Name::IndexUrl, true),
    ("pypi-url", Name::IndexUrl, true),
    ("extra-index-url", Name::ExtraIndexUrl, true),
    ("no-index", Name::NoIndex, false),
    ("find-links", Name::FindLinks, true),
    ("trusted-host", Name::TrustedHost, true),
    ("no-binary", Name::Format("no-binary"), true),
    ("only-binary", Name::Format("only-binary"), true),
    ("prefer-binary", Name::Format("prefer-binary"), false),
    ("pre", Name::Pre, false),
    ("require-hashes", Name::RequireHashes, false),
    ("hash", Name::Hash, true),
    ("config-settings", Name::Build("config-settings"), true),
    ("config-setting", Name::Build("config-settings"), true),
    ("global-option", Name::Build("global-option"), true),
    ("build-option", Name::Build("build-option"), true),
    ("install-option", Name::Build("install-option"), true),
    ("use-feature", Name::Ignored, true),
    ("always-unzip", Name::Ignored, false),
    ("process-dependency-links", Name::Ignored, false),
];

const SHORT: [(char, Name); 6] = [
    ('r', Name::Requirement),
    ('c', Name::Constraint),
    ('e', Name::Editable),
    ('i', Name::IndexUrl),
    ('f', Name::FindLinks),
    ('C', Name::Build("config-settings")),
];

/// The text of a file: by its byte order mark, else by a `coding` comment in its first two lines,
/// else UTF-8.
///
/// # Errors
/// With the reason, when the bytes are no text of that encoding.
pub fn decode(bytes: &[u8]) -> Result<String, String> {
    let wide = |bytes: &[u8], big: bool| {
        let units = bytes.chunks_exact(2).map(|pair| match (pair, big) {
            (&[a, b], true) => u16::from_be_bytes([a, b]),
            (&[a, b], false) => u16::from_le_bytes([a, b]),
            _ => 0,
        });
        let whole = bytes.len().is_multiple_of(2);
        let text: Result<String, _> = char::decode_utf16(units).collect();
        text.ok().filter(|_| whole).ok_or_else(|| "it is not valid UTF-16".to_owned())
    };
    let widest = |bytes: &[u8], big: bool| {
        let character = |part: &[u8]| {
            let part = <[u8; 4]>::try_from(part).ok()?;
            char::from_u32(if big { u32::from_be_bytes(part) } else { u32::from_le_bytes(part) })
        };
        let text: Option<String> = bytes.chunks(4).map(character).collect();
        text.ok_or_else(|| "it is not valid UTF-32".to_owned())
    };
    match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => utf8(rest),
        [0, 0, 0xfe, 0xff, rest @ ..] => widest(rest, true),
        [0xff, 0xfe, 0, 0, rest @ ..] => widest(rest, false),
        [0xfe, 0xff, rest @ ..] => wide(rest, true),
        [0xff, 0xfe, rest @ ..] => wide(rest, false),
        _ => match coding(bytes).as_deref() {
            None | Some("utf-8" | "utf8" | "utf-8-sig" | "ascii" | "us-ascii") => utf8(bytes),
            Some("latin-1" | "latin1" | "iso-8859-1" | "iso8859-1" | "l1") => {
                Ok(bytes.iter().copied().map(char::from).collect())
            }
            Some(other) => Err(format!("its encoding `{}` is not read", other.escape_debug())),
        },
    }
}

fn utf8(bytes: &[u8]) -> Result<String, String> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err("it is not UTF-8".to_owned()),
    }
}

/// The encoding that a comment in the first two lines names, in lower case with `-`.
fn coding(bytes: &[u8]) -> Option<String> {
    bytes.split(|byte| *byte == b'\n').take(2).filter(|line| line.starts_with(b"#")).find_map(
        |line| {
            let line = String::from_utf8_lossy(line);
            let (_, rest) = line.split_once("coding")?;
            let rest = rest.strip_prefix([':', '='])?.trim_start();
            let end = rest.find(|c: char| !(c.is_alphanumeric() || "-_.".contains(c)));
            let name = rest[..end.unwrap_or(rest.len())].to_ascii_lowercase().replace('_', "-");
            (!name.is_empty()).then_some(name)
        },
    )
}

/// The lines that count.
pub fn logical(text: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut open: Option<Line> = None;
    let mut add = |number: usize, text: &str| {
        let text = uncommented(text).trim();
        if !text.is_empty() {
            lines.push(Line { number, text: text.to_owned() });
        }
    };
    for (index, line) in physical(text).into_iter().enumerate() {
        let is_comment = line.trim_start().starts_with('#');
        if line.ends_with('\\') && !is_comment {
            let open = open.get_or_insert(Line { number: index + 1, text: String::new() });
            open.text.push_str(line.trim_matches('\\'));
            continue;
        }
        // A comment in the middle ends what was open, and is none of it.
        let line = if is_comment { format!(" {line}") } else { line.to_owned() };
        match open.take() {
            Some(Line { number, text }) => add(number, &(text + &line)),
            None => add(index + 1, &line),
        }
    }
    if let Some(Line { number, text }) = open {
        add(number, &text);
    }
    lines
}

/// As Python's `splitlines` does.
fn physical(text: &str) -> Vec<&str> {
    let ends = |c: char| {
        matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}')
            || matches!(c, '\u{2028}' | '\u{2029}')
    };
    let (mut lines, mut rest) = (Vec::new(), text);
    while let Some(at) = rest.find(ends) {
        lines.push(&rest[..at]);
        let end = if rest[at..].starts_with("\r\n") { "\r\n".len() } else { 0 };
        let width = rest[at..].chars().next().map_or(1, char::len_utf8);
        rest = &rest[at + end.max(width)..];
    }
    if !rest.is_empty() {
        lines.push(rest);
    }
    lines
}

/// Up to a `#` at the beginning or after white space.
fn uncommented(line: &str) -> &str {
    let mut before = None;
    for (at, c) in line.char_indices() {
        if c == '#' && before.is_none_or(char::is_whitespace) {
            return &line[..at];
        }
        before = Some(c);
    }
    line
}

/// Takes a line apart.
///
/// # Errors
/// With the reason, when pip would not understand it.
pub fn parse(line: &str) -> Result<Parsed, String> {
    let start = if line.starts_with('-') { 0 } else { line.find(" -").unwrap_or(line.len()) };
    let (requirement, options) = line.split_at(start);
    let mut parsed = Parsed { requirement: requirement.trim().to_owned(), options: Vec::new() };
    let mut words = words(options)?.into_iter();
    while let Some(word) = words.next() {
        let (name, takes_value, own) = option(&word)?;
        let value = match (takes_value, own) {
            (true, Some(own)) => own,
            (true, None) => {
                words.next().ok_or_else(|| format!("`{}` has no value", shown(&word)))?
            }
            (false, _) => String::new(),
        };
        parsed.options.push((name, value));
    }
    Ok(parsed)
}

/// What an option's word stands for, whether it takes a value, and the value in the same word.
fn option(word: &str) -> Result<(Name, bool, Option<String>), String> {
    // Its value may be a secret, and says nothing about the name.
    let own = match word.split_once('=') {
        Some((own, _)) if word.starts_with("--") => own,
        _ => word,
    };
    let unknown = || format!("`{}` is not an option of a requirements file", shown(own));
    if let Some(long) = word.strip_prefix("--") {
        let (name, value) = match long.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (long, None),
        };
        // Any beginning that is not ambiguous, as Python's optparse has it.
        let whole = LONG.iter().find(|(known, ..)| *known == name);
        let begun = || {
            let mut fits = LONG.iter().filter(|(known, ..)| known.starts_with(name));
            let first = fits.next()?;
            fits.all(|(_, other, _)| *other == first.1).then_some(first)
        };
        let (_, name, takes) = whole.or_else(begun).ok_or_else(unknown)?;
        return Ok((*name, *takes, value));
    }
    let mut rest = word.strip_prefix('-').ok_or_else(unknown)?.chars();
    let short = rest.next().ok_or_else(unknown)?;
    let (_, name) = SHORT.iter().find(|(known, _)| *known == short).ok_or_else(unknown)?;
    let value = rest.as_str();
    Ok((*name, true, (!value.is_empty()).then(|| value.to_owned())))
}

/// A word as errors show it: escaped, and what may be a password before an `@` left out.
pub fn shown(word: &str) -> String {
    match word.rsplit_once('@') {
        Some((before, after)) if before.contains(':') => format!("***@{}", after.escape_debug()),
        _ => word.escape_debug().to_string(),
    }
}

/// Words as a shell takes them: quotes and backslashes.
fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match c {
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                loop {
                    let inner = characters.next().ok_or("a quote is not closed")?;
                    match inner {
                        _ if inner == c => break,
                        '\\' if c == '"' => match characters.next() {
                            Some(escaped @ ('"' | '\\')) => word.push(escaped),
                            Some(other) => word.extend(['\\', other]),
                            None => return Err("a quote is not closed".to_owned()),
                        },
                        _ => word.push(inner),
                    }
                }
            }
            '\\' => {
                let escaped = characters.next().ok_or("nothing follows its last backslash")?;
                word.get_or_insert_default().push(escaped);
            }
            c if c.is_whitespace() => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings() {
        let utf16 = |text: &str, big: bool| -> Vec<u8> {
            let unit = |c: u16| if big { c.to_be_bytes() } else { c.to_le_bytes() };
            let mark = unit(0xfeff);
            mark.into_iter().chain(text.encode_utf16().flat_map(unit)).collect()
        };
        let utf32 = |text: &str| -> Vec<u8> {
            let mark = [0xff, 0xfe, 0, 0];
            mark.into_iter().chain(text.chars().flat_map(|c| u32::from(c).to_le_bytes())).collect()
        };
        assert_eq!(decode(b"\xef\xbb\xbfsix").as_deref(), Ok("six"));
        assert_eq!(decode(&utf16("sïx\n", false)).as_deref(), Ok("sïx\n"));
        assert_eq!(decode(&utf16("s🦀x", true)).as_deref(), Ok("s🦀x"));
        assert_eq!(decode(&utf32("s🦀x")).as_deref(), Ok("s🦀x"));
        assert_eq!(decode(b"# -*- coding: latin-1 -*-\n# \xe4").unwrap().chars().last(), Some('ä'));
        assert_eq!(decode(b"six # \xe4"), Err("it is not UTF-8".to_owned()));
        assert_eq!(decode(b"\xff\xfes"), Err("it is not valid UTF-16".to_owned()));
        assert!(decode(b"#!x\n# vim: fileencoding=koi8-r").unwrap_err().contains("koi8-r"));
    }

    #[test]
    fn lines_of_pip() {
        let check = |text: &str, expected: &[(usize, &str)]| {
            let lines = logical(text);
            let found: Vec<_> = lines.iter().map(|line| (line.number, &*line.text)).collect();
            assert_eq!(found, expected, "{text:?}");
        };
        check("six==1\t# why\n  # x\n\n-r a#b.txt # c", &[(1, "six==1"), (4, "-r a#b.txt")]);
        check("six \\\n  >=1 \\\n  # no\nx", &[(1, "six   >=1"), (4, "x")]);
        check("# a \\\nsix\\", &[(2, "six")]);
        check("a\r\nb\rc\u{85}d\u{2028}e", &[(1, "a"), (2, "b"), (3, "c"), (4, "d"), (5, "e")]);
        check("", &[]);
    }

    #[test]
    fn options_of_pip() {
        let check = |line: &str, requirement: &str, options: &[(Name, &str)]| {
            let found = parse(line).unwrap_or_else(|reason| panic!("{line}: {reason}"));
            let list = found.options.iter().map(|(name, value)| (*name, &**value));
            assert_eq!(
                (&*found.requirement, list.collect::<Vec<_>>()),
                (requirement, options.to_vec())
            );
        };
        let file = &[(Name::Requirement, "a b.txt")];
        for line in
            ["-r 'a b.txt'", "-ra\\ b.txt", "--requirement=\"a b.txt\"", "--requirem a\\ b.txt"]
        {
            check(line, "", file);
        }
        check("-c\tc.txt", "", &[(Name::Constraint, "c.txt")]);
        check("-e./x", "", &[(Name::Editable, "./x")]);
        check("--no-binary six --pre", "", &[(Name::Format("no-binary"), "six"), (Name::Pre, "")]);
        let hash = (Name::Hash, "sha256:0");
        check("six>=1; a < 'b' --hash=sha256:0", "six>=1; a < 'b'", &[hash]);
        for wrong in ["--nonsense", "-x", "-r", "-r 'a", "six -b", "--no"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
