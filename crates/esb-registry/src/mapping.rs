//! Maps the reference of an external image to its name in the internal registry.
//!
//! Owns the mapping of docs/contracts/platform.md#external-images: a digest is never lost beside a
//! tag, two hosts never share a name, and every name is a valid one.

use std::{fmt::Write as _, net::Ipv6Addr};

use esb_model::{ImageRef, PublishTarget};
use esb_oci::Reference;

/// The longest tag that registries take (OCI distribution specification, "Pulling manifests").
const TAG_LIMIT: usize = 128;

/// Where the platform finds an image: in the internal registry already, or after a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Internal {
    /// In the internal registry already, under this name.
    Own(String),
    /// In the internal registry, once it is copied there.
    Copy(ImageRef),
}

/// The internal name of an image.
///
/// `nginx` becomes `<internal>/docker.io/library/nginx:latest`, `h:5000/a:1@sha256:0123…` becomes
/// `<internal>/h_5000/a:1-sha256-0123456789ab`. An underscore in a host is doubled, so that `h:5`
/// and `h_5` stay apart. An image of the internal registry is not copied; where it was named by
/// the address that this machine pushes to, it gets the name that the runtime knows.
pub fn internal_reference(source: &Reference, registry: &PublishTarget) -> Internal {
    let is = |host: &str| host.eq_ignore_ascii_case(source.registry());
    if is(registry.runtime_host()) || is(registry.push_host()) {
        return Internal::Own(source.moved_to(registry.runtime_host(), None).to_string());
    }
    let tag = match (source.tag(), source.digest()) {
        (Some(tag), Some(digest)) => {
            let both = format!("{tag}-sha256-{}", digest.short());
            // The digest alone says which image it is.
            if both.len() > TAG_LIMIT { format!("sha256-{}", digest.short()) } else { both }
        }
        (None, Some(digest)) => format!("sha256-{}", digest.short()),
        (tag, None) => tag.unwrap_or("latest").to_owned(),
    };
    let host = folder(source.registry());
    Internal::Copy(registry.image(&format!("{host}/{}", source.repository()), &tag))
}

/// The path component that stands for a host.
///
/// What is neither a host name nor one with a port has a single underscore that is followed by
/// something else than a port, which no host name's has: so no two hosts share a component.
fn folder(host: &str) -> String {
    let host = host.to_ascii_lowercase();
    if let Some((address, port)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']'))
        && let Ok(address) = address.parse::<Ipv6Addr>()
    {
        let groups: Vec<String> =
            address.segments().iter().map(|group| format!("{group:x}")).collect();
        return format!("ipv6_{}{}", groups.join("-"), port.replace(':', "_"));
    }
    let plain = host.replace('_', "__").replace(':', "_");
    if is_component(&plain) {
        return plain;
    }
    let mut hex = "host_x".to_owned();
    for byte in host.bytes() {
        let _infallible = write!(hex, "{byte:02x}");
    }
    hex
}

/// Whether a text is a component of a repository's path: `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*` (OCI
/// distribution specification, "Pulling manifests").
fn is_component(text: &str) -> bool {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separators = text.split(word).filter(|separator| !separator.is_empty());
    let allowed = |separator: &str| {
        matches!(separator, "." | "_" | "__") || separator.chars().all(|c| c == '-')
    };
    text.starts_with(word) && text.ends_with(word) && separators.into_iter().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry() -> PublishTarget {
        PublishTarget::parse("registry:5010/team", Some("127.0.0.1:5010")).unwrap()
    }

    #[test]
    fn maps_hosts_tags_and_digests() {
        let digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        let check = |source: &str, expected: &str| {
            let source: Reference = source.parse().unwrap();
            let Internal::Copy(image) = internal_reference(&source, &registry()) else {
                panic!("{source} is not copied");
            };
            assert_eq!(image.runtime(), format!("registry:5010/team/{expected}"), "{source}");
            assert!(image.runtime().parse::<Reference>().is_ok(), "{source}");
        };
        check("nginx", "docker.io/library/nginx:latest");
        check("index.docker.io/acme/app:1", "docker.io/acme/app:1");
        check("ecr.local:5000/a/b:2", "ecr.local_5000/a/b:2");
        check("h:5/a", "h_5/a:latest");
        check("H.Example/a", "h.example/a:latest");
        check("h_5.x/a", "h__5.x/a:latest");
        check("[::1]:5000/a:1", "ipv6_0-0-0-0-0-0-0-1_5000/a:1");
        check("[2001:DB8::]/a:1", "ipv6_2001-db8-0-0-0-0-0-0/a:1");
        check("a__b.x/a:1", "host_x615f5f622e78/a:1");
        check("a_.b:5/a:1", "host_x615f2e623a35/a:1");
        check(&format!("ghcr.io/o/i@{digest}"), "ghcr.io/o/i:sha256-0123456789ab");
        check(&format!("ghcr.io/o/i:1@{digest}"), "ghcr.io/o/i:1-sha256-0123456789ab");
        let long = "t".repeat(120);
        check(&format!("ghcr.io/o/i:{long}@{digest}"), "ghcr.io/o/i:sha256-0123456789ab");
    }

    #[test]
    fn what_is_internal_gets_the_runtimes_name() {
        for (source, expected) in [
            ("registry:5010/own:1", "registry:5010/own:1"),
            ("127.0.0.1:5010/team/own:1", "registry:5010/team/own:1"),
        ] {
            let source: Reference = source.parse().unwrap();
            let own = Internal::Own(expected.to_owned());
            assert_eq!(internal_reference(&source, &registry()), own);
        }
    }

    #[test]
    fn no_two_hosts_share_a_folder_and_every_folder_is_a_valid_one() {
        // Every host of up to five of these, and addresses beside them.
        let letters = ['a', '5', '.', '-', '_', ':'];
        let mut hosts = vec![String::new()];
        let mut all: Vec<String> = vec!["[::1]:5".into(), "[::1]".into(), "[::15]".into()];
        for _ in 0..5 {
            hosts = hosts
                .iter()
                .flat_map(|host| letters.map(|letter| format!("{host}{letter}")))
                .collect();
            all.extend(hosts.iter().cloned());
        }
        let mut folders = std::collections::BTreeMap::new();
        let mut seen = 0;
        for host in all {
            let Ok(reference) = format!("{host}/x").parse::<Reference>() else { continue };
            if reference.registry() != host {
                continue;
            }
            seen += 1;
            let folder = folder(&host);
            assert!(is_component(&folder), "{host} {folder}");
            if let Some(other) = folders.insert(folder.clone(), host.clone()) {
                panic!("`{host}` and `{other}` are both `{folder}`");
            }
        }
        assert!(seen > 500, "{seen}");
    }
}
