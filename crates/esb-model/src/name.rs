//! Naming rules that the command line, the Agent and the registry share.

use std::borrow::Cow;

/// The folder below `.<brand>/` with the published configuration of every compose project.
pub const STAGING_FOLDER: &str = "staging";

/// What tells the folder of an environment from that one.
const APART: &str = ".env";

/// A name without any character that an image name may have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` has no letter or digit to use in an image name", .0.escape_debug())]
pub struct EmptyName(pub String);

/// The environment's name cannot be a folder of the project.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{}` cannot name an environment: use letters, digits, `.`, `_` and `-`, starting with a \
     letter or digit", .0.escape_debug()
)]
pub struct InvalidEnvironmentName(pub String);

/// Converts a function name into an image name: lower-case, with runs of separators collapsed to
/// their first, and none at either end (docs/contracts/platform.md#image-names).
///
/// # Errors
/// When nothing is left.
pub fn image_name(name: &str) -> Result<String, EmptyName> {
    let mut image = String::with_capacity(name.len());
    let mut separator = None;
    for c in name.trim().chars().flat_map(char::to_lowercase) {
        match c {
            'a'..='z' | '0'..='9' => {
                if let Some(separator) = separator.take()
                    && !image.is_empty()
                {
                    image.push(separator);
                }
                image.push(c);
            }
            '.' | '_' | '-' => separator = separator.or(Some(c)),
            _ => separator = separator.or(Some('-')),
        }
    }
    if image.is_empty() { Err(EmptyName(name.to_owned())) } else { Ok(image) }
}

/// Checks that a text can be the name of an environment, which is a folder below `.<brand>/`
/// (architecture, "Names on disk").
///
/// # Errors
/// When the name is not a plain path segment.
pub fn check_environment_name(name: &str) -> Result<(), InvalidEnvironmentName> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let valid = name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(plain)
        && name.len() <= 64;
    if valid { Ok(()) } else { Err(InvalidEnvironmentName(name.to_owned())) }
}

/// The folder below `.<brand>/` with an environment's files: its name, but for that of the folder
/// with published configuration.
pub fn environment_folder(name: &str) -> Cow<'_, str> {
    // What the exception is called is an exception too: no two environments share a folder.
    let mut rest = name;
    while let Some(start) = rest.strip_suffix(APART) {
        rest = start;
    }
    if rest.eq_ignore_ascii_case(STAGING_FOLDER) {
        Cow::Owned(format!("{name}{APART}"))
    } else {
        Cow::Borrowed(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sanitises_as_the_agent_does() {
        for (name, image) in [
            ("My Func!!", "my-func"),
            ("Lambda_One", "lambda_one"),
            (" a..b__c-_d ", "a.b_c-d"),
            ("größe", "gr-e"),
            ("--x--", "x"),
            ("K\u{212A}", "kk"), // the Kelvin sign lower-cases to an ASCII k
        ] {
            assert_eq!(image_name(name).as_deref(), Ok(image), "{name:?}");
        }
        assert_eq!(image_name("___"), Err(EmptyName("___".into())));
        assert_eq!(image_name(""), Err(EmptyName(String::new())));
    }

    #[test]
    fn environments_are_plain_folders() {
        for good in ["default", "dev", "Prod-2", "a.b", "staging"] {
            assert!(check_environment_name(good).is_ok(), "{good}");
        }
        for bad in ["", "../x", ".hidden", "a/b", "a b", "é"] {
            assert!(check_environment_name(bad).is_err(), "{bad}");
        }
        for (name, folder) in [
            ("dev", "dev"),
            ("dev.env", "dev.env"),
            ("staging", "staging.env"),
            ("Staging", "Staging.env"),
            ("staging.env", "staging.env.env"),
            ("staging-2", "staging-2"),
        ] {
            assert_eq!(environment_folder(name), folder);
        }
    }
}
