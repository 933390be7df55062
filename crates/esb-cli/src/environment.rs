//! Reads the process environment, once and nowhere else.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use esb_deploy::{
    Error, Kind,
    settings::{self, Settings},
};
use esb_model::{Brand, Secret};
use esb_oci::Links;

use crate::env_file;

/// Variables that change what `esb` does, with their meaning. `ESB_` follows the brand.
pub(crate) const VARIABLES: &[(&str, &str)] = &[
    (
        "CONTAINER_REGISTRY",
        "registry prefix written into functions.yml and Dockerfiles; `--registry`",
    ),
    (
        "HOST_REGISTRY_ADDR",
        "address that this machine pushes to, when it differs; `--push-registry`",
    ),
    ("PORT_REGISTRY", "port of the platform's registry on this machine (default 5010)"),
    (
        "CONTAINER_REGISTRY_INSECURE",
        "`1` allows plain HTTP for the registry; `--registry-insecure`",
    ),
    ("ESB_REGISTRY", "the same as `CONTAINER_REGISTRY` where that is unset"),
    ("ESB_TAG", "tag of the images (default `latest`); `--tag`"),
    ("ESB_ENV", "environment, then `ENV` (default `default`); `--env`"),
    ("ENV", "environment where `ESB_ENV` is unset"),
    ("ESB_MODE", "`docker` or `containerd`, then `MODE`; `--mode`"),
    ("MODE", "mode where `ESB_MODE` is unset"),
    ("ESB_PROJECT", "compose project, then `PROJECT_NAME` (default `<brand>-<env>`); `--project`"),
    ("PROJECT_NAME", "compose project where `ESB_PROJECT` is unset"),
    ("ESB_PARAM_<KEY>", "value of the template parameter `<KEY>`; `--parameter`"),
    (
        "ESB_CACHE_DIR",
        "content store and caches (default `$XDG_CACHE_HOME/esb`, then `~/.cache/esb`)",
    ),
    (
        "ESB_LOCK_WAIT",
        "seconds to wait for another run of the same environment (default 600), and for one that \
         publishes into the same folder (default 30)",
    ),
    (
        "ESB_FOLLOW_LINKS",
        "`1` follows links in the folders that are written to; read from the process's own \
         environment only, never from an env file",
    ),
    (
        "ESB_TRUST_STORE",
        "`1` uses a content store that belongs to another user, or that every user can write to; \
         read from the process's own environment only, never from an env file; `--trust-store`",
    ),
    ("ESB_MIRRORS", "comma list of `HOST=…` as `--mirror` takes them"),
    ("VICTORIALOGS_URL", "address of the platform's log store, for `esb logs`; `--url`"),
    ("CONFIG_DIR", "folder that a Gateway reads; `--config-to`"),
    ("AWS_REGION", "region of `AWS::Region` and ARNs, then `AWS_DEFAULT_REGION`; `--region`"),
    ("DOCKER_HOST", "address of the Docker engine (default `unix:///var/run/docker.sock`)"),
    ("DOCKER_TLS_VERIFY", "TLS to a `DOCKER_HOST` of `tcp://`, whatever its value"),
    (
        "DOCKER_CERT_PATH",
        "folder of `ca.pem`, `cert.pem` and `key.pem` for it (default `~/.docker`)",
    ),
    ("DOCKER_CONTEXT", "Docker context that names the engine where `DOCKER_HOST` is unset"),
    ("DOCKER_CONFIG", "folder of Docker's `config.json` with credentials (default `~/.docker`)"),
    (
        "BUILDKIT_HOST",
        "comma list of BuildKit daemons, `tcp://HOST:PORT` or `unix:///PATH`; `--buildkit`",
    ),
    (
        "HTTP_PROXY, HTTPS_PROXY, NO_PROXY",
        "proxies for registries; never used for loopback and the internal registry",
    ),
    (
        "SSL_CERT_FILE, SSL_CERT_DIR",
        "root certificates for registries, in place of the system's; `--ca-file` adds others",
    ),
    ("PIP_*, UV_*", "settings of pip and uv for dependencies"),
    ("SOURCE_DATE_EPOCH", "time of files and images in seconds since 1970 (default 1980-01-01)"),
    ("NO_COLOR, CLICOLOR_FORCE", "colour off, or on without a terminal"),
    ("ESB_YES", "`1` deploys and removes without asking; `--yes`"),
    ("CI", "no progress bars and no questions"),
    (
        "GITHUB_WORKSPACE, CI_PROJECT_DIR",
        "checkout from which `--format sarif`, `github` and `gitlab` name files",
    ),
];

