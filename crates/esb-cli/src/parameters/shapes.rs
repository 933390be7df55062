//! Reads the forms in which parameter files are written as names and texts.
//!
//! Files in the shapes of CloudFormation's and SAM's command lines, and the string form
//! `KEY=VALUE KEY2="two words"`. Takes trees and texts, reads no files.

use std::collections::BTreeMap;

use super::tree::Tree;

/// Names of parameters and their values.
pub(super) type Values = BTreeMap<String, String>;

/// Reads `[{ParameterKey, ParameterValue}]`, `["KEY=VALUE"]`, `{"Parameters": …}` or a plain map.
pub(super) fn file(tree: &Tree) -> Result<Values, String> {
    if let Some(inner) = tree.get("Parameters")
        && matches!(inner, Tree::Map(_) | Tree::List(_))
    {
        return file(inner);
    }
    match tree {
        Tree::Null => Ok(Values::new()),
        Tree::Map(fields) => map(fields),
        Tree::List(items) => {
            let mut values = Values::new();
            for (at, item) in items.iter().enumerate() {
                match item {
                    Tree::Text(text) => values.extend(pairs(text)?),
                    Tree::Map(_) => values.extend(entry(item, at + 1)?),
                    other => {
                        let kind = other.kind();
                        return Err(format!("entry {} of the list is {kind}", at + 1));
                    }
                }
            }
            Ok(values)
        }
        Tree::Text(_) => Err("it is text, not a list or a map of parameters".to_owned()),
    }
}

/// Names and values as a map has them.
pub(super) fn map(fields: &[(String, Tree)]) -> Result<Values, String> {
    fields.iter().map(|(name, value)| Ok((name.clone(), text(name, value)?))).collect()
}

/// Names and values as a map of samconfig has them: what is empty in a list is left out.
pub(super) fn overrides(fields: &[(String, Tree)]) -> Result<Values, String> {
    let one = |(name, value): &(String, Tree)| {
        let value = match value {
            Tree::List(items) => {
                let items = items.iter().filter(|item| !matches!(item, Tree::Null));
                let texts: Vec<String> =
                    items.map(|item| text(name, item)).collect::<Result<_, _>>()?;
                let texts: Vec<&str> =
                    texts.iter().filter(|text| !text.is_empty()).map(|text| text.trim()).collect();
                texts.join(",")
            }
            value => text(name, value)?,
        };
        Ok((unquoted(name), unquoted(&value)))
    };
    fields.iter().map(one).collect()
}

/// `{ParameterKey, ParameterValue}`; one that keeps its former value has none here.
pub(super) fn entry(item: &Tree, number: usize) -> Result<Option<(String, String)>, String> {
    let Some(Tree::Text(name)) = item.get("ParameterKey") else {
        return Err(format!("entry {number} of the list has no ParameterKey"));
    };
    if let Some(value) = item.get("ParameterValue") {
        return Ok(Some((name.clone(), text(name, value)?)));
    }
    match item.get("UsePreviousValue") {
        Some(Tree::Text(word)) if word.eq_ignore_ascii_case("true") => Ok(None),
        _ => Err(format!("entry {number} of the list has no ParameterValue")),
    }
}

/// A value as text: the items of a list are joined by commas.
fn text(name: &str, value: &Tree) -> Result<String, String> {
    let scalar = |value: &Tree| match value {
        Tree::Null => Ok(String::new()),
        Tree::Text(text) => Ok(text.clone()),
        other => {
            let name = name.escape_debug();
            Err(format!(
                "the value of `{name}` must be text or a list of texts, not {}",
                other.kind()
            ))
        }
    };
    match value {
        Tree::List(items) => {
            let items: Vec<String> = items.iter().map(scalar).collect::<Result<_, _>>()?;
            Ok(items.join(","))
        }
        value => scalar(value),
    }
}

/// Reads `KEY=VALUE` and `ParameterKey=KEY,ParameterValue=VALUE`, separated by blanks.
///
/// Quotes around a key, a value or both hold blanks together; a backslash takes the meaning from a
/// quote or a blank. A single quote elsewhere is a character like any other.
pub(super) fn pairs(text: &str) -> Result<Values, String> {
    let mut values = Values::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (key, value, after) = match rest.strip_prefix("ParameterKey=") {
            Some(rest) => {
                let missing = "a ParameterKey has no ParameterValue";
                let (key, rest) = key(rest, ",ParameterValue=").ok_or(missing)?;
                let (value, rest) = value(rest)?;
                (key, value, rest)
            }
            None => pair(rest)?,
        };
        if key.is_empty() {
            return Err("a value has no key".to_owned());
        }
        values.insert(key, value);
        rest = after.trim_start();
    }
    Ok(values)
}

/// `KEY=VALUE` at the start of a text, and what follows it.
fn pair(text: &str) -> Result<(String, String, &str), String> {
    let missing = "a word is not KEY=VALUE; quote values with blanks";
    if let Some((key, rest)) = key(text, "=") {
        let (value, rest) = value(rest)?;
        return Ok((key, value, rest));
    }
    // Quotes around both.
    let (inner, rest) = quoted(text).ok_or(missing)?;
    let (key, value) = inner.split_once('=').ok_or(missing)?;
    Ok((plain(key), unquoted(value), rest))
}

/// A key before `end`, in quotes or not, and what follows.
fn key<'t>(text: &'t str, end: &str) -> Option<(String, &'t str)> {
    if let Some((key, rest)) = quoted_before(text, |rest| rest.starts_with(end)) {
        return Some((plain(key), &rest[end.len()..]));
    }
    let (key, rest) = text.split_once(end)?;
    let bare = !key.contains(char::is_whitespace) && !key.starts_with(['"', '\'']);
    bare.then(|| (key.to_owned(), rest))
}

