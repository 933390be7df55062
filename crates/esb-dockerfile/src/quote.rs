//! Quotes text for Dockerfiles and for `.dockerignore` files.
//!
//! Owns the rules of Docker's own reader: words are expanded (`$`, quotes, backslash) in both
//! forms of `COPY`, and sources are patterns of Go's `filepath.Match` after that. Refuses what no
//! quoting can carry instead of guessing.

use std::fmt::Write as _;

/// A text that cannot stand in its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` cannot be written in a Dockerfile", .0.escape_debug())]
pub(crate) struct Unwritable(pub(crate) String);

/// Whether `COPY` can name this source exactly.
///
/// A `[` can be escaped as `[[]`. For `*`, `?` and the backslash no spelling means the character
/// alone to every part of BuildKit, so such sources have to be copied to a plain place first.
pub(crate) fn is_copyable(path: &str) -> bool {
    !path.contains(['*', '?', '\\']) && !has_control(path)
}

/// Whether a text has line breaks or other characters that end or hide a line.
pub(crate) fn has_control(text: &str) -> bool {
    text.contains(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'))
}

/// The arguments of a `COPY`: `source` is a real path, `destination` is taken as it is.
///
/// # Errors
/// When the source is not [`is_copyable`].
pub(crate) fn copy_arguments(source: &str, destination: &str) -> Result<String, Unwritable> {
    if !is_copyable(source) {
        return Err(Unwritable(source.to_owned()));
    }
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | '+' | '@');
    // A word of `--…` would be a flag.
    if source.chars().all(plain) && !source.starts_with('-') {
        return Ok(format!("{source} {destination}"));
    }
    Ok(format!("[{}, {}]", json(&word(&source.replace('[', "[[]"))), json(destination)))
}

/// The exec form of `CMD` and `ENTRYPOINT`, which nothing expands.
pub(crate) fn exec_form(words: &[&str]) -> String {
    let words: Vec<_> = words.iter().map(|word| json(word)).collect();
    format!("[ {} ]", words.join(", "))
}

/// A value of `ENV`: one word, and no variable in it.
///
/// # Errors
/// When it has characters that end a line.
pub(crate) fn environment(text: &str) -> Result<String, Unwritable> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':');
    if has_control(text) {
        return Err(Unwritable(text.to_owned()));
    }
    if !text.is_empty() && text.chars().all(plain) {
        return Ok(text.to_owned());
    }
    let mut value = String::with_capacity(text.len() + 2);
    value.push('"');
    for c in text.chars() {
        if matches!(c, '$' | '"' | '\\') {
            value.push('\\');
        }
        value.push(c);
    }
    value.push('"');
    Ok(value)
}

/// An image reference after `FROM`.
///
/// # Errors
/// When it has characters that no reference has, which would be expanded or split.
pub(crate) fn reference(text: &str) -> Result<&str, Unwritable> {
    let allowed = |c: char| {
        c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':' | '@' | '[' | ']')
    };
    if !text.is_empty() && text.chars().all(allowed) && !text.starts_with('-') {
        Ok(text)
    } else {
        Err(Unwritable(text.to_owned()))
    }
}

/// A text inside a comment: one line whatever it holds.
pub(crate) fn comment(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.trim().chars() {
        if has_control(c.encode_utf8(&mut [0; 4])) {
            write!(line, "{}", c.escape_default()).expect("writing to a string cannot fail");
        } else {
            line.push(c);
        }
    }
    line
}

/// Whether a path is its own pattern in a `.dockerignore`.
///
/// Older engines skip excluded folders whose re-included content has escapes on its way, so that
/// such paths are not re-included but staged.
pub(crate) fn is_plain_pattern(path: &str) -> bool {
    let plain = |c: char| {
        c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | '+' | '@' | ' ' | '=' | ',')
    };
    path.chars().all(plain) && path.trim() == path
}

/// A word after which Docker's reader has the text again: it drops quotes, expands `$` and takes
/// the character after a backslash.
fn word(text: &str) -> String {
    let mut word = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '$' | '"' | '\'' | '\\') {
            word.push('\\');
        }
        word.push(c);
    }
    word
}

fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copy_forms() {
        let check = |source: &str, expected: &str| {
            assert_eq!(copy_arguments(source, "/opt/").as_deref(), Ok(expected), "{source:?}");
        };
        check("functions/hello/", "functions/hello/ /opt/");
        check("./", "./ /opt/");
        check("größe/", "größe/ /opt/");
        check("my code/", r#"["my code/", "/opt/"]"#);
        check("--from=x/", r#"["--from=x/", "/opt/"]"#);
        check("<<EOF/", r#"["<<EOF/", "/opt/"]"#);
        check("cost$HOME/", r#"["cost\\$HOME/", "/opt/"]"#);
        check("${X}/", r#"["\\${X}/", "/opt/"]"#);
        check("it's/", r#"["it\\'s/", "/opt/"]"#);
        check("a\"b/", r#"["a\\\"b/", "/opt/"]"#);
        check("[id]/", r#"["[[]id]/", "/opt/"]"#);
        check("#x/", r##"["#x/", "/opt/"]"##);
        for bad in ["a*b/", "a?b/", "a\\b/", "a\nRUN x/", "a\tb/", "a\u{85}b", "a\u{2028}b"] {
            assert_eq!(copy_arguments(bad, "/opt/"), Err(Unwritable(bad.into())), "{bad:?}");
        }
    }

    #[test]
    fn exec_forms_are_json() {
        assert_eq!(exec_form(&["app.handler"]), r#"[ "app.handler" ]"#);
        assert_eq!(exec_form(&["a\"b\\\nRUN x $Y"]), r#"[ "a\"b\\\nRUN x $Y" ]"#);
    }

    #[test]
    fn references_are_plain() {
        for good in ["esb-lambda-base:latest", "[::1]:5010/a/b:c", "h:1/a@sha256:00"] {
            assert_eq!(reference(good), Ok(good));
        }
        for bad in ["", "a b", "a\nRUN x", "$X", "--platform=x", "a\"b", "größe"] {
            assert_eq!(reference(bad), Err(Unwritable(bad.into())), "{bad:?}");
        }
    }

    #[test]
    fn comments_stay_on_their_line() {
        assert_eq!(comment(" common lib "), "common lib");
        assert_eq!(comment("a\nRUN x\u{2028}\u{1b}"), r"a\nRUN x\u{2028}\u{1b}");
    }

    #[test]
    fn plain_patterns() {
        for plain in [".aws-sam/build/Fn", "my code/x", "größe"] {
            assert!(is_plain_pattern(plain), "{plain:?}");
        }
        for odd in ["a[b", "!a", "#a", "a*", "a\\b", " a", "a ", "a$b"] {
            assert!(!is_plain_pattern(odd), "{odd:?}");
        }
    }
}
