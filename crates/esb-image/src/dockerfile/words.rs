//! Words of Dockerfile instructions: splitting, quotes, and expansion of variables.
//!
//! Follows the rules of `BuildKit`'s reader.

use std::{collections::BTreeMap, iter::Peekable, str::Chars};

use super::pattern::{Length, Pattern};

/// How deep `${a:-${b:-…}}` may nest.
const MAX_DEPTH: usize = 32;

/// Variables by name, as an instruction sees them.
pub(crate) type Variables = BTreeMap<String, String>;

/// A word that cannot be expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WordError {
    Invalid(String),
    /// Another engine knows what it means.
    Unsupported(String),
}

fn invalid<T>(reason: impl Into<String>) -> Result<T, WordError> {
    Err(WordError::Invalid(reason.into()))
}

/// Splits at whitespace outside of quotes. Quotes and escapes stay: expansion takes them away.
pub(crate) fn split(text: &str, escape: char) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut started = false;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match quote {
            None if c.is_whitespace() => {
                if started {
                    words.push(std::mem::take(&mut word));
                }
                started = false;
            }
            None | Some('"') if c == escape => {
                // At the end of the text it escapes nothing and goes.
                if let Some(escaped) = chars.next() {
                    word.extend([c, escaped]);
                    started = true;
                }
            }
            Some(open) => {
                if c == open {
                    quote = None;
                }
                word.push(c);
            }
            None => {
                if matches!(c, '"' | '\'') {
                    quote = Some(c);
                }
                word.push(c);
                started = true;
            }
        }
    }
    if started {
        words.push(word);
    }
    words
}

/// Expands variables and takes quotes and escapes away; whitespace stays.
pub(crate) fn expand(word: &str, escape: char, variables: &Variables) -> Result<String, WordError> {
    Expander::new(word, escape, variables).run(None).map(|words| words.text)
}

/// Expands like [`expand`], and splits the result at whitespace that was not quoted.
pub(crate) fn expand_to_words(
    word: &str,
    escape: char,
    variables: &Variables,
) -> Result<Vec<String>, WordError> {
    Expander::new(word, escape, variables).run(None).map(Words::into_words)
}

/// Expands a text in which quotes mean nothing: the lines of a here-document.
pub(crate) fn expand_content(text: &str, variables: &Variables) -> Result<String, WordError> {
    let expander = Expander { quotes: false, ..Expander::new(text, '\\', variables) };
    { expander }.run(None).map(|words| words.text)
}

/// A word without quotes and escapes, its variables as they are; none when it is several words, or
/// none.
pub(crate) fn unquote(word: &str) -> Option<String> {
    let nothing = Variables::new();
    let expander = Expander { expands: false, ..Expander::new(word, '\\', &nothing) };
    let words = { expander }.run(None).ok()?.into_words();
    <[String; 1]>::try_from(words).ok().map(|[word]| word)
}

/// What was read so far: as one text, and as words.
#[derive(Default)]
struct Words {
    text: String,
    done: Vec<String>,
    word: String,
}

impl Words {
    fn push(&mut self, c: char) {
        self.text.push(c);
        self.push_split(c);
    }

    fn push_split(&mut self, c: char) {
        if c.is_whitespace() {
            if !self.word.is_empty() {
                self.done.push(std::mem::take(&mut self.word));
            }
        } else {
            self.word.push(c);
        }
    }

    fn push_quoted(&mut self, text: &str) {
        self.text.push_str(text);
        self.word.push_str(text);
    }

    fn push_value(&mut self, text: &str) {
        self.text.push_str(text);
        text.chars().for_each(|c| self.push_split(c));
    }

    fn into_words(mut self) -> Vec<String> {
        if !self.word.is_empty() {
            self.done.push(self.word);
        }
        self.done
    }
}

struct Expander<'a> {
    chars: Peekable<Chars<'a>>,
    escape: char,
    variables: &'a Variables,
    depth: usize,
    /// `$` stands for a variable.
    expands: bool,
    /// Quotes are taken away.
    quotes: bool,
    /// Escapes stay in the text: it is a pattern.
    keeps_escapes: bool,
}

impl<'a> Expander<'a> {
    fn new(word: &'a str, escape: char, variables: &'a Variables) -> Self {
        Self {
            chars: word.chars().peekable(),
            escape,
            variables,
            depth: 0,
            expands: true,
            quotes: true,
            keeps_escapes: false,
        }
    }

