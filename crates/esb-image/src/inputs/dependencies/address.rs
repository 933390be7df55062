//! Secrets in web addresses, as they are written and as tools say them again.
//!
//! A password may hold `@`, `/`, `?` and `#` as they are, where a tool ends it before its time and
//! takes the rest for a host or a path. In doubt too much is hidden.

use super::entry::percent_decoded;

/// Characters that end a password, a host or a path for some tool.
const SEPARATORS: [char; 5] = ['@', ':', '/', '?', '#'];

/// Shorter values of a query are no signatures.
const SHORTEST_SIGNATURE: usize = 8;

/// Shorter parts of a secret would be found in every other word.
const SHORTEST_PART: usize = 4;

/// Everything before the last `@` of an address that has a user, a password or a token.
fn user(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once("://")?;
    let word = rest.split(char::is_whitespace).next().unwrap_or_default();
    let scheme = scheme.rsplit(char::is_whitespace).next().unwrap_or_default();
    let is_repository = scheme.contains('+') || ["git", "ssh"].contains(&scheme);
    // The last `@` of a repository's address is that of a branch, a tag or a commit.
    let word = match word.rsplit_once('@') {
        Some((before, name)) if is_repository && before.contains('/') && !name.contains('/') => {
            before
        }
        _ => word,
    };
    let host = word.split(['/', '?', '#']).next().unwrap_or_default();
    let may_have_user = host.contains('@') || host.contains(':') && !host.starts_with('[');
    word.rsplit_once('@').filter(|_| may_have_user).map(|(user, _)| user)
}

/// An address as messages show it: without its user, query and fragment.
pub(super) fn shown_address(address: &str) -> String {
    let plain = match user(address) {
        Some(user) => address.replacen(&format!("{user}@"), "", 1),
        None => address.to_owned(),
    };
    plain.split(['?', '#']).next().unwrap_or_default().to_owned()
}

/// The password or token of an address and long values of its query, as they are written and as
/// they are meant.
pub(super) fn secrets_of(address: &str) -> Vec<String> {
    let user = user(address);
    let user = user.map(|user| user.split_once(':').map_or(user, |(_, password)| password));
    let before_fragment = address.split('#').next().unwrap_or_default();
    let query = before_fragment.split_once('?').map_or("", |(_, query)| query);
    let query = query.split_whitespace().next().unwrap_or_default().split('&');
    let signed = query.filter_map(|pair| pair.split_once('=')).map(|(_, value)| value);
    let secrets = user.into_iter().chain(signed.filter(|value| value.len() >= SHORTEST_SIGNATURE));
    secrets.flat_map(forms).collect()
}

/// A secret, and what is left of it where a tool takes a part for a host, which it says in lower
/// case, or for a path.
pub(super) fn forms(secret: &str) -> Vec<String> {
    let mut forms = vec![secret.to_owned(), percent_decoded(secret)];
    for whole in [secret.to_owned(), percent_decoded(secret)] {
        if !whole.contains(SEPARATORS) {
            continue;
        }
        let starts = whole.match_indices(SEPARATORS).map(|(at, _)| at + 1);
        for start in [0].into_iter().chain(starts) {
            let rest = &whole[start..];
            let (part, after) = rest.split_at(rest.find(SEPARATORS).unwrap_or(rest.len()));
            let lower = part.to_lowercase();
            let found = [rest.to_owned(), format!("{lower}{after}"), part.to_owned(), lower];
            forms.extend(found.into_iter().filter(|form| form.len() >= SHORTEST_PART));
        }
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_end_at_the_last_at() {
        for (address, expected) in [
            ("https://u:p@h/a", Some("u:p")),
            ("x @ https://token@h/a ; m", Some("token")),
            ("http://ci:Pa@SECRET/TAIL@127.0.0.1:7820/simple/", Some("ci:Pa@SECRET/TAIL")),
            ("http://ci:p?q#f@h/", Some("ci:p?q#f")),
            ("http://ci:12/34@h/", Some("ci:12/34")),
            ("https://h/a@b", None),
            ("http://[::1]:80/a@b", None),
            ("https://h:1/a", None),
            ("git+https://u:p@h/x@main", Some("u:p")),
            ("git+https://h/x@main", None),
            ("h", None),
        ] {
            assert_eq!(user(address), expected, "{address}");
        }
        let shown = shown_address("http://ci:Pa@SECRET/TAIL?x#y@127.0.0.1:7820/simple/?sig=1");
        assert_eq!(shown, "http://127.0.0.1:7820/simple/");
    }

    #[test]
    fn parts_of_passwords_are_secrets_in_lower_case_too() {
        let found = secrets_of("http://ci:Pa@SECRET/TAIL?Query#Fragment@127.0.0.1:7820/simple/");
        for form in
            ["Pa@SECRET/TAIL?Query#Fragment", "SECRET", "secret", "TAIL", "Query", "Fragment"]
        {
            assert!(found.iter().any(|secret| secret == form), "{form}: {found:?}");
        }
        // Parts that are too short alone are hidden together.
        assert!(secrets_of("http://ci:Pa@SEC/TA@h").iter().any(|secret| secret == "sec/TA"));
    }
}
