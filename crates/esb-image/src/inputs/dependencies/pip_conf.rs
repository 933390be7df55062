//! Reads pip's configuration files.
//!
//! Owns their form. Refuses to know what a setting means.

use std::collections::BTreeMap;

/// The settings of pip that count here: the names of its variables without `PIP_`.
pub(crate) const KNOWN: [&str; 15] = [
    "INDEX_URL",
    "EXTRA_INDEX_URL",
    "NO_INDEX",
    "FIND_LINKS",
    "TRUSTED_HOST",
    "CERT",
    "CLIENT_CERT",
    "PROXY",
    "DEFAULT_TIMEOUT",
    "TIMEOUT",
    "RETRIES",
    "CONSTRAINT",
    "BUILD_CONSTRAINT",
    "NO_BINARY",
    "PRE",
];

/// The settings of a `pip.conf` that count.
pub(crate) fn parse(text: &str) -> BTreeMap<String, String> {
    let (mut settings, mut section, mut last) = (BTreeMap::new(), String::new(), None::<String>);
    for line in text.trim_start_matches('\u{feff}').lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        // An indented line goes on with the value before.
        if line.starts_with([' ', '\t']) {
            if let Some(value) = last.as_ref().and_then(|name| settings.get_mut(name)) {
                let value: &mut String = value;
                value.push(' ');
                value.push_str(trimmed);
            }
            continue;
        }
        last = None;
        if let Some(name) = trimmed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.trim().clone_into(&mut section);
            continue;
        }
        let Some((name, value)) = trimmed.split_once(['=', ':']) else { continue };
        let name = name.trim().to_ascii_uppercase().replace('-', "_");
        if ["global", "install"].contains(&&*section) && KNOWN.contains(&&*name) {
            settings.insert(name.clone(), value.trim().to_owned());
            last = Some(name);
        }
    }
    settings
}

/// Values of several lines are lists.
pub(crate) fn one_line(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}
