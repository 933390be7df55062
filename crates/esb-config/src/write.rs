//! Writes YAML that YAML 1.1 and YAML 1.2 parsers read alike.
//!
//! Owns the one escape of text for YAML: every string and key stands in double quotes, numbers
//! are bare, maps and lists are in block style, nulls are left out
//! (docs/contracts/platform.md#how-the-files-are-written). Knows nothing of interpolation: text
//! comes in as it has to stand in the document.

use std::fmt::Write as _;

use crate::value::Value;

/// Longest key, in bytes as written, that stands before its colon; YAML ends at 1024 characters.
const SIMPLE_KEY: usize = 1000;

/// A document whose root is `value`.
pub(crate) fn document(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Map(fields) if fields.iter().any(|(_, value)| *value != Value::Null) => {
            write_map(&mut out, fields, 0, false);
        }
        scalar => {
            write_inline(&mut out, scalar);
            out.push('\n');
        }
    }
    out
}

/// Text in double quotes, on one line, as YAML 1.1, YAML 1.2 and (below U+10000) JSON read it.
pub(crate) fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // What PyYAML refuses or folds when it stands raw: control characters, the other
            // line breaks, the byte order mark, and two code points that are no characters.
            '\0'..='\u{1F}'
            | '\u{7F}'..='\u{9F}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{FEFF}'
            | '\u{FFFE}'
            | '\u{FFFF}' => {
                write!(out, "\\u{:04x}", u32::from(c)).expect("strings take everything");
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// The entries, each on lines of its own; `inline_first` when the first follows `- `.
fn write_map(out: &mut String, fields: &[(String, Value)], indent: usize, inline_first: bool) {
    let mut first = inline_first;
    for (key, value) in fields.iter().filter(|(_, value)| *value != Value::Null) {
        if !std::mem::take(&mut first) {
            pad(out, indent);
        }
        let start = out.len();
        quote(out, key);
        if out.len() - start > SIMPLE_KEY {
            out.insert_str(start, "? ");
            out.push('\n');
            pad(out, indent);
        }
        out.push(':');
        write_nested(out, value, indent);
    }
}

/// A value after its key's colon.
fn write_nested(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Map(fields) if has_entries(fields) => {
            out.push('\n');
            write_map(out, fields, indent + 2, false);
        }
        Value::List(items) if !items.is_empty() => {
            out.push('\n');
            write_list(out, items, indent + 2);
        }
        scalar => {
            out.push(' ');
            write_inline(out, scalar);
            out.push('\n');
        }
    }
}

fn write_list(out: &mut String, items: &[Value], indent: usize) {
    for item in items {
        pad(out, indent);
        match item {
            Value::Map(fields) if has_entries(fields) => {
                out.push_str("- ");
                write_map(out, fields, indent + 2, true);
            }
            Value::List(nested) if !nested.is_empty() => {
                out.push_str("-\n");
                write_list(out, nested, indent + 2);
            }
            scalar => {
                out.push_str("- ");
                write_inline(out, scalar);
                out.push('\n');
            }
        }
    }
}

/// A scalar or an empty collection.
fn write_inline(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(value) => write!(out, "{value}").expect("strings take everything"),
        Value::Float(value) => write_float(out, *value),
        Value::Text(text) => quote(out, text),
        Value::List(_) => out.push_str("[]"),
        Value::Map(_) => out.push_str("{}"),
    }
}

/// A float with a point and without an exponent, which YAML 1.1 readers know as a float.
fn write_float(out: &mut String, value: f64) {
    if value.is_nan() {
        out.push_str(".nan");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { ".inf" } else { "-.inf" });
    } else {
        let start = out.len();
        write!(out, "{value}").expect("strings take everything");
        if !out[start..].contains('.') {
            out.push_str(".0");
        }
    }
}

fn has_entries(fields: &[(String, Value)]) -> bool {
    fields.iter().any(|(_, value)| *value != Value::Null)
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::map;

    fn quoted(text: &str) -> String {
        let mut out = String::new();
        quote(&mut out, text);
        out
    }

    #[test]
    fn text_is_quoted_on_one_line() {
        for (text, expected) in [
            ("plain", r#""plain""#),
            ("", r#""""#),
            ("a\"b\\c", r#""a\"b\\c""#),
            ("a\nb\r\n\tc", r#""a\nb\r\n\tc""#),
            ("\0\u{1b}[31m\u{7f}\u{85}", r#""\u0000\u001b[31m\u007f\u0085""#),
            ("\u{2028}\u{2029}\u{feff}\u{fffe}\u{ffff}", r#""\u2028\u2029\ufeff\ufffe\uffff""#),
            ("日本語 é 😀 \u{a0}", "\"日本語 é 😀 \u{a0}\""),
            ("$$ ${A} # : - yes", r#""$$ ${A} # : - yes""#),
        ] {
            assert_eq!(quoted(text), expected, "{text:?}");
        }
    }

    #[test]
    fn nested_values_in_block_style() {
        let value = map([
            ("a", Value::List(vec![])),
            ("gone", Value::Null),
            ("b", map([("c", Value::Int(-1)), ("d", Value::Map(vec![("n".into(), Value::Null)]))])),
            (
                "e",
                Value::List(vec![
                    map([("f", Value::Float(30.0)), ("g", Value::Bool(true))]),
                    Value::List(vec![Value::text("h")]),
                    Value::Float(1e21),
                    map([("n", Value::Null)]),
                ]),
            ),
        ]);
        let expected = r#""a": []
"b":
  "c": -1
  "d": {}
"e":
  - "f": 30.0
    "g": true
  -
    - "h"
  - 1000000000000000000000.0
  - {}
"#;
        assert_eq!(document(&value), expected);
        assert_eq!(document(&Value::Map(vec![])), "{}\n");
    }

    #[test]
    fn long_keys_are_explicit() {
        let key = "k".repeat(1500);
        let text =
            document(&map([("a", Value::Map(vec![(key.clone(), map([("b", Value::Int(1))]))]))]));
        assert_eq!(text, format!("\"a\":\n  ? \"{key}\"\n  :\n    \"b\": 1\n"));
        let back: Value = crate::read::yaml(&text).unwrap();
        assert_eq!(back.get("a").and_then(|a| a.get(&key)).unwrap(), &map([("b", Value::Int(1))]));
    }
}
