//! A wrapper for secret values, which `Debug` and `Display` do not show.

use std::{borrow::Cow, fmt};

/// A value whose `Debug` and `Display` show `****`.
///
/// Get at it with [`Secret::reveal`], so that every use can be found.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps a value.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself.
    pub fn reveal(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

impl<T> fmt::Display for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

/// An address of a setting as messages show it, with `****` in the place of what stands before an
/// `@`: that is a user and a password, whatever is wrong with the rest. What `@sha256:` ends is the
/// name of an image.
pub fn without_user(address: &str) -> String {
    let start = address.find("://").map_or(0, |at| at + "://".len());
    let (scheme, rest) = address.split_at(start);
    let mut ends = rest.rmatch_indices('@').map(|(at, _)| at);
    match ends.find(|at| !rest[*at..].starts_with("@sha256:")) {
        Some(at) => format!("{scheme}****{}", &rest[at..]),
        None => address.to_owned(),
    }
}

/// A text with `****` in place of what web addresses in it tell of credentials: users and passwords,
/// and values of a query that sign it or are tokens.
pub fn without_credentials(text: &str) -> Cow<'_, str> {
    mask_credentials(text, &|_| "****".to_owned())
}

/// The same with what `mask` makes of each credential in its place.
pub fn mask_credentials<'a>(text: &'a str, mask: &dyn Fn(&str) -> String) -> Cow<'a, str> {
    if !text.contains(['@', '?', '#']) {
        return Cow::Borrowed(text);
    }
    let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '`' | ',');
    let mut hidden = String::with_capacity(text.len());
    for word in text.split_inclusive(ends) {
        let end = word.chars().next_back().filter(|c| ends(*c)).map_or(0, char::len_utf8);
        let (word, end) = word.split_at(word.len() - end);
        hidden.push_str(&without_signature(&without_login(word, mask), mask));
        hidden.push_str(end);
    }
    if hidden == text { Cow::Borrowed(text) } else { Cow::Owned(hidden) }
}

/// An address without its user and password.
fn without_login<'a>(word: &'a str, mask: &dyn Fn(&str) -> String) -> Cow<'a, str> {
    let Some(start) = word.find("://").map(|at| at + "://".len()) else {
        return without_bare_login(word, mask);
    };
    let rest = &word[start..];
    let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    // A password may hold a slash that nobody encoded: what follows a colon is then no port.
    let port = rest[..authority].split_once(':').map_or("", |(_, port)| port);
    let is_cut = port.contains(|c: char| !c.is_ascii_digit()) && !rest.starts_with('[');
    let area = if is_cut { rest } else { &rest[..authority] };
    let mut ends = area.rmatch_indices('@').map(|(at, _)| at);
    match ends.find(|at| *at > 0 && !rest[*at..].starts_with("@sha256:")) {
        Some(at) => Cow::Owned([&word[..start], &mask(&rest[..at]), &rest[at..]].concat()),
        None => Cow::Borrowed(word),
    }
}

/// The same for one without a scheme, such as the name of an image: `user:password@host/name`.
fn without_bare_login<'a>(word: &'a str, mask: &dyn Fn(&str) -> String) -> Cow<'a, str> {
    let Some((login, rest)) = word.rsplit_once('@') else { return Cow::Borrowed(word) };
    let start = login.rfind(['(', '[', '{', '=']).map_or(0, |at| at + 1);
    let host = rest.split('/').next().unwrap_or_default();
    let is_host = host.len() < rest.len()
        && (host.contains(['.', ':']) || host == "localhost")
        && !host.starts_with("sha256:");
    let is_login = login[start..].split_once(':').is_some_and(|(user, password)| {
        !user.is_empty() && !password.is_empty() && !user.contains('/')
    });
    if is_host && is_login {
        return Cow::Owned([&login[..start], &mask(&login[start..]), "@", rest].concat());
    }
    Cow::Borrowed(word)
}

/// An address without what signs its query.
fn without_signature<'a>(word: &'a str, mask: &dyn Fn(&str) -> String) -> Cow<'a, str> {
    let Some(start) = word.find(['?', '#']).filter(|_| word.contains('=')) else {
        return Cow::Borrowed(word);
    };
    let mut hidden = word[..start].to_owned();
    for field in word[start..].split_inclusive(['&', ';', '?', '#']) {
        let (pair, end) = match field.strip_suffix(['&', ';', '?', '#']) {
            Some(pair) => (pair, &field[pair.len()..]),
            None => (field, ""),
        };
        match pair.split_once('=') {
            Some((name, value)) if is_credential(name) && !value.is_empty() => {
                hidden.push_str(name);
                hidden.push('=');
                hidden.push_str(&mask(value));
            }
            _ => hidden.push_str(pair),
        }
        hidden.push_str(end);
    }
    Cow::Owned(hidden)
}

/// Whether a value of a query with this name opens what the address leads to.
fn is_credential(name: &str) -> bool {
    const PARTS: [&str; 9] = [
        "signature",
        "token",
        "secret",
        "passw",
        "credential",
        "accesskey",
        "apikey",
        "api_key",
        "api-key",
    ];
    let name = name.to_ascii_lowercase();
    name == "sig" || name == "pwd" || PARTS.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_shown_without_credentials_of_addresses() {
        let check = |text: &str, expected: &str| assert_eq!(without_credentials(text), expected);
        check("at `https://me:pw@h.example/x`: no", "at `https://****@h.example/x`: no");
        check("https://token@h/x, http://h:80/a@b", "https://****@h/x, http://h:80/a@b");
        check("https://me:p/w@h/x", "https://****@h/x");
        check("`me:pw@r.example:5000/a/b:1`", "`****@r.example:5000/a/b:1`");
        check(
            "r.example/a:1@sha256:00 a@b.example x:y@z",
            "r.example/a:1@sha256:00 a@b.example x:y@z",
        );
        check("https://r.example:5000/a:1@sha256:00", "https://r.example:5000/a:1@sha256:00");
        check(
            "https://h/a?X-Amz-Date=1&X-Amz-Signature=ab%2F&x=1",
            "https://h/a?X-Amz-Date=1&X-Amz-Signature=****&x=1",
        );
        check("https://h/a?sv=1&amp;sig=a&amp;se=2", "https://h/a?sv=1&amp;sig=****&amp;se=2");
        check("a?b=c design? sig=nature", "a?b=c design? sig=nature");
        check("GET /orders?token=abc", "GET /orders?token=****");
    }

    #[test]
    fn addresses_are_shown_without_passwords() {
        for (address, expected) in [
            ("registry:5010/team", "registry:5010/team"),
            ("http://user:s3cret@h/x", "http://****@h/x"),
            ("user:s3cret@h:5000", "****@h:5000"),
            ("tcp://a:1,tcp://user:s3c@ret,@h:1", "tcp://****@h:1"),
            ("ssh://user:s3/cret@h", "ssh://****@h"),
            ("user:s3cret@h/a@sha256:x", "****@h/a@sha256:x"),
            ("h/a:1@sha256:x", "h/a:1@sha256:x"),
            ("@", "****@"),
        ] {
            assert_eq!(without_user(address), expected);
        }
    }

    #[test]
    fn never_shows_its_value() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?} {:?}", Some(&secret)), "**** **** Some(****)");
        assert_eq!(*secret.reveal(), "hunter2");
    }
}
