//! Interprets plain scalars by YAML 1.1, as SAM CLI does (PyYAML's resolver;
//! docs/contracts/sam.md#yaml-and-json).
//!
//! Dates stay text. Nothing here decides which fields care.

use std::fmt::Write as _;

/// A scalar's meaning. Numbers and booleans carry the text that an environment variable gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Meaning {
    Null,
    Bool(bool),
    Int(String),
    Float(String),
    Text,
}

/// The meaning of a plain scalar.
pub(crate) fn meaning(text: &str) -> Meaning {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Meaning::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Meaning::Bool(true);
        }
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Meaning::Bool(false);
        }
        _ => {}
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return Meaning::Text;
    }
    int(text).map(Meaning::Int).or_else(|| float(text).map(Meaning::Float)).unwrap_or(Meaning::Text)
}

/// Whether a person who reads the text sees another number than its meaning: octal, hexadecimal,
/// sexagesimal, lost zeros, or a word that is a boolean only in YAML 1.1.
pub(crate) fn reads_differently(text: &str, meaning: &Meaning) -> bool {
    match meaning {
        Meaning::Bool(_) => {
            !text.eq_ignore_ascii_case("true") && !text.eq_ignore_ascii_case("false")
        }
        Meaning::Int(number) | Meaning::Float(number) => number != text,
        Meaning::Null | Meaning::Text => false,
    }
}

fn digits(text: &str, allowed: fn(char) -> bool) -> bool {
    !text.is_empty() && text.chars().all(|c| allowed(c) || c == '_')
}

fn decimal(c: char) -> bool {
    c.is_ascii_digit()
}

/// Splits a sign off.
fn sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

fn signed(negative: bool, number: &str) -> String {
    if negative && number != "0" { format!("-{number}") } else { number.to_owned() }
}

fn int(text: &str) -> Option<String> {
    let (negative, body) = sign(text);
    let radix = |rest: &str, radix, allowed: fn(char) -> bool| {
        if !digits(rest, allowed) {
            return None;
        }
        // A number too large for 128 bits stays as it is written.
        let number = u128::from_str_radix(&rest.replace('_', ""), radix).ok()?;
        Some(signed(negative, &number.to_string()))
    };
    if let Some(rest) = body.strip_prefix("0b") {
        return radix(rest, 2, |c| matches!(c, '0' | '1'));
    }
    if let Some(rest) = body.strip_prefix("0x") {
        return radix(rest, 16, |c| c.is_ascii_hexdigit());
    }
    if body == "0" {
        return Some("0".into());
    }
    if let Some(rest) = body.strip_prefix('0') {
        return radix(rest, 8, |c| matches!(c, '0'..='7'));
    }
    if !body.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if let Some((first, rest)) = body.split_once(':') {
        let number = sexagesimal(first, rest.split(':'))?;
        return Some(signed(negative, &number.to_string()));
    }
    digits(body, decimal).then(|| signed(negative, &body.replace('_', "")))
}

/// `1:30` = 90. Later parts are one or two digits below 60.
fn sexagesimal<'a>(first: &str, parts: impl Iterator<Item = &'a str>) -> Option<u128> {
    if !digits(first, decimal) {
        return None;
    }
    let mut number: u128 = first.replace('_', "").parse().ok()?;
    for part in parts {
        let small = matches!(part.len(), 1 | 2) && part.chars().all(decimal);
        let part: u128 = part.parse().ok().filter(|part| small && *part < 60)?;
        number = number.checked_mul(60)?.checked_add(part)?;
    }
    Some(number)
}