    fn run(&mut self, stop: Option<char>) -> Result<Words, WordError> {
        let mut words = Words::default();
        while let Some(&c) = self.chars.peek() {
            if Some(c) == stop {
                self.chars.next();
                return Ok(words);
            }
            match c {
                '$' => words.push_value(&self.dollar()?),
                '\'' if self.quotes => words.push_quoted(&self.single_quoted()?),
                '"' if self.quotes => words.push_quoted(&self.double_quoted()?),
                _ => {
                    self.chars.next();
                    if c != self.escape {
                        words.push(c);
                        continue;
                    }
                    if self.keeps_escapes {
                        words.push_quoted(c.encode_utf8(&mut [0; 4]));
                    }
                    if let Some(escaped) = self.chars.next() {
                        words.push_quoted(escaped.encode_utf8(&mut [0; 4]));
                    }
                }
            }
        }
        match stop {
            Some(stop) => invalid(format!("`{stop}` is missing")),
            None => Ok(words),
        }
    }

    fn single_quoted(&mut self) -> Result<String, WordError> {
        self.chars.next();
        let mut text = String::new();
        for c in self.chars.by_ref() {
            if c == '\'' {
                return Ok(text);
            }
            if self.keeps_escapes && c == self.escape {
                text.push(c);
            }
            text.push(c);
        }
        invalid("a single quote is not closed")
    }

    fn double_quoted(&mut self) -> Result<String, WordError> {
        self.chars.next();
        let mut text = String::new();
        while let Some(&c) = self.chars.peek() {
            if c == '$' {
                text.push_str(&self.dollar()?);
                continue;
            }
            self.chars.next();
            if c == '"' {
                return Ok(text);
            }
            if c != self.escape {
                text.push(c);
                continue;
            }
            match self.chars.peek() {
                // Every other escape stays as it is.
                Some(&next) if next == '"' || next == '$' || next == self.escape => {
                    if self.keeps_escapes {
                        text.push(c);
                    }
                    text.push(next);
                    self.chars.next();
                }
                Some(_) => {
                    if self.keeps_escapes {
                        text.push(c);
                    }
                    text.push(c);
                }
                None => {}
            }
        }
        invalid("a double quote is not closed")
    }

    fn dollar(&mut self) -> Result<String, WordError> {
        self.chars.next();
        if !self.expands {
            return Ok("$".to_owned());
        }
        if self.chars.peek() != Some(&'{') {
            let name = self.name();
            return Ok(if name.is_empty() { "$".to_owned() } else { self.value(&name) });
        }
        self.chars.next();
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return invalid("substitutions nest too deep");
        }
        let value = self.braced();
        self.depth -= 1;
        value
    }

    /// What stands between `${` and `}`.
    fn braced(&mut self) -> Result<String, WordError> {
        if matches!(self.chars.peek(), None | Some('{' | '}' | ':')) {
            return invalid("a substitution `${…}` has no name");
        }
        let name = self.name();
        let mut modifier = match self.chars.next() {
            Some('}') => return Ok(self.value(&name)),
            Some(modifier) => modifier,
            None => return invalid("`}` is missing"),
        };
        let mut empty_is_unset = false;
        if modifier == ':' {
            empty_is_unset = true;
            modifier = self.chars.next().unwrap_or(':');
        }
        match modifier {
            '-' | '+' | '?' => {}
            '#' | '%' if !empty_is_unset => return self.cut(&name, modifier),
            '/' if !empty_is_unset => return self.replaced(&name),
            _ => return invalid(format!("`{}` stands in a substitution", modifier.escape_debug())),
        }
        let before = std::mem::replace(&mut self.keeps_escapes, false);
        let word = self.run(Some('}'))?.text;
        self.keeps_escapes = before;
        let value = self.variables.get(&name).filter(|value| !(empty_is_unset && value.is_empty()));
        match (modifier, value) {
            ('-', None) | ('+', Some(_)) => Ok(word),
            ('-' | '?', Some(value)) => Ok(value.clone()),
            ('+', None) => Ok(String::new()),
            _ => {
                invalid(format!("`{}` has no value: {}", name.escape_debug(), word.escape_debug()))
            }
        }
    }

    /// A part of a pattern or of what replaces it, up to a character.
    fn raw(&mut self, stop: char) -> Result<String, WordError> {
        let before = std::mem::replace(&mut self.keeps_escapes, true);
        let text = self.run(Some(stop)).map(|words| words.text);
        self.keeps_escapes = before;
        text
    }

    /// `${name#pattern}` and `${name%pattern}`; the sign twice means the longest match.
    fn cut(&mut self, name: &str, sign: char) -> Result<String, WordError> {
        let word = self.raw('}')?;
        let (text, length) = match word.strip_prefix(sign) {
            Some(text) => (text, Length::Longest),
            None => (&*word, Length::Shortest),
        };
        let pattern = pattern(text)?;
        let value = self.value(name);
        Ok(if sign == '#' {
            pattern.without_prefix(&value, length)
        } else {
            pattern.without_suffix(&value, length)
        })
    }

    /// `${name/pattern/replacement}`; two slashes at the start replace each match.
    fn replaced(&mut self, name: &str) -> Result<String, WordError> {
        let every = self.chars.next_if_eq(&'/').is_some();
        let text = self.raw('/')?;
        let replacement = self.raw('}')?;
        // What a dollar sign or nothing means here is an accident of the engine's expressions.
        if text.is_empty() || (every && replacement.contains('$')) {
            let reason = format!("the substitution of `{}`", name.escape_debug());
            return Err(WordError::Unsupported(reason));
        }
        Ok(pattern(&text)?.replace(&self.value(name), &replacement, every))
    }

    fn value(&self, name: &str) -> String {
        self.variables.get(name).cloned().unwrap_or_default()
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        match self.chars.peek() {
            Some(c) if c.is_numeric() => {
                while let Some(digit) = self.chars.next_if(|c| c.is_numeric()) {
                    name.push(digit);
                }
            }
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => name.extend(self.chars.next()),
            _ => {
                while let Some(c) =
                    self.chars.next_if(|c| c.is_alphabetic() || c.is_numeric() || *c == '_')
                {
                    name.push(c);
                }
            }
        }
        name
    }
}

