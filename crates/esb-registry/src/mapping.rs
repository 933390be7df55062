//! Where an external image lies in the internal registry.
//!
//! Owns the mapping of contracts, section 2.6, with its flaws closed (section 10.7): a digest is
//! never lost beside a tag, and two hosts never share a name.

use esb_model::{ImageRef, PublishTarget};
use esb_oci::Reference;

/// The internal name of an external image; `None` when it lies in the internal registry already.
///
/// `nginx` becomes `<internal>/docker.io/library/nginx:latest`, `h:5000/a:1@sha256:0123…` becomes
/// `<internal>/h_5000/a:1-sha256-0123456789ab`. An underscore in a host is doubled, so that `h:5`
/// and `h_5` stay apart.
pub fn internal_reference(source: &Reference, registry: &PublishTarget) -> Option<ImageRef> {
    let own = [registry.runtime_host(), registry.push_host()];
    if own.iter().any(|host| host.eq_ignore_ascii_case(source.registry())) {
        return None;
    }
    let host = source.registry().to_ascii_lowercase().replace('_', "__").replace(':', "_");
    let tag = match (source.tag(), source.digest()) {
        (Some(tag), Some(digest)) => format!("{tag}-sha256-{}", digest.short()),
        (None, Some(digest)) => format!("sha256-{}", digest.short()),
        (tag, None) => tag.unwrap_or("latest").to_owned(),
    };
    Some(registry.image(&format!("{host}/{}", source.repository()), &tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_hosts_tags_and_digests() {
        let digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        let registry = PublishTarget::parse("registry:5010/team", Some("127.0.0.1:5010")).unwrap();
        let check = |source: &str, expected: Option<&str>| {
            let source: Reference = source.parse().unwrap();
            let image = internal_reference(&source, &registry).map(|image| image.runtime());
            let expected = expected.map(|name| format!("registry:5010/team/{name}"));
            assert_eq!(image, expected, "{source}");
        };
        check("nginx", Some("docker.io/library/nginx:latest"));
        check("index.docker.io/acme/app:1", Some("docker.io/acme/app:1"));
        check("ecr.local:5000/a/b:2", Some("ecr.local_5000/a/b:2"));
        check("h:5/a", Some("h_5/a:latest"));
        check("h_5.x/a", Some("h__5.x/a:latest"));
        check(&format!("ghcr.io/o/i@{digest}"), Some("ghcr.io/o/i:sha256-0123456789ab"));
        check(&format!("ghcr.io/o/i:1@{digest}"), Some("ghcr.io/o/i:1-sha256-0123456789ab"));
        check("registry:5010/own:1", None);
        check("127.0.0.1:5010/own:1", None);
    }
}
