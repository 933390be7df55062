//! Settings of pip and uv for package indexes: where they are read from, and which of them a
//! program gets.
//!
//! Owns which variables a program gets that runs for us: those that say where packages are found
//! and how that is reached, and none that names a program, or asks for a build. The values may be
//! secrets: they go into the environment of that program or into a secret of a build step, and
//! nowhere else; no key and no layer depends on them.

mod credentials;
mod offline;

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

use self::offline::is_of_this_machine;
pub(crate) use self::offline::{config_without_network, indexes_of_config, without_network};
use super::{
    Tools,
    address::{forms, secrets_of},
    entry,
    lines::VARIABLE,
    pip_conf::{KNOWN, one_line, parse},
    requirements::describe_links,
};
use crate::fingerprint::Fingerprint;

/// The largest file of settings or certificates that is read, in bytes: a build's secret holds
/// no more.
const MAX_FILE: u64 = 500 * 1024;

/// Variables that set an index for uv; one of them means that uv has settings of its own.
const UV_INDEXES: [&str; 7] = [
    "UV_INDEX",
    "UV_DEFAULT_INDEX",
    "UV_INDEX_URL",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
    "UV_NO_INDEX",
    "UV_CONFIG_FILE",
];

/// Further variables that uv may get.
const UV: [&str; 17] = [
    "UV_INDEX",
    "UV_DEFAULT_INDEX",
    "UV_INDEX_URL",
    "UV_EXTRA_INDEX_URL",
    "UV_NO_INDEX",
    "UV_INDEX_STRATEGY",
    "UV_EXCLUDE_NEWER",
    "UV_PRERELEASE",
    "UV_RESOLUTION",
    "UV_INSECURE_HOST",
    "UV_SYSTEM_CERTS",
    "UV_NATIVE_TLS",
    "UV_HTTP_TIMEOUT",
    "UV_REQUEST_TIMEOUT",
    "UV_HTTP_RETRIES",
    "UV_CONCURRENT_DOWNLOADS",
    "UV_OFFLINE",
];

/// Of those, what a result depends on beside addresses.
const UV_CHOICES: [&str; 4] =
    ["UV_INDEX_STRATEGY", "UV_EXCLUDE_NEWER", "UV_PRERELEASE", "UV_RESOLUTION"];

/// Variables that every program may get: proxies, certificates, folders.
const SHARED: [&str; 21] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "SSL_CLIENT_CERT",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NETRC",
    "TMPDIR",
    "TMP",
    "TEMP",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
];

/// Proxies, in the spelling that all programs know and in the other one.
const PROXIES: &[&str] = SHARED.split_at(8).0;

/// Variables that a program gets only from this process's own environment, because they decide
/// which programs run.
const OF_PROCESS: [&str; 12] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "LD_LIBRARY_PATH",
    "PYENV_ROOT",
    "PYENV_VERSION",
    "UV_KEYRING_PROVIDER",
    "PIP_KEYRING_PROVIDER",
];

/// Of uv's own files, what is not about builds and programs.
const UV_KEYS: [&str; 12] = [
    "index",
    "index-url",
    "extra-index-url",
    "find-links",
    "no-index",
    "index-strategy",
    "prerelease",
    "resolution",
    "exclude-newer",
    "allow-insecure-host",
    "system-certs",
    "native-tls",
];

/// The settings of this machine for a build step.
#[cfg(any(test, feature = "docker", feature = "buildkit"))]
#[derive(Default)]
pub(crate) struct StepSettings {
    /// Variables of pip and of what it is made of.
    pub(crate) variables: BTreeMap<String, String>,
    /// Contents of the files that variables name, by a name for each.
    pub(crate) files: BTreeMap<&'static str, Vec<u8>>,
}

/// The environment of the tools, with what pip's configuration files add.
pub(crate) struct PipSettings<'a> {
    tools: &'a Tools,
    /// Of files and variables, by the names in [`KNOWN`].
    pip: BTreeMap<String, String>,
}