fn float(text: &str) -> Option<String> {
    let (negative, body) = sign(text);
    match body {
        ".inf" | ".Inf" | ".INF" => return Some(if negative { "-inf" } else { "inf" }.into()),
        ".nan" | ".NaN" | ".NAN" if body == text => return Some("nan".into()),
        _ => {}
    }
    let (whole, rest) = body.split_once('.')?;
    if let Some((first, minutes)) = whole.split_once(':') {
        let whole = sexagesimal(first, minutes.split(':'))?;
        if !rest.chars().all(|c| c.is_ascii_digit() || c == '_') {
            return None;
        }
        return python_float(negative, &format!("{whole}.{}", rest.replace('_', "")));
    }
    let (fraction, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (&rest[..at], Some(&rest[at + 1..])),
        None => (rest, None),
    };
    let unsigned = |c: char| c.is_ascii_digit() || c == '_';
    let whole_fits = if whole.is_empty() {
        // `.5` has no sign and starts with a digit.
        body == text && fraction.starts_with(|c: char| c.is_ascii_digit())
    } else {
        whole.starts_with(|c: char| c.is_ascii_digit()) && whole.chars().all(unsigned)
    };
    let exponent_fits = exponent.is_none_or(|exponent| {
        // YAML 1.1 wants a sign, so `1.0e3` is text.
        exponent.strip_prefix(['-', '+']).is_some_and(|e| !e.is_empty() && e.chars().all(decimal))
    });
    if !whole_fits || !fraction.chars().all(unsigned) || !exponent_fits {
        return None;
    }
    python_float(negative, &body.replace('_', ""))
}

/// A float as Python prints it: the shortest digits that give the same number back.
fn python_float(negative: bool, text: &str) -> Option<String> {
    let number: f64 = text.parse().ok()?;
    let number = if negative { -number } else { number };
    if !number.is_finite() {
        return Some(if negative { "-inf" } else { "inf" }.into());
    }
    let scientific = format!("{number:e}");
    let (mantissa, exponent) = scientific.split_once('e')?;
    let exponent: i32 = exponent.parse().ok()?;
    if number != 0.0 && !(-4..16).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        let mut printed = mantissa.to_owned();
        // Writing to a string cannot fail.
        let _ = write!(printed, "e{sign}{:02}", exponent.unsigned_abs());
        return Some(printed);
    }
    Some(format!("{number:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_words_as_sam_cli_reads_them() {
        let shown = |text| match meaning(text) {
            Meaning::Null => "null".to_owned(),
            Meaning::Bool(value) => value.to_string(),
            Meaning::Int(number) => format!("int {number}"),
            Meaning::Float(number) => format!("float {number}"),
            Meaning::Text => "text".to_owned(),
        };
        for (text, expected) in [
            ("", "null"),
            ("~", "null"),
            ("Yes", "true"),
            ("OFF", "false"),
            ("y", "text"),
            ("0777", "int 511"),
            ("0899", "text"),
            ("012345678901", "text"),
            ("0x1F", "int 31"),
            ("0b101", "int 5"),
            ("0o14", "text"),
            ("1_000", "int 1000"),
            ("+5", "int 5"),
            ("-7", "int -7"),
            ("1:30", "int 90"),
            ("1:75", "text"),
            (
                "12345678901234567890123456789012345678901234567890",
                "int 12345678901234567890123456789012345678901234567890",
            ),
            ("1.10", "float 1.1"),
            ("3.0", "float 3.0"),
            ("-0.25", "float -0.25"),
            (".5", "float 0.5"),
            ("1.", "float 1.0"),
            ("1e3", "text"),
            ("1.0e3", "text"),
            ("1.0e+3", "float 1000.0"),
            ("1.5e+20", "float 1.5e+20"),
            ("1.0e-7", "float 1e-07"),
            (".inf", "float inf"),
            ("1:30.5", "float 90.5"),
            ("1.2.3", "text"),
            ("10.0.0.1", "text"),
            ("2012-10-17", "text"),
            ("-x", "text"),
            ("-", "text"),
            (".", "text"),
            ("12e03f", "text"),
            ("1 000", "text"),
        ] {
            assert_eq!(shown(text), expected, "{text:?}");
        }
    }

    #[test]
    fn tells_readings_that_surprise() {
        for (text, surprising) in [
            ("0777", true),
            ("yes", true),
            ("1.10", true),
            ("1_000", true),
            ("true", false),
            ("42", false),
            ("x", false),
        ] {
            assert_eq!(reads_differently(text, &meaning(text)), surprising, "{text}");
        }
    }
}
