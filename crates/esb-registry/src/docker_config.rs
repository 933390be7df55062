//! Reads credentials as Docker keeps them: `config.json`, credential stores and helpers.
//!
//! Owns the file's format and the protocol of helper programs. The file's path is given: neither
//! the environment nor a home folder is read here, but a helper inherits the environment.

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use esb_model::decode_text;
use esb_oci::{
    CredentialError, CredentialSource, Credentials, ProcessGroup, Redactor, canonical_registry,
    or_null,
};
use serde::Deserialize;

use crate::Error;

/// The key of Docker Hub in Docker's files.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";
/// The largest file that is read.
const LIMIT: u64 = 4 * 1024 * 1024;
/// What helpers say of a registry that they do not know.
const NOT_FOUND: &str = "credentials not found";
/// The user name with which helpers mark an identity token.
const TOKEN_USER: &str = "<token>";

/// The credentials of a Docker (or podman) configuration file.
#[derive(Default)]
pub struct DockerConfig {
    file: File,
}

impl std::fmt::Debug for DockerConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DockerConfig")
            .field("auths", &self.file.auths.keys())
            .field("creds_store", &self.file.creds_store)
            .field("cred_helpers", &self.file.cred_helpers)
            .finish()
    }
}

/// The file; whatever is `null` is as good as absent, as it is to Go programs.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct File {
    #[serde(deserialize_with = "or_null")]
    auths: BTreeMap<String, Option<AuthEntry>>,
    creds_store: Option<String>,
    #[serde(deserialize_with = "or_null")]
    cred_helpers: BTreeMap<String, Option<String>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase", default)]
struct AuthEntry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

/// A helper program's answer.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

#[derive(Debug, thiserror::Error)]
enum Reason {
    #[error("could not run `{program}`")]
    Run {
        program: String,
        #[source]
        source: io::Error,
    },
    #[error("`{program}` failed: {}", .words.escape_debug())]
    Failed { program: String, words: String },
    #[error("`{program}` answered with no credentials")]
    Unreadable {
        program: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("`{}` is not the name of a credential helper", .0.escape_debug())]
    Name(String),
    #[error("`auth` of `{}` is not base64 of NAME:PASSWORD", .0.escape_debug())]
    Auth(String),
}

impl DockerConfig {
    /// Reads a file; one that does not exist has no credentials.
    ///
    /// # Errors
    /// [`Error::CredentialFile`] when the file cannot be read or is not Docker's.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| Error::CredentialFile {
            path: path.to_owned(),
            source,
        };
        let bytes = match esb_oci::read_given(path, LIMIT) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(failed(error.into())),
        };
        let text = decode_text(bytes).map_err(|error| failed(error.into()))?;
        Self::parse(&text).map_err(|error| failed(error.into()))
    }

    /// Reads a file's text.
    ///
    /// # Errors
    /// When it is not Docker's JSON.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let file: Option<File> = serde_json::from_str(text).map_err(without_values)?;
        Ok(Self { file: file.unwrap_or_default() })
    }

    fn find(&self, name: &str) -> Result<Option<Credentials>, Reason> {
        if name.contains('/') {
            return self.entry(name).map_or(Ok(None), |(key, entry)| entry.credentials(key));
        }
        let names = names(name);
        let helpers = &self.file.cred_helpers;
        if let Some(helper) = names.iter().find_map(|name| helpers.get(name)?.as_ref()) {
            return ask(helper, &names[0]);
        }
        if let Some(store) = self.file.creds_store.as_ref().filter(|store| !store.is_empty())
            && let Some(credentials) = ask(store, &names[0])?
        {
            return Ok(Some(credentials));
        }
        match self.entry(name) {
            Some((key, entry)) => entry.credentials(key),
            None => Ok(None),
        }
    }

    /// The entry of a registry or of a path below one: that with the usual name before others.
    fn entry(&self, name: &str) -> Option<(&str, &AuthEntry)> {
        let (wanted, usual) = (place(name), names(name));
        let entries =
            self.file.auths.iter().filter_map(|(key, entry)| Some((key, entry.as_ref()?)));
        let of_place = entries.filter(|(key, entry)| place(key) == wanted && !entry.is_empty());
        let rank = |key: &String| usual.iter().position(|name| name == key).unwrap_or(usize::MAX);
        of_place.min_by_key(|(key, _)| rank(key)).map(|(key, entry)| (&**key, entry))
    }
}

