//! Settings without what would be reached, and uv's indexes in the words of pip.

use std::collections::BTreeMap;

use super::is_uv_credential;

/// Variables for a tool, without what would be reached: of lists of links those of this machine
/// stay.
pub(crate) fn without_network(variables: BTreeMap<String, String>) -> BTreeMap<String, String> {
    const GONE: [&str; 6] = [
        "UV_INDEX",
        "UV_DEFAULT_INDEX",
        "UV_INDEX_URL",
        "UV_EXTRA_INDEX_URL",
        "PIP_INDEX_URL",
        "PIP_EXTRA_INDEX_URL",
    ];
    let is_gone = |name: &str| GONE.contains(&name) || is_uv_credential(name);
    let mut kept: BTreeMap<_, _> =
        variables.into_iter().filter(|(name, _)| !is_gone(name)).collect();
    for (name, separator) in [("UV_FIND_LINKS", ','), ("PIP_FIND_LINKS", ' ')] {
        if let Some(list) = kept.remove(name) {
            let links = list.split([separator, ' ']).filter(|link| is_of_this_machine(link));
            let links = links.collect::<Vec<_>>().join(&separator.to_string());
            if !links.is_empty() {
                kept.insert(name.to_owned(), links);
            }
        }
    }
    for name in ["UV_OFFLINE", "UV_NO_INDEX", "PIP_NO_INDEX"] {
        kept.insert(name.to_owned(), "1".to_owned());
    }
    kept
}

/// uv's own settings, without what would be reached.
pub(crate) fn config_without_network(config: &toml::Table) -> toml::Table {
    let mut kept = toml::Table::new();
    let links = config.get("find-links").and_then(toml::Value::as_array).into_iter().flatten();
    let links: Vec<_> =
        links.filter(|link| link.as_str().is_some_and(is_of_this_machine)).cloned().collect();
    if !links.is_empty() {
        kept.insert("find-links".to_owned(), links.into());
    }
    kept
}

/// uv's own indexes as options of pip; `signed` adds the credentials of a name to an address.
pub(crate) fn indexes_of_config(
    config: &toml::Table,
    signed: &dyn Fn(&str, &str) -> String,
) -> String {
    let mut options = String::new();
    let mut option = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            options.extend(["--", name, " ", value, "\n"]);
        }
    };
    option("index-url", config.get("index-url").and_then(toml::Value::as_str));
    let list = |key: &str| config.get(key).and_then(toml::Value::as_array).into_iter().flatten();
    for address in list("extra-index-url") {
        option("extra-index-url", address.as_str());
    }
    for index in list("index") {
        let is_default = index.get("default").and_then(toml::Value::as_bool) == Some(true);
        let name = if is_default { "index-url" } else { "extra-index-url" };
        let text = |key: &str| index.get(key).and_then(toml::Value::as_str);
        let url = text("url").map(|url| signed(text("name").unwrap_or_default(), url));
        option(name, url.as_deref());
    }
    for link in list("find-links") {
        option("find-links", link.as_str());
    }
    options
}

pub(super) fn is_of_this_machine(link: &str) -> bool {
    !link.is_empty() && (!link.contains("://") || link.starts_with("file:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_would_be_reached_is_left() {
        let variables = [
            ("UV_INDEX", "https://a/simple"),
            ("PIP_INDEX_URL", "https://u:p@a/simple"),
            ("UV_INDEX_MINE_PASSWORD", "secret"),
            ("UV_FIND_LINKS", "/wheels,https://a/wheels"),
            ("PIP_FIND_LINKS", "https://a/wheels"),
            ("UV_PRERELEASE", "allow"),
        ];
        let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let kept = without_network(variables.map(own).into());
        let expected = [
            ("UV_FIND_LINKS", "/wheels"),
            ("UV_PRERELEASE", "allow"),
            ("UV_OFFLINE", "1"),
            ("UV_NO_INDEX", "1"),
            ("PIP_NO_INDEX", "1"),
        ];
        assert_eq!(kept, expected.map(own).into());
        let config = "index-url = 'https://a'\nfind-links = ['/w', 'https://a/w']\n\
                      [[index]]\nurl = 'https://b'\n[[index]]\nurl = 'https://c'\ndefault = true";
        let config: toml::Table = config.parse().unwrap();
        assert_eq!(config_without_network(&config).to_string(), "find-links = [\"/w\"]\n");
        let options = "--index-url https://a\n--extra-index-url https://b\n--index-url https://c\n\
                       --find-links /w\n--find-links https://a/w\n";
        let plain = |_: &str, address: &str| address.to_owned();
        assert_eq!(indexes_of_config(&config, &plain), options);
    }
}
