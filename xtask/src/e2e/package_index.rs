//! A package index on loopback, with packages made by a check.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Cursor, Write},
    net::{SocketAddr, TcpStream},
    sync::{Arc, Mutex, PoisonError},
};

use super::listen::listen;
use crate::checks::Outcome;

/// Files by the name of the package that they are of.
pub(crate) type Packages = BTreeMap<&'static str, Vec<(String, Vec<u8>)>>;

/// Where an index listens, and what it was asked.
pub(crate) struct Index {
    pub(crate) address: SocketAddr,
    /// Request lines with the credentials that came along.
    pub(crate) asked: Arc<Mutex<Vec<Question>>>,
}

/// A request line, and the credentials that came along.
type Question = (String, Option<String>);

impl Index {
    /// Serves packages below any path that ends with `/simple/NAME/`; to everybody, unless a
    /// header's value has to come along.
    pub(crate) fn start(packages: Packages, authorization: Option<&'static str>) -> Outcome<Self> {
        let asked: Arc<Mutex<Vec<_>>> = Arc::default();
        let note = Arc::clone(&asked);
        let address = listen("127.0.0.1", move |stream| {
            let (path, came) = request(stream)?;
            let allowed = authorization.is_none_or(|wanted| came.as_deref() == Some(wanted));
            note.lock().unwrap_or_else(PoisonError::into_inner).push((path.clone(), came));
            answer(stream, if allowed { find(&packages, &path) } else { Err("401 Unauthorized") })
        })?;
        Ok(Self { address, asked })
    }

    pub(crate) fn url(&self, user: &str) -> String {
        format!("http://{user}{}/simple/", self.address)
    }
}

fn request(stream: &TcpStream) -> std::io::Result<(String, Option<String>)> {
    let (mut path, mut authorization) = (String::new(), None);
    for line in BufReader::new(stream).lines().take(100) {
        let line = line?;
        if path.is_empty() {
            line.split(' ').nth(1).unwrap_or("/").clone_into(&mut path);
        }
        if let Some((name, value)) = line.split_once(": ")
            && name.eq_ignore_ascii_case("authorization")
        {
            authorization = Some(value.to_owned());
        }
        if line.is_empty() {
            break;
        }
    }
    Ok((path, authorization))
}

fn find(packages: &Packages, path: &str) -> Result<(&'static str, Vec<u8>), &'static str> {
    let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let files = || packages.values().flatten();
    if let Some((_, bytes)) = files().find(|(file, _)| file == name) {
        return Ok(("application/octet-stream", bytes.clone()));
    }
    let Some(files) = packages.get(name) else { return Err("404 Not Found") };
    let link = |(file, _): &(String, Vec<u8>)| format!("<a href=\"/files/{file}\">{file}</a>\n");
    Ok(("text/html", files.iter().map(link).collect::<String>().into_bytes()))
}

fn answer(mut stream: &TcpStream, found: Result<(&str, Vec<u8>), &str>) -> std::io::Result<()> {
    let (status, kind, body) = match found {
        Ok((kind, body)) => ("200 OK", kind, body),
        Err("401 Unauthorized") => {
            ("401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"", "text/plain", Vec::new())
        }
        Err(status) => (status, "text/plain", Vec::new()),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    stream.write_all(&body)
}

/// A wheel of one module, which needs other packages.
pub(crate) fn wheel(name: &str, version: &str, needs: &[&str]) -> Outcome<(String, Vec<u8>)> {
    let info = format!("{name}-{version}.dist-info");
    let mut metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n");
    for need in needs {
        metadata.extend(["Requires-Dist: ", need, "\n"]);
    }
    if needs.iter().any(|need| need.contains("extra ==")) {
        metadata.push_str("Provides-Extra: more\n");
    }
    let kind = "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
    let record = format!("{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n");
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (path, text) in [
        (format!("{name}.py"), "here = True\n"),
        (format!("{info}/METADATA"), &*metadata),
        (format!("{info}/WHEEL"), kind),
        (format!("{info}/RECORD"), &*record),
    ] {
        let failed = |error: zip::result::ZipError| format!("{path}: {error}");
        archive.start_file(&*path, stored).map_err(failed)?;
        archive.write_all(text.as_bytes())?;
    }
    let bytes = archive.finish().map_err(|error| error.to_string())?.into_inner();
    Ok((format!("{name}-{version}-py3-none-any.whl"), bytes))
}
