//! Base images of registries that only a proxy finds, as companies often have it: over TLS through a
//! tunnel, over plain HTTP by whole URLs.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use esb_test::{BASIC, Registry, ensure_packages, find_program};

use super::{Names, PLACES, SHORT, Site};
use crate::{
    checks::{Outcome, Trouble},
    command::{command, output},
    e2e::listen::listen,
    folders,
    probe::REAL_BASE_REGISTRY,
};

/// The registry of plain HTTP, by a name that no name server has.
const PLAIN: &str = "plain.esb.test";

/// Where the base lies in the registries.
const BASE: &str = "lambda/python:3.13";

/// How long either side may say nothing.
const PATIENCE: Duration = Duration::from_mins(1);

/// The longest head of a request.
const HEAD_LIMIT: usize = 16 * 1024;

/// Builds with base images of two registries whose names nobody has but the proxy.
pub(super) fn finds_registries(site: &Site, mirrors: &[String]) -> Outcome {
    let plain = Registry::start(&site.bare.root.with_file_name("plain"))?;
    copy_base(mirrors, &site.registry, &["--dest-creds", "user:secret"])?;
    copy_base(mirrors, &plain, &[])?;
    let port = plain.address().rsplit(':').next().unwrap_or_default();
    let (secure, plain) = (site.at(SHORT), format!("{PLAIN}:{port}"));
    let proxy = Proxy::start()?;
    let url = format!("http://user:secret@{}", proxy.address);
    let [https, http] = ["HTTPS_PROXY", "HTTP_PROXY"].map(|name| format!("{name}={url}"));
    site.prepare(Some(PLACES[0].1), Names::Nobody)?;

    build(site, &secure, &[&https])?;
    build(site, &plain, &[&http])?;
    proxy.saw(&format!("CONNECT {secure}"))?;
    proxy.saw(&format!("GET http://{plain}/v2/"))?;
    match build(site, &secure, &[&https, "NO_PROXY=registry"]) {
        Err(Trouble::Failed(text)) if text.contains(&secure) => Ok(()),
        other => Err(format!("without the proxy: {other:?}").into()),
    }
}

/// Brings the base into a registry.
fn copy_base(mirrors: &[String], registry: &Registry, credentials: &[&str]) -> Outcome {
    if find_program("skopeo").is_none() {
        ensure_packages(&["skopeo"])?;
    }
    let layout = mirrors.iter().find_map(|mirror| mirror.split_once("=oci:"));
    let from = match layout {
        Some((_, folder)) => format!("oci:{folder}:{BASE}"),
        None => format!("docker://{REAL_BASE_REGISTRY}/{BASE}"),
    };
    let mut skopeo = command("skopeo");
    skopeo.args(["--insecure-policy", "copy", "--quiet", "--all", "--dest-tls-verify=false"]);
    let to = format!("docker://{}/{BASE}", registry.address());
    output(skopeo.args(credentials).args([from, to])).map(drop)
}

/// Builds the project with the base of a registry and a store that holds nothing.
fn build(site: &Site, registry: &str, variables: &[&str]) -> Outcome {
    for name in ["store", "images"] {
        folders::empty(&site.bare.root.join("tmp").join(name))?;
    }
    let mirror = format!("{REAL_BASE_REGISTRY}={registry}");
    let mut arguments =
        vec!["build", "-e", "dev", "--platform", "linux/amd64", "--to", "oci:/tmp/images"];
    arguments.extend(["--update-lock", "--mirror", &mirror]);
    if registry.starts_with(PLAIN) {
        arguments.extend(["--registry-insecure", registry]);
    }
    let variables = [&["ESB_CACHE_DIR=/tmp/store"], variables].concat();
    site.bare.run(&variables, &arguments)?;
    fs::metadata(site.bare.root.join("tmp/images/index.json"))?;
    Ok(())
}

/// A proxy with a password that knows both names. It ends with the process.
struct Proxy {
    address: SocketAddr,
    /// The method and the target of each request that began a connection.
    seen: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    fn start() -> Outcome<Self> {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let address = listen("127.0.0.1", move |client| relay(client, &log))?;
        Ok(Self { address, seen })
    }

    /// Fails unless a request began so.
    fn saw(&self, start: &str) -> Outcome {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.iter().any(|line| line.starts_with(start)) {
            return Ok(());
        }
        Err(format!("the proxy saw no `{start}`: {seen:?}").into())
    }
}

/// Connects a client with the registry that its first request names. A registry takes whole URLs
/// itself, so that bytes are passed on as they are.
fn relay(mut client: &TcpStream, seen: &Mutex<Vec<String>>) -> io::Result<()> {
    client.set_read_timeout(Some(PATIENCE))?;
    let head = read_head(client)?;
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    seen.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{method} {target}"));
    let password = format!("proxy-authorization: {}", BASIC.to_lowercase());
    if !head.to_lowercase().lines().any(|line| line == password) {
        return client.write_all(b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n");
    }
    let authority = target.trim_start_matches("http://").split('/').next().unwrap_or_default();
    let Some((SHORT | PLAIN, port)) = authority.rsplit_once(':') else {
        return client.write_all(b"HTTP/1.1 502 No such host\r\nContent-Length: 0\r\n\r\n");
    };
    let mut registry = TcpStream::connect(("127.0.0.1", port.parse().map_err(io::Error::other)?))?;
    registry.set_read_timeout(Some(PATIENCE))?;
    if method == "CONNECT" {
        client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
    } else {
        registry.write_all(head.as_bytes())?;
    }
    let (mut from, mut to) = (client.try_clone()?, registry.try_clone()?);
    thread::spawn(move || {
        // Either side may end the connection at any time.
        let _ended = io::copy(&mut from, &mut to);
        to.shutdown(Shutdown::Both)
    });
    io::copy(&mut registry, &mut client)?;
    client.shutdown(Shutdown::Both)
}

/// The head of a request, with the empty line.
fn read_head(mut client: &TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < HEAD_LIMIT {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        head.extend(byte);
    }
    String::from_utf8(head).map_err(io::Error::other)
}
