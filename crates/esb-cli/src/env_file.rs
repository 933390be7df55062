//! Reads env files as Docker Compose v2 does.
//!
//! Owns their language: comments, quotes, escapes and references to other variables. Errors say
//! where and show no value, for it may be a secret. Refuses to know which variables mean something.

use std::{collections::BTreeMap, fmt};

/// How deep defaults of references may nest.
const MAX_DEPTH: usize = 32;

/// A fault of an env file, with its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.reason)
    }
}

/// Reads a text; what `outer` knows is stronger in references. A later line wins over an earlier
/// one of the same name; a name alone stands for the variable of that name, which is set already.
pub(crate) fn parse(
    text: &str,
    outer: impl Fn(&str) -> Option<String>,
) -> Result<BTreeMap<String, String>, Problem> {
    let mut values = BTreeMap::new();
    let mut reader = Reader { text, at: 0 };
    while reader.next_statement() {
        let Some(name) = reader.name()? else { continue };
        let start = reader.at;
        let lookup = |name: &str| outer(name).or_else(|| values.get(name).cloned());
        let value = match reader.value()? {
            Value::Literal(value) => value,
            Value::Open(value) => {
                expand(&value, &lookup, 0).map_err(|reason| reader.problem(start, reason))?
            }
        };
        if !name.is_empty() {
            values.insert(name, value);
        }
    }
    Ok(values)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

/// The text of a value.
enum Value {
    /// In single quotes: taken as it is.
    Literal(String),
    /// References in it are replaced.
    Open(String),
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn problem(&self, at: usize, reason: impl Into<String>) -> Problem {
        let before = &self.text[..at];
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        Problem {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            reason: reason.into(),
        }
    }

    /// Passes blanks and comments; whether there is more.
    fn next_statement(&mut self) -> bool {
        loop {
            let rest = self.rest();
            self.at += rest.len() - rest.trim_start().len();
            if !self.rest().starts_with('#') {
                return !self.rest().is_empty();
            }
            self.at = self.rest().find('\n').map_or(self.text.len(), |end| self.at + end);
        }
    }

    fn skip_blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches(is_blank).len();
    }

    /// The name before `=` or `:`; none when it stands alone.
    fn name(&mut self) -> Result<Option<String>, Problem> {
        let exported = self.rest().strip_prefix("export");
        if exported.is_some_and(|rest| rest.starts_with([' ', '\t', '\n', '\r', '\u{c}'])) {
            self.at += "export".len();
            self.skip_blanks();
        }
        let start = self.at;
        for (offset, c) in self.rest().char_indices() {
            match c {
                '=' | ':' | '\n' => {
                    let name = self.text[start..start + offset].trim_end();
                    if let Some(blank) = name.find(' ') {
                        let reason = "the name of a variable has a blank in it";
                        return Err(self.problem(start + blank, reason));
                    }
                    self.at = start + offset + 1;
                    self.skip_blanks();
                    return Ok((c != '\n').then(|| name.to_owned()));
                }
                c if is_blank(c) || matches!(c, '_' | '.' | '-' | '[' | ']') => {}
                c if c.is_alphanumeric() => {}
                c => {
                    let reason =
                        format!("`{}` is not allowed in the name of a variable", c.escape_debug());
                    return Err(self.problem(start + offset, reason));
                }
            }
        }
        // The last line, without an end.
        self.at = self.text.len();
        if start == self.at {
            return Err(self.problem(start, "the name of a variable is missing"));
        }
        Ok(None)
    }

    fn value(&mut self) -> Result<Value, Problem> {
        let rest = self.rest();
        let Some(quote) = rest.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
            let line = rest.split('\n').next().unwrap_or_default();
            self.at = self.text.len().min(self.at + line.len() + 1);
            let value = line.split(" #").next().unwrap_or_default();
            return Ok(Value::Open(value.trim_end().to_owned()));
        };
        let mut value = String::new();
        let mut escaped = false;
        for (offset, c) in rest.char_indices().skip(1) {
            if c == quote && !escaped {
                self.at += offset + 1;
                return Ok(match quote {
                    '"' => Value::Open(unescape(&value)),
                    _ => Value::Literal(value),
                });
            }
            if c == '\\' && !escaped {
                escaped = true;
                continue;
            }
            if std::mem::take(&mut escaped) && c != quote {
                value.push('\\');
            }
            value.push(c);
        }
        Err(self.problem(self.at, "the quote that opens here is not closed"))
    }
}

