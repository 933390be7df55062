//! The settings of a registry client: plain HTTP, certificates, proxies, timeouts, credentials.
//!
//! Also decides the scheme of a registry, and whether credentials are sent to it. Reads no
//! environment and no file.

use std::{collections::BTreeSet, net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use esb_oci::{Anonymous, ContentStore, CredentialSource, canonical_registry};

use crate::{Mirrors, RetryPolicy};

/// The settings of a [`Client`](crate::Client).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RegistrySettings {
    /// Registries (`host` or `host:port`) that are spoken to over plain HTTP. Loopback always is.
    pub insecure: BTreeSet<String>,
    /// Of those, the ones that get credentials all the same. Loopback does.
    pub plain_credentials: BTreeSet<String>,
    /// Registries that are reached without a proxy, whatever they speak: the internal one.
    pub direct: BTreeSet<String>,
    /// Certificate authorities in PEM, trusted beside those of the system.
    pub extra_roots: Vec<Vec<u8>>,
    /// Folders that may hold a folder named like a registry (`host` or `host:port`) with what its
    /// TLS needs: `*.crt` are authorities, `NAME.cert` with `NAME.key` is how we identify
    /// ourselves. The first that has one for a registry counts.
    pub certificate_folders: Vec<PathBuf>,
    pub proxy: ProxySettings,
    pub timeouts: Timeouts,
    pub retry: RetryPolicy,
    pub credentials: Arc<dyn CredentialSource>,
    pub mirrors: Mirrors,
    /// Keeps manifests and configs of what is resolved, so that a digest is asked for once, and the
    /// beginnings of slow downloads.
    pub store: Option<ContentStore>,
    /// Downloads whose first MiB takes longer keep in the store what has arrived, so that one that
    /// is killed is not begun anew.
    pub slow: Duration,
    /// Ask no registry when an image is resolved; mirrors that are layouts still count.
    pub offline: bool,
    /// How many blobs are transferred at once, over all images of a client.
    pub transfers: usize,
}

/// The proxies to go through. Never used for loopback and [`RegistrySettings::direct`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProxySettings {
    /// URL of the proxy for `http://`.
    pub http: Option<String>,
    /// URL of the proxy for `https://`.
    pub https: Option<String>,
    /// Host names, domains (`.a.b` and `*.a.b` are what is below), addresses, each with or without a
    /// port, and networks that are reached directly; `*` is all.
    pub no_proxy: Vec<String>,
}

/// How long a client waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection.
    pub connect: Duration,
    /// For an answer, once the request is sent.
    pub answer: Duration,
    /// For the next bytes of a transfer; a transfer that goes on has no limit.
    pub stall: Duration,
}

impl Default for RegistrySettings {
    fn default() -> Self {
        Self {
            insecure: BTreeSet::new(),
            plain_credentials: BTreeSet::new(),
            direct: BTreeSet::new(),
            extra_roots: Vec::new(),
            certificate_folders: Vec::new(),
            proxy: ProxySettings::default(),
            timeouts: Timeouts::default(),
            retry: RetryPolicy::default(),
            credentials: Arc::new(Anonymous),
            mirrors: Mirrors::default(),
            store: None,
            slow: Duration::from_millis(20),
            offline: false,
            transfers: 6,
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            answer: Duration::from_mins(2),
            stall: Duration::from_mins(1),
        }
    }
}

/// Defines for each field the method that sets it.
macro_rules! setters {
    ($($setter:ident($field:ident: $type:ty),)*) => { $(
        #[doc = concat!("Sets [`RegistrySettings::", stringify!($field), "`].")]
        #[must_use]
        pub fn $setter(self, $field: $type) -> Self {
            Self { $field, ..self }
        }
    )* };
}

impl RegistrySettings {
    setters! {
        with_insecure(insecure: BTreeSet<String>),
        with_plain_credentials(plain_credentials: BTreeSet<String>),
        with_direct(direct: BTreeSet<String>),
        with_extra_roots(extra_roots: Vec<Vec<u8>>),
        with_certificate_folders(certificate_folders: Vec<PathBuf>),
        with_proxy(proxy: ProxySettings),
        with_timeouts(timeouts: Timeouts),
        with_retry(retry: RetryPolicy),
        with_credentials(credentials: Arc<dyn CredentialSource>),
        with_mirrors(mirrors: Mirrors),
        with_store(store: Option<ContentStore>),
        with_slow(slow: Duration),
        with_offline(offline: bool),
        with_transfers(transfers: usize),
    }

    /// Whether a registry is spoken to over plain HTTP.
    pub fn is_plain(&self, registry: &str) -> bool {
        is_loopback(registry) || self.insecure.contains(registry)
    }

    /// Whether credentials may be sent to an origin.
    pub(crate) fn may_send_credentials(&self, scheme: &str, authority: &str) -> bool {
        scheme == "https" || is_loopback(authority) || self.plain_credentials.contains(authority)
    }
}

/// The host without its port, and without the brackets of IPv6.
pub(crate) fn host(registry: &str) -> &str {
    if let Some((address, _)) = registry.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address;
    }
    registry.split_once(':').map_or(registry, |(host, _)| host)
}

/// Whether a registry (`host[:port]`) is this machine, by its name alone.
pub fn is_loopback(registry: &str) -> bool {
    let host = host(registry);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The host that a registry's name stands for: Docker Hub answers under another one.
pub(crate) fn contact(registry: &str) -> &str {
    match canonical_registry(registry) {
        "docker.io" => "registry-1.docker.io",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_only_where_it_is_allowed() {
        let mut settings = RegistrySettings::default();
        settings.insecure.insert("registry:5010".to_owned());
        for (registry, plain, credentials) in [
            ("127.0.0.1:5010", true, true),
            ("127.9.9.9", true, true),
            ("[::1]:5000", true, true),
            ("localhost:5000", true, true),
            ("registry:5010", true, false),
            ("registry:5011", false, false),
            ("registry", false, false),
            ("10.0.0.1:5000", false, false),
            ("localhost.example", false, false),
            ("127.0.0.1.example:5000", false, false),
        ] {
            assert_eq!(settings.is_plain(registry), plain, "{registry}");
            assert_eq!(settings.may_send_credentials("http", registry), credentials, "{registry}");
            assert!(settings.may_send_credentials("https", registry));
        }
        settings.plain_credentials.insert("registry:5010".to_owned());
        assert!(settings.may_send_credentials("http", "registry:5010"));
    }
}
