//! Mirrors: registries or layouts that images of another registry are fetched from.
//!
//! Owns the grammar of `--mirror`. Refuses to open what it names.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

use esb_model::without_user;
use esb_oci::{Reference, canonical_registry};

use crate::Error;

/// Mirrors by registry, in the order in which they are tried.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mirrors(Vec<Mirror>);

/// One mirror, `HOST=HOST[:PORT][/PREFIX]` or `HOST=oci:DIR`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// The registry whose images it has.
    pub registry: String,
    pub place: MirrorPlace,
}

/// Where a mirror is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MirrorPlace {
    /// Another registry, below a prefix or not.
    Registry { host: String, prefix: Option<String> },
    /// An OCI layout; its entries are named `<repository>:<tag>`, without the host.
    Layout(PathBuf),
}

impl FromStr for Mirror {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |reason| Error::Mirror { text: text.to_owned(), reason };
        let (registry, place) =
            text.split_once('=').ok_or_else(|| invalid("it has no `=` after the host"))?;
        let registry = host(registry).ok_or_else(|| invalid("the host before `=` is not one"))?;
        if let Some(folder) = place.strip_prefix("oci:") {
            if folder.is_empty() {
                return Err(invalid("`oci:` is followed by no folder"));
            }
            let place = MirrorPlace::Layout(folder.into());
            return Ok(Self { registry, place });
        }
        let place = place
            .strip_prefix("https://")
            .or_else(|| place.strip_prefix("http://"))
            .unwrap_or(place)
            .trim_end_matches('/');
        let (name, prefix) = match place.split_once('/') {
            Some((name, prefix)) => (name, Some(prefix.to_owned())),
            None => (place, None),
        };
        let host = host(name).ok_or_else(|| invalid("the host after `=` is not one"))?;
        if let Some(prefix) = &prefix
            && format!("localhost/{prefix}").parse::<Reference>().is_err()
        {
            return Err(invalid("the prefix is not a repository path"));
        }
        Ok(Self { registry, place: MirrorPlace::Registry { host, prefix } })
    }
}

/// A mirror's text in messages, without passwords.
pub(crate) fn shown(text: &str) -> String {
    match text.split_once('=') {
        Some((registry, place)) => format!("{}={}", without_user(registry), without_user(place)),
        None => without_user(text),
    }
}

/// A registry's name as references have it.
fn host(text: &str) -> Option<String> {
    let text = text.trim();
    if text.is_empty() || text.contains('/') {
        return None;
    }
    let text = canonical_registry(text);
    // A host is what a reference takes for one when it has a port.
    let probe = if text.contains(':') { text.to_owned() } else { format!("{text}:1") };
    let reference: Reference = format!("{probe}/x").parse().ok()?;
    (reference.registry() == probe).then(|| text.to_owned())
}

impl Mirrors {
    /// Mirrors in the order in which they are tried.
    pub fn new(mirrors: impl IntoIterator<Item = Mirror>) -> Self {
        Self(mirrors.into_iter().collect())
    }

    /// Parses each of the texts.
    ///
    /// # Errors
    /// [`Error::Mirror`] at the first that is none.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, Error> {
        texts.into_iter().map(str::parse).collect::<Result<Vec<_>, _>>().map(Self)
    }

    /// The folders of mirrors that are layouts, each once.
    pub fn layouts(&self) -> Vec<&Path> {
        let mut layouts = Vec::new();
        for mirror in &self.0 {
            if let MirrorPlace::Layout(folder) = &mirror.place
                && !layouts.contains(&&**folder)
            {
                layouts.push(&**folder);
            }
        }
        layouts
    }

    /// The mirrors of a registry.
    pub fn of(&self, registry: &str) -> impl Iterator<Item = &MirrorPlace> {
        self.0.iter().filter(move |mirror| mirror.registry == registry).map(|mirror| &mirror.place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_forms() {
        let registry = |host: &str, prefix: Option<&str>| MirrorPlace::Registry {
            host: host.to_owned(),
            prefix: prefix.map(str::to_owned),
        };
        let check = |text: &str, from: &str, place: MirrorPlace| {
            let mirror = Mirror { registry: from.to_owned(), place };
            assert_eq!(text.parse::<Mirror>().unwrap(), mirror);
        };
        check("public.ecr.aws=oci:a b/c", "public.ecr.aws", MirrorPlace::Layout("a b/c".into()));
        check("ghcr.io=10.0.0.1:5000/gh/x/", "ghcr.io", registry("10.0.0.1:5000", Some("gh/x")));
        check("index.docker.io=mirror", "docker.io", registry("mirror", None));
        check("[::1]:5000=http://localhost:5001", "[::1]:5000", registry("localhost:5001", None));
        let mirrors = Mirrors::parse(["a.b=c.d", "x=oci:y", "a.b=oci:z"]).unwrap();
        let places: Vec<_> = mirrors.of("a.b").cloned().collect();
        assert_eq!(places, [registry("c.d", None), MirrorPlace::Layout("z".into())]);
    }

    #[test]
    fn refuses_the_rest() {
        for bad in [
            "",
            "a",
            "=b",
            "a=",
            "a=oci:",
            "a/b=c",
            "a=b/UPPER",
            "a=b//c",
            "a b=c",
            "a=b c",
            "a=b:x",
        ] {
            assert!(bad.parse::<Mirror>().is_err(), "{bad:?}");
        }
        let error = "public.ecr.aws=user:s3cret@h".parse::<Mirror>().unwrap_err();
        assert!(error.to_string().starts_with("`public.ecr.aws=****@h` is not"), "{error}");
    }
}
