//! Removes credentials from texts of servers and programs before they are shown.
//!
//! Owns what of a text is a credential: each known value, in the encodings in which a server may
//! send it back, and what looks like one. Where a text comes from does not matter.

use std::{cmp::Reverse, fmt};

use base64::{
    Engine as _, alphabet,
    engine::general_purpose::{GeneralPurpose, NO_PAD, STANDARD, URL_SAFE_NO_PAD},
};

use crate::Credentials;

/// The text that replaces a credential.
const MASK: &str = "****";
/// A shorter text counts only where no letter or digit is next to it.
const SHORT: usize = 4;
/// A shorter piece of base64 would be found in words that have nothing to do with it.
const PIECE: usize = 6;
/// The fewest characters behind `Basic` or `Bearer` that are taken for a credential.
const TOKEN: usize = 8;

/// Replaces credentials in texts by `****`. Even without a credential to look for, it replaces what
/// looks like one.
#[derive(Clone, Default)]
pub struct Redactor {
    /// The longest first.
    patterns: Vec<Pattern>,
    /// As they are, for texts in which any of their characters are escaped.
    values: Vec<Pattern>,
}

/// A text to look for.
#[derive(Clone, PartialEq, Eq)]
struct Pattern {
    text: String,
    /// Whether it counts only where no letter or digit is next to it.
    is_word: bool,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").field("patterns", &self.patterns.len()).finish_non_exhaustive()
    }
}

impl Redactor {
    /// Hides a value from now on, as it is and encoded: base64, percent signs, JSON.
    pub fn add(&mut self, value: &str) {
        self.add_once(value, value.len() < SHORT);
        // A token is often the base64 of something that is worth as much.
        for part in value.split('.') {
            let part = part.trim_end_matches('=');
            let decoded = URL_SAFE_NO_PAD.decode(part).or_else(|_| STANDARD_NO_PAD.decode(part));
            if let Some(text) = decoded.ok().and_then(|bytes| String::from_utf8(bytes).ok())
                && text.len() >= TOKEN
                && !text.contains(char::is_control)
            {
                self.add_once(&text, text.len() < SHORT);
            }
        }
        self.sort();
    }

    /// Hides a value from now on where no letter or digit is next to it: one that is also a part of
    /// ordinary words and numbers.
    pub fn add_word(&mut self, value: &str) {
        self.add_once(value, true);
        self.sort();
    }

    fn sort(&mut self) {
        let key = |pattern: &Pattern| (Reverse(pattern.text.len()), pattern.is_word);
        self.patterns.sort_by(|a, b| key(a).cmp(&key(b)).then_with(|| a.text.cmp(&b.text)));
        self.patterns.dedup_by(|a, b| a.text == b.text);
    }

    /// Hides a password or a token from now on, also in the header that carries it.
    pub fn add_credentials(&mut self, credentials: &Credentials) {
        match credentials {
            Credentials::Basic { username, password } => {
                self.add(password.reveal());
                self.add(&STANDARD.encode(format!("{username}:{}", password.reveal())));
            }
            Credentials::IdentityToken(token) => self.add(token.reveal()),
        }
    }

    /// Returns a text with its credentials replaced.
    pub fn hide(&self, text: &str) -> String {
        let found = |at| self.known(text, at).or_else(|| like_a_credential(text, at));
        replaced(text, found, |_| MASK.to_owned())
    }

    /// Returns a text with the known values alone replaced by what `mask` makes of them.
    pub fn hide_known(&self, text: &str, mask: impl Fn(&str) -> String) -> String {
        if self.values.is_empty() {
            return text.to_owned();
        }
        replaced(text, |at| self.known(text, at), mask)
    }

