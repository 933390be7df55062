//! Decides which values of environment variables may be shown to people and written into logs.

/// Parts of names whose values are secrets more often than not.
const NAMES: [&str; 13] = [
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "PWD",
    "TOKEN",
    "SECRET",
    "KEY",
    "CREDENTIAL",
    "AUTH",
    "PRIVATE",
    "SIGNATURE",
    "DSN",
    "CONNECTION_STRING",
];

/// The most characters of a value that are shown.
const LONGEST: usize = 60;

/// The value of a variable in backticks; none where the name or the value could be a secret's.
pub(crate) fn shown(name: &str, value: &str) -> Option<String> {
    let name = name.to_ascii_uppercase();
    let is_hidden = NAMES.iter().any(|part| name.contains(part)) || has_credentials(value);
    if is_hidden {
        return None;
    }
    let mut characters = value.chars();
    let start: String = characters.by_ref().take(LONGEST).collect();
    let more = if characters.next().is_some() { "…" } else { "" };
    Some(format!("`{}{more}`", start.escape_debug()))
}

/// Whether a value is an address with a user in it, has a parameter that is called like a secret,
/// or is a block of PEM.
fn has_credentials(value: &str) -> bool {
    let after_scheme = value.split("://").nth(1);
    let user = after_scheme.and_then(|rest| rest.split(['/', '?', '#']).next());
    let value = value.to_ascii_uppercase();
    user.is_some_and(|authority| authority.contains('@'))
        || value.contains("-----BEGIN")
        || NAMES.iter().any(|part| value.contains(&format!("{part}=")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_a_secret_is_not_shown() {
        let hidden = [
            ("DB_PASSWORD", "x"),
            ("ApiKey", "x"),
            ("GITHUB_TOKEN", "x"),
            ("client_secret", "x"),
            ("DATABASE_URL", "postgres://app:pw@db:5432/app"),
            ("DATABASE_URL", "Server=db;Password=pw"),
            ("CERT", "-----BEGIN EC PRIVATE KEY-----"),
        ];
        for (name, value) in hidden {
            assert_eq!(shown(name, value), None, "{name}");
        }
        assert_eq!(shown("STAGE", "prod").as_deref(), Some("`prod`"));
        assert_eq!(shown("URL", "https://db/a@b").as_deref(), Some("`https://db/a@b`"));
        assert_eq!(shown("TEXT", "a\u{1b}").as_deref(), Some("`a\\u{1b}`"));
        assert_eq!(shown("LONG", &"x".repeat(61)), Some(format!("`{}…`", "x".repeat(60))));
    }
}
