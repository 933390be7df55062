//! Settings of pip and uv that reach a package index: where they are written, and how one tool's
//! are told to the other.
//!
//! Owns reading pip's configuration files. The values may be secrets: they go into the environment
//! of a program that runs for us or into a secret of a build step, and nowhere else; no key and
//! no layer depends on them.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
};

/// The largest file of settings or certificates that is read, in bytes: a build's secret holds
/// no more.
const MAX_FILE: u64 = 500 * 1024;

/// What pip calls its settings here: the names of its variables without `PIP_`.
const KNOWN: [&str; 11] = [
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
];

/// Variables by which uv is told of an index; one of them means that uv has settings of its own.
const UV_INDEXES: [&str; 7] = [
    "UV_INDEX",
    "UV_DEFAULT_INDEX",
    "UV_INDEX_URL",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
    "UV_NO_INDEX",
    "UV_CONFIG_FILE",
];

/// Proxies, in the spelling that all programs know and in the other one.
const PROXIES: [&str; 8] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
];

/// What a build step gets of this machine's settings.
#[derive(Default)]
pub(crate) struct StepSettings {
    /// Variables of pip and of what it is made of.
    pub(crate) variables: BTreeMap<String, String>,
    /// Contents of the files that variables name, by a name for each.
    pub(crate) files: BTreeMap<&'static str, Vec<u8>>,
}

/// The environment of the tools, with what pip's configuration files add.
pub(crate) struct Settings<'a> {
    environment: &'a [(OsString, OsString)],
    /// Of files and variables, by the names in [`KNOWN`].
    pip: BTreeMap<String, String>,
}

impl<'a> Settings<'a> {
    /// Reads pip's files; one that cannot be read is passed over, as pip itself would complain.
    pub(crate) fn read(environment: &'a [(OsString, OsString)]) -> Self {
        let mut settings = Self { environment, pip: BTreeMap::new() };
        for path in settings.pip_files() {
            if let Some(text) = small_file(&path) {
                settings.pip.extend(parse(&String::from_utf8_lossy(&text)));
            }
        }
        for name in KNOWN {
            if let Some(value) = settings.variable(&format!("PIP_{name}")) {
                let value = value.to_owned();
                settings.pip.insert(name.to_owned(), value);
            }
        }
        settings
    }

