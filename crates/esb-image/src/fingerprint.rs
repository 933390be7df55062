//! Keys that change exactly when a result would (contracts, section 10.8).
//!
//! Owns how parts become one SHA-256, so that no two lists of parts give the same bytes, and how
//! a changed key is explained. Refuses to read what the parts stand for.

use std::collections::BTreeMap;

use esb_oci::{Digest, Hasher};
use serde::{Deserialize, Serialize};

/// Goes into every key; another number makes all earlier results unknown.
const VERSION: &str = "esb-image-2";

/// Collects the parts of a key.
#[derive(Debug)]
pub(crate) struct Fingerprint(Hasher);

impl Fingerprint {
    /// A key of its own kind: equal parts of another kind give another key.
    pub(crate) fn new(kind: &str) -> Self {
        let mut fingerprint = Self(Hasher::default());
        fingerprint.text(VERSION).text(kind);
        fingerprint
    }

    pub(crate) fn bytes(&mut self, part: &[u8]) -> &mut Self {
        self.0.update(&(part.len() as u64).to_le_bytes());
        self.0.update(part);
        self
    }

    pub(crate) fn text(&mut self, part: &str) -> &mut Self {
        self.bytes(part.as_bytes())
    }

    pub(crate) fn number(&mut self, part: u64) -> &mut Self {
        self.bytes(&part.to_le_bytes())
    }

    pub(crate) fn digest(&mut self, part: Digest) -> &mut Self {
        self.text(&part.hex())
    }

    pub(crate) fn finish(self) -> Digest {
        self.0.finish().0
    }
}

/// What an image is made of, one key for each kind of reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ImageParts {
    /// Manifests of the bases.
    pub(crate) base: Digest,
    /// Dockerfile and platform.
    pub(crate) recipe: Digest,
    /// Labels and time.
    pub(crate) settings: Digest,
    /// What each source of `COPY` holds, by place and name.
    pub(crate) sources: BTreeMap<String, Digest>,
}

impl ImageParts {
    /// The key of the image.
    pub(crate) fn key(&self) -> Digest {
        let mut key = Fingerprint::new("image");
        key.digest(self.base).digest(self.recipe).digest(self.settings);
        for (name, digest) in &self.sources {
            key.text(name).digest(*digest);
        }
        key.finish()
    }

    /// Why the image has to be made although `earlier` was. `files_of` says which files of a source
    /// are different from those under its earlier key, as far as it knows.
    pub(crate) fn reason(
        &self,
        earlier: Option<&Self>,
        files_of: impl Fn(&str, Digest) -> Vec<(String, &'static str)>,
    ) -> String {
        let Some(earlier) = earlier else { return "never built before".to_owned() };
        let mut reasons = Vec::new();
        if self.base != earlier.base {
            reasons.push("base image changed".to_owned());
        } else if self.recipe != earlier.recipe {
            reasons.push("recipe changed".to_owned());
        }
        if self.settings != earlier.settings {
            reasons.push("labels or time changed".to_owned());
        }
        let mut changed = Vec::new();
        for (place, digest) in &self.sources {
            let before = earlier.sources.get(place);
            if before == Some(digest) {
                continue;
            }
            let files = before.map(|before| files_of(place, *before)).unwrap_or_default();
            if files.is_empty() {
                let name = place.split_once(' ').map_or(&**place, |(_, name)| name);
                changed.push((name.to_owned(), "changed"));
            }
            changed.extend(files);
        }
        if let Some((first, how)) = changed.first() {
            let more = match changed.len() - 1 {
                0 => String::new(),
                more => format!(", and {more} more"),
            };
            reasons.push(format!("`{}` {how}{more}", first.escape_debug()));
        }
        if reasons.is_empty() {
            return "its layers are not in the store any more".to_owned();
        }
        reasons.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_together() {
        let key = |parts: &[&str]| {
            let mut key = Fingerprint::new("test");
            for part in parts {
                key.text(part);
            }
            key.finish()
        };
        assert_ne!(key(&["ab", "c"]), key(&["a", "bc"]));
        assert_ne!(key(&["a", ""]), key(&["a"]));
        assert_ne!(Fingerprint::new("a").finish(), Fingerprint::new("b").finish());
    }

    #[test]
    fn reasons() {
        let digest = |text: &str| Digest::of(text.as_bytes());
        let parts = ImageParts {
            base: digest("b"),
            recipe: digest("r"),
            settings: digest("s"),
            sources: [("3 code/".to_owned(), digest("c")), ("5 layer/".to_owned(), digest("l"))]
                .into(),
        };
        let check = |change: &dyn Fn(&mut ImageParts), expected: &str| {
            let mut new = parts.clone();
            change(&mut new);
            assert_eq!(new.reason(Some(&parts), |_, _| Vec::new()), expected);
            assert_eq!(new.key() == parts.key(), new == parts);
        };
        check(&|_| {}, "its layers are not in the store any more");
        check(&|new| new.base = digest("x"), "base image changed");
        check(&|new| new.recipe = digest("x"), "recipe changed");
        check(&|new| new.settings = digest("x"), "labels or time changed");
        check(&|new| *new.sources.get_mut("3 code/").unwrap() = digest("x"), "`code/` changed");
        check(
            &|new| new.sources.values_mut().for_each(|source| *source = digest("x")),
            "`code/` changed, and 1 more",
        );
        assert_eq!(parts.reason(None, |_, _| Vec::new()), "never built before");

        let mut new = parts.clone();
        new.sources.insert("3 code/".to_owned(), digest("x"));
        let told = |place: &str, before: Digest| {
            assert_eq!((place, before), ("3 code/", digest("c")));
            vec![("code/a\n".to_owned(), "removed"), ("code/b".to_owned(), "changed")]
        };
        assert_eq!(new.reason(Some(&parts), told), "`code/a\\n` removed, and 1 more");
    }
}