fn pattern(text: &str) -> Result<Pattern, WordError> {
    Pattern::new(text).ok_or_else(|| {
        let text = text.escape_debug();
        WordError::Invalid(format!("the pattern `{text}` escapes what needs no escape"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_their_quotes() {
        let check = |text: &str, expected: &[&str]| {
            assert_eq!(split(text, '\\'), expected, "{text:?}");
        };
        check("a=1  b=2", &["a=1", "b=2"]);
        check(r#"a="x y" b='z "w'"#, &[r#"a="x y""#, r#"b='z "w'"#]);
        check(r"a=x\ y b", &[r"a=x\ y", "b"]);
        check(r#"a="q\" r" b"#, &[r#"a="q\" r""#, "b"]);
        check(r"a='q\' b", &[r"a='q\'", "b"]);
        check("a='' ", &["a=''"]);
        check("x\\", &["x"]);
        check("", &[]);
    }

    #[test]
    fn expansion() {
        let variables: Variables = [("A", "1"), ("B", "two words"), ("E", ""), ("$", "no")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let check = |word: &str, expected: &str| {
            assert_eq!(expand(word, '\\', &variables), Ok(expected.to_owned()), "{word:?}");
        };
        check("$A-${A}b$Ab", "1-1b");
        check("'$A' \"$A\"", "$A 1");
        check(r"\$A \\ \x", r"$A \ x");
        check(r#""\$A \\ \x \"""#, r#"$A \ \x ""#);
        check("${N:-d} ${E:-d} ${E-d} ${A:-d}", "d d  1");
        check("${N:+d} ${E:+d} ${E+d} ${A:+d}", "  d d");
        check("${N:-${A}x'}'}", "1x}");
        check("${A:?no} $ $, a$", "1 $ $, a$");
        check("a\\", "a");
        assert_eq!(
            expand_to_words("80 $B \"$B\" x\\ y", '`', &variables).unwrap(),
            ["80", "two", "words", "two words", "x\\", "y"]
        );
        for bad in ["${", "${}", "${A", "'x", "\"x", "${N:?text}", "${:A}", "${A:"] {
            assert!(expand(bad, '\\', &variables).is_err(), "{bad:?}");
        }
        let nested = "${N:-".repeat(1000);
        assert!(matches!(expand(&nested, '\\', &variables), Err(WordError::Invalid(_))));
        check("${B#* } ${B##*o} ${B%o*} ${B%%o*} ${N#x}", "words rds two w tw ");
        check("${B/o/0} ${B//o/0} ${B/w*/}", "tw0 words tw0 w0rds t");
        check(r"${B#\*} ${B%'s'}", "two words two word");
        assert!(expand("${A:#x}", '\\', &variables).is_err());
        assert!(expand(r"${A#\x}", '\\', &variables).is_err());
        assert_eq!(unquote("'a'\"$b\"\\c").as_deref(), Some("a$bc"));
        assert_eq!(unquote("a b"), None);
        assert_eq!(expand_content("\"$A\" '\\$A' \\x", &variables).as_deref(), Ok("\"1\" '$A' x"));
    }
}