    fn variable(&self, name: &str) -> Option<&'a str> {
        let found = self.environment.iter().find(|(known, _)| known == OsStr::new(name))?;
        found.1.to_str().filter(|value| !value.is_empty())
    }

    fn home(&self) -> Option<PathBuf> {
        self.variable("HOME").map(PathBuf::from)
    }

    fn config_home(&self) -> Option<PathBuf> {
        let given = self.variable("XDG_CONFIG_HOME").map(PathBuf::from);
        given.or_else(|| self.home().map(|home| home.join(".config")))
    }

    /// The weakest first.
    fn pip_files(&self) -> Vec<PathBuf> {
        let given = self.variable("PIP_CONFIG_FILE");
        if given == Some("/dev/null") {
            return Vec::new();
        }
        let shared = self.variable("XDG_CONFIG_DIRS").unwrap_or("/etc/xdg").split(':');
        let mut files: Vec<_> = shared.map(|dir| Path::new(dir).join("pip/pip.conf")).collect();
        files.push("/etc/pip.conf".into());
        files.extend(self.home().map(|home| home.join(".pip/pip.conf")));
        files.extend(self.config_home().map(|folder| folder.join("pip/pip.conf")));
        files.extend(given.map(PathBuf::from));
        files
    }

    fn uv_has_its_own(&self) -> bool {
        let files = [
            Some(PathBuf::from("/etc/uv/uv.toml")),
            self.config_home().map(|folder| folder.join("uv/uv.toml")),
        ];
        UV_INDEXES.iter().any(|name| self.variable(name).is_some())
            || files.into_iter().flatten().any(|file| file.is_file())
    }

    /// Variables that tell uv what pip was told, as far as uv was told nothing itself.
    pub(crate) fn for_uv(&self) -> Vec<(&'static str, String)> {
        let pip = |name: &str| self.pip.get(name).map(|value| one_line(value));
        let mut variables = Vec::new();
        if !self.uv_has_its_own() {
            let commas = |value: String| value.replace(' ', ",");
            variables.extend(pip("INDEX_URL").map(|value| ("UV_DEFAULT_INDEX", value)));
            variables.extend(pip("EXTRA_INDEX_URL").map(|value| ("UV_INDEX", value)));
            variables.extend(pip("FIND_LINKS").map(|value| ("UV_FIND_LINKS", commas(value))));
            variables.extend(pip("NO_INDEX").map(|value| ("UV_NO_INDEX", value)));
        }
        let unless = |names: &[&str]| names.iter().all(|name| self.variable(name).is_none());
        if unless(&["SSL_CERT_FILE", "SSL_CERT_DIR"]) {
            let cert = pip("CERT").or_else(|| self.variable("REQUESTS_CA_BUNDLE").map(one_line));
            variables.extend(cert.map(|value| ("SSL_CERT_FILE", value)));
        }
        if unless(&["UV_INSECURE_HOST"]) {
            variables.extend(pip("TRUSTED_HOST").map(|value| ("UV_INSECURE_HOST", value)));
        }
        if unless(&PROXIES[..3]) && unless(&PROXIES[4..7]) {
            variables.extend(pip("PROXY").map(|value| ("ALL_PROXY", value)));
        }
        variables
    }

    /// What pip inside of an image has to know to reach what this machine reaches.
    pub(crate) fn for_step(&self) -> StepSettings {
        let mut step = StepSettings::default();
        let mut set = |name: String, value: String| drop(step.variables.insert(name, value));
        for (name, value) in &self.pip {
            let value = one_line(value);
            // Folders of this machine are not there.
            let value = if name == "FIND_LINKS" { remote(&value) } else { value };
            if !value.is_empty() && !["CERT", "CLIENT_CERT"].contains(&&**name) {
                set(format!("PIP_{name}"), value);
            }
        }
        if !self.pip.contains_key("INDEX_URL") {
            let uv =
                ["UV_DEFAULT_INDEX", "UV_INDEX_URL"].iter().find_map(|name| self.variable(name));
            if let Some(value) = uv {
                set("PIP_INDEX_URL".to_owned(), without_names(value));
            }
        }
        if !self.pip.contains_key("EXTRA_INDEX_URL") {
            let uv = ["UV_INDEX", "UV_EXTRA_INDEX_URL"].iter().find_map(|name| self.variable(name));
            if let Some(value) = uv {
                set("PIP_EXTRA_INDEX_URL".to_owned(), without_names(value));
            }
        }
        for name in PROXIES {
            if let Some(value) = self.variable(name) {
                set(name.to_owned(), value.to_owned());
            }
        }
        let cert = self.pip.get("CERT").map(String::as_str);
        let cert = cert.or_else(|| self.variable("REQUESTS_CA_BUNDLE"));
        let cert = cert.or_else(|| self.variable("SSL_CERT_FILE"));
        let client = self.pip.get("CLIENT_CERT").map(String::as_str);
        let netrc = self.variable("NETRC").map(PathBuf::from);
        let netrc = netrc.or_else(|| self.home().map(|home| home.join(".netrc")));
        let files = [
            ("cert", cert.map(PathBuf::from)),
            ("client-cert", client.map(PathBuf::from)),
            ("netrc", netrc),
        ];
        for (name, path) in files {
            if let Some(content) = path.and_then(|path| small_file(&path)) {
                step.files.insert(name, content);
            }
        }
        step
    }
}

/// A file that is there and not too large.
fn small_file(path: &Path) -> Option<Vec<u8>> {
    let metadata = fs::metadata(path).ok()?;
    if !metadata.is_file() || metadata.len() > MAX_FILE {
        return None;
    }
    fs::read(path).ok()
}

