//! The parts of an image's fingerprint, and the reason to rebuild when one has changed.

use std::collections::BTreeMap;

use esb_oci::{ContentStore, Digest, StoreError};
use serde::{Deserialize, Serialize};

use crate::{
    Base,
    context::listing::{Files, PartChanges},
    fingerprint::Fingerprint,
};

/// What an image is made of, one key for each kind of reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ImageParts {
    /// Names of the bases, and the digests of their configs.
    pub(crate) base: Digest,
    /// Dockerfile and platform.
    pub(crate) recipe: Digest,
    /// Labels and time.
    pub(crate) settings: Digest,
    /// What each source of `COPY` holds, by place and name.
    pub(crate) sources: BTreeMap<String, Digest>,
}

/// One of [`ImageParts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    Base,
    Recipe,
    Settings,
    /// By place and name.
    Source(&'a str),
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

    /// The parts by their keys, those of sources last.
    pub(crate) fn each(&self) -> impl Iterator<Item = (Part<'_>, Digest)> {
        let own =
            [(Part::Base, self.base), (Part::Recipe, self.recipe), (Part::Settings, self.settings)];
        own.into_iter().chain(self.sources.iter().map(|(place, key)| (Part::Source(place), *key)))
    }

    /// The reason why the image has to be built although `earlier` was. `differences` says what in
    /// a part is different from what its earlier key stands for, as far as it knows.
    pub(crate) fn reason(
        &self,
        earlier: Option<&Self>,
        differences: impl Fn(Part<'_>, Digest) -> PartChanges,
    ) -> String {
        let Some(earlier) = earlier else { return "new".to_owned() };
        let mut reasons = Vec::new();
        if self.base != earlier.base {
            reasons.push(match first_of(&differences(Part::Base, earlier.base)) {
                Some(what) => format!("base image {what}"),
                None => "base image changed".to_owned(),
            });
        } else if self.recipe != earlier.recipe {
            reasons.push(detailed("recipe changed", differences(Part::Recipe, earlier.recipe)));
        }
        if self.settings != earlier.settings {
            let what = differences(Part::Settings, earlier.settings);
            reasons.push(detailed("labels or time changed", what));
        }
        let mut changed = Vec::new();
        for (place, digest) in &self.sources {
            let before = earlier.sources.get(place);
            if before == Some(digest) {
                continue;
            }
            let files = before.map(|before| differences(Part::Source(place), *before));
            let files = files.unwrap_or_default();
            if files.is_empty() {
                let name = place.split_once(' ').map_or(&**place, |(_, name)| name);
                changed.push((name.to_owned(), "changed"));
            }
            changed.extend(files);
        }
        reasons.extend(first_of(&changed));
        if reasons.is_empty() {
            return "its layers are not in the store any more".to_owned();
        }
        reasons.join(", ")
    }
}

/// The first of some changes, and how many more there are.
fn first_of(changes: &[(String, &'static str)]) -> Option<String> {
    let (first, how) = changes.first()?;
    let more = match changes.len() - 1 {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let shown = first.escape_debug().to_string().replace("\\\"", "\"");
    Some(format!("`{shown}` {how}{more}"))
}

/// Says what is there now before what is gone.
fn detailed(what: &str, mut changes: PartChanges) -> String {
    changes.sort_by_key(|(_, how)| *how == "removed");
    first_of(&changes).map_or_else(|| what.to_owned(), |first| format!("{what} ({first})"))
}

/// Settings of an image that are not in its recipe.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ImageSettings<'a> {
    pub(crate) labels: &'a BTreeMap<String, String>,
    pub(crate) fingerprint_label: Option<&'a str>,
    pub(crate) epoch: i64,
}

impl ImageSettings<'_> {
    /// A key of its own `kind`.
    pub(crate) fn key(&self, kind: &str) -> Digest {
        let mut key = Fingerprint::new(kind);
        key.bytes(&self.epoch.to_le_bytes());
        key.text(self.fingerprint_label.unwrap_or_default());
        for (name, value) in self.labels {
            key.text(name).text(value);
        }
        key.finish()
    }

    pub(crate) fn listing(&self) -> Files {
        let mut settings: Files = self.labels.clone();
        settings.insert("SOURCE_DATE_EPOCH".to_owned(), self.epoch.to_string());
        settings
    }
}

/// Bases by what they are called, with the digests of their manifests.
pub(crate) fn list_bases<'a>(bases: impl Iterator<Item = &'a Base>) -> Files {
    bases.map(|base| (base.name.clone(), base.image.digest().to_string())).collect()
}

/// The record of what the last image of a recipe was made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LastParts<'a> {
    pub(crate) store: &'a ContentStore,
    /// The record's kind in the content store.
    pub(crate) kind: &'static str,
    /// The recipe's.
    pub(crate) key: Digest,
}

impl LastParts<'_> {
    pub(crate) fn read(&self) -> Option<ImageParts> {
        self.store.record(self.kind, self.key)
    }

    /// Notes what the last image was made of, unless that is noted already.
    pub(crate) fn write(&self, parts: &ImageParts) -> Result<(), StoreError> {
        if self.read().as_ref() == Some(parts) {
            return Ok(());
        }
        self.store.set_record(self.kind, self.key, parts)
    }
}

/// Why nothing that earlier builds left is used.
pub(crate) const NO_CACHE: &str = "the cache is not used";

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(parts.reason(None, |_, _| Vec::new()), "new");

        let mut new = parts.clone();
        new.sources.insert("3 code/".to_owned(), digest("x"));
        let told = |part: Part<'_>, before: Digest| match part {
            Part::Source(place) => {
                assert_eq!((place, before), ("3 code/", digest("c")));
                vec![("code/a\n".to_owned(), "removed"), ("code/b".to_owned(), "changed")]
            }
            Part::Base => vec![("python:3.13".to_owned(), "changed")],
            Part::Recipe => {
                vec![("CMD [\"a\"]".to_owned(), "removed"), ("CMD [\"b\"]".to_owned(), "added")]
            }
            Part::Settings => vec![("com.esb.env".to_owned(), "changed")],
        };
        assert_eq!(new.reason(Some(&parts), told), "`code/a\\n` removed, and 1 more");
        let told_of = |change: &dyn Fn(&mut ImageParts), expected: &str| {
            let mut new = parts.clone();
            change(&mut new);
            assert_eq!(new.reason(Some(&parts), told), expected);
        };
        told_of(&|new| new.base = digest("x"), "base image `python:3.13` changed");
        told_of(
            &|new| new.recipe = digest("x"),
            "recipe changed (`CMD [\"b\"]` added, and 1 more)",
        );
        told_of(
            &|new| new.settings = digest("x"),
            "labels or time changed (`com.esb.env` changed)",
        );
        assert_eq!(parts.each().count(), 5);
    }
}