    /// The length of the known value that begins there.
    fn known(&self, text: &str, at: usize) -> Option<usize> {
        let (before, rest) = text.split_at(at);
        let word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let fits = |pattern: &Pattern, length: usize| {
            let is_apart =
                || !word(before.chars().next_back()) && !word(rest[length..].chars().next());
            !pattern.is_word || is_apart()
        };
        let known = self
            .patterns
            .iter()
            .find(|pattern| rest.starts_with(&*pattern.text) && fits(pattern, pattern.text.len()));
        let escaped = self.values.iter().filter_map(|value| {
            let length = escaped_length(&value.text, rest)?;
            fits(value, length).then_some(length)
        });
        known.map(|pattern| pattern.text.len()).max(escaped.max())
    }

    fn add_once(&mut self, value: &str, is_word: bool) {
        if value.is_empty() {
            return;
        }
        self.values.push(Pattern { text: value.to_owned(), is_word });
        let json = serde_json::Value::from(value).to_string();
        let json = json.trim_matches('"').to_owned();
        let percent = percent_encoded(value);
        let encoded = [
            percent_encoded(&percent),
            percent,
            // As Go's encoder writes it into JSON, and as a page shows it.
            escaped(&json, &[("&", "\\u0026"), ("<", "\\u003c"), (">", "\\u003e")]),
            escaped(
                value,
                &[("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\"", "&#34;"), ("'", "&#39;")],
            ),
            escaped(value, &[("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\"", "&quot;")]),
            json,
            hex(value.as_bytes()),
            hex(value.as_bytes()).to_uppercase(),
            STANDARD.encode(value),
        ];
        let is_short = |text: &str| text.len() < SHORT;
        self.patterns.extend(
            encoded
                .into_iter()
                .chain([value.to_owned()])
                .map(|text| Pattern { is_word: is_word || is_short(&text), text }),
        );
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            let pieces = (0..3).map(|shift| piece(value, shift, engine));
            let pieces = pieces.filter(|piece| piece.len() >= PIECE);
            self.patterns.extend(pieces.map(|text| Pattern { text, is_word }));
        }
    }
}

/// Replaces what `found` gives the length of.
fn replaced(
    text: &str,
    found: impl Fn(usize) -> Option<usize>,
    mask: impl Fn(&str) -> String,
) -> String {
    let mut hidden = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if let Some(length) = found(at) {
            hidden.push_str(&mask(&text[at..at + length]));
            at += length;
        } else {
            hidden.push(c);
            at += c.len_utf8();
        }
    }
    hidden
}

const STANDARD_NO_PAD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, NO_PAD);

