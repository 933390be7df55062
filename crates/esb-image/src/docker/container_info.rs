//! What the engine reports about a container that another program started.

use std::{
    collections::HashMap,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bollard::models::{BollardDate, ContainerInspectResponse, PortBinding};

/// A container that another program started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerInfo {
    pub id: String,
    /// Without the slash that the engine puts in front.
    pub name: String,
    /// As it was named when the container was made.
    pub image: String,
    /// The id of the image that it was made of.
    pub image_id: String,
    pub labels: HashMap<String, String>,
    pub running: bool,
    /// Its first process, by the number that the engine's machine has for it.
    pub pid: Option<i32>,
    /// When it was started last, by the engine's clock.
    pub started: Option<SystemTime>,
    /// When it was made, by the engine's clock.
    pub created: Option<SystemTime>,
    /// The name that it has for itself.
    pub hostname: String,
    /// User and group that its program runs as, as far as they are told by numbers.
    pub user: Option<(u32, Option<u32>)>,
    /// The variables that it was made with.
    pub environment: Variables,
    pub mounts: Vec<MountedFolder>,
    pub ports: Vec<PublishedPort>,
    /// By name of the network.
    pub networks: Vec<Attachment>,
}

/// A volume or a folder of the engine's machine that is mounted into a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountedFolder {
    /// Where it is seen inside.
    pub target: String,
    /// The folder of the engine's machine, unless it is a volume.
    pub bind: Option<PathBuf>,
    /// The volume's name, when it is one.
    pub volume: Option<String>,
    pub writable: bool,
}

/// A TCP port of a container that is published on the engine's machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishedPort {
    /// The port in the container.
    pub inside: u16,
    /// Where the engine's machine reaches it.
    pub address: SocketAddr,
}

/// A network that a container is attached to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// The network's name.
    pub network: String,
    /// The network's id, which is one network's alone.
    pub id: String,
    /// None while the container does not run.
    pub address: Option<Ipv4Addr>,
    pub mac: Option<String>,
}

/// Environment variables. `Debug` shows their names alone, for values may be secret.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Variables(Vec<(String, String)>);

impl Variables {
    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| &**value)
    }

    /// The names of all variables.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| &**name)
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

pub(super) fn describe(container: ContainerInspectResponse) -> ContainerInfo {
    let config = container.config.unwrap_or_default();
    let state = container.state.unwrap_or_default();
    let mounts = container.mounts.unwrap_or_default().into_iter().filter_map(|mount| {
        let is_volume = mount.typ.as_deref() == Some("volume");
        Some(MountedFolder {
            target: mount.destination?,
            bind: mount.source.filter(|_| !is_volume).map(Into::into),
            volume: mount.name.filter(|_| is_volume),
            writable: mount.rw.unwrap_or(true),
        })
    });
    let network_settings = container.network_settings.unwrap_or_default();
    let ports = network_settings.ports.unwrap_or_default();
    let mut ports: Vec<PublishedPort> = ports
        .iter()
        .flat_map(|(name, bindings)| {
            let inside = name.strip_suffix("/tcp").and_then(|port| port.parse().ok());
            let bindings = bindings.iter().flatten();
            inside.into_iter().flat_map(move |inside| {
                bindings.clone().filter_map(move |binding| published(inside, binding))
            })
        })
        .collect();
    ports.sort_by_key(|port| (port.inside, port.address));
    let networks = network_settings.networks;
    let mut networks: Vec<Attachment> = networks
        .unwrap_or_default()
        .into_iter()
        .map(|(network, endpoint)| Attachment {
            network,
            id: endpoint.network_id.unwrap_or_default(),
            address: endpoint.ip_address.and_then(|address| address.parse().ok()),
            mac: endpoint.mac_address.filter(|mac| !mac.is_empty()),
        })
        .collect();
    networks.sort_by(|a, b| a.network.cmp(&b.network));
    let variables = config.env.unwrap_or_default().into_iter().filter_map(|variable| {
        let (name, value) = variable.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    });
    ContainerInfo {
        id: container.id.unwrap_or_default(),
        name: container.name.unwrap_or_default().trim_start_matches('/').to_owned(),
        image: config.image.unwrap_or_default(),
        image_id: container.image.unwrap_or_default(),
        labels: config.labels.unwrap_or_default(),
        running: state.running == Some(true),
        pid: state.pid.and_then(|pid| i32::try_from(pid).ok()).filter(|pid| *pid > 0),
        started: state.started_at.as_deref().and_then(moment),
        created: container.created.map(SystemTime::from),
        hostname: config.hostname.unwrap_or_default(),
        user: user(config.user.as_deref().unwrap_or_default()),
        environment: Variables(variables.collect()),
        mounts: mounts.collect(),
        ports,
        networks,
    }
}

