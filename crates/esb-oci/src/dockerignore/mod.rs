//! `.dockerignore` patterns, as Docker reads them.
//!
//! Owns which paths of a context are left out: the last pattern that matches a path or a folder
//! above it decides, `!` puts back in. Refuses to know a disk.

mod glob;

pub use self::glob::{Glob, is_pattern};
use self::glob::{Token, class};

/// The most patterns of one file.
const MAX_PATTERNS: usize = 10_000;

/// The patterns of one file, in their order.
#[derive(Debug, Clone, Default)]
pub struct IgnoreRules {
    rules: Vec<Rule>,
}

/// Which patterns match a folder: what the paths below it need to know.
#[derive(Debug, Clone, Default)]
pub struct Matched {
    rules: Vec<bool>,
}

#[derive(Debug, Clone)]
struct Rule {
    /// `!`: puts back in.
    includes: bool,
    text: String,
    matcher: Matcher,
}

#[derive(Debug, Clone)]
enum Matcher {
    Exact,
    Tokens {
        tokens: Vec<PathToken>,
        /// The characters that every match ends with.
        ending: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum PathToken {
    /// Within a component.
    Part(Token),
    /// `**/`: any number of components, none too.
    Folders,
    /// `**` at the end: everything.
    Rest,
}

impl IgnoreRules {
    /// Reads a file's text. The error is a reason.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::new(text.strip_prefix('\u{feff}').unwrap_or(text).lines())
    }

    /// Takes one pattern from each line.
    pub fn new<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut rules = Vec::new();
        for line in lines {
            if line.starts_with('#') || line.trim().is_empty() {
                continue;
            }
            if rules.len() == MAX_PATTERNS {
                return Err(format!("it has more than {MAX_PATTERNS} patterns"));
            }
            let line = line.trim();
            let (includes, pattern) = match line.strip_prefix('!') {
                Some(pattern) => (true, pattern.trim()),
                None => (false, line),
            };
            if pattern.is_empty() {
                return Err("`!` has no pattern".to_owned());
            }
            let text = clean(pattern);
            let matcher = Matcher::new(&text)
                .ok_or_else(|| format!("the pattern `{}` is malformed", pattern.escape_debug()))?;
            rules.push(Rule { includes, text, matcher });
        }
        Ok(Self { rules })
    }

    /// What the root of the context gives to the paths in it.
    pub fn root(&self) -> Matched {
        Matched { rules: vec![false; self.rules.len()] }
    }

    /// Which patterns match a path in a folder for which `folder` is known. As BuildKit does it, a
    /// pattern is only asked where it changes what those before it say: `!a` after `a/b` does not
    /// match the folder `a`, which nothing leaves out, and so does not put `a/b` back in.
    pub fn matched(&self, folder: &Matched, path: &str) -> Matched {
        let mut left_out = false;
        let rules = self.rules.iter().zip(&folder.rules).map(|(rule, above)| {
            let matches = *above || rule.includes == left_out && rule.matches(path);
            left_out = if matches { !rule.includes } else { left_out };
            matches
        });
        Matched { rules: rules.collect() }
    }

    /// Which patterns match a path, every folder above it asked.
    pub fn matched_from_root(&self, path: &str) -> Matched {
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        ends.filter(|end| *end > 0)
            .fold(self.root(), |matched, end| self.matched(&matched, &path[..end]))
    }

    /// Whether what matched leaves the path out.
    pub fn excludes(&self, matched: &Matched) -> bool {
        let last = self.rules.iter().zip(&matched.rules).rev().find(|(_, matches)| **matches);
        last.is_some_and(|(rule, _)| !rule.includes)
    }

    /// Whether there are no patterns.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether a pattern puts something back in.
    pub fn has_exceptions(&self) -> bool {
        self.rules.iter().any(|rule| rule.includes)
    }

    /// Whether a pattern may match something below a folder, or matches the folder.
    pub fn may_match_below(&self, folder: &str) -> bool {
        self.rules.iter().any(|rule| rule.may_match_below(folder))
    }

    /// Whether something below a folder that is left out may be put back in.
    pub fn may_include_below(&self, folder: &str) -> bool {
        self.rules.iter().any(|rule| rule.includes && rule.may_match_below(folder))
    }
}

impl Rule {
    fn matches(&self, path: &str) -> bool {
        match &self.matcher {
            Matcher::Exact => self.text == path,
            // Most paths end otherwise than a pattern does.
            Matcher::Tokens { tokens, ending } => path.ends_with(ending) && matches(tokens, path),
        }
    }

    fn may_match_below(&self, folder: &str) -> bool {
        for (pattern, part) in self.text.split('/').zip(folder.split('/')) {
            if pattern.contains(['*', '?', '[', '\\']) {
                return true;
            }
            if pattern != part {
                return false;
            }
        }
        true
    }
}

impl Matcher {
    fn new(pattern: &str) -> Option<Self> {
        if !pattern.contains(['*', '?', '[', '\\']) {
            return Some(Self::Exact);
        }
        let mut tokens = Vec::new();
        let mut chars = pattern.chars();
        while let Some(c) = chars.next() {
            tokens.push(match c {
                '*' => {
                    let mut rest = chars.clone();
                    if rest.next() == Some('*') {
                        if rest.clone().next() == Some('/') {
                            rest.next();
                        }
                        chars = rest;
                        let at_end = chars.as_str().is_empty();
                        if at_end { PathToken::Rest } else { PathToken::Folders }
                    } else {
                        PathToken::Part(Token::Star)
                    }
                }
                '?' => PathToken::Part(Token::Any),
                '\\' => PathToken::Part(Token::One(chars.next()?)),
                '[' => PathToken::Part(class(&mut chars)?),
                c => PathToken::Part(Token::One(c)),
            });
        }
        // `**x` at the start ends with `x`, whatever stands before it.
        if tokens.first() == Some(&PathToken::Folders)
            && !pattern.starts_with("**/")
            && tokens[1..].iter().all(|token| matches!(token, PathToken::Part(Token::One(_))))
        {
            tokens[0] = PathToken::Rest;
        }
        let ending = tokens.iter().rev().map_while(|token| match token {
            PathToken::Part(Token::One(c)) => Some(*c),
            _ => None,
        });
        let ending: Vec<char> = ending.collect();
        let ending = ending.into_iter().rev().collect();
        Some(Self::Tokens { tokens, ending })
    }
}