/// What a key of `auths` names: a host in lower case, and a path below it. What stands after a
/// scheme, and the paths of the registries' interface, are none.
fn place(key: &str) -> (String, &str) {
    let without = ["https://", "http://"].iter().find_map(|scheme| {
        key.get(..scheme.len())?.eq_ignore_ascii_case(scheme).then(|| &key[scheme.len()..])
    });
    let (host, path) =
        without.unwrap_or(key).split_once('/').unwrap_or((without.unwrap_or(key), ""));
    let path = path.trim_matches('/');
    let is_interface = without.is_some() || matches!(path, "v1" | "v2");
    (
        canonical_registry(&host.to_ascii_lowercase()).to_owned(),
        if is_interface { "" } else { path },
    )
}

/// The same without the value that was met, which may be a credential.
fn without_values(error: serde_json::Error) -> serde_json::Error {
    if !error.is_data() {
        return error;
    }
    let (line, column) = (error.line(), error.column());
    let text = format!("what stands before line {line} column {column} is of another kind");
    serde::de::Error::custom(text)
}

/// The usual names under which a registry is kept, the best first.
fn names(registry: &str) -> Vec<String> {
    let registry = canonical_registry(registry);
    let mut names = match registry {
        "docker.io" => {
            vec![DOCKER_HUB.to_owned(), "docker.io".to_owned(), "index.docker.io".to_owned()]
        }
        other => vec![other.to_owned()],
    };
    for scheme in ["https", "http"] {
        names.extend(["", "/", "/v1/", "/v2/"].map(|path| format!("{scheme}://{registry}{path}")));
    }
    names
}

/// Padded or not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl AuthEntry {
    /// Whether it only says that credentials are elsewhere.
    fn is_empty(&self) -> bool {
        let texts = [&self.auth, &self.username, &self.identitytoken];
        texts.iter().all(|text| text.as_deref().unwrap_or_default().is_empty())
    }

    fn credentials(&self, key: &str) -> Result<Option<Credentials>, Reason> {
        let set = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(token) = set(&self.identitytoken) {
            return Ok(Some(Credentials::identity_token(token)));
        }
        if let Some(auth) = set(&self.auth) {
            let wrong = || Reason::Auth(key.to_owned());
            // `base64` breaks its lines.
            let auth: String = auth.split_whitespace().collect();
            let bytes = BASE64.decode(auth).map_err(|_| wrong())?;
            let text = String::from_utf8(bytes).map_err(|_| wrong())?;
            let (username, password) = text.split_once(':').ok_or_else(wrong)?;
            return Ok(Some(Credentials::basic(username, password.trim_end_matches('\0'))));
        }
        Ok(match (set(&self.username), set(&self.password)) {
            (Some(username), Some(password)) => Some(Credentials::basic(username, password)),
            _ => None,
        })
    }
}

/// What a helper wrote, without what looks like a credential.
fn text(bytes: &[u8]) -> String {
    Redactor::default().hide(String::from_utf8_lossy(bytes).trim())
}