/// The settings of a `pip.conf` that we pass on.
fn parse(text: &str) -> BTreeMap<String, String> {
    let (mut settings, mut section, mut last) = (BTreeMap::new(), String::new(), None::<String>);
    for line in text.lines() {
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
fn one_line(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The web addresses of a list.
fn remote(list: &str) -> String {
    let remote = list.split(' ').filter(|link| link.contains("://") && !link.starts_with("file:"));
    remote.collect::<Vec<_>>().join(" ")
}

/// uv's indexes may be `name=address`.
fn without_names(list: &str) -> String {
    let address = |index: &str| match index.split_once('=') {
        Some((name, address)) if !name.contains("://") => address.to_owned(),
        _ => index.to_owned(),
    };
    list.split_whitespace().map(address).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        pairs.iter().map(|(name, value)| (name.into(), value.into())).collect()
    }

    const CONF: &str = "# c\n[global]\nindex-url = https://u:p@conf/simple\nextra-index-url =\n  https://one\n  https://two\n\
                        timeout: 7\n[list]\nproxy = http://no\n[install]\nfind-links = /wheels https://links\n";

    #[test]
    fn files_and_variables_of_pip() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join(".config/pip");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("pip.conf"), CONF).unwrap();
        fs::write(home.path().join(".netrc"), "machine conf").unwrap();
        let home = home.path().to_str().unwrap();
        let check = |more: &[(&str, &str)], name: &str, uv: Option<&str>, step: Option<&str>| {
            let mut pairs = vec![("HOME", home)];
            pairs.extend(more);
            let environment = environment(&pairs);
            let settings = Settings::read(&environment);
            let told = settings.for_uv().into_iter().find(|(known, _)| *known == name);
            assert_eq!(told.map(|(_, value)| value).as_deref(), uv, "uv: {name} {more:?}");
            let variables = settings.for_step().variables;
            assert_eq!(variables.get(name).map(String::as_str), step, "step: {name} {more:?}");
        };
        check(&[], "UV_DEFAULT_INDEX", Some("https://u:p@conf/simple"), None);
        check(&[], "UV_INDEX", Some("https://one https://two"), None);
        check(&[], "UV_FIND_LINKS", Some("/wheels,https://links"), None);
        check(&[], "PIP_FIND_LINKS", None, Some("https://links"));
        check(&[], "PIP_INDEX_URL", None, Some("https://u:p@conf/simple"));
        check(&[], "PIP_PROXY", None, None);
        check(&[("PIP_INDEX_URL", "https://v")], "PIP_INDEX_URL", None, Some("https://v"));
        check(&[("PIP_INDEX_URL", "https://v")], "UV_DEFAULT_INDEX", Some("https://v"), None);
        check(&[("PIP_CONFIG_FILE", "/dev/null")], "PIP_INDEX_URL", None, None);
        check(&[("UV_INDEX_URL", "https://w")], "UV_DEFAULT_INDEX", None, None);
        let uv = [("UV_INDEX_URL", "https://w"), ("PIP_CONFIG_FILE", "/dev/null")];
        check(&uv, "PIP_INDEX_URL", None, Some("https://w"));
        let uv = [("UV_INDEX", "mine=https://w https://x"), ("PIP_CONFIG_FILE", "/dev/null")];
        check(&uv, "PIP_EXTRA_INDEX_URL", None, Some("https://w https://x"));
        check(&[("PIP_PROXY", "http://p")], "ALL_PROXY", Some("http://p"), None);
        check(&[("PIP_PROXY", "x"), ("https_proxy", "y")], "ALL_PROXY", None, None);
        check(&[("https_proxy", "y")], "https_proxy", None, Some("y"));
    }

    #[test]
    fn files_are_taken_along() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join(".netrc"), "machine conf").unwrap();
        fs::write(home.path().join("ca.pem"), "ca").unwrap();
        let (home, ca) = (home.path().to_str().unwrap(), home.path().join("ca.pem"));
        let environment = environment(&[
            ("HOME", home),
            ("PIP_CONFIG_FILE", "/dev/null"),
            ("SSL_CERT_FILE", ca.to_str().unwrap()),
        ]);
        let step = Settings::read(&environment).for_step();
        let files: Vec<_> =
            step.files.iter().map(|(name, content)| (*name, &content[..])).collect();
        assert_eq!(files, [("cert", &b"ca"[..]), ("netrc", b"machine conf")]);
    }
}