/// A value at the start of a text, and what follows it.
fn value(text: &str) -> Result<(String, &str), String> {
    if let Some((inner, rest)) = quoted(text) {
        return Ok((plain(inner), rest));
    }
    let (mut in_quotes, mut escaped) = (false, false);
    let ends = |(_, c): &(usize, char)| {
        let ends = c.is_whitespace() && !in_quotes && !escaped;
        in_quotes ^= *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    };
    let end = text.char_indices().find(ends).map_or(text.len(), |(at, _)| at);
    if in_quotes {
        return Err("a double quote is not closed".to_owned());
    }
    Ok((plain(&text[..end]), &text[end..]))
}

/// What stands in quotes that end a word.
fn quoted(text: &str) -> Option<(&str, &str)> {
    quoted_before(text, |rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
}

/// What stands in quotes at the start of a text, where what follows them fits.
fn quoted_before(text: &str, fits: impl Fn(&str) -> bool) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let mut escaped = false;
    let closes = |(_, c): &(usize, char)| {
        let closes = *c == quote && !escaped;
        escaped = *c == '\\' && !escaped;
        closes
    };
    let (end, _) = text.char_indices().skip(1).find(closes)?;
    let rest = &text[end + 1..];
    fits(rest).then(|| (&text[1..end], rest))
}

/// A value of a map: SAM takes quotes around it away once more.
pub(super) fn unquoted(text: &str) -> String {
    let inner = |quote| text.strip_prefix(quote)?.strip_suffix(quote);
    plain(inner('"').or_else(|| inner('\'')).unwrap_or(text))
}

fn plain(text: &str) -> String {
    text.replace("\\ ", " ").replace("\\\"", "\"").replace("\\'", "'")
}

#[cfg(test)]
mod tests {
    use super::{super::tree::Language, *};

    fn show(values: Result<Values, String>) -> String {
        match values {
            Ok(values) => {
                let shown: Vec<String> = values.iter().map(|(k, v)| format!("{k}={v}")).collect();
                shown.join("; ")
            }
            Err(error) => format!("! {error}"),
        }
    }

    #[test]
    fn files() {
        let check = |text: &str, expected: &str| {
            let tree = Tree::parse(text, Language::Yaml).unwrap();
            assert_eq!(show(file(&tree)), expected, "{text}");
        };
        check(
            r#"[{"ParameterKey": "A", "ParameterValue": "1"},
               {"ParameterKey": "B", "UsePreviousValue": true}]"#,
            "A=1",
        );
        check("- ParameterKey: A\n  ParameterValue: 01\n  ResolvedValue: x", "A=01");
        check(r#"["A=1 B=2", "C=x y"]"#, "! a word is not KEY=VALUE; quote values with blanks");
        check(r#"["A=1 B=2", "C=\"x y\""]"#, "A=1; B=2; C=x y");
        check("Parameters: {A: 1, L: [a, 02]}\nTags: {T: x}", "A=1; L=a,02");
        check("Parameters:\n- ParameterKey: A\n  ParameterValue: yes", "A=yes");
        check("A: 1\nB:\nParameters: prod", "A=1; B=; Parameters=prod");
        check("", "");
        check("just text", "! it is text, not a list or a map of parameters");
        check("A: {B: 1}", "! the value of `A` must be text or a list of texts, not a map");
        check("A: [[1]]", "! the value of `A` must be text or a list of texts, not a list");
        check("- ParameterValue: x", "! entry 1 of the list has no ParameterKey");
        check("- A=1\n- ParameterKey: x", "! entry 2 of the list has no ParameterValue");
        check("- [A=1]", "! entry 1 of the list is a list");
    }

    #[test]
    fn strings() {
        let check = |text: &str, expected: &str| {
            assert_eq!(show(pairs(text)), expected, "{text}");
        };
        check("A=1 B=x=y  C=", "A=1; B=x=y; C=");
        check(r#"A="a b" B="" "C=c d""#, "A=a b; B=; C=c d");
        check(r#"A={"k":"v w"} B=5" C=x"y"#, r#"A={"k":"v w"}; B=5" C=x"y"#);
        check(r#"A=a\ b B="say \"hi\"" C=\d+\\"#, r#"A=a b; B=say "hi"; C=\d+\\"#);
        check("A=1\n\tB=2", "A=1; B=2");
        check("'P'='a' 'Q'='b c'  R='d \"e\" f'", "P=a; Q=b c; R=d \"e\" f");
        check(r#""P"="a" "Q"='' S='it\'s'"#, "P=a; Q=; S=it's");
        check("A=it's B='x C=y'", "A=it's; B=x C=y");
        check("A='x B=y", "A='x; B=y");
        check("'C=c d' A=1", "A=1; C=c d");
        check(
            "ParameterKey='A',ParameterValue='x y' ParameterKey=\"B\",ParameterValue=1,2=3",
            "A=x y; B=1,2=3",
        );
        check("A=https://h/?a=b&c=d,e B=\"x=1, y=2\"", "A=https://h/?a=b&c=d,e; B=x=1, y=2");
        check(
            r#"ParameterKey=A,ParameterValue=1,2 ParameterKey=B,ParameterValue="x y" C=3"#,
            "A=1,2; B=x y; C=3",
        );
        check("", "");
        check("A=1 B", "! a word is not KEY=VALUE; quote values with blanks");
        check("=1", "! a value has no key");
        check("A=\"1", "! a double quote is not closed");
        check("ParameterKey=A", "! a ParameterKey has no ParameterValue");
    }
}