/// The variables that take precedence over keys of esb.toml.
const OF_SETTINGS: [(&str, &[&str]); 4] = [
    ("registry", &["CONTAINER_REGISTRY", "ESB_REGISTRY"]),
    ("push-registry", &["HOST_REGISTRY_ADDR"]),
    ("mirrors", &["ESB_MIRRORS"]),
    ("buildkit", &["BUILDKIT_HOST"]),
];

/// The variables that take precedence over a key of esb.toml.
pub(crate) fn of_setting(key: &str) -> &'static [&'static str] {
    OF_SETTINGS.iter().find(|(name, _)| *name == key).map_or(&[], |(_, variables)| variables)
}

/// The variables of this process, completed from an env file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment {
    /// The folder that the process was started in; `None` where it is not known.
    current: Option<PathBuf>,
    variables: BTreeMap<String, String>,
    /// Variables that came from an env file.
    files: BTreeMap<String, PathBuf>,
    settings: Settings,
    /// What settings say for variables that are not set.
    from_settings: BTreeMap<String, String>,
    prefix: String,
    /// `--trust-store`.
    trust_store: bool,
}

impl Environment {
    /// Takes what the process has; names and values that are not UTF-8 are left out.
    pub(crate) fn capture() -> Self {
        let utf8 = |(name, value): (OsString, OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self {
            variables: std::env::vars_os().filter_map(utf8).collect(),
            prefix: Brand::default().variable_prefix(),
            current: std::env::current_dir().ok(),
            ..Self::default()
        }
    }

    /// The folder that the process was started in.
    pub(crate) fn current_folder(&self) -> Result<&Path, Error> {
        self.current
            .as_deref()
            .ok_or_else(|| Error::new(Kind::Local, "disk", "could not find the current folder"))
    }

    /// Lets `ESB_…` follow a brand.
    pub(crate) fn set_brand(&mut self, brand: &Brand) {
        self.prefix = brand.variable_prefix();
    }

    /// Adds the variables of an env file; those that are set stay.
    pub(crate) fn add_file(&mut self, path: &Path, text: &str) -> Result<(), Error> {
        let read = env_file::parse(text, |name| self.variables.get(name).cloned());
        let values = read.map_err(|problem| {
            let text = format!("could not read the env file `{}`", path.display());
            let mut failure = Error::new(Kind::Input, "env-file", text);
            failure.causes.push(problem.to_string());
            failure
                .in_file(path, problem.line)
                .hint("it is read as Docker Compose reads it: NAME=value, one on each line")
        })?;
        for (name, value) in values {
            if !self.variables.contains_key(&name) {
                self.files.insert(name.clone(), path.to_owned());
                self.variables.insert(name, value);
            }
        }
        Ok(())
    }

    /// Takes the settings of the project; variables that are set are stronger.
    pub(crate) fn set_settings(&mut self, settings: Settings) {
        for key in settings::KEYS.map(|key| key.name) {
            let variables = of_setting(key);
            let Some(first) = variables.first() else { continue };
            let values = settings.list(key);
            if !values.is_empty() && variables.iter().all(|name| self.origin(name).is_none()) {
                self.from_settings.insert(self.own_name(first), values.join(","));
            }
        }
        self.settings = settings;
    }

    /// The settings of the project.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// A variable by its name with the default brand's prefix, and where it is set.
    pub(crate) fn origin(&self, name: &str) -> Option<(String, String)> {
        let name = self.own_name(name);
        let value = self.variables.get(&name).filter(|value| !value.is_empty())?;
        let origin = match self.files.get(&name) {
            Some(path) => format!("{name} in {}", path.display()),
            None => name,
        };
        Some((value.clone(), origin))
    }

    /// `ESB_TAG` under this run's brand.
    fn own_name(&self, name: &str) -> String {
        match name.strip_prefix("ESB_") {
            Some(rest) => format!("{}_{rest}", self.prefix),
            None => name.to_owned(),
        }
    }

    /// A variable that is set and not empty, else what the project's settings say for it.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let set = self.variables.get(name).filter(|value| !value.is_empty());
        set.or_else(|| self.from_settings.get(name)).map(String::as_str)
    }

