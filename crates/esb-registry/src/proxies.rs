//! Decides which requests go through a proxy, as Go's programs do, such as crane, skopeo and docker.
//!
//! Owns the reading of `NO_PROXY`. Pure.

use std::net::IpAddr;

use reqwest::Url;

use crate::{
    RegistrySettings,
    settings::{host, is_loopback},
};

/// One entry of `NO_PROXY`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Exception {
    Everything,
    Address { address: IpAddr, port: Option<u16> },
    Network { address: IpAddr, bits: u32 },
    Domain { name: String, is_itself_meant: bool, port: Option<u16> },
}

/// The entries of `NO_PROXY`; what is none of them means nothing.
pub(crate) fn exceptions(settings: &RegistrySettings) -> Vec<Exception> {
    settings.proxy.no_proxy.iter().filter_map(|text| Exception::read(text)).collect()
}

/// Whether a URL is reached without a proxy: this machine, [`RegistrySettings::direct`] and what
/// `NO_PROXY` names.
pub(crate) fn is_direct(settings: &RegistrySettings, exceptions: &[Exception], url: &Url) -> bool {
    let Some(name) = url.host_str() else { return true };
    if is_loopback(name) || settings.direct.iter().any(|direct| host(direct) == host(name)) {
        return true;
    }
    let port = url.port_or_known_default();
    exceptions.iter().any(|exception| exception.holds(host(name), port))
}

/// A proxy's URL; one without a scheme speaks HTTP.
pub(crate) fn url(text: &str) -> String {
    if text.contains("://") { text.to_owned() } else { format!("http://{text}") }
}

impl Exception {
    /// Reads `*`, an address with or without a port, a network, or a domain with or without a port:
    /// `a.b` is itself and all below it, `.a.b` and `*.a.b` are all below it.
    fn read(text: &str) -> Option<Self> {
        let text = text.trim().to_lowercase();
        if text == "*" {
            return Some(Self::Everything);
        }
        if let Some((address, bits)) = text.split_once('/') {
            let (address, bits) = (address.parse().ok()?, bits.parse().ok()?);
            return (bits <= width(address)).then_some(Self::Network { address, bits });
        }
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if let Ok(address) = bare.unwrap_or(&text).parse() {
            return Some(Self::Address { address, port: None });
        }
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) => (name, Some(port.parse().ok()?)),
            None => (&*text, None),
        };
        if let Ok(address) = name.trim_matches(['[', ']']).parse() {
            return Some(Self::Address { address, port });
        }
        let below = name.strip_prefix("*.").or_else(|| name.strip_prefix('.'));
        let name = below.unwrap_or(name).trim_end_matches('.').to_owned();
        let is_itself_meant = below.is_none();
        (!name.is_empty()).then_some(Self::Domain { name, is_itself_meant, port })
    }

    fn holds(&self, host: &str, port: Option<u16>) -> bool {
        let fits = |wanted: &Option<u16>| wanted.is_none() || *wanted == port;
        let own: Option<IpAddr> = host.parse().ok();
        match self {
            Self::Everything => true,
            Self::Address { address, port } => own == Some(*address) && fits(port),
            Self::Network { address, bits } => own.is_some_and(|own| {
                width(own) == width(*address)
                    && (number(own) ^ number(*address))
                        .checked_shr(width(own) - bits)
                        .is_none_or(|rest| rest == 0)
            }),
            Self::Domain { name, is_itself_meant, port } => {
                let host = host.trim_end_matches('.').to_lowercase();
                let below = host.strip_suffix(name.as_str());
                let is_meant = match below {
                    Some("") => *is_itself_meant,
                    Some(below) => below.ends_with('.'),
                    None => false,
                };
                is_meant && fits(port)
            }
        }
    }
}

/// How many bits an address has.
fn width(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn direct(no_proxy: &str, url: &str) -> bool {
        let mut settings = RegistrySettings::default();
        settings.proxy.no_proxy = no_proxy.split(',').map(str::to_owned).collect();
        settings.direct.insert("registry:5010".to_owned());
        is_direct(&settings, &exceptions(&settings), &Url::parse(url).unwrap())
    }

    /// Each line as Go's `httpproxy` decides it, which crane, skopeo and docker use.
    #[test]
    fn exceptions_are_read_as_peers_read_them() {
        for (no_proxy, url, expected) in [
            ("", "https://r.example", false),
            ("*", "https://r.example", true),
            ("*", "http://10.1.2.3:5000", true),
            ("r.example", "https://r.example", true),
            ("R.Example", "https://r.example", true),
            ("r.example", "https://a.r.example", true),
            ("r.example", "https://ar.example", false),
            ("r.example:443", "https://r.example", true),
            ("r.example:443", "http://r.example", false),
            ("r.example:5000", "http://r.example:5000", true),
            ("r.example:5000", "http://a.r.example:5000", true),
            ("r.example:5000", "http://r.example:5001", false),
            (".r.example", "https://r.example", false),
            (".r.example", "https://a.r.example", true),
            ("*.r.example", "https://r.example", false),
            ("*.r.example", "https://a.b.r.example", true),
            ("*.r.example:5000", "http://a.r.example:5000", true),
            ("*.r.example:5000", "http://a.r.example:5001", false),
            ("10.0.0.0/8", "http://10.1.2.3:5000", true),
            ("10.0.0.0/8", "http://11.1.2.3:5000", false),
            ("10.0.0.0/0", "http://11.1.2.3:5000", true),
            ("10.0.0.0/33", "http://10.1.2.3:5000", false),
            ("10.0.0.0/8", "http://[::a01:203]:5000", false),
            ("10.1.2.3", "http://10.1.2.3:5000", true),
            ("10.1.2.3:5000", "http://10.1.2.3:5000", true),
            ("10.1.2.3:5001", "http://10.1.2.3:5000", false),
            ("fd00::/8", "http://[fd12::1]:5000", true),
            ("fd12::1", "http://[fd12::1]:5000", true),
            ("[fd12::1]", "http://[fd12::1]:5000", true),
            ("[fd12::1]:5000", "http://[fd12::1]:5000", true),
            ("[fd12::1]:5001", "http://[fd12::1]:5000", false),
            (" a.b , r.example ", "https://r.example", true),
            ("a.b,,r.example", "https://r.example", true),
            ("r.example:x", "https://r.example", false),
            // This machine and the internal registry never go through a proxy.
            ("", "http://127.0.0.1:5000", true),
            ("", "http://[::1]:5000", true),
            ("", "http://localhost:5000", true),
            ("", "http://registry:5010", true),
            ("", "http://registry.example:5010", false),
            ("", "http://10.0.0.1:5000", false),
        ] {
            assert_eq!(direct(no_proxy, url), expected, "{no_proxy} {url}");
        }
    }

    #[test]
    fn a_proxy_needs_no_scheme() {
        assert_eq!(super::url("proxy.example:3128"), "http://proxy.example:3128");
        assert_eq!(super::url("https://u:p@proxy.example"), "https://u:p@proxy.example");
    }
}