/// The part of a value's base64 that is the same whatever stands around the value, where `shift`
/// bytes more than a multiple of three stand before it.
fn piece(value: &str, shift: usize, engine: &GeneralPurpose) -> String {
    let mut bytes = vec![0; shift];
    bytes.extend_from_slice(value.as_bytes());
    let encoded = engine.encode(&bytes);
    let first = [0, 2, 3][shift];
    // The last character of an incomplete group depends on what follows.
    let last = if bytes.len().is_multiple_of(3) { encoded.len() } else { encoded.len() - 1 };
    encoded.get(first..last).unwrap_or_default().to_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// How much of a text's start is a value of which some or all characters are escaped, each in the
/// way of a URL, a form, JSON or a page. Programs differ in what they escape and in the case of
/// digits.
fn escaped_length(value: &str, text: &str) -> Option<usize> {
    let rest = value.chars().try_fold(text, |rest, c| after_escaped(c, rest))?;
    Some(text.len() - rest.len())
}

/// What follows a character at the start of a text, escaped or not.
fn after_escaped(c: char, text: &str) -> Option<&str> {
    let mut bytes = [0; 4];
    let mut by_percent = || {
        c.encode_utf8(&mut bytes).bytes().try_fold(text, |rest, byte| {
            // Twice, where a URL is part of another one.
            let mut signs = ["%25", "%"].into_iter();
            signs.find_map(|sign| after_digits(rest.strip_prefix(sign)?, 2, byte.into()))
        })
    };
    let by_json = || {
        let mut units = [0; 2];
        c.encode_utf16(&mut units).iter().try_fold(text, |rest, unit| {
            let digits = rest.strip_prefix("\\u").or_else(|| rest.strip_prefix("\\\\u"))?;
            after_digits(digits, 4, (*unit).into())
        })
    };
    let by_slash = || text.strip_prefix('\\').filter(|_| matches!(c, '"' | '\\' | '/'));
    let of_page = || {
        let digits = text.strip_prefix("&#")?;
        digits.strip_prefix(&*u32::from(c).to_string())?.strip_prefix(';')
    };
    by_percent()
        .or_else(by_json)
        .or_else(|| by_slash()?.strip_prefix(c))
        .or_else(of_page)
        .or_else(|| text.strip_prefix('+').filter(|_| c == ' '))
        .or_else(|| text.strip_prefix(c))
}

/// What follows a number of so many hexadecimal digits.
fn after_digits(text: &str, count: usize, number: u32) -> Option<&str> {
    let (digits, rest) = text.split_at_checked(count)?;
    u32::from_str_radix(digits, 16).is_ok_and(|found| found == number).then_some(rest)
}

fn escaped(value: &str, escapes: &[(&str, &str)]) -> String {
    escapes.iter().fold(value.to_owned(), |text, (from, to)| text.replace(from, to))
}

fn percent_encoded(value: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    value.bytes().map(encode).collect()
}

/// The length of what looks like a credential: what follows `Basic` or `Bearer`, the user of a URL,
/// a URL's query, where signatures stand.
fn like_a_credential(text: &str, at: usize) -> Option<usize> {
    let (before, rest) = text.split_at(at);
    let end = |stop: fn(char) -> bool| rest.find(stop).unwrap_or(rest.len());
    let url_end = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '`' | '\\');
    let head = before.trim_end_matches([' ', '+']);
    let head = head.strip_suffix("%20").unwrap_or(head);
    if head.len() < before.len() && (ends_with(head, "basic") || ends_with(head, "bearer")) {
        let length = end(|c| !is_token(c));
        if length >= TOKEN && rest[1..length].contains(|c: char| !c.is_ascii_lowercase()) {
            return Some(length);
        }
    }
    if before.ends_with("://") {
        let authority = end(|c| matches!(c, '/' | '?' | '#') || c.is_whitespace());
        return rest[..authority].rfind('@').filter(|length| *length > 0);
    }
    if before.ends_with('?') {
        let url = before.rfind(url_end).map_or(before, |at| &before[at..]);
        let length = end(|c| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '`' | '\\'));
        return (url.contains("://") && length > 0).then_some(length);
    }
    None
}

/// The characters of RFC 7235's `token68`.
fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~' | '+' | '/' | '=')
}

