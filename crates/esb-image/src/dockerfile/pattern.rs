//! Patterns in substitutions such as `${name#*/}`: `*` and `?`, as `BuildKit` matches them.

/// A pattern of `${name#…}`, `${name%…}` and `${name/…/…}`.
pub(super) struct Pattern(Vec<Token>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    Char(char),
    /// `?`
    Any,
    /// `*`
    Many,
}

/// Which of several matches counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    Shortest,
    Longest,
}

impl Pattern {
    /// Reads a pattern; none where an escape stands before a character that needs none.
    pub(super) fn new(text: &str) -> Option<Self> {
        let mut tokens = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            tokens.push(match c {
                '*' => Token::Many,
                '?' => Token::Any,
                '\\' => match chars.next() {
                    Some(escaped @ ('*' | '?' | '\\' | '}' | '/')) => Token::Char(escaped),
                    _ => return None,
                },
                c => Token::Char(c),
            });
        }
        Some(Self(tokens))
    }

    /// A value without the beginning that matches.
    pub(super) fn without_prefix(&self, value: &str, length: Length) -> String {
        let chars: Vec<char> = value.chars().collect();
        let end = self.match_at(&chars, length).unwrap_or(0);
        chars[end..].iter().collect()
    }

    /// A value without the end that matches.
    pub(super) fn without_suffix(&self, value: &str, length: Length) -> String {
        let reversed = |text: &str| text.chars().rev().collect::<String>();
        let pattern = Self(self.0.iter().rev().copied().collect());
        reversed(&pattern.without_prefix(&reversed(value), length))
    }

    /// A value with the longest match replaced, the first one or each.
    pub(super) fn replace(&self, value: &str, replacement: &str, every: bool) -> String {
        let chars: Vec<char> = value.chars().collect();
        let mut text = String::new();
        let (mut at, mut open) = (0, true);
        while at < chars.len() {
            let found = self.match_at(&chars[at..], Length::Longest).filter(|_| open);
            match found {
                Some(length) if length > 0 => {
                    text.push_str(replacement);
                    at += length;
                    open = every;
                }
                _ => {
                    text.push(chars[at]);
                    at += 1;
                }
            }
        }
        text
    }

    /// The length of the match at the start of a text, in characters.
    fn match_at(&self, text: &[char], length: Length) -> Option<usize> {
        // The lengths that the tokens so far can match: reachable[n] for the first n characters.
        let mut reachable = vec![false; text.len() + 1];
        reachable[0] = true;
        for token in &self.0 {
            let mut next = vec![false; text.len() + 1];
            for at in 0..=text.len() {
                let before = at.checked_sub(1).map(|before| (before, text[before]));
                next[at] = match (token, before) {
                    (Token::Many, None) => reachable[at],
                    (Token::Many, Some((before, c))) => {
                        reachable[at] || (next[before] && c != '\n')
                    }
                    (_, None) => false,
                    (Token::Any, Some((before, c))) => reachable[before] && c != '\n',
                    (Token::Char(wanted), Some((before, c))) => reachable[before] && c == *wanted,
                };
            }
            reachable = next;
        }
        match length {
            Length::Shortest => reachable.iter().position(|matches| *matches),
            Length::Longest => reachable.iter().rposition(|matches| *matches),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_cut() {
        let check = |pattern: &str, value: &str, shortest: [&str; 2], longest: [&str; 2]| {
            let pattern = Pattern::new(pattern).unwrap();
            let both = |length| {
                [pattern.without_prefix(value, length), pattern.without_suffix(value, length)]
            };
            assert_eq!(both(Length::Shortest), shortest);
            assert_eq!(both(Length::Longest), longest);
        };
        check("*/", "a/b/c/", ["b/c/", "a/b/c"], ["", ""]);
        check("?", "äb", ["b", "ä"], ["b", "ä"]);
        check("x", "abc", ["abc", "abc"], ["abc", "abc"]);
        check("\\*", "*a*", ["a*", "*a"], ["a*", "*a"]);
        assert!(Pattern::new("\\a").is_none());
    }

    #[test]
    fn matches_are_replaced() {
        let check = |pattern: &str, value: &str, first: &str, every: &str| {
            let pattern = Pattern::new(pattern).unwrap();
            assert_eq!(pattern.replace(value, "-", false), first);
            assert_eq!(pattern.replace(value, "-", true), every);
        };
        check("a", "banana", "b-nana", "b-n-n-");
        check("a*n", "banana", "b-a", "b-a");
        check("x", "banana", "banana", "banana");
    }
}
