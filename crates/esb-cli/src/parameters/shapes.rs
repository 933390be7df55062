//! The shapes in which people write values of parameters, read as names and texts.
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

/// `{ParameterKey, ParameterValue}`; one that keeps its former value has none here.
fn entry(item: &Tree, number: usize) -> Result<Option<(String, String)>, String> {
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
/// Double quotes hold blanks together, and are left out where they enclose a value; a backslash
/// takes the meaning from a quote or a blank.
pub(super) fn pairs(text: &str) -> Result<Values, String> {
    let mut values = Values::new();
    for word in words(text)? {
        let word = enclosed(word);
        let (key, value) = match word.strip_prefix("ParameterKey=") {
            Some(rest) => {
                rest.split_once(",ParameterValue=").ok_or("a ParameterKey has no ParameterValue")?
            }
            None => {
                word.split_once('=').ok_or("a word is no KEY=VALUE; quote values with blanks")?
            }
        };
        if key.is_empty() {
            return Err("a value has no key".to_owned());
        }
        values.insert(key.to_owned(), plain(enclosed(value)));
    }
    Ok(values)
}

/// Splits at blanks outside of quotes.
fn words(text: &str) -> Result<Vec<&str>, String> {
    let mut words = Vec::new();
    let mut start = None;
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        if c.is_whitespace() && !quoted && !escaped {
            words.extend(start.take().map(|start| &text[start..at]));
            continue;
        }
        start.get_or_insert(at);
        quoted ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
    }
    if quoted {
        return Err("a double quote is not closed".to_owned());
    }
    words.extend(start.map(|start| &text[start..]));
    Ok(words)
}

/// What stands between quotes.
fn enclosed(text: &str) -> &str {
    text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text)
}

fn plain(text: &str) -> String {
    text.replace("\\\"", "\"").replace("\\ ", " ")
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
        check(r#"["A=1 B=2", "C=x y"]"#, "! a word is no KEY=VALUE; quote values with blanks");
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
        check(
            r#"ParameterKey=A,ParameterValue=1,2 ParameterKey=B,ParameterValue="x y" C=3"#,
            "A=1,2; B=x y; C=3",
        );
        check("", "");
        check("A=1 B", "! a word is no KEY=VALUE; quote values with blanks");
        check("=1", "! a value has no key");
        check("A=\"1", "! a double quote is not closed");
        check("ParameterKey=A", "! a ParameterKey has no ParameterValue");
    }
}