impl<'a> PipSettings<'a> {
    /// Reads pip's files; one that cannot be read is passed over, as pip itself would complain.
    pub(crate) fn read(tools: &'a Tools) -> Self {
        let mut settings = Self { tools, pip: BTreeMap::new() };
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
        for (name, value) in &mut settings.pip {
            if ["FIND_LINKS", "CONSTRAINT", "BUILD_CONSTRAINT", "CERT", "CLIENT_CERT"]
                .contains(&&**name)
            {
                *value = tools.absolute(value);
            }
        }
        settings
    }

    /// A variable that is set and not empty.
    pub(crate) fn variable(&self, name: &str) -> Option<&'a str> {
        let found = self.tools.environment.iter().find(|(known, _)| known == OsStr::new(name))?;
        found.1.to_str().filter(|value| !value.is_empty())
    }

    /// A variable that no file of the project set.
    fn of_process(&self, name: &str) -> Option<&'a str> {
        self.variable(name).filter(|_| !self.tools.env_file.contains(OsStr::new(name)))
    }

    fn home(&self) -> Option<PathBuf> {
        self.of_process("HOME").map(PathBuf::from)
    }

    fn config_home(&self) -> Option<PathBuf> {
        let given = self.of_process("XDG_CONFIG_HOME").map(PathBuf::from);
        given.or_else(|| self.home().map(|home| home.join(".config")))
    }

    /// The weakest first.
    fn pip_files(&self) -> Vec<PathBuf> {
        let given = self.variable("PIP_CONFIG_FILE");
        if given == Some("/dev/null") {
            return Vec::new();
        }
        let shared = self.of_process("XDG_CONFIG_DIRS").unwrap_or("/etc/xdg").split(':');
        let mut files: Vec<_> = shared.map(|dir| Path::new(dir).join("pip/pip.conf")).collect();
        files.push("/etc/pip.conf".into());
        files.extend(self.home().map(|home| home.join(".pip/pip.conf")));
        files.extend(self.config_home().map(|folder| folder.join("pip/pip.conf")));
        files.extend(given.map(|path| self.tools.folder.join(path)));
        files
    }

    /// uv's own files of the user and of the machine, the weakest first.
    fn uv_files(&self) -> Vec<PathBuf> {
        if let Some(given) = self.variable("UV_CONFIG_FILE") {
            return vec![self.tools.folder.join(given)];
        }
        let user = self.config_home().map(|folder| folder.join("uv/uv.toml"));
        [Some(PathBuf::from("/etc/uv/uv.toml")), user].into_iter().flatten().collect()
    }

    fn uv_has_its_own(&self) -> bool {
        UV_INDEXES.iter().any(|name| self.variable(name).is_some())
            || self.uv_files().iter().any(|file| file.is_file())
    }

    /// uv's settings of the machine, the user and the project, as far as they are about indexes.
    pub(crate) fn uv_config(&self, project: Option<UvFile>, locked: bool) -> toml::Table {
        let mut config = toml::Table::new();
        let files = self.uv_files().into_iter().filter_map(|path| UvFile::read(&path));
        for UvFile { folder, table } in files.chain(project) {
            let pip = table.get("pip").and_then(toml::Value::as_table);
            for (key, value) in pip.into_iter().flatten().chain(&table) {
                if !UV_KEYS.contains(&&**key) {
                    continue;
                }
                let mut value = value.clone();
                make_absolute(&mut value, key, &folder);
                match (config.get_mut(key), value) {
                    (Some(toml::Value::Array(list)), toml::Value::Array(stronger)) => {
                        list.splice(0..0, stronger);
                    }
                    (_, value) => drop(config.insert(key.clone(), value)),
                }
            }
        }
        if locked {
            // The lock says which index each package is of, and hashes prove it.
            for index in
                config.get_mut("index").and_then(toml::Value::as_array_mut).into_iter().flatten()
            {
                index.as_table_mut().and_then(|index| index.remove("explicit"));
            }
            config.insert("index-strategy".to_owned(), "unsafe-best-match".into());
        }
        config
    }

    /// Files of constraints that the environment names.
    pub(crate) fn constraints(&self) -> Vec<String> {
        let mut all = list(self.pip.get("CONSTRAINT").map_or("", |value| value));
        all.extend(list(&self.tools.absolute(self.variable("UV_CONSTRAINT").unwrap_or_default())));
        all
    }

    /// Files of overrides that the environment names.
    pub(crate) fn overrides(&self) -> Vec<String> {
        list(&self.tools.absolute(self.variable("UV_OVERRIDE").unwrap_or_default()))
    }

    /// Files of constraints for what builds need.
    pub(crate) fn build_constraints(&self) -> Vec<String> {
        let mut all = list(self.pip.get("BUILD_CONSTRAINT").map_or("", |value| value));
        let uv = self.variable("UV_BUILD_CONSTRAINT").unwrap_or_default();
        all.extend(list(&self.tools.absolute(uv)));
        all
    }

    /// The setting of the environment that asks for builds, and the packages that it names.
    pub(crate) fn no_binary(&self) -> Option<(&'static str, String)> {
        let pip =
            self.pip.get("NO_BINARY").filter(|list| !list.trim().is_empty() && *list != ":none:");
        if let Some(list) = pip {
            return Some(("PIP_NO_BINARY", one_line(list).replace(' ', ",")));
        }
        if let Some(list) = self.variable("UV_NO_BINARY_PACKAGE") {
            return Some(("UV_NO_BINARY_PACKAGE", one_line(list).replace(' ', ",")));
        }
        let all =
            self.variable("UV_NO_BINARY").filter(|value| !["0", "false", "no"].contains(value));
        all.map(|_| ("UV_NO_BINARY", ":all:".to_owned()))
    }

    /// The variables that both tools may get, and those that requirements name.
    pub(crate) fn shared(&self, named: &BTreeSet<String>) -> BTreeMap<String, OsString> {
        let mut variables = BTreeMap::new();
        let mut set =
            |name: &str, value: &str| drop(variables.insert(name.to_owned(), value.into()));
        for name in SHARED {
            if let Some(value) = self.variable(name) {
                let is_path = name.contains("CERT") || name == "NETRC" || name.ends_with("BUNDLE");
                set(name, &if is_path { self.tools.absolute(value) } else { value.to_owned() });
            }
        }
        for name in OF_PROCESS {
            if let Some(value) = self.of_process(name) {
                set(name, value);
            }
        }
        for name in named {
            if let Some(value) = self.variable(name) {
                set(&format!("{VARIABLE}{name}"), value);
            }
        }
        // A relative folder would be one of the project.
        if let Some(path) = self.of_process("PATH") {
            let folders = std::env::split_paths(path).filter(|folder| folder.is_absolute());
            if let Ok(path) = std::env::join_paths(folders) {
                variables.insert("PATH".to_owned(), path);
            }
        }
        variables
    }

    /// The variables for uv: its own settings, and pip's where it has none of its own.
    pub(crate) fn for_uv(&self) -> BTreeMap<String, String> {
        let mut variables = BTreeMap::new();
        let pip = |name: &str| self.pip.get(name).map(|value| one_line(value));
        let mut set = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                variables.insert(name.to_owned(), value);
            }
        };
        for name in UV {
            set(name, self.variable(name).map(str::to_owned));
        }
        for (name, value) in &self.tools.environment {
            let Some(name) = name.to_str().filter(|name| is_uv_credential(name)) else { continue };
            set(name, value.to_str().map(str::to_owned));
        }
        let links = self.variable("UV_FIND_LINKS").map(|value| self.tools.absolute(value));
        set("UV_FIND_LINKS", links);
        if !self.uv_has_its_own() {
            set("UV_DEFAULT_INDEX", pip("INDEX_URL"));
            set("UV_INDEX", pip("EXTRA_INDEX_URL"));
            set("UV_FIND_LINKS", pip("FIND_LINKS").map(|value| value.replace(' ', ",")));
            set("UV_NO_INDEX", pip("NO_INDEX"));
        }
        let unless = |names: &[&str]| names.iter().all(|name| self.variable(name).is_none());
        if unless(&["SSL_CERT_FILE", "SSL_CERT_DIR"]) {
            let cert = pip("CERT").or_else(|| self.variable("REQUESTS_CA_BUNDLE").map(one_line));
            set("SSL_CERT_FILE", cert);
        }
        if unless(&["UV_INSECURE_HOST"]) {
            set("UV_INSECURE_HOST", pip("TRUSTED_HOST"));
        }
        if unless(&PROXIES[..3]) && unless(&PROXIES[4..7]) {
            set("ALL_PROXY", pip("PROXY"));
        }
        if unless(&["UV_PRERELEASE"]) && pip("PRE").is_some_and(|value| is_true(&value)) {
            set("UV_PRERELEASE", Some("allow".to_owned()));
        }
        variables
    }

    /// The variables for pip on this machine.
    pub(crate) fn for_pip(&self) -> BTreeMap<String, String> {
        self.pip_variables(false)
    }

    fn pip_variables(&self, in_step: bool) -> BTreeMap<String, String> {
        let mut variables = BTreeMap::new();
        let mut set = |name: String, value: String| drop(variables.insert(name, value));
        for (name, value) in &self.pip {
            let value = one_line(value);
            // Folders of this machine are not in a step.
            let value = if in_step && name == "FIND_LINKS" { remote(&value) } else { value };
            let is_file = ["CERT", "CLIENT_CERT"].contains(&&**name);
            let is_ours = ["CONSTRAINT", "BUILD_CONSTRAINT", "NO_BINARY"].contains(&&**name);
            let is_left_out = is_ours || in_step && is_file;
            if !value.is_empty() && !is_left_out {
                set(format!("PIP_{name}"), value);
            }
        }
        let first = |names: &[&str]| names.iter().find_map(|name| self.variable(name));
        for (pip, uv) in [
            ("INDEX_URL", ["UV_DEFAULT_INDEX", "UV_INDEX_URL"]),
            ("EXTRA_INDEX_URL", ["UV_INDEX", "UV_EXTRA_INDEX_URL"]),
        ] {
            if let Some(value) = first(&uv).filter(|_| !self.pip.contains_key(pip)) {
                let indexes = value.split_whitespace().map(|index| self.index_address(index));
                set(format!("PIP_{pip}"), indexes.collect::<Vec<_>>().join(" "));
            }
        }
        variables
    }

    /// What pip inside of an image has to know to reach what this machine reaches.
    #[cfg(any(test, feature = "docker", feature = "buildkit"))]
    pub(crate) fn for_step(&self, named: &BTreeSet<String>) -> StepSettings {
        let mut step = StepSettings { variables: self.pip_variables(true), files: BTreeMap::new() };
        let mut set = |name: String, value: String| drop(step.variables.insert(name, value));
        for name in PROXIES {
            if let Some(value) = self.variable(name) {
                set((*name).to_owned(), value.to_owned());
            }
        }
        for name in named {
            if let Some(value) = self.variable(name) {
                set(format!("{VARIABLE}{name}"), value.to_owned());
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
            let content = path.and_then(|path| small_file(&self.tools.folder.join(path)));
            if let Some(content) = content {
                step.files.insert(name, content);
            }
        }
        step
    }

    /// Where packages are found, and how one of several is chosen, without what is secret.
    pub(crate) fn describe(&self, config: &toml::Table, key: &mut Fingerprint) {
        let told = |value: &str| {
            let words = value.split_whitespace().map(entry::without_user);
            words.collect::<Vec<_>>().join(" ")
        };
        for name in ["INDEX_URL", "EXTRA_INDEX_URL", "NO_INDEX", "PRE"] {
            key.text(&told(self.pip.get(name).map_or("", |value| value)));
        }
        for name in &UV_INDEXES[..4] {
            key.text(&told(self.variable(name).unwrap_or_default()));
        }
        let links = self.variable("UV_FIND_LINKS").map(|value| self.tools.absolute(value));
        let pip = self.pip.get("FIND_LINKS").map(|value| one_line(value));
        for links in [pip, links].into_iter().flatten() {
            describe_links(&links, key);
        }
        for name in UV_CHOICES {
            key.text(self.variable(name).unwrap_or_default());
        }
        key.text(&addresses_without_user(config));
        let links = config.get("find-links").and_then(toml::Value::as_array);
        for link in links.into_iter().flatten().filter_map(toml::Value::as_str) {
            describe_links(link, key);
        }
        for file in self.build_constraints() {
            key.bytes(&small_file(Path::new(&file)).unwrap_or_default());
        }
    }

    /// Passwords and tokens that a program could say again, and those of variables by name.
    pub(crate) fn secrets(&self, named: &BTreeSet<String>) -> Vec<String> {
        let mut secrets = Vec::new();
        for value in self.pip.values() {
            secrets.extend(value.split_whitespace().flat_map(secrets_of));
        }
        for (name, value) in &self.tools.environment {
            let (Some(name), Some(value)) = (name.to_str(), value.to_str()) else { continue };
            if name.starts_with("UV_") || PROXIES.contains(&name) {
                // A comma parts addresses, or is one of a password.
                secrets.extend(value.split([' ', ',']).flat_map(secrets_of));
                let one = value.split_whitespace().filter(|word| word.matches("://").count() == 1);
                secrets.extend(one.flat_map(secrets_of));
            }
            if named.contains(name) || is_uv_credential(name) && name.ends_with("_PASSWORD") {
                // What tools make of it when it ends a host's name before its time, too.
                secrets.extend(forms(value));
                secrets.push(credentials::encoded(value));
            }
        }
        secrets
    }
}

