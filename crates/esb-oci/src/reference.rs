//! Image references as people write them: `nginx`, `ghcr.io/o/i:1@sha256:…`.

use std::{fmt, str::FromStr};

use esb_model::{is_registry_host, without_user};

use crate::Digest;

/// A complete reference: the registry is always named, the tag defaults to `latest` only when
/// there is no digest. `index.docker.io` and `registry-1.docker.io` are `docker.io`, where a
/// repository without a namespace is one of `library/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// A text that is not an image reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not an image reference: {reason}", without_user(text).escape_debug())]
pub struct InvalidReference {
    pub text: String,
    pub reason: &'static str,
}

/// What Docker takes when a reference names no registry.
const DOCKER_HUB: &str = "docker.io";

/// The usual name of a registry: Docker Hub answers under several.
pub fn canonical_registry(registry: &str) -> &str {
    match registry {
        "index.docker.io" | "registry-1.docker.io" => DOCKER_HUB,
        other => other,
    }
}

impl Reference {
    /// A reference by tag, of parts that are already known to be valid.
    ///
    /// # Errors
    /// When a part is not valid.
    pub fn with_tag(registry: &str, repository: &str, tag: &str) -> Result<Self, InvalidReference> {
        format!("{registry}/{repository}:{tag}").parse()
    }

    /// Host and port: `registry:5010`, `docker.io`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The path without the registry: `library/nginx`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// What follows `/manifests/` in a request: the digest, or the tag when there is none.
    pub fn target(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => "latest".to_owned(),
        }
    }

    /// The same repository, pinned to a digest; the tag is dropped.
    #[must_use]
    pub fn pinned(&self, digest: Digest) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }

    /// The same reference with a digest beside the tag, which then only tells people where the
    /// digest comes from.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self { digest: Some(digest), ..self.clone() }
    }

    /// The same repository and digest in another registry, below a prefix when one is given.
    #[must_use]
    pub fn moved_to(&self, registry: &str, prefix: Option<&str>) -> Self {
        let repository = match prefix.filter(|prefix| !prefix.is_empty()) {
            Some(prefix) => format!("{}/{}", prefix.trim_matches('/'), self.repository),
            None => self.repository.clone(),
        };
        Self { registry: registry.to_owned(), repository, ..self.clone() }
    }
}

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |reason| InvalidReference { text: text.to_owned(), reason };
        if text.is_empty() || text.len() > 512 {
            return Err(invalid("it is empty or longer than 512 characters"));
        }
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => {
                let digest = digest.parse().map_err(|_| invalid("the digest is not sha256"))?;
                (name, Some(digest))
            }
            None => (text, None),
        };
        let last_slash = name.rfind('/').map_or(0, |at| at + 1);
        let (name, tag) = match name[last_slash..].rfind(':') {
            Some(colon) => {
                let colon = last_slash + colon;
                (&name[..colon], Some(&name[colon + 1..]))
            }
            None => (name, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(invalid("the tag has characters that tags may not have"));
        }
        let (registry, path) = match name.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => {
                (canonical_registry(first), rest)
            }
            _ => (DOCKER_HUB, name),
        };
        // Images without a namespace are Docker's own.
        let path = match registry {
            DOCKER_HUB if !path.is_empty() && !path.contains('/') => format!("library/{path}"),
            _ => path.to_owned(),
        };
        if !is_registry_host(registry) {
            return Err(invalid("the registry's host or port is not valid"));
        }
        if !path.split('/').all(is_path_component) {
            return Err(invalid("the repository must be lower-case path components"));
        }
        let tag = match (tag, digest) {
            (Some(tag), _) => Some(tag.to_owned()),
            (None, None) => Some("latest".to_owned()),
            (None, Some(_)) => None,
        };
        Ok(Self { registry: registry.to_owned(), repository: path, tag, digest })
    }
}

fn is_tag(tag: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    tag.len() <= 128
        && tag.starts_with(word)
        && tag.chars().all(|c| word(c) || matches!(c, '.' | '-'))
}

fn is_path_component(component: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    component.starts_with(alphanumeric)
        && component.ends_with(alphanumeric)
        && component.chars().all(|c| alphanumeric(c) || matches!(c, '.' | '_' | '-'))
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn fills_in_what_people_leave_out() {
        let pinned = format!("ghcr.io/o/i:1@{DIGEST}");
        let digest_only = format!("ghcr.io/o/i@{DIGEST}");
        for (text, full) in [
            ("nginx", "docker.io/library/nginx:latest"),
            ("nginx:1", "docker.io/library/nginx:1"),
            ("acme/app:1", "docker.io/acme/app:1"),
            ("index.docker.io/acme/app", "docker.io/acme/app:latest"),
            ("docker.io/debian:12", "docker.io/library/debian:12"),
            ("index.docker.io/debian", "docker.io/library/debian:latest"),
            ("registry-1.docker.io/debian", "docker.io/library/debian:latest"),
            ("registry-1.docker.io/acme/app", "docker.io/acme/app:latest"),
            ("docker.io/library/debian", "docker.io/library/debian:latest"),
            ("docker.io.example/debian", "docker.io.example/debian:latest"),
            ("localhost/a", "localhost/a:latest"),
            ("ecr.local:5000/a/b:2", "ecr.local:5000/a/b:2"),
            ("registry:5010/a", "registry:5010/a:latest"),
            ("[::1]:5000/a:b", "[::1]:5000/a:b"),
            (&pinned, &pinned),
            (&digest_only, &digest_only),
        ] {
            assert_eq!(text.parse::<Reference>().map(|r| r.to_string()), Ok(full.to_owned()));
        }
    }

    #[test]
    fn refuses_the_rest() {
        for bad in [
            "",
            "UPPER/x",
            "a b",
            "a:",
            "a:b c",
            "a@sha256:12",
            "h:99999/a",
            "a//b",
            "-a",
            "a/../b",
            "registry:5010/",
            "x\ny",
        ] {
            assert!(bad.parse::<Reference>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn moves_between_registries() {
        let reference: Reference = "public.ecr.aws/lambda/python:3.12".parse().unwrap();
        assert_eq!(
            reference.moved_to("mirror:5000", Some("ecr")).to_string(),
            "mirror:5000/ecr/lambda/python:3.12"
        );
    }
}