/// Runs `docker-credential-<helper> get`.
fn ask(helper: &str, registry: &str) -> Result<Option<Credentials>, Reason> {
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if helper.is_empty() || !helper.chars().all(valid) {
        return Err(Reason::Name(helper.to_owned()));
    }
    let program = format!("docker-credential-{helper}");
    let run = || {
        let mut child = Command::new(&program)
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let group = ProcessGroup::of(child.id());
        if let Some(mut stdin) = child.stdin.take() {
            match stdin.write_all(registry.as_bytes()) {
                // It may answer without reading.
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error),
                _ => {}
            }
        }
        let output = child.wait_with_output()?;
        group.into_iter().for_each(ProcessGroup::leave);
        Ok(output)
    };
    let output = run().map_err(|source| Reason::Run { program: program.clone(), source })?;
    if !output.status.success() {
        let (said, complained) = (text(&output.stdout), text(&output.stderr));
        if said.contains(NOT_FOUND) || complained.contains(NOT_FOUND) {
            return Ok(None);
        }
        // Reasons stand on stdout, where credentials stand too.
        let said = if said.starts_with('{') { String::new() } else { said };
        let words: String = [said, complained].concat().chars().take(300).collect();
        return Err(Reason::Failed { program, words });
    }
    let Answer { username, secret } = serde_json::from_slice(&output.stdout)
        .map_err(|source| Reason::Unreadable { program, source: without_values(source) })?;
    Ok(match (username.as_str(), secret.is_empty()) {
        (_, true) => None,
        (TOKEN_USER, false) => Some(Credentials::identity_token(secret)),
        (_, false) => Some(Credentials::basic(username, secret)),
    })
}

/// Several files: the first that has credentials for a registry gives them.
///
/// A file that cannot be used is no matter until somebody needs credentials that no other has.
#[derive(Debug, Default)]
pub struct CredentialFiles(Vec<Result<DockerConfig, Arc<Error>>>);

impl CredentialFiles {
    /// Reads files in the order in which they are asked; those that do not exist are left out.
    pub fn load<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Self {
        Self(paths.into_iter().map(|path| DockerConfig::load(path).map_err(Arc::new)).collect())
    }
}

impl CredentialSource for CredentialFiles {
    fn name_of(&self, registry: &str, repository: &str) -> String {
        let names = self.0.iter().flatten().map(|file| file.name_of(registry, repository));
        names.max_by_key(String::len).unwrap_or_else(|| registry.to_owned())
    }

    fn credentials(&self, name: &str) -> Result<Option<Credentials>, CredentialError> {
        let mut failure = None;
        for file in &self.0 {
            match file {
                Ok(file) => {
                    if let Some(found) = file.credentials(name)? {
                        return Ok(Some(found));
                    }
                }
                Err(error) => {
                    failure.get_or_insert(error);
                }
            }
        }
        let Some(error) = failure else { return Ok(None) };
        let (registry, source) = (name.to_owned(), Arc::clone(error).into());
        Err(CredentialError { registry, source })
    }
}

impl CredentialSource for DockerConfig {
    fn name_of(&self, registry: &str, repository: &str) -> String {
        let mut path = repository;
        loop {
            let name = format!("{registry}/{path}");
            if self.entry(&name).is_some() {
                return name;
            }
            match path.rsplit_once('/') {
                Some((parent, _)) => path = parent,
                None => return registry.to_owned(),
            }
        }
    }