fn ends_with(text: &str, word: &str) -> bool {
    let start = text.len().checked_sub(word.len());
    start.and_then(|start| text.get(start..)).is_some_and(|end| end.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(username: &str, password: &str) -> Redactor {
        let mut redactor = Redactor::default();
        redactor.add_credentials(&Credentials::basic(username, password));
        redactor
    }

    #[test]
    fn a_password_is_hidden_however_it_is_encoded() {
        let redactor = basic("user", "s3cret/pass");
        // base64 of `user:s3cret/pass`
        let header = "dXNlcjpzM2NyZXQvcGFzcw==";
        for text in [
            "s3cret/pass".to_owned(),
            "user:s3cret/pass@host".to_owned(),
            "s3cret%2Fpass".to_owned(),
            format!("Authorization: Basic {header}"),
            format!("xBasic{header}"),
            STANDARD.encode(header),
        ] {
            let hidden = redactor.hide(&text);
            assert!(!hidden.contains("s3cret") && !hidden.contains("dXNlcjpzM2N"), "{hidden}");
        }
        // Whatever stands around it, the middle of the base64 is the password's own.
        for around in ["", "a", "ab", "abc"] {
            let text = format!("{around}Basic {header}{around}");
            for encoded in [STANDARD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
                let hidden = redactor.hide(&encoded);
                assert!(hidden.len() < encoded.len() / 2 + 8 && hidden.contains(MASK), "{hidden}");
            }
        }
        assert_eq!(redactor.hide("user is denied: ä"), "user is denied: ä");
        assert!(!format!("{redactor:?}").contains("s3cret"));
    }

    #[test]
    fn a_password_is_hidden_as_programs_escape_it() {
        let redactor = basic("user", "a<b&c>d\"e'f");
        for text in [
            "a\\u003cb\\u0026c\\u003ed\\\"e'f",
            "a&lt;b&amp;c&gt;d&#34;e&#39;f",
            "a&lt;b&amp;c&gt;d&quot;e'f",
            "a%3Cb%26c%3Ed%22e%27f",
            "a%253Cb%2526c%253Ed%2522e%2527f",
            // As .NET and JavaScript write it.
            "a%3cb%26c%3ed%22e%27f",
            "a%3Cb%26c%3Ed%22e'f",
            "a%253cb%2526c%253ed%2522e%2527f",
            "a&#60;b&#38;c&#62;d&#34;e&#39;f",
            "613c6226633e6422652766",
        ] {
            assert_eq!(redactor.hide(text), MASK, "{text}");
        }
        let redactor = basic("user", "é/ p\u{1f600}\"w");
        for text in [
            r#"\u00e9/ p\ud83d\ude00\"w"#,
            r"\u00E9\/ p\uD83D\uDE00\u0022w",
            r"\\u00e9/ p\\ud83d\\ude00\u0022w",
            "%c3%a9%2f+p%f0%9f%98%80%22w",
            "%C3%A9/%20p%F0%9F%98%80%22w",
            "c3a92f2070f09f98802277",
            "C3A92F2070F09F98802277",
        ] {
            assert_eq!(redactor.hide(text), MASK, "{text}");
        }
        assert_eq!(redactor.hide("%c3%a9%2f+q"), "%c3%a9%2f+q");
    }

    #[test]
    fn a_short_password_is_hidden_where_it_stands_alone() {
        let redactor = basic("user", "no");
        assert_eq!(redactor.hide("not now: no, `no`"), "not now: ****, `****`");
    }

    #[test]
    fn a_word_is_hidden_where_it_stands_alone_and_known_values_as_they_are_asked_to() {
        let mut redactor = Redactor::default();
        redactor.add_word("test");
        assert_eq!(redactor.hide("the latest test of `test`"), "the latest **** of `****`");
        redactor.add("s3cret");
        let hidden =
            redactor.hide_known("at http://s3cret@host/test", |found| "*".repeat(found.len()));
        assert_eq!(hidden, "at http://******@host/****");
    }

    #[test]
    fn a_token_is_hidden_with_what_it_says() {
        let mut redactor = Redactor::default();
        let token = format!("{}.{}.sig", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), "x");
        redactor.add(&token);
        assert_eq!(redactor.hide(&format!("bad token {token}")), "bad token ****");
        assert_eq!(redactor.hide(r#"said {"alg":"none"}"#), "said ****");
    }

    #[test]
    fn what_looks_like_a_credential_is_hidden_unknown() {
        let check = |text: &str, expected: &str| {
            assert_eq!(Redactor::default().hide(text), expected);
        };
        check("got Bearer eyJhbGciOi.x.y-z, sorry", "got Bearer ****, sorry");
        check("BASIC dXNlcjpzZWNyZXQ=", "BASIC ****");
        check("Basic%20dXNlcjpzZWNyZXQ=", "Basic%20****");
        check("no basic auth credentials", "no basic auth credentials");
        check("Basic authentication is needed", "Basic authentication is needed");
        check("Get \"https://s3/x?X-Sig=a&b=c\": 403", "Get \"https://s3/x?****\": 403");
        check("really? yes", "really? yes");
        check("at http://me:secret@host/x", "at http://****@host/x");
        check("", "");
    }
}
