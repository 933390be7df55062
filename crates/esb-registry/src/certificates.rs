//! Certificates that belong to one registry: Docker's and containers' `certs.d`.
//!
//! Owns the form of such a folder. The folders are given.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use reqwest::{Certificate, Identity, Url};

use crate::Error;

/// The most files of a folder, and the most bytes of a file.
const FILES: usize = 100;
const LIMIT: u64 = 1024 * 1024;

/// The certificates in a registry's folder.
#[derive(Debug, Default)]
pub(crate) struct Certificates {
    pub(crate) roots: Vec<Certificate>,
    pub(crate) identity: Option<Identity>,
}

/// Reads the folder of a registry, when one of `folders` has it.
pub(crate) fn of(folders: &[PathBuf], url: &Url) -> Result<Option<Certificates>, Error> {
    let Some(host) = url.host_str() else { return Ok(None) };
    let with_port = url.port_or_known_default().map(|port| format!("{host}:{port}"));
    let names: Vec<&str> = with_port.iter().map(String::as_str).chain([host]).collect();
    // Another port is another host: it may be trusted, and does not learn who we are.
    let is_known = |name: &str| url.port().is_none() || name != host;
    for folder in folders {
        let own = names.iter().find(|name| folder.join(name).is_dir());
        if let Some(own) = own {
            let mut found = read(&folder.join(own))?;
            found.identity = found.identity.filter(|_| is_known(own));
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn read(folder: &Path) -> Result<Certificates, Error> {
    let failed = |path: &Path, source: Box<dyn std::error::Error + Send + Sync>| {
        Error::CertificateFile { path: path.to_owned(), source }
    };
    let entries = fs::read_dir(folder).map_err(|error| failed(folder, error.into()))?;
    let mut paths: Vec<PathBuf> = entries.flatten().take(FILES).map(|entry| entry.path()).collect();
    paths.sort();
    let mut found = Certificates::default();
    for path in paths {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("crt") => {
                let pem = content(&path).map_err(|error| failed(&path, error.into()))?;
                let roots = Certificate::from_pem_bundle(&pem);
                found.roots.extend(roots.map_err(|error| failed(&path, error.into()))?);
            }
            Some("cert") if found.identity.is_none() => {
                let key = path.with_extension("key");
                let mut pem = content(&path).map_err(|error| failed(&path, error.into()))?;
                pem.push(b'\n');
                pem.extend(content(&key).map_err(|error| failed(&key, error.into()))?);
                let identity = Identity::from_pem(&pem);
                found.identity = Some(identity.map_err(|error| failed(&path, error.into()))?);
            }
            _ => {}
        }
    }
    Ok(found)
}

fn content(path: &Path) -> io::Result<Vec<u8>> {
    esb_oci::read_file(path, LIMIT)
}
