//! Values with a form of their own: owners, modes, ports, signals.
//!
//! Owns telling a value from what is none. Refuses names that only the files of an image resolve.

/// The most ports of one `EXPOSE` range.
const MAX_PORTS: u16 = 1024;

/// Whom a folder belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Owner {
    Ids(u64, u64),
    /// A name that only the base's files resolve.
    Named(String),
}

pub(super) fn is_remote(source: &str) -> bool {
    ["http://", "https://", "git@", "git://", "ssh://"]
        .iter()
        .any(|scheme| source.starts_with(scheme))
}

pub(super) fn numeric_mode(mode: &str) -> Option<u32> {
    u32::from_str_radix(mode, 8).ok().filter(|mode| *mode <= 0o7777)
}

/// `root` is the one name that means the same everywhere.
fn id(text: &str) -> Option<u64> {
    if text == "root" { Some(0) } else { text.parse::<u32>().ok().map(u64::from) }
}

/// `uid` or `uid:gid`; the group is the user's number when it is left out.
pub(super) fn numeric_owner(text: &str) -> Option<(u64, u64)> {
    match text.split_once(':') {
        Some((user, group)) => Some((id(user)?, id(group)?)),
        None => id(text).map(|user| (user, user)),
    }
}

pub(super) fn owner(user: &str) -> Owner {
    match numeric_owner(user) {
        _ if user.is_empty() => Owner::Ids(0, 0),
        Some((user, group)) => Owner::Ids(user, group),
        None => Owner::Named(user.to_owned()),
    }
}

/// `80`, `80/udp` or `80-90/tcp` as single ports with their protocol.
pub(super) fn port_range(text: &str) -> Option<Vec<String>> {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    if !matches!(&*protocol, "tcp" | "udp" | "sctp") {
        return None;
    }
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
    let count = last.checked_sub(first)?;
    (count < MAX_PORTS).then(|| (first..=last).map(|port| format!("{port}/{protocol}")).collect())
}

pub(super) fn is_signal(text: &str) -> bool {
    let number = text.parse::<u8>().is_ok_and(|number| (1..=64).contains(&number));
    let name = text.len() <= 16
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-'));
    number || name
}