/// A file of uv's settings, or the part of a `pyproject.toml` that is one.
pub(crate) struct UvFile {
    pub(crate) folder: PathBuf,
    pub(crate) table: toml::Table,
}

impl UvFile {
    pub(crate) fn read(path: &Path) -> Option<Self> {
        let text = String::from_utf8(small_file(path)?).ok()?;
        let table = toml::from_str(text.trim_start_matches('\u{feff}')).ok()?;
        Some(Self { folder: path.parent()?.to_owned(), table })
    }

    /// The packages that are to be built, as pip names them.
    pub(crate) fn no_binary(&self) -> Option<String> {
        let names = |value: &toml::Value| {
            let list = value.as_array()?.iter().filter_map(toml::Value::as_str);
            Some(list.collect::<Vec<_>>().join(",")).filter(|list| !list.is_empty())
        };
        let own = |key: &str| self.table.get(key);
        if own("no-binary").and_then(toml::Value::as_bool) == Some(true) {
            return Some(":all:".to_owned());
        }
        own("no-binary-package")
            .and_then(names)
            .or_else(|| own("pip").and_then(|pip| names(pip.get("no-binary")?)))
    }
}

/// Paths of a file of settings count from its folder.
fn make_absolute(value: &mut toml::Value, key: &str, folder: &Path) {
    let whole = |text: &mut String| {
        if !text.contains("://") && !text.starts_with("file:") {
            *text = folder.join(&*text).to_string_lossy().into_owned();
        }
    };
    for item in value.as_array_mut().into_iter().flatten() {
        match (item, key) {
            (toml::Value::String(text), "find-links") => whole(text),
            (toml::Value::Table(index), "index") => {
                if let Some(toml::Value::String(text)) = index.get_mut("url") {
                    whole(text);
                }
            }
            _ => {}
        }
    }
}

