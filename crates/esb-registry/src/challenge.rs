//! Parses the `WWW-Authenticate` header of a 401 response (RFC 7235).
//!
//! Owns the reading of the header. Pure.

/// A way to authenticate that a registry offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    Basic,
    /// A token from `realm`.
    Bearer {
        realm: String,
        service: Option<String>,
    },
}

/// The longest header that is read.
const LIMIT: usize = 8 * 1024;

/// The best of the challenges in the header's values: a token before a password.
pub(crate) fn read<'a>(values: impl Iterator<Item = &'a str>) -> Option<Challenge> {
    let mut best = None;
    for value in values.take(8).filter(|value| value.len() <= LIMIT) {
        for (scheme, parameters) in split(value) {
            let get = |name: &str| {
                let mut found = parameters.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
                found.next().map(|(_, value)| value.clone())
            };
            if scheme.eq_ignore_ascii_case("bearer") {
                if let Some(realm) = get("realm") {
                    return Some(Challenge::Bearer { realm, service: get("service") });
                }
            } else if scheme.eq_ignore_ascii_case("basic") {
                best = Some(Challenge::Basic);
            }
        }
    }
    best
}

/// The challenges of one value with their parameters.
fn split(value: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut challenges: Vec<(String, Vec<(String, String)>)> = Vec::new();
    let mut rest = value.trim_start_matches([' ', ',']);
    while !rest.is_empty() {
        let end = rest.find([' ', '=', ',']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if let Some(text) = after.strip_prefix('=') {
            let (parameter, after) = parameter(text);
            if let Some((_, parameters)) = challenges.last_mut() {
                parameters.push((word.to_owned(), parameter));
            }
            rest = after;
        } else {
            challenges.push((word.to_owned(), Vec::new()));
            rest = after;
        }
        rest = rest.trim_start_matches([' ', ',']);
    }
    challenges
}

/// A parameter's value, quoted or not, and what follows it.
fn parameter(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let (mut value, mut escaped) = (String::new(), false);
    for (at, c) in quoted.char_indices() {
        match c {
            _ if escaped => {
                value.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return (value, &quoted[at + 1..]),
            _ => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_registries_send() {
        let bearer = |realm: &str, service: Option<&str>| {
            let service = service.map(str::to_owned);
            Some(Challenge::Bearer { realm: realm.to_owned(), service })
        };
        let check = |values: &[&str], expected: Option<Challenge>| {
            assert_eq!(read(values.iter().copied()), expected, "{values:?}");
        };
        check(
            &[
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="a:b:c,d""#,
            ],
            bearer("https://auth.docker.io/token", Some("registry.docker.io")),
        );
        check(&[r#"Basic realm="Registry Realm""#], Some(Challenge::Basic));
        check(&["BASIC"], Some(Challenge::Basic));
        check(&[r#"Basic realm="a, b", Bearer realm=https://x/t"#], bearer("https://x/t", None));
        check(&[r#"Basic realm="x""#, r#"bearer Realm="y\"z""#], bearer("y\"z", None));
        check(&[r#"Bearer service="only""#], None);
        check(&["Negotiate", "", ",,", "=", r#"Bearer realm="open"#], bearer("open", None));
        check(&[], None);
    }
}
