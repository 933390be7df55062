//! The versions of a file's form that a program reads.
//!
//! What one run writes and a later one reads carries the version of its form
//! (docs/contracts/formats.md). Another version is refused as a whole: what it says may mean something
//! else.

use std::{fmt, marker::PhantomData};

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, value::UnitDeserializer};

/// The versions of a file's form that this program reads; it writes the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FormatVersions {
    oldest: u32,
    newest: u32,
}

/// A file has a version that this program does not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is of version {found}, and this program reads {known}")]
pub struct UnsupportedVersion {
    found: u32,
    known: FormatVersions,
}

impl FormatVersions {
    /// All versions from the first one to `newest`.
    pub const fn up_to(newest: u32) -> Self {
        Self { oldest: 1, newest }
    }

    /// The version that is written.
    pub const fn newest(self) -> u32 {
        self.newest
    }

    /// Whether a version is among them.
    ///
    /// # Errors
    /// [`UnsupportedVersion`] when it is not.
    pub fn check(self, found: u32) -> Result<(), UnsupportedVersion> {
        if (self.oldest..=self.newest).contains(&found) {
            return Ok(());
        }
        Err(UnsupportedVersion { found, known: self })
    }
}

impl UnsupportedVersion {
    /// What the user can do about it.
    pub fn advice(self) -> &'static str {
        if self.found > self.known.newest {
            "a newer release of esb wrote it: use that release, or a later one"
        } else {
            "no release of esb writes this version: bring the file back as it was"
        }
    }
}

/// The version of a document, whatever else it holds: another version may have anything beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FormatHead<V = u32> {
    /// The value of the key `version`; an `Option` where it may be absent.
    pub version: V,
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for FormatHead<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeadVisitor(PhantomData))
    }
}

/// Unlike a derived one it takes no list for a document.
struct HeadVisitor<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> de::Visitor<'de> for HeadVisitor<V> {
    type Value = FormatHead<V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a document with a `version`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut version = None;
        while let Some(key) = map.next_key::<String>()? {
            if key == "version" {
                version = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        let absent = |_| de::Error::missing_field("version");
        let version = match version {
            Some(version) => version,
            None => V::deserialize(UnitDeserializer::<A::Error>::new()).map_err(absent)?,
        };
        Ok(FormatHead { version })
    }
}

impl fmt::Display for FormatVersions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { oldest, newest } = self;
        if oldest == newest {
            write!(f, "version {newest}")
        } else {
            write!(f, "versions {oldest} to {newest}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_versions_are_told_with_those_that_are_read() {
        let known = FormatVersions::up_to(2);
        assert_eq!([1, 2].map(|version| known.check(version)), [Ok(()), Ok(())]);
        let newer = known.check(3).unwrap_err();
        assert_eq!(newer.to_string(), "is of version 3, and this program reads versions 1 to 2");
        assert!(newer.advice().contains("newer release"));
        let none = FormatVersions::up_to(1).check(0).unwrap_err();
        assert_eq!(none.to_string(), "is of version 0, and this program reads version 1");
        assert!(!none.advice().contains("newer"));
    }
}