/// Whether the whole path matches; linear in the path times the pattern.
fn matches(tokens: &[PathToken], path: &str) -> bool {
    let end = tokens.len();
    // One more place for each `**/` that is inside a folder's name.
    let mut reached = vec![false; end + 1];
    let mut inside = reached.clone();
    let mut next = reached.clone();
    let mut next_inside = reached.clone();
    reached[0] = true;
    skip(tokens, &mut reached);
    for c in path.chars() {
        next.fill(false);
        next_inside.fill(false);
        for (position, token) in tokens.iter().enumerate() {
            match token {
                PathToken::Folders if reached[position] || inside[position] => {
                    next_inside[position] = true;
                    if c == '/' {
                        next[position + 1] = true;
                    }
                }
                PathToken::Rest if reached[position] => next[position] = true,
                PathToken::Part(Token::Star) if reached[position] => next[position] |= c != '/',
                PathToken::Part(token) if reached[position] && token.matches(c) => {
                    next[position + 1] = true;
                }
                _ => {}
            }
        }
        skip(tokens, &mut next);
        std::mem::swap(&mut reached, &mut next);
        std::mem::swap(&mut inside, &mut next_inside);
    }
    reached[end]
}

/// Tokens that match nothing at all are passed.
fn skip(tokens: &[PathToken], reached: &mut [bool]) {
    for (position, token) in tokens.iter().enumerate() {
        let empty =
            matches!(token, PathToken::Folders | PathToken::Rest | PathToken::Part(Token::Star));
        if reached[position] && empty {
            reached[position + 1] = true;
        }
    }
}

/// Go's `filepath.Clean` for a pattern, without a slash at the start.
fn clean(pattern: &str) -> String {
    let rooted = pattern.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in pattern.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    if parts.is_empty() { ".".to_owned() } else { parts.join("/") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dockers_rules() {
        let check = |patterns: &str, out: &[&str], kept: &[&str]| {
            let rules = IgnoreRules::parse(patterns).unwrap();
            let excluded = |path: &str| rules.excludes(&rules.matched_from_root(path));
            for path in out {
                assert!(excluded(path), "{patterns:?} keeps {path}");
            }
            for path in kept {
                assert!(!excluded(path), "{patterns:?} leaves out {path}");
            }
        };
        check("# c\n\n a \n/b/\n./c", &["a", "a/x", "b", "b/x/y", "c"], &["x/a", "ab"]);
        check("*.md\n!README.md", &["a.md"], &["README.md", "d/a.md"]);
        check("**/*.md", &["a.md", "d/a.md", "d/e/a.md"], &["a.mdx"]);
        check(
            "**/__pycache__",
            &["__pycache__", "a/__pycache__/x"],
            &["a__pycache__", "x/a__pycache__"],
        );
        check("**/a/**", &["a/x", "b/a/x/y"], &["a", "b/a"]);
        check("a/**", &["a/x", "a/b/c"], &["a", "b"]);
        check("a/**/z", &["a/z", "a/b/z", "a/b/c/z"], &["az", "a/bz"]);
        check("**", &["a", "a/b"], &[]);
        check("**log", &["log", "a/x.log", "xlog"], &["logs"]);
        check(
            "*\n!functions/hello",
            &["x", "functions", "functions/other/a"],
            &["functions/hello/a"],
        );
        check("*\n!a/*.py\na/x.py", &["a/b", "a/x.py", "a/d/c.py"], &["a/c.py"]);
        check("a?c\n[x-z]\n\\*", &["abc", "x", "*"], &["ac", "w", "b"]);
        check("!b\nb", &["b"], &[]);
        check("a/b.py\n!a", &["a/b.py"], &["a/c"]);
        check("*\n!a/b\na", &["a", "a/q", "x"], &["a/b", "a/b/c/g"]);
        check("!a/**\na/b\n/a/", &["a", "a/b", "a/c"], &["x"]);
        check("d/../e", &["e"], &["d"]);
        check("\u{feff}bom", &["bom"], &[]);
        check("", &[], &["a"]);
    }

    #[test]
    fn malformed_patterns_are_refused() {
        for bad in ["!", "! ", "[a", "a\\"] {
            assert!(IgnoreRules::parse(bad).is_err(), "{bad:?}");
        }
        assert!(IgnoreRules::parse(&"a\n".repeat(MAX_PATTERNS + 1)).is_err());
    }

    #[test]
    fn folders_that_hold_something_are_entered() {
        let rules = IgnoreRules::parse("*\n!a/b/c\n!x/*/y").unwrap();
        assert!(rules.may_include_below("a") && rules.may_include_below("a/b/c"));
        assert!(rules.may_include_below("x/q") && !rules.may_include_below("b"));
        assert!(!rules.may_include_below("a/x"));
    }

    #[test]
    fn hostile_patterns_end() {
        let rules = IgnoreRules::parse(&("**/a*".repeat(50) + "/b")).unwrap();
        let path = "a/".repeat(200) + "c";
        assert!(!rules.excludes(&rules.matched_from_root(&path)));
    }
}
