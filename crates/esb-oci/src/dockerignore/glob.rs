//! Patterns of `COPY` sources, one path component at a time.
//!
//! Follows Go's `filepath.Match`: `*`, `?`, `[a-z]`, `[^a]` and a backslash before a character.
//! Refuses `**`, which means the same as `*` here.

/// A pattern for one component of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    tokens: Vec<Token>,
}

/// One part of a pattern; `*` is none of them that match a single character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    Star,
    /// Any character but `/`.
    Any,
    One(char),
    Class {
        negated: bool,
        /// Both ends included.
        ranges: Vec<(char, char)>,
    },
}

/// Whether a text has a character that makes it a pattern; one after a backslash does not.
pub fn is_pattern(text: &str) -> bool {
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' | '?' | '[' => return true,
            '\\' => {
                chars.next();
            }
            _ => {}
        }
    }
    false
}

impl Glob {
    /// Reads a pattern; none when it is malformed.
    pub fn new(pattern: &str) -> Option<Self> {
        let mut tokens = Vec::new();
        let mut chars = pattern.chars();
        while let Some(c) = chars.next() {
            tokens.push(match c {
                '*' => Token::Star,
                '?' => Token::Any,
                '\\' => Token::One(chars.next()?),
                '[' => class(&mut chars)?,
                c => Token::One(c),
            });
        }
        Some(Self { tokens })
    }

    /// Whether the whole of a component matches.
    pub fn matches(&self, name: &str) -> bool {
        // Position after each character for which a token has been reached; never backtracks.
        let mut reached = vec![false; self.tokens.len() + 1];
        reached[0] = true;
        self.skip_stars(&mut reached);
        for c in name.chars() {
            let mut next = vec![false; reached.len()];
            for (position, token) in self.tokens.iter().enumerate() {
                if reached[position] {
                    match token {
                        Token::Star => next[position] = c != '/',
                        token if token.matches(c) => next[position + 1] = true,
                        _ => {}
                    }
                }
            }
            self.skip_stars(&mut next);
            reached = next;
        }
        reached[self.tokens.len()]
    }

    fn skip_stars(&self, reached: &mut [bool]) {
        for (position, token) in self.tokens.iter().enumerate() {
            if reached[position] && *token == Token::Star {
                reached[position + 1] = true;
            }
        }
    }
}

impl Token {
    /// Whether a single character matches; never true for [`Token::Star`].
    pub(crate) fn matches(&self, c: char) -> bool {
        match self {
            Self::Star => false,
            Self::Any => c != '/',
            Self::One(own) => *own == c,
            Self::Class { negated, ranges } => {
                ranges.iter().any(|(first, last)| (*first..=*last).contains(&c)) != *negated
            }
        }
    }
}

/// The rest of a class after its `[`.
pub(crate) fn class(chars: &mut std::str::Chars<'_>) -> Option<Token> {
    let mut rest = chars.clone();
    let negated = rest.next() == Some('^');
    if negated {
        chars.next();
    }
    let mut ranges = Vec::new();
    loop {
        let first = match chars.next()? {
            ']' if !ranges.is_empty() => return Some(Token::Class { negated, ranges }),
            ']' | '-' => return None,
            '\\' => chars.next()?,
            c => c,
        };
        let mut rest = chars.clone();
        let last = if rest.next() == Some('-') {
            *chars = rest;
            match chars.next()? {
                ']' | '-' => return None,
                '\\' => chars.next()?,
                c => c,
            }
        } else {
            first
        };
        ranges.push((first, last));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let check = |pattern: &str, yes: &[&str], no: &[&str]| {
            let glob = Glob::new(pattern).unwrap();
            for name in yes {
                assert!(glob.matches(name), "{pattern} {name}");
            }
            for name in no {
                assert!(!glob.matches(name), "{pattern} {name}");
            }
        };
        check("*.py", &["a.py", ".py", "ä.py"], &["a.pyc", "py"]);
        check("a?c", &["abc", "aäc"], &["ac", "abbc"]);
        check("[[]id]", &["[id]"], &["id", "[[]id]"]);
        check("[a-c^]x[^0-9]", &["axy", "^x-"], &["dxy", "ax1"]);
        check("\\*[\\]\\-]", &["*]", "*-"], &["a]"]);
        check("a*b*c", &["abc", "a1b2c", "abbcc"], &["ab", "abcd"]);
        for bad in ["[", "[]", "[a", "[a-]", "[-a]", "\\", "[^]"] {
            assert_eq!(Glob::new(bad), None, "{bad}");
        }
        let slow = Glob::new(&"*a".repeat(200)).unwrap();
        assert!(!slow.matches(&"a".repeat(199)));
    }

    #[test]
    fn what_is_a_pattern() {
        assert!(is_pattern("a*") && is_pattern("[x") && is_pattern("\\\\?"));
        assert!(!is_pattern("a\\*b") && !is_pattern("plain"));
    }
}
