//! Computes SHA-256 keys that change exactly when a result would
//! (docs/contracts/platform.md#fingerprints).
//!
//! Owns how parts become one SHA-256, so that no two lists of parts give the same bytes. Refuses to
//! read what the parts stand for.

use esb_oci::{Digest, Hasher};

/// Goes into every key; another number makes all earlier results unknown
/// (docs/contracts/formats.md#the-content-store).
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
}