/// A port that is published on all addresses is reached by loopback.
fn published(inside: u16, binding: &PortBinding) -> Option<PublishedPort> {
    let port = binding.host_port.as_deref()?.parse().ok()?;
    let host = binding.host_ip.as_deref().filter(|host| !host.is_empty()).unwrap_or("0.0.0.0");
    let address = match host.parse().ok()? {
        IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        address => address,
    };
    Some(PublishedPort { inside, address: SocketAddr::new(address, port) })
}

/// `UID` or `UID:GID`; nothing stands for root.
fn user(text: &str) -> Option<(u32, Option<u32>)> {
    match text.split_once(':') {
        None if text.is_empty() => Some((0, Some(0))),
        None => Some((text.parse().ok()?, None)),
        Some((user, group)) => Some((user.parse().ok()?, group.parse().ok())),
    }
}

/// A time as the engine writes it; none for the year 1, which stands for never.
pub(super) fn moment(text: &str) -> Option<SystemTime> {
    let date: BollardDate = text.parse().ok()?;
    let nanoseconds = u64::try_from(date.timestamp_nanos_opt()?).ok()?;
    UNIX_EPOCH.checked_add(Duration::from_nanos(nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_variables_are_not_shown() {
        let body = serde_json::json!({"Config": {"Env": ["ENV=dev", "KEY=a=b", "odd"]}});
        let container = describe(serde_json::from_value(body).unwrap());
        assert_eq!(container.environment.get("KEY"), Some("a=b"));
        assert_eq!(container.environment.get("odd"), None);
        assert_eq!(format!("{:?}", container.environment), r#"{"ENV", "KEY"}"#);
    }

    #[test]
    fn published_ports_are_reached_by_loopback() {
        let body = serde_json::json!({"NetworkSettings": {"Ports": {
            "9428/tcp": [
                {"HostIp": "0.0.0.0", "HostPort": "49153"},
                {"HostIp": "::", "HostPort": "49153"}
            ],
            "53/udp": [{"HostIp": "", "HostPort": "1053"}],
            "80/tcp": null,
            "81/tcp": [{"HostIp": "10.0.0.1", "HostPort": "81"}]
        }}});
        let container = describe(serde_json::from_value(body).unwrap());
        let ports: Vec<_> =
            container.ports.iter().map(|port| (port.inside, port.address.to_string())).collect();
        let expected = [(81, "10.0.0.1:81"), (9428, "127.0.0.1:49153"), (9428, "[::1]:49153")];
        assert_eq!(ports, expected.map(|(inside, address)| (inside, address.to_owned())));
    }

    #[test]
    fn users_are_known_by_numbers_alone() {
        let expected = [
            ("", Some((0, Some(0)))),
            ("1000", Some((1000, None))),
            ("1000:1001", Some((1000, Some(1001)))),
            ("1000:app", Some((1000, None))),
            ("app", None),
        ];
        for (text, ids) in expected {
            assert_eq!(user(text), ids, "{text}");
        }
    }

    #[test]
    fn times_are_read() {
        let since = |text: &str| Some(moment(text)?.duration_since(UNIX_EPOCH).unwrap());
        assert_eq!(since("1970-01-01T00:00:01.5Z"), Some(Duration::from_millis(1500)));
        assert_eq!(since("1970-01-01T09:00:02+09:00"), Some(Duration::from_secs(2)));
        assert_eq!(since("0001-01-01T00:00:00Z"), None);
        assert_eq!(since("yesterday"), None);
    }
}
