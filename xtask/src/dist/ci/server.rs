//! A web server with releases, as their users meet one: with a token, with a move to another host,
//! with a page of a proxy, or failing once.
//!
//! Owns its rules by the first part of a path. Refuses everything but GET. Ends with the process.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::{checks::Outcome, e2e::listen::listen};

/// The token that `/secret` asks for.
pub(super) const TOKEN: &str = "s3cr3t-of-the-runner";

/// How long a client may take to send its request.
const PATIENCE: Duration = Duration::from_secs(10);

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) path: String,
    /// The host that was asked.
    pub(super) host: String,
    pub(super) authorization: Option<String>,
}

/// A running server.
pub(super) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    folder: PathBuf,
    log: Mutex<Vec<Request>>,
    failed: Mutex<BTreeSet<String>>,
}

impl Server {
    /// Serves the files below a folder.
    pub(super) fn start(folder: PathBuf) -> Outcome<Self> {
        let shared = Arc::new(Shared { folder, log: Mutex::default(), failed: Mutex::default() });
        let served = Arc::clone(&shared);
        let address = listen("127.0.0.1", move |stream| served.answer(stream))?;
        Ok(Self { address, shared })
    }

    /// The address of one of the rules: `files`, `secret`, `moved`, `page` or `flaky`.
    pub(super) fn address(&self, rule: &str) -> String {
        format!("http://{}/{rule}", self.address)
    }

    /// The requests since this was asked last.
    pub(super) fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.shared.log.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shared {
    fn answer(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        let request = read(stream)?;
        self.log.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
        let (rule, file) = request.path.trim_start_matches('/').split_once('/').unwrap_or_default();
        let expected = format!("Bearer {TOKEN}");
        let (status, header, body) = match rule {
            "secret" if request.authorization.as_deref() != Some(&expected) => {
                ("401 Unauthorized", String::new(), b"who are you?".to_vec())
            }
            "moved" => {
                let port = request.host.rsplit(':').next().unwrap_or_default().to_owned();
                let there = format!("Location: http://localhost:{port}/files/{file}\r\n");
                ("302 Found", there, Vec::new())
            }
            "page" => ("200 OK", String::new(), b"<html>Please log in</html>".to_vec()),
            "flaky" if self.is_first(file) => ("503 Wait", String::new(), Vec::new()),
            _ if file.split('/').any(|part| part == "..") => {
                ("400 Bad Request", String::new(), Vec::new())
            }
            _ => match fs::read(self.folder.join(file)) {
                Ok(bytes) => ("200 OK", String::new(), bytes),
                Err(_) => ("404 Not Found", String::new(), b"not here".to_vec()),
            },
        };
        let mut writer = stream;
        write!(
            writer,
            "HTTP/1.1 {status}\r\n{header}Content-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        )?;
        writer.write_all(&body)
    }

    fn is_first(&self, file: &str) -> bool {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).insert(file.to_owned())
    }
}

/// Reads a request's head.
fn read(stream: &TcpStream) -> io::Result<Request> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let path = match first.strip_prefix("GET ").and_then(|rest| rest.split_once(' ')) {
        Some((path, _)) => path.to_owned(),
        None => return Err(io::ErrorKind::InvalidData.into()),
    };
    let mut request = Request { path, host: String::new(), authorization: None };
    for line in lines {
        let line = line?;
        let Some((name, value)) = line.split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "host" => value.trim().clone_into(&mut request.host),
            "authorization" => request.authorization = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    Ok(request)
}
