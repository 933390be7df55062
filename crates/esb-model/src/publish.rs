//! The registry that a run publishes to, and references to images in it.

use std::fmt;

use crate::without_user;

/// A registry with the name by which the runtime pulls and the address to which this machine
/// pushes.
///
/// The runtime may know the registry as `registry:5010` while this machine reaches it as
/// `127.0.0.1:5010` (docs/contracts/platform.md#registries).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishTarget {
    runtime: String,
    prefix: String,
    push: String,
    /// Whether plain HTTP is allowed for the push address.
    pub insecure: bool,
}

/// A published reference: repository and tag, with the host by which the runtime pulls and the one
/// to which this machine pushes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRef {
    pub runtime_host: String,
    pub push_host: String,
    /// With the target's prefix, without a host.
    pub repository: String,
    pub tag: String,
}

/// A text that does not name a registry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{}` is not a registry: expected HOST[:PORT][/PREFIX]", without_user(.0).escape_debug()
)]
pub struct InvalidTarget(pub String);

impl PublishTarget {
    /// Parses `HOST[:PORT][/PREFIX]`; a scheme and a trailing slash are dropped. Images are pushed
    /// to `push`, else to the host itself.
    ///
    /// # Errors
    /// When a part has characters that no host or repository may have.
    pub fn parse(text: &str, push: Option<&str>) -> Result<Self, InvalidTarget> {
        let invalid = || InvalidTarget(text.to_owned());
        let bare = strip(text);
        let (host, prefix) = bare.split_once('/').unwrap_or((bare, ""));
        let repository = |c: char| {
            c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-' | '/')
        };
        if !is_registry_host(host) || !prefix.chars().all(repository) || prefix.contains("//") {
            return Err(invalid());
        }
        let push = push.map_or(host, strip);
        if !is_registry_host(push) {
            return Err(InvalidTarget(push.to_owned()));
        }
        Ok(Self {
            runtime: host.to_owned(),
            prefix: prefix.to_owned(),
            push: push.to_owned(),
            insecure: false,
        })
    }

    /// The prefix of `<brand>-<function>` in Dockerfiles and functions.yml: `registry:5010/team`.
    pub fn runtime_prefix(&self) -> String {
        match &*self.prefix {
            "" => self.runtime.clone(),
            prefix => format!("{}/{prefix}", self.runtime),
        }
    }

    /// Host and port that the runtime pulls from.
    pub fn runtime_host(&self) -> &str {
        &self.runtime
    }

    /// Host and port that this machine pushes to.
    pub fn push_host(&self) -> &str {
        &self.push
    }

    /// The reference of a repository below the prefix.
    pub fn image(&self, repository: &str, tag: &str) -> ImageRef {
        ImageRef {
            runtime_host: self.runtime.clone(),
            push_host: self.push.clone(),
            repository: match &*self.prefix {
                "" => repository.to_owned(),
                prefix => format!("{prefix}/{repository}"),
            },
            tag: tag.to_owned(),
        }
    }
}

impl ImageRef {
    /// The reference that the runtime pulls.
    pub fn runtime(&self) -> String {
        format!("{}/{}:{}", self.runtime_host, self.repository, self.tag)
    }

    /// The reference that this machine pushes.
    pub fn push(&self) -> String {
        format!("{}/{}:{}", self.push_host, self.repository, self.tag)
    }
}

impl fmt::Display for PublishTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.runtime_prefix())
    }
}

fn strip(text: &str) -> &str {
    let text = text.trim();
    let text =
        text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")).unwrap_or(text);
    text.trim_end_matches('/')
}

/// Whether a text is `HOST[:PORT]` of a registry, as it stands in references: a name, an address,
/// or an IPv6 address in brackets.
pub fn is_registry_host(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !host.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let v6 = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .is_some_and(|address| address.chars().all(|c| c.is_ascii_hexdigit() || c == ':'));
    (v6 || !name.is_empty() && name.chars().all(plain))
        && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runtime_and_push_names() {
        let target = PublishTarget::parse("registry:5010/team/", Some("127.0.0.1:5010")).unwrap();
        let image = target.image("esb-hello", "latest");
        assert_eq!(image.runtime(), "registry:5010/team/esb-hello:latest");
        assert_eq!(image.push(), "127.0.0.1:5010/team/esb-hello:latest");
        assert_eq!(target.to_string(), "registry:5010/team");
        let plain = PublishTarget::parse("http://127.0.0.1:5010", None).unwrap();
        assert_eq!(plain.image("a", "b").push(), "127.0.0.1:5010/a:b");
        assert_eq!(plain.runtime_prefix(), "127.0.0.1:5010");
    }

    #[test]
    fn refuses_what_is_no_registry() {
        for bad in ["", "/x", "a b", "host:port", "host/UP", "h/a//b", "h:1\nRUN x"] {
            assert_eq!(PublishTarget::parse(bad, None), Err(InvalidTarget(bad.into())), "{bad:?}");
        }
        let error = PublishTarget::parse("http://user:s3cret@h/x", None).unwrap_err();
        assert!(error.to_string().starts_with("`http://****@h/x` is not"), "{error}");
        let error = PublishTarget::parse("h", Some("user:s3cret@h")).unwrap_err();
        assert!(error.to_string().starts_with("`****@h` is not"), "{error}");
        for good in ["[::1]:5010", "[fe80::1:2]", "registry", "h_1.x-y:1/team"] {
            assert!(PublishTarget::parse(good, None).is_ok(), "{good}");
        }
    }
}
