//! Lines of requirements files, by pip's own rules: encodings, continued lines, comments,
//! variables, options.
//!
//! Owns how bytes become lines and a line becomes a requirement and its options. Refuses to know
//! what a requirement means, and to read any file.

use std::collections::BTreeSet;

use super::entry::shown;

/// What precedes the name of a variable that is left to the tool: no variable that a program
/// listens to is called so.
pub(crate) const VARIABLE: &str = "ESB_REQUIREMENT_";

/// A line that counts, comments gone and continued lines joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// Where it begins, from 1.
    pub(crate) number: usize,
    pub(crate) text: String,
}

/// A line, taken apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Parsed {
    /// What stands before the options; empty when there is nothing.
    pub(crate) requirement: String,
    pub(crate) options: Vec<(Name, String)>,
}

/// The options that pip knows in a requirements file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    Requirement,
    Constraint,
    Editable,
    IndexUrl,
    ExtraIndexUrl,
    NoIndex,
    FindLinks,
    TrustedHost,
    /// `no-binary`, `only-binary` and the like, by name.
    Format(&'static str),
    Pre,
    RequireHashes,
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
pub(crate) fn decode(bytes: &[u8]) -> Result<String, String> {
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
pub(crate) fn logical(text: &str) -> Vec<Line> {
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

/// Puts the values of variables into a line. Those inside of web addresses, which may be secrets,
/// are left to the tool under names of their own and added to `left`.
///
/// # Errors
/// With the reason, when a value would make the line another one.
pub(crate) fn expand(
    line: &str,
    value: &dyn Fn(&str) -> Option<String>,
    left: &mut BTreeSet<String>,
) -> Result<String, String> {
    let (mut expanded, mut rest) = (String::with_capacity(line.len()), line);
    let (own, mut put) = (format!("${{{VARIABLE}"), 0);
    while let Some(at) = rest.find("${") {
        let (before, found) = rest.split_at(at);
        expanded.push_str(before);
        let name = found[2..].split('}').next().unwrap_or_default();
        let is_name = !name.is_empty()
            && found[2..].len() > name.len()
            && name.bytes().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'_');
        let known = if is_name { value(name).filter(|value| !value.is_empty()) } else { None };
        let Some(known) = known else {
            expanded.push_str("${");
            rest = &found[2..];
            continue;
        };
        rest = &found[2 + name.len() + 1..];
        let word = expanded.rsplit(char::is_whitespace).next().unwrap_or_default();
        let in_address = word.contains("://");
        let unfit = |c: char| {
            c.is_control()
                || matches!(c, '\u{2028}' | '\u{2029}')
                || in_address && (c.is_whitespace() || "'\"\\".contains(c))
        };
        if known.contains(unfit) {
            return Err(format!("the value of `{name}` holds what a line cannot have there"));
        }
        if in_address {
            expanded.extend(["${", VARIABLE, name, "}"]);
            left.insert(name.to_owned());
            put += 1;
        } else {
            expanded.push_str(&known);
        }
    }
    expanded.push_str(rest);
    if expanded.matches(&own).count() != put {
        return Err(format!("variables that begin with `{VARIABLE}` are not the project's"));
    }
    Ok(expanded)
}

/// Whether a tool that reads a line again finds in it what was found before: it is one line of
/// plain blanks, whose only options are hashes, so many of them, and no variable is put into it
/// but those that are left to the tool.
pub(crate) fn is_same_again(line: &str, hashes: usize) -> bool {
    let odd = |c: char| c.is_control() || c.is_whitespace() && c != ' ';
    let foreign = line.split("${").skip(1).any(|rest| !rest.starts_with(VARIABLE));
    let whole = matches!(&logical(line)[..], [only] if only.text == line);
    let options = parse(line).map(|parsed| parsed.options);
    let only_hashes = |options: Vec<(Name, String)>| {
        options.len() == hashes && options.iter().all(|(name, _)| *name == Name::Hash)
    };
    !line.contains(odd) && !foreign && whole && options.is_ok_and(only_hashes)
}

/// Whether an option's value is one word as it stands, without quotes.
pub(crate) fn is_word(value: &str) -> bool {
    let odd = |c: char| c.is_control() || c.is_whitespace() || "'\"\\".contains(c);
    let foreign = value.split("${").skip(1).any(|rest| !rest.starts_with(VARIABLE));
    !value.is_empty() && !value.starts_with(['-', '#']) && !value.contains(odd) && !foreign
}

/// Takes a line apart.
///
/// # Errors
/// With the reason, when pip would not understand it.
pub(crate) fn parse(line: &str) -> Result<Parsed, String> {
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
    fn variables() {
        let value = |name: &str| match name {
            "V" => Some("1.0".to_owned()),
            "TOKEN" => Some("hunter2".to_owned()),
            "LINES" => Some("a\nb".to_owned()),
            "WORDS" => Some("h -e ./x".to_owned()),
            _ => None,
        };
        let check = |text: &str, expected: Result<&str, ()>, names: &[&str]| {
            let mut left = BTreeSet::new();
            let found = expand(text, &value, &mut left);
            assert_eq!(found.as_deref().map_err(|_| ()), expected, "{text}");
            assert_eq!(left.iter().map(String::as_str).collect::<Vec<_>>(), names, "{text}");
        };
        check("six==${V} ${NONE} ${v} ${V", Ok("six==1.0 ${NONE} ${v} ${V"), &[]);
        let left = "-i http://ci:${ESB_REQUIREMENT_TOKEN}@h/";
        check("-i http://ci:${TOKEN}@h/", Ok(left), &["TOKEN"]);
        check("${LINES}", Err(()), &[]);
        check("${WORDS}", Ok("h -e ./x"), &[]);
        check("-i http://${WORDS}", Err(()), &[]);
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