    /// A variable below the brand's prefix: `branded("TAG")` is `ESB_TAG`.
    pub(crate) fn branded(&self, name: &str) -> Option<&str> {
        self.get(&format!("{}_{name}", self.prefix))
    }

    /// Whether a variable says yes.
    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| {
            ["1", "true", "yes"].iter().any(|yes| value.eq_ignore_ascii_case(yes))
        })
    }

    /// Whether a variable below the brand's prefix says yes.
    pub(crate) fn branded_is_true(&self, name: &str) -> bool {
        self.is_true(&format!("{}_{name}", self.prefix))
    }

    /// What the variables of template parameters begin with: `ESB_PARAM_`.
    pub(crate) fn parameter_prefix(&self) -> String {
        format!("{}_PARAM_", self.prefix)
    }

    /// Values of template parameters: `ESB_PARAM_<KEY>`.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        let prefix = self.parameter_prefix();
        self.variables
            .iter()
            .filter_map(move |(name, value)| Some((name.strip_prefix(&prefix)?, value.as_str())))
    }

    /// All variables, for what decides itself which ones a program gets.
    pub(crate) fn everything(&self) -> Vec<(OsString, OsString)> {
        self.variables.iter().map(|(name, value)| (name.into(), value.into())).collect()
    }

    /// Names of the variables that an env file set.
    pub(crate) fn of_files(&self) -> BTreeSet<OsString> {
        self.files.keys().map(OsString::from).collect()
    }

    /// Proxies as build arguments, in both spellings (docs/contracts/platform.md#proxies).
    pub(crate) fn proxy_arguments(&self) -> BTreeMap<String, String> {
        let mut arguments = BTreeMap::new();
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"] {
            let lower = name.to_ascii_lowercase();
            if let Some(value) = self.get(&lower).or_else(|| self.get(name)) {
                arguments.insert(name.to_owned(), value.to_owned());
                arguments.insert(lower, value.to_owned());
            }
        }
        arguments
    }

    /// Secrets of build steps, by the names of the variables that hold them: what reaches a
    /// package index.
    pub(crate) fn step_secrets(&self) -> BTreeMap<String, Secret<Vec<u8>>> {
        let fits = |name: &str| name.starts_with("PIP_") || name.starts_with("UV_");
        self.variables
            .iter()
            .filter(|(name, value)| fits(name) && !value.is_empty())
            .map(|(name, value)| (name.clone(), Secret::new(value.clone().into_bytes())))
            .collect()
    }

    /// The folder of Docker's client.
    pub(crate) fn docker_config(&self) -> Option<PathBuf> {
        match self.get("DOCKER_CONFIG") {
            Some(folder) => Some(PathBuf::from(folder)),
            None => self.home().map(|home| home.join(".docker")),
        }
    }

    pub(crate) fn home(&self) -> Option<PathBuf> {
        self.get("HOME").map(PathBuf::from)
    }

    /// The folder of the content store (architecture, "Names on disk"), absolute: programs of ours
    /// run in folders of their own.
    pub(crate) fn cache_dir(&self, brand: &Brand) -> Option<PathBuf> {
        if let Some(dir) = self.branded("CACHE_DIR") {
            return std::path::absolute(dir).ok();
        }
        let base = match self.get("XDG_CACHE_HOME") {
            Some(dir) => PathBuf::from(dir),
            None => self.home()?.join(".cache"),
        };
        std::path::absolute(base.join(brand.slug())).ok()
    }

    /// What happens where a link lies in a folder that is written to. Only the process's own
    /// environment decides: what a repository brings must not.
    pub(crate) fn links(&self) -> Links {
        let name = format!("{}_FOLLOW_LINKS", self.prefix);
        if !self.files.contains_key(&name) && self.is_true(&name) {
            Links::Followed
        } else {
            Links::Refused { unless: Some(format!("{name}=1").into()) }
        }
    }

    /// Takes what the command line says of the content store.
    pub(crate) fn set_trust_store(&mut self, trust_store: bool) {
        self.trust_store = trust_store;
    }

    /// Whether a content store is used that others may have written to. Only the command line and
    /// the process's own environment decide.
    pub(crate) fn trusts_store(&self) -> bool {
        let name = format!("{}_TRUST_STORE", self.prefix);
        self.trust_store || !self.files.contains_key(&name) && self.is_true(&name)
    }

    /// How long a run waits for another one, where it is set.
    ///
    /// # Errors
    /// When what is said is no whole number of seconds.
    pub(crate) fn lock_wait(&self) -> Result<Option<Duration>, Error> {
        let Some(text) = self.branded("LOCK_WAIT") else { return Ok(None) };
        text.parse().map(|seconds| Some(Duration::from_secs(seconds))).map_err(|_| {
            let text =
                format!("{}_LOCK_WAIT is `{text}`, which is not a number of seconds", self.prefix);
            Error::new(Kind::Usage, "lock-wait", text)
        })
    }

    /// The first program of that name on `PATH`, as this process has it: neither an env file nor a
    /// relative folder, which a project could bring, says what is run.
    pub(crate) fn program(&self, name: &str) -> Option<PathBuf> {
        let path = self.get("PATH").filter(|_| !self.files.contains_key("PATH"))?;
        let folders = std::env::split_paths(path).filter(|folder| folder.is_absolute());
        folders.map(|folder| folder.join(name)).find(|path| path.is_file())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_has_an_absolute_path() {
        let mut environment = Environment { prefix: "ESB".into(), ..Environment::default() };
        environment.variables.insert("ESB_CACHE_DIR".into(), "ca".into());
        let found = environment.cache_dir(&Brand::default()).unwrap();
        assert!(found.is_absolute() && found.ends_with("ca"), "{found:?}");
    }

    #[test]
    fn a_file_completes_what_is_set() {
        let mut environment = Environment { prefix: "ESB".into(), ..Environment::default() };
        environment.variables.insert("A".into(), "set".into());
        let text = "# c\nexport A=file\nESB_TAG = \"v 1\"\t# tag\nB=first\nB=x # comment\n\nC='#'\nD=$A$B\n";
        environment.add_file(Path::new(".env"), text).unwrap();
        assert_eq!(environment.get("A"), Some("set"));
        assert_eq!(environment.branded("TAG"), Some("v 1"));
        assert_eq!(environment.get("B"), Some("x"));
        assert_eq!(environment.get("C"), Some("#"));
        assert_eq!(environment.get("D"), Some("setx"));
        assert_eq!(environment.origin("B"), Some(("x".into(), "B in .env".into())));
        assert_eq!(environment.origin("A"), Some(("set".into(), "A".into())));
        let error = environment.add_file(Path::new(".env"), "A=1\nno sense=x").unwrap_err();
        assert_eq!(
            error.chain(),
            "could not read the env file `.env`: line 2, column 3: the name of a variable has a \
             blank in it"
        );
    }
}
