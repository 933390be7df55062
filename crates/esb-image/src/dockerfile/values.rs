//! Parses owners, modes, ports and signals.
//!
//! Reports what is not a valid value. Refuses names that only the files of an image resolve.

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

/// `80`, `80/udp`, `80-90/tcp`, or a mapping such as `127.0.0.1:8080:80`, of which the last port
/// counts, as single ports with their protocol.
pub(super) fn port_range(text: &str) -> Option<Vec<String>> {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    if !matches!(&*protocol, "tcp" | "udp" | "sctp") {
        return None;
    }
    let mut fields = ports.rsplitn(3, ':');
    let (first, last) = range(fields.next()?)?;
    let host = fields.next().filter(|host| !host.is_empty()).map(range);
    let address = fields.next().filter(|address| !address.is_empty());
    let address = address.map(|address| address.trim_start_matches('[').trim_end_matches(']'));
    if address.is_some_and(|address| address.parse::<std::net::IpAddr>().is_err()) {
        return None;
    }
    match host {
        Some(None) => return None,
        // One port of the image may get any of a range.
        Some(Some((from, to))) if to - from != last - first && first != last => return None,
        _ => {}
    }
    Some((first..=last).map(|port| format!("{port}/{protocol}")).collect())
}

/// `80` or `80-90`.
fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((first, last))
}

/// A time as Go writes it, such as `1h30m`, `1.5s` or `200ms`, in nanoseconds; none for what is
/// wrong or below a millisecond, but for zero.
pub(super) fn duration(text: &str) -> Option<i64> {
    const MILLISECOND: i64 = 1_000_000;
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(0);
    }
    let mut total = 0_i64;
    loop {
        let digits =
            |text: &str| text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (whole, after) = rest.split_at(digits(rest));
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => after.split_at(digits(after)),
            None => ("", after),
        };
        let end = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, next) = after.split_at(end);
        let unit: i64 = match unit {
            "h" => 3600 * 1000 * MILLISECOND,
            "m" => 60 * 1000 * MILLISECOND,
            "s" => 1000 * MILLISECOND,
            "ms" => MILLISECOND,
            "us" | "µs" | "μs" => 1000,
            "ns" => 1,
            _ => return None,
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        total = total.checked_add(whole.checked_mul(unit)?)?;
        // Digits below a nanosecond change nothing.
        let mut part = unit;
        for digit in fraction.chars().filter_map(|digit| digit.to_digit(10)).take(18) {
            total = total.checked_add(part * i64::from(digit) / 10)?;
            part /= 10;
        }
        rest = next;
        if rest.is_empty() {
            break;
        }
    }
    (total == 0 || total >= MILLISECOND).then_some(total)
}