/// Blanks within a line.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{b}' | '\u{c}' | '\r' | '\u{85}' | '\u{a0}')
}

/// Escapes of a double-quoted value; `\$` becomes `$$`, which stands for a dollar.
fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        plain.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let known = match rest.chars().next() {
            Some('a') => "\u{7}",
            Some('b') => "\u{8}",
            Some('f') => "\u{c}",
            Some('n') => "\n",
            Some('r') => "\r",
            Some('t') => "\t",
            Some('v') => "\u{b}",
            Some('"') => "\"",
            Some('\\') => "\\",
            Some('$') => "$$",
            Some('0') => {
                let digits: String =
                    rest[1..].chars().take(3).take_while(char::is_ascii_digit).collect();
                let octal = u32::from_str_radix(&digits, 8).ok().filter(|_| digits.len() == 3);
                let c = octal.filter(|code| *code < 256).and_then(char::from_u32);
                if let Some(c) = c {
                    plain.push(c);
                } else {
                    plain.push('\\');
                    plain.push_str(&digits);
                }
                rest = &rest[1 + digits.len()..];
                continue;
            }
            _ => {
                plain.push('\\');
                continue;
            }
        };
        plain.push_str(known);
        rest = &rest[1..];
    }
    plain + rest
}

/// Replaces `$NAME`, `${NAME}` and the forms with `-`, `:-`, `+`, `:+`, `?` and `:?`; `$$` is a
/// dollar. What is not set is empty.
fn expand(
    text: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
    depth: usize,
) -> Result<String, String> {
    if depth > MAX_DEPTH {
        return Err("references nest too deep".to_owned());
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(inner) = rest.strip_prefix('{') {
            let (value, after) = braced(inner, lookup, depth)?;
            out.push_str(&value);
            rest = after;
        } else {
            let name = name_of(rest);
            match name {
                "" => out.push('$'),
                name => out.push_str(&lookup(name).unwrap_or_default()),
            }
            rest = &rest[name.len()..];
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// The value of what stands behind `${`, and what follows its brace.
fn braced<'t>(
    inner: &'t str,
    lookup: &dyn Fn(&str) -> Option<String>,
    depth: usize,
) -> Result<(String, &'t str), String> {
    let wrong =
        || "`${` does not begin a reference to a variable; write `$$` for a dollar".to_owned();
    let name = name_of(inner);
    let end = closing(inner).ok_or_else(wrong)?;
    let (after_name, after) = (inner.get(name.len()..end).ok_or_else(wrong)?, &inner[end + 1..]);
    if name.is_empty() {
        return Err(wrong());
    }
    let value = lookup(name);
    if after_name.is_empty() {
        return Ok((value.unwrap_or_default(), after));
    }
    let (filled, rest) = match after_name.strip_prefix(':') {
        Some(rest) => (value.clone().filter(|value| !value.is_empty()), rest),
        None => (value.clone(), after_name),
    };
    let operator =
        rest.chars().next().filter(|c| matches!(c, '-' | '+' | '?')).ok_or_else(wrong)?;
    let word = || expand(&rest[1..], lookup, depth + 1);
    let value = match operator {
        '-' => filled.map_or_else(word, Ok)?,
        '+' if filled.is_some() => word()?,
        '+' => value.unwrap_or_default(),
        _ => {
            let Some(value) = filled else {
                let word = word()?;
                let colon = if word.is_empty() { "" } else { ": " };
                return Err(format!("`{name}` has to be set{colon}{word}"));
            };
            value
        }
    };
    Ok((value, after))
}

/// Finds the closing brace of a variable, within its line.
fn closing(inner: &str) -> Option<usize> {
    let mut open = 1_usize;
    for (at, c) in inner.char_indices() {
        match c {
            '{' => open += 1,
            '}' if open == 1 => return Some(at),
            '}' => open -= 1,
            '\n' => return None,
            _ => {}
        }
    }
    // Braces that only open belong to the default, as far as there is a last one that closes.
    inner.split('\n').next().and_then(|line| line.rfind('}'))
}

fn name_of(text: &str) -> &str {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let end = text.find(|c| !is_name(c)).unwrap_or(text.len());
    if text.starts_with(|c: char| c.is_ascii_digit()) { "" } else { &text[..end] }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a text gives, with `OUT` and `EMPTY` set outside.
    fn read(text: &str) -> String {
        let outer = |name: &str| match name {
            "OUT" => Some("outer".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        match parse(text, outer) {
            Ok(values) => {
                let shown: Vec<String> = values.iter().map(|(k, v)| format!("{k}={v}")).collect();
                shown.join("; ")
            }
            Err(problem) => format!("! {problem}"),
        }
    }

    /// Each row is what Docker Compose's own reader gives (`dotenv` of compose-go v2.16.2).
    #[test]
    fn as_compose_reads_them() {
        let check = |text: &str, expected: &str| assert_eq!(read(text), expected, "{text:?}");
        check("", "");
        check("# only\n\t # comments\r\n", "");
        check("A=1\nB = 2\n  C= 3 \n\tD=4", "A=1; B=2; C=3; D=4");
        check("A=1\r\nB=\"2\"\r\nC='3'\r\n", "A=1; B=2; C=3");
        check("export A=1\nexport\tB=2\nexportC=3", "A=1; B=2; exportC=3");
        check("A: 1\nB : x=y\nC=1:2", "A=1; B=x=y; C=1:2");
        check("A.B-C[0]=1\nÄ=2", "A.B-C[0]=1; Ä=2");
        check("A=1\nA=2", "A=2");
        check("OUT\nA\nB=1\nC", "B=1");

        // Comments: after a blank, or after a value in quotes.
        check("A=x # c\nB=x#y\nC=#x\nD=", "A=x; B=x#y; C=#x; D=");
        check("A=\"x\" # c\nB='y'\t# c\nC=\"#\"# c", "A=x; B=y; C=#");
        // A tab begins no comment.
        check("A=x\t# c", "A=x\t# c");
        check("A=x\t # c\nB=x \t# c\nC=x\t#c #d", "A=x; B=x \t# c; C=x\t#c");

        // Quotes and escapes.
        check(r#"A="a\nb\t\"c\" \\ \x""#, "A=a\nb\t\"c\" \\ \\x");
        check(r"A='a\nb' # c", r"A=a\nb");
        check(r"A='it\'s'", "A=it's");
        check(r#"A="it's" B='"'"#, r#"A=it's; B=""#);
        check(r#"A="\0101\0351\0999""#, r"A=Aé\999");
        check(
            "A=\"one\ntwo # no comment\n\"\nB='x\ny'\nC=1",
            "A=one\ntwo # no comment\n; B=x\ny; C=1",
        );
        check(r"A=a\nb", r"A=a\nb");

        // References.
        check("A=1\nB=$A-${A}x\nC='$A'\nD=\"$A\"", "A=1; B=1-1x; C=$A; D=1");
        check("OUT=file\nA=$OUT", "A=outer; OUT=file");
        check("A=$NONE-${NONE}", "A=-");
        check("A=$$OUT\nB=\"\\$OUT\"\nC=5$\nD=$1", "A=$OUT; B=$OUT; C=5$; D=$1");
        check("A=${NONE:-d}${EMPTY:-d}${OUT:-d}", "A=ddouter");
        check("A=${NONE-d}[${EMPTY-d}]${OUT-d}", "A=d[]outer");
        check("A=${NONE:+d}[${EMPTY:+d}]${OUT:+d}", "A=[]d");
        check("A=${NONE+d}[${EMPTY+d}]${OUT+d}", "A=[d]d");
        check("A=${OUT?x}${OUT:?x}[${EMPTY?x}]", "A=outerouter[]");
        check("A=${NONE:-a ${OUT:+b${OUT}}}c", "A=a bouterc");
    }

    #[test]
    fn what_is_wrong_is_placed() {
        let check = |text: &str, expected: &str| assert_eq!(read(text), format!("! {expected}"));
        check("A=1\nB C=2", "line 2, column 2: the name of a variable has a blank in it");
        check("A=1\n\n é$=2", "line 3, column 3: `$` is not allowed in the name of a variable");
        check("A=1\nB = \"x\ny", "line 2, column 5: the quote that opens here is not closed");
        check(
            "A=${NONE:?needed for $OUT}",
            "line 1, column 3: `NONE` has to be set: needed for outer",
        );
        check("A=${EMPTY:?}", "line 1, column 3: `EMPTY` has to be set");
        let wrong = "line 1, column 3: `${` does not begin a reference to a variable; write `$$` for a dollar";
        for text in ["A=${", "A=${}", "A=${1}", "A=${OUT x}", "A=${OUT"] {
            check(text, wrong);
        }
        let deep = format!("A={}x{}", "${N-".repeat(100), "}".repeat(100));
        check(&deep, "line 1, column 3: references nest too deep");
    }
}
