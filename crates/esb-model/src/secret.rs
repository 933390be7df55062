//! A wrapper for secret values, which `Debug` and `Display` do not show.

use std::fmt;

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

#[cfg(test)]
mod tests {
    use super::*;

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
