//! Turns a route's path into the regular expression that the Gateway matches
//! (docs/contracts/platform.md#routingyml).

use crate::{
    routing::{CATCH_ALL, GREEDY_END, GREEDY_START},
    text::identifier,
};

/// The reason why the Gateway does not support a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum PathError {
    #[error(
        "parameter `{0}` is not an identifier (a letter or `_`, then letters, digits and `_`), which \
         the Gateway needs"
    )]
    Name(String),
    #[error("parameter `{0}` is in the path twice, which the Gateway refuses")]
    Repeated(String),
    #[error("parameter `{0}+` matches the rest of the path and must come last")]
    NotLast(String),
    #[error("the path has an unmatched brace")]
    Brace,
}

/// The path as routing.yml has it; `$default` takes everything.
pub(super) fn encode(path: &str) -> Result<String, PathError> {
    if path == "$default" {
        return Ok(CATCH_ALL.to_owned());
    }
    let mut out = String::with_capacity(path.len() + 16);
    if !path.starts_with('/') {
        out.push('/');
    }
    let mut names = Vec::new();
    let mut rest = path;
    while let Some(start) = rest.find(['{', '}']) {
        escape(&mut out, &rest[..start]);
        let inner = rest[start..].strip_prefix('{').ok_or(PathError::Brace)?;
        let end = inner.find('}').ok_or(PathError::Brace)?;
        let (name, greedy) = match inner[..end].strip_suffix('+') {
            Some(name) => (name, true),
            None => (&inner[..end], false),
        };
        if name.contains('{') {
            return Err(PathError::Brace);
        }
        if name.is_empty() || identifier(name) != name.len() {
            return Err(PathError::Name(name.to_owned()));
        }
        if names.contains(&name) {
            return Err(PathError::Repeated(name.to_owned()));
        }
        names.push(name);
        rest = &inner[end + 1..];
        if greedy {
            if !rest.is_empty() {
                return Err(PathError::NotLast(name.to_owned()));
            }
            out.extend([GREEDY_START, name, GREEDY_END]);
        } else {
            out.extend(["{", name, "}"]);
        }
    }
    escape(&mut out, rest);
    Ok(out)
}

/// Text that a regex matches as it stands.
fn escape(out: &mut String, text: &str) {
    for c in text.chars() {
        if r".^$*+?()[]|\".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::template_path;

    #[test]
    fn paths() {
        let ok = |path: &str| Ok(path.to_owned());
        let name = |name: &str| Err(PathError::Name(name.into()));
        for (path, expected) in [
            ("/", ok("/")),
            ("", ok("/")),
            ("hello", ok("/hello")),
            ("/orders/{id}/items/", ok("/orders/{id}/items/")),
            ("/{proxy+}", ok("/(?P<proxy>.+)")),
            ("/a.b/$x(1)|[2]*?^+\\", ok(r"/a\.b/\$x\(1\)\|\[2\]\*\?\^\+\\")),
            ("/日本", ok("/日本")),
            ("$default", ok("/.*")),
            ("/{user-id}", name("user-id")),
            ("/{1a}", name("1a")),
            ("/{}", name("")),
            ("/{+}", name("")),
            ("/{é}", name("é")),
            ("/{a}/{a}", Err(PathError::Repeated("a".into()))),
            ("/{a+}/b", Err(PathError::NotLast("a".into()))),
            ("/{a", Err(PathError::Brace)),
            ("/a}", Err(PathError::Brace)),
            ("/{{a}}", Err(PathError::Brace)),
        ] {
            let encoded = encode(path);
            assert_eq!(encoded, expected, "{path}");
            // What the file has leads back to what the template has.
            if let Ok(encoded) = encoded.as_deref()
                && (path == "$default" || path.starts_with('/'))
            {
                assert_eq!(template_path(encoded), path);
            }
        }
    }
}
