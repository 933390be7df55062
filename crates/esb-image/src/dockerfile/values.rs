//! Parses owners, modes, ports and signals.
//!
//! Reports what is not a valid value. Refuses names that only the files of an image resolve.

/// The most ports of one `EXPOSE` range.
const MAX_PORTS: u16 = 1024;

/// The owner of files, as `--chown` and `USER` name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) user: Id,
    /// The user's own when it is left out.
    pub(crate) group: Option<Id>,
}

/// A user or a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Id {
    Number(u64),
    /// A name that only the files of an image resolve.
    Name(String),
}

pub(super) fn is_remote(source: &str) -> bool {
    ["http://", "https://", "git@", "git://", "ssh://"]
        .iter()
        .any(|scheme| source.starts_with(scheme))
}

/// A mode in octal. Engines of different age do different things with the bits above the others.
pub(super) fn numeric_mode(mode: &str) -> Option<u32> {
    u32::from_str_radix(mode, 8).ok().filter(|mode| *mode <= 0o777)
}

/// `root` is the one name that means the same everywhere. Numbers that are none of a user, which
/// engines take all the same, are no id.
fn id(text: &str) -> Option<Id> {
    if text == "root" {
        return Some(Id::Number(0));
    }
    let signed = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !signed.is_empty() && signed.chars().all(|c| c.is_ascii_digit()) {
        return text.parse::<u32>().ok().map(|number| Id::Number(number.into()));
    }
    (!text.is_empty()).then(|| Id::Name(text.to_owned()))
}

/// `USER[:GROUP]`, each a number or a name; none when it is neither.
pub(super) fn owner(text: &str) -> Option<Owner> {
    Some(match text.split_once(':') {
        Some((user, group)) => Owner { user: id(user)?, group: Some(id(group)?) },
        None => Owner { user: id(text)?, group: None },
    })
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

/// A span of time as `1h30m`, `5s` or `200ms`, in nanoseconds. Engines know more forms.
pub(super) fn duration(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut total = 0_i64;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: i64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = match &rest[..end] {
            "h" => 3_600_000_000_000,
            "m" => 60_000_000_000,
            "s" => 1_000_000_000,
            "ms" => 1_000_000,
            _ => return None,
        };
        rest = &rest[end..];
        total = total.checked_add(number.checked_mul(unit)?)?;
    }
    (total > 0).then_some(total)
}

/// A number of times. Engines of different age do different things with zero.
pub(super) fn count(text: &str) -> Option<i64> {
    text.parse::<u16>().ok().filter(|count| *count > 0).map(i64::from)
}