fn is_uv_credential(name: &str) -> bool {
    name.starts_with("UV_INDEX_") && (name.ends_with("_USERNAME") || name.ends_with("_PASSWORD"))
}

fn is_true(value: &str) -> bool {
    ["1", "true", "yes", "on"].iter().any(|yes| value.eq_ignore_ascii_case(yes))
}

fn list(value: &str) -> Vec<String> {
    value.split_whitespace().map(str::to_owned).collect()
}

/// A document with each address as it is without its password.
fn addresses_without_user(table: &toml::Table) -> String {
    fn clean(value: &mut toml::Value) {
        match value {
            toml::Value::String(text) => *text = entry::without_user(text),
            toml::Value::Array(list) => list.iter_mut().for_each(clean),
            toml::Value::Table(table) => table.iter_mut().for_each(|(_, value)| clean(value)),
            _ => {}
        }
    }
    let mut value = toml::Value::Table(table.clone());
    clean(&mut value);
    value.to_string()
}

/// A file that is there and not too large.
pub(crate) fn small_file(path: &Path) -> Option<Vec<u8>> {
    esb_oci::read_file(path, MAX_FILE).ok()
}

/// The web addresses of a list.
fn remote(list: &str) -> String {
    let remote = list.split(' ').filter(|link| !link.is_empty() && !is_of_this_machine(link));
    remote.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