    fn credentials(&self, name: &str) -> Result<Option<Credentials>, CredentialError> {
        self.find(name)
            .map_err(|reason| CredentialError { registry: name.to_owned(), source: reason.into() })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn basic(username: &str, password: &str) -> Credentials {
        Credentials::basic(username, password)
    }

    #[test]
    fn finds_what_docker_login_wrote() {
        // base64 of `user:pa:ss`, `hub:h`
        let config = DockerConfig::parse(
            r#"{"auths": {
                "r.example:5000": {"auth": "dXNlcjpwYTpzcw=="},
                "https://index.docker.io/v1/": {"auth": "aHViOmg="},
                "https://old.example/v1/": {"username": "u", "password": "p"},
                "acr.example": {"auth": "dXNlcjpwYTpzcw==", "identitytoken": "refresh"},
                "empty.example": {},
                "bad.example": {"auth": "%%"}
            }, "HttpHeaders": {"X": "y"}}"#,
        )
        .unwrap();
        let check = |registry: &str, expected: Option<Credentials>| {
            assert_eq!(config.credentials(registry).unwrap(), expected, "{registry}");
        };
        check("r.example:5000", Some(basic("user", "pa:ss")));
        check("r.example", None);
        check("docker.io", Some(basic("hub", "h")));
        check("old.example", Some(basic("u", "p")));
        check("acr.example", Some(Credentials::identity_token("refresh")));
        check("empty.example", None);
        assert!(config.credentials("bad.example").is_err());
        assert!(!format!("{config:?}").contains("dXNl"), "{config:?}");
        assert!(DockerConfig::parse("").is_ok());
        assert!(DockerConfig::parse("[1]").is_err());
    }

    /// docker, crane and skopeo take what is `null` for absent and lines in base64; crane takes
    /// base64 without padding; all of them take keys with a scheme and the interface's path.
    #[test]
    fn odd_files_are_read_as_peers_read_them() {
        for text in [
            "",
            "null",
            "{}",
            r#"{"auths":null,"credHelpers":null,"credsStore":null}"#,
            r#"{"auths":{"r.example":null},"credHelpers":{"r.example":null},"credsStore":""}"#,
            r#"{"auths":{"r.example":{"auth":null,"identitytoken":null}}}"#,
            r#"{"auths":{"r.example":{"auth":"","email":"a@b"}}}"#,
        ] {
            let config = DockerConfig::parse(text).unwrap();
            assert_eq!(config.credentials("r.example").unwrap(), None, "{text}");
        }
        let some = Some(basic("user", "pa:ss"));
        // base64 of `user:pa:ss`, `other:x`
        for auth in [
            "dXNlcjpwYTpzcw==",
            "dXNl\ncjpw\r\nYTpzcw==\n",
            " dXNl cjpwYTpzcw== ",
            "dXNlcjpwYTpzcw",
        ] {
            let auth = auth.replace('\r', "\\r").replace('\n', "\\n");
            let text = format!(r#"{{"auths":{{"r.example":{{"auth":"{auth}"}}}}}}"#);
            let config = DockerConfig::parse(&text).unwrap();
            assert_eq!(config.credentials("r.example").unwrap(), some, "{text}");
        }
        for (key, registry) in [
            ("r.example", "r.example"),
            ("R.example", "r.example"),
            ("r.example/", "r.example"),
            ("r.example/v2/", "r.example"),
            ("https://r.example", "r.example"),
            ("HTTPS://r.example/v1/", "r.example"),
            ("http://r.example:5000/v2/", "r.example:5000"),
            ("https://r.example/any/path", "r.example"),
            ("docker.io", "docker.io"),
            ("registry-1.docker.io", "docker.io"),
            ("https://index.docker.io/v1/", "docker.io"),
            ("https://registry-1.docker.io/v2/", "docker.io"),
        ] {
            let entry = r#"{"auth":"dXNlcjpwYTpzcw=="}"#;
            let text = format!(r#"{{"auths":{{"{key}":{entry}}}}}"#);
            let config = DockerConfig::parse(&text).unwrap();
            assert_eq!(config.credentials(registry).unwrap(), some, "{key}");
            assert_eq!(config.name_of(registry, "a/b"), registry, "{key}");
            for other in ["x.example", "r.example:1", "example", "r.example.x"] {
                assert_eq!(config.credentials(other).unwrap(), None, "{key} {other}");
            }
        }
        // The usual name counts before others, in whatever order they stand.
        let text = r#"{"auths":{"http://r.example":{"auth":"b3RoZXI6eA=="},
            "r.example":{"auth":"dXNlcjpwYTpzcw=="},"https://r.example/v1/":{"auth":"b3RoZXI6eA=="}}}"#;
        assert_eq!(DockerConfig::parse(text).unwrap().credentials("r.example").unwrap(), some);
    }

    #[test]
    fn the_longest_path_that_leads_to_a_repository_counts() {
        let config = DockerConfig::parse(
            r#"{"auths": {
                "r.example/team": {"username": "team", "password": "p"},
                "r.example/team/inner/": {"username": "inner", "password": "p"},
                "r.example/empty": {},
                "docker.io/acme": {"username": "acme", "password": "p"},
                "r.example": {"username": "all", "password": "p"}
            }}"#,
        )
        .unwrap();
        for (registry, repository, name, user) in [
            ("r.example", "app", "r.example", "all"),
            ("r.example", "team", "r.example/team", "team"),
            ("r.example", "team/app", "r.example/team", "team"),
            ("r.example", "team/inner/app", "r.example/team/inner", "inner"),
            ("r.example", "team/innermost", "r.example/team", "team"),
            ("r.example", "teams/app", "r.example", "all"),
            ("r.example", "empty/app", "r.example", "all"),
            ("docker.io", "acme/app", "docker.io/acme", "acme"),
        ] {
            assert_eq!(config.name_of(registry, repository), name, "{repository}");
            let found = config.credentials(name).unwrap();
            assert_eq!(found, Some(basic(user, "p")), "{repository}");
        }
        assert_eq!(config.name_of("docker.io", "library/nginx"), "docker.io");
        assert_eq!(config.credentials("docker.io").unwrap(), None);
    }

    #[test]
    fn a_missing_file_has_none_and_a_broken_one_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        assert_eq!(DockerConfig::load(&path).unwrap().credentials("a.b").unwrap(), None);
        fs::write(&path, "{").unwrap();
        let error = DockerConfig::load(&path).unwrap_err();
        assert!(error.to_string().contains("config.json"), "{error}");
        for text in [
            r#"{"auths": {"r.example": "c2VjcmV0"}}"#,
            r#"{"auths": {"r.example": {"auth": ["c2VjcmV0"]}}}"#,
            r#"{"auths": "c2VjcmV0"}"#,
            r#""c2VjcmV0""#,
        ] {
            let error = DockerConfig::parse(text).unwrap_err();
            assert!(!error.to_string().contains("c2Vj"), "{error}");
            assert!(error.to_string().contains("line 1 column"), "{error}");
        }
    }

    #[test]
    fn the_first_file_that_knows_a_registry_wins() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, host: &str, auth: &str| {
            let path = folder.path().join(name);
            fs::write(&path, format!(r#"{{"auths": {{"{host}": {{"auth": "{auth}"}}}}}}"#))
                .unwrap();
            path
        };
        // base64 of `user:pa:ss`, `hub:h`
        let docker = write("config.json", "both.example", "dXNlcjpwYTpzcw==");
        let podman = write("auth.json", "both.example", "aHViOmg=");
        let other = write("other.json", "other.example", "aHViOmg=");
        let absent = folder.path().join("absent.json");
        let paths = [&docker, &absent, &podman, &other].map(std::path::PathBuf::as_path);
        let files = CredentialFiles::load(paths);
        assert_eq!(files.credentials("both.example").unwrap(), Some(basic("user", "pa:ss")));
        assert_eq!(files.credentials("other.example").unwrap(), Some(basic("hub", "h")));
        assert_eq!(files.credentials("none.example").unwrap(), None);
    }

    #[test]
    fn helpers_are_named_in_errors_and_no_path_is_run() {
        let config = DockerConfig::parse(
            r#"{"credHelpers": {"a.example": "esb-test-is-not-installed", "b.example": "../x"}}"#,
        )
        .unwrap();
        let cause = |registry| {
            let error = config.credentials(registry).unwrap_err();
            std::error::Error::source(&error).unwrap().to_string()
        };
        assert!(cause("a.example").contains("docker-credential-esb-test-is-not-installed"));
        assert!(cause("b.example").contains("is not the name of a credential helper"));
    }
}
