//! Variables in lines of requirements files, and lines that a tool reads again.
//!
//! How bytes become lines, and a line a requirement and its options, `esb_model::requirements`
//! says.

use std::collections::BTreeSet;

pub(crate) use esb_model::requirements::{Name, Parsed, decode, logical, parse};

/// What precedes the name of a variable that is left to the tool: no variable that a program
/// listens to is called so.
pub(crate) const VARIABLE: &str = "ESB_REQUIREMENT_";

/// Puts the values of variables into a line. Those inside of web addresses, which may be secrets,
/// are left to the tool under names of their own and added to `left`.
///
/// # Errors
/// With the reason, when a value would make the line another one.
pub(crate) fn expand(
    line: &str,
    value: &dyn Fn(&str) -> Option<String>,
    left: &mut BTreeSet<String>,
) -> Result<String, String> {
    let (mut expanded, mut rest) = (String::with_capacity(line.len()), line);
    let (own, mut put) = (format!("${{{VARIABLE}"), 0);
    while let Some(at) = rest.find("${") {
        let (before, found) = rest.split_at(at);
        expanded.push_str(before);
        let name = found[2..].split('}').next().unwrap_or_default();
        let is_name = !name.is_empty()
            && found[2..].len() > name.len()
            && name.bytes().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'_');
        let known = if is_name { value(name).filter(|value| !value.is_empty()) } else { None };
        let Some(known) = known else {
            expanded.push_str("${");
            rest = &found[2..];
            continue;
        };
        rest = &found[2 + name.len() + 1..];
        let word = expanded.rsplit(char::is_whitespace).next().unwrap_or_default();
        let in_address = word.contains("://");
        let unfit = |c: char| {
            c.is_control()
                || matches!(c, '\u{2028}' | '\u{2029}')
                || in_address && (c.is_whitespace() || "'\"\\".contains(c))
        };
        if known.contains(unfit) {
            return Err(format!("the value of `{name}` holds what a line cannot have there"));
        }
        if in_address {
            expanded.extend(["${", VARIABLE, name, "}"]);
            left.insert(name.to_owned());
            put += 1;
        } else {
            expanded.push_str(&known);
        }
    }
    expanded.push_str(rest);
    if expanded.matches(&own).count() != put {
        return Err(format!("variables that begin with `{VARIABLE}` are not the project's"));
    }
    Ok(expanded)
}

/// Whether a tool that reads a line again finds in it what was found before: it is one line of
/// plain blanks, whose only options are hashes, so many of them, and no variable is put into it
/// but those that are left to the tool.
pub(crate) fn is_same_again(line: &str, hashes: usize) -> bool {
    let odd = |c: char| c.is_control() || c.is_whitespace() && c != ' ';
    let foreign = line.split("${").skip(1).any(|rest| !rest.starts_with(VARIABLE));
    let whole = matches!(&logical(line)[..], [only] if only.text == line);
    let options = parse(line).map(|parsed| parsed.options);
    let only_hashes = |options: Vec<(Name, String)>| {
        options.len() == hashes && options.iter().all(|(name, _)| *name == Name::Hash)
    };
    !line.contains(odd) && !foreign && whole && options.is_ok_and(only_hashes)
}

/// Whether an option's value is one word as it stands, without quotes.
pub(crate) fn is_word(value: &str) -> bool {
    let odd = |c: char| c.is_control() || c.is_whitespace() || "'\"\\".contains(c);
    let foreign = value.split("${").skip(1).any(|rest| !rest.starts_with(VARIABLE));
    !value.is_empty() && !value.starts_with(['-', '#']) && !value.contains(odd) && !foreign
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables() {
        let value = |name: &str| match name {
            "V" => Some("1.0".to_owned()),
            "TOKEN" => Some("hunter2".to_owned()),
            "LINES" => Some("a\nb".to_owned()),
            "WORDS" => Some("h -e ./x".to_owned()),
            _ => None,
        };
        let check = |text: &str, expected: Result<&str, ()>, names: &[&str]| {
            let mut left = BTreeSet::new();
            let found = expand(text, &value, &mut left);
            assert_eq!(found.as_deref().map_err(|_| ()), expected, "{text}");
            assert_eq!(left.iter().map(String::as_str).collect::<Vec<_>>(), names, "{text}");
        };
        check("six==${V} ${NONE} ${v} ${V", Ok("six==1.0 ${NONE} ${v} ${V"), &[]);
        let left = "-i http://ci:${ESB_REQUIREMENT_TOKEN}@h/";
        check("-i http://ci:${TOKEN}@h/", Ok(left), &["TOKEN"]);
        check("${LINES}", Err(()), &[]);
        check("${WORDS}", Ok("h -e ./x"), &[]);
        check("-i http://${WORDS}", Err(()), &[]);
    }
}
