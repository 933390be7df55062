//! Finds the engine that Docker's own client would use: from variables, its configuration and its
//! contexts.
//!
//! Owns the order of precedence and the files below `~/.docker`. Refuses to read variables: the
//! caller gives what they hold.

use std::{
    io,
    path::{Path, PathBuf},
};

use esb_model::decode_text;
use esb_oci::Digest;
use serde::Deserialize;

use super::{EngineAddress, InvalidAddress, TlsFiles};

/// The largest file of settings that is read, in bytes.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// The settings of Docker's client. Empty values count as absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientSettings {
    /// `DOCKER_HOST`; wins over every context.
    pub host: Option<String>,
    /// `DOCKER_TLS_VERIFY`: any value asks for TLS to a `tcp://` host.
    pub tls_verify: Option<String>,
    /// `DOCKER_CERT_PATH`: the folder of `ca.pem`, `cert.pem` and `key.pem`; else the folder of the
    /// configuration.
    pub cert_path: Option<PathBuf>,
    /// `DOCKER_CONTEXT`; else `currentContext` of the configuration.
    pub context: Option<String>,
    /// `DOCKER_CONFIG`, else `~/.docker`.
    pub config: Option<PathBuf>,
}

/// Settings from which no engine's address follows.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    #[error(transparent)]
    Address(#[from] InvalidAddress),
    #[error("there is no Docker context `{}`", .0.escape_debug())]
    UnknownContext(String),
    #[error("the Docker context `{}` cannot be used: {reason}", name.escape_debug())]
    Context { name: String, reason: &'static str },
    #[error("could not read `{}`", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    #[serde(default)]
    current_context: String,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(rename = "Endpoints", default)]
    endpoints: Endpoints,
}

#[derive(Default, Deserialize)]
struct Endpoints {
    docker: Option<Endpoint>,
}

#[derive(Deserialize)]
struct Endpoint {
    #[serde(rename = "Host", default)]
    host: String,
    #[serde(rename = "SkipTLSVerify", default)]
    skip_verify: bool,
}

impl ClientSettings {
    /// The address of the engine.
    ///
    /// # Errors
    /// When a host or a context is named that is none, or a file cannot be read.
    pub fn address(&self) -> Result<EngineAddress, ClientError> {
        if let Some(host) = self.host.as_deref().filter(|host| !host.is_empty()) {
            if self.tls_verify.as_deref().is_none_or(str::is_empty) {
                return Ok(host.parse()?);
            }
            let folder = self.cert_path.as_ref().filter(|path| !path.as_os_str().is_empty());
            let folder = folder.or(self.config.as_ref()).cloned().unwrap_or_default();
            return Ok(EngineAddress::parse_tls(host)?.with_tls(TlsFiles::below(&folder)));
        }
        let name = match self.context.as_deref().filter(|name| !name.is_empty()) {
            Some(name) => name.to_owned(),
            None => self.current()?,
        };
        match &*name {
            "" | "default" => Ok(EngineAddress::default()),
            name => self.of_context(name),
        }
    }

    /// The context that `docker context use` chose.
    fn current(&self) -> Result<String, ClientError> {
        let Some(folder) = &self.config else { return Ok(String::new()) };
        let config: Option<Config> = json(&folder.join("config.json"))?;
        Ok(config.map(|config| config.current_context).unwrap_or_default())
    }

    fn of_context(&self, name: &str) -> Result<EngineAddress, ClientError> {
        let unknown = || ClientError::UnknownContext(name.to_owned());
        let unusable = |reason| ClientError::Context { name: name.to_owned(), reason };
        let folder = self.config.as_ref().ok_or_else(unknown)?.join("contexts");
        let id = Digest::of(name.as_bytes()).hex();
        let meta: Option<Meta> = json(&folder.join("meta").join(&id).join("meta.json"))?;
        let endpoint = meta.ok_or_else(unknown)?.endpoints.docker;
        let endpoint = endpoint.ok_or_else(|| unusable("it names no Docker engine"))?;
        if endpoint.skip_verify {
            return Err(unusable("it asks not to verify the engine's certificate"));
        }
        if endpoint.host.is_empty() {
            return Ok(EngineAddress::default());
        }
        let tls = folder.join("tls").join(&id).join("docker");
        if !tls.exists() {
            return Ok(endpoint.host.parse()?);
        }
        Ok(EngineAddress::parse_tls(&endpoint.host)?.with_tls(TlsFiles::below(&tls)))
    }
}

