//! Reads credentials as Docker keeps them: `config.json`, credential stores and helpers.
//!
//! Owns the file's format and the protocol of helper programs. The file's path is given: neither
//! the environment nor a home folder is read here, but a helper inherits the environment.

use std::{
    collections::HashMap,
    fs,
    io::{self, Write as _},
    path::Path,
    process::{Command, Stdio},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use esb_model::decode_text;
use esb_oci::{CredentialError, CredentialSource, Credentials, Redactor};
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

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct File {
    auths: HashMap<String, AuthEntry>,
    creds_store: Option<String>,
    cred_helpers: HashMap<String, String>,
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
    #[error("the entry `auth` is not base64 of NAME:PASSWORD")]
    Auth,
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
        let size = match fs::metadata(path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(failed(error.into())),
        };
        if size > LIMIT {
            return Err(failed(format!("it is larger than {LIMIT} bytes").into()));
        }
        let bytes = fs::read(path).map_err(|error| failed(error.into()))?;
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
        Ok(Self { file: serde_json::from_str(text).map_err(without_values)? })
    }

    fn find(&self, registry: &str) -> Result<Option<Credentials>, Reason> {
        let names = names(registry);
        let helpers = &self.file.cred_helpers;
        if let Some(helper) = names.iter().find_map(|name| helpers.get(name)) {
            return ask(helper, &names[0]);
        }
        if let Some(store) = self.file.creds_store.as_ref().filter(|store| !store.is_empty())
            && let Some(credentials) = ask(store, &names[0])?
        {
            return Ok(Some(credentials));
        }
        match names.iter().find_map(|name| self.file.auths.get(name)) {
            Some(entry) => entry.credentials(),
            None => Ok(None),
        }
    }
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

/// The names under which a registry may be kept, the usual one first.
fn names(registry: &str) -> Vec<String> {
    let mut names = match registry {
        "docker.io" | "index.docker.io" | "registry-1.docker.io" => {
            vec![DOCKER_HUB.to_owned(), "docker.io".to_owned(), "index.docker.io".to_owned()]
        }
        other => vec![other.to_owned()],
    };
    for scheme in ["https", "http"] {
        names.extend(["", "/", "/v1/", "/v2/"].map(|path| format!("{scheme}://{registry}{path}")));
    }
    names
}

impl AuthEntry {
    fn credentials(&self) -> Result<Option<Credentials>, Reason> {
        let set = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(token) = set(&self.identitytoken) {
            return Ok(Some(Credentials::identity_token(token)));
        }
        if let Some(auth) = set(&self.auth) {
            let bytes = STANDARD.decode(auth.trim()).map_err(|_| Reason::Auth)?;
            let text = String::from_utf8(bytes).map_err(|_| Reason::Auth)?;
            let (username, password) = text.split_once(':').ok_or(Reason::Auth)?;
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
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            match stdin.write_all(registry.as_bytes()) {
                // It may answer without reading.
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error),
                _ => {}
            }
        }
        child.wait_with_output()
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
#[derive(Debug, Default)]
pub struct CredentialFiles(Vec<DockerConfig>);

impl CredentialFiles {
    /// Reads files in the order in which they are asked; those that do not exist are left out.
    ///
    /// # Errors
    /// [`Error::CredentialFile`] when one cannot be read or is not of Docker's form.
    pub fn load<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Result<Self, Error> {
        let files: Result<Vec<_>, Error> = paths.into_iter().map(DockerConfig::load).collect();
        files.map(Self)
    }
}

impl CredentialSource for CredentialFiles {
    fn credentials(&self, registry: &str) -> Result<Option<Credentials>, CredentialError> {
        for file in &self.0 {
            if let Some(found) = file.credentials(registry)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

impl CredentialSource for DockerConfig {
    fn credentials(&self, registry: &str) -> Result<Option<Credentials>, CredentialError> {
        self.find(registry).map_err(|reason| CredentialError {
            registry: registry.to_owned(),
            source: reason.into(),
        })
    }
}

#[cfg(test)]
mod tests {
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
        let files = CredentialFiles::load(paths).unwrap();
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
