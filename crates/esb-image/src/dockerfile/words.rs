//! Words of Dockerfile instructions: splitting, quotes, and expansion of variables.
//!
//! Follows the rules of Docker's own reader. Refuses substitutions that engines of different age
//! read differently.

use std::{collections::BTreeMap, iter::Peekable, str::Chars};

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
}

impl<'a> Expander<'a> {
    fn new(word: &'a str, escape: char, variables: &'a Variables) -> Self {
        Self { chars: word.chars().peekable(), escape, variables, depth: 0 }
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
                '\'' => words.push_quoted(&self.single_quoted()?),
                '"' => words.push_quoted(&self.double_quoted()?),
                _ => {
                    self.chars.next();
                    if c != self.escape {
                        words.push(c);
                    } else if let Some(escaped) = self.chars.next() {
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
                    text.push(next);
                    self.chars.next();
                }
                Some(_) => text.push(c),
                None => {}
            }
        }
        invalid("a double quote is not closed")
    }

    fn dollar(&mut self) -> Result<String, WordError> {
        self.chars.next();
        if self.chars.peek() != Some(&'{') {
            let name = self.name();
            return Ok(if name.is_empty() {
                "$".to_owned()
            } else {
                self.variables.get(&name).cloned().unwrap_or_default()
            });
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
            Some('}') => return Ok(self.variables.get(&name).cloned().unwrap_or_default()),
            Some(modifier) => modifier,
            None => return invalid("`}` is missing"),
        };
        let mut empty_is_unset = false;
        if modifier == ':' {
            empty_is_unset = true;
            modifier = self.chars.next().unwrap_or(':');
        }
        if !matches!(modifier, '-' | '+' | '?') {
            return Err(WordError::Unsupported(format!(
                "the substitution `${{{}{}…}}`",
                name.escape_debug(),
                modifier.escape_debug()
            )));
        }
        let word = self.run(Some('}'))?.text;
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
        assert!(matches!(expand("${A#x}", '\\', &variables), Err(WordError::Unsupported(_))));
    }
}