/// A small JSON file; none when there is no such file.
fn json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Option<T>, ClientError> {
    let failed = |source| ClientError::Read { path: path.to_owned(), source };
    let bytes = match esb_oci::read_file(path, MAX_BYTES) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(failed)?,
    };
    let text = decode_text(bytes).map_err(|error| failed(io::Error::other(error)))?;
    serde_json::from_str(&text).map(Some).map_err(|error| failed(error.into()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn settings(folder: &Path) -> ClientSettings {
        ClientSettings { config: Some(folder.to_owned()), ..ClientSettings::default() }
    }

    fn context(folder: &Path, name: &str, meta: &str, tls: bool) {
        let id = Digest::of(name.as_bytes()).hex();
        let meta_folder = folder.join("contexts/meta").join(&id);
        fs::create_dir_all(&meta_folder).unwrap();
        fs::write(meta_folder.join("meta.json"), meta).unwrap();
        if tls {
            fs::create_dir_all(folder.join("contexts/tls").join(&id).join("docker")).unwrap();
        }
    }

    fn shown(settings: &ClientSettings) -> String {
        match settings.address() {
            Ok(EngineAddress::Tcp { host, port, tls: Some(files) }) => {
                let folder = files.ca.parent().unwrap().file_name().unwrap().display().to_string();
                format!("tls://{host}:{port} with {folder}")
            }
            Ok(address) => address.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn variables_win() {
        let folder = tempfile::tempdir().unwrap();
        let none = settings(folder.path());
        assert_eq!(shown(&none), "unix:///var/run/docker.sock");
        let host = |host: &str, verify: &str, certs: &str| {
            shown(&ClientSettings {
                host: Some(host.to_owned()),
                tls_verify: Some(verify.to_owned()),
                cert_path: Some(certs.into()),
                context: Some("ignored".to_owned()),
                ..none.clone()
            })
        };
        assert_eq!(host("tcp://h", "", "/c"), "tcp://h:2375");
        assert_eq!(host("tcp://h", "1", "/certs"), "tls://h:2376 with certs");
        assert_eq!(host("tcp://h:99", "1", "/certs"), "tls://h:99 with certs");
        assert_eq!(host("tcp://h:2375", "1", "/certs"), "tls://h:2375 with certs");
        let config = folder.path().file_name().unwrap().display().to_string();
        assert_eq!(host("tcp://[::1]", "0", ""), format!("tls://::1:2376 with {config}"));
        assert_eq!(host("unix:///s", "1", "/certs"), "unix:///s");
        assert!(host("nonsense", "", "").contains("not the address"));
        for refused in ["ssh://user:s3cret@h", "tcp://user:s3cret@h", "https://user:s3cret@h"] {
            let said = host(refused, "", "");
            assert!(said.contains("://****@h` is not the address"), "{said}");
        }
    }

    #[test]
    fn contexts_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let meta = |host: &str, skip: bool| {
            format!(
                r#"{{"Name":"x","Metadata":{{}},"Endpoints":{{"docker":{{"Host":"{host}","SkipTLSVerify":{skip}}}}}}}"#
            )
        };
        context(folder.path(), "plain", &meta("unix:///run/x.sock", false), false);
        context(folder.path(), "safe", &meta("tcp://h", false), true);
        context(folder.path(), "lax", &meta("tcp://h", true), true);
        context(folder.path(), "other", r#"{"Endpoints":{"kubernetes":{}}}"#, false);
        context(folder.path(), "broken", "no json", false);
        let named = |name: &str| {
            shown(&ClientSettings { context: Some(name.to_owned()), ..settings(folder.path()) })
        };
        assert_eq!(named("plain"), "unix:///run/x.sock");
        assert_eq!(named("safe"), "tls://h:2376 with docker");
        assert!(named("lax").contains("not to verify"));
        assert!(named("other").contains("no Docker engine"));
        assert!(named("broken").contains("could not read"));
        assert_eq!(named("gone"), "there is no Docker context `gone`");
        assert_eq!(named("default"), "unix:///var/run/docker.sock");
        fs::write(folder.path().join("config.json"), r#"{"currentContext":"plain"}"#).unwrap();
        assert_eq!(shown(&settings(folder.path())), "unix:///run/x.sock");
        assert_eq!(named("safe"), "tls://h:2376 with docker");
    }
}
