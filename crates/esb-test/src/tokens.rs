//! Access to a registry: a TLS identity, passwords, and a server that issues tokens (distribution's
//! token specification).
//!
//! Owns the one user `user` with the password `secret`, its identity token `refresh`, and the
//! signature of tokens, which the `openssl` program makes. Refuses to keep keys longer than a test.

use crate::{
    Error, Missing, apt,
    wire::{Body, Head, Piece},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use std::{
    fs,
    io::{self, BufReader, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, SystemTime},
};

/// The user's line of an htpasswd file: bcrypt of `secret`.
pub(crate) const PASSWORDS: &str =
    "user:$2b$04$SJUawCRcnyTEyzNeFx7f5Ozm3CbqfYcLM7.LNSy/pUF2/DZ75nyTi\n";
/// What the user's name and password are in an `Authorization` header.
pub const BASIC: &str = "Basic dXNlcjpzZWNyZXQ=";
/// Who issues the tokens, and for whom.
pub(crate) const ISSUER: &str = "esb-test";
/// How long a client may take to send its request.
const PATIENCE: Duration = Duration::from_secs(10);

/// A key and its self-signed certificate for `127.0.0.1`, as PEM files.
#[derive(Debug, Clone)]
pub struct Identity {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Identity {
    /// Makes one below `folder`.
    ///
    /// # Errors
    /// [`Error::Missing`] when there is no `openssl` program.
    pub fn make(folder: &Path) -> Result<Self, Error> {
        if apt::find_program("openssl").is_none() {
            return Err(Missing::new("certificates", "`openssl` is not installed").into());
        }
        fs::create_dir_all(folder).map_err(Error::file("make folder", folder))?;
        let made =
            Self { certificate: folder.join("certificate.pem"), key: folder.join("key.pem") };
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]);
        openssl.args([
            "-subj",
            "/CN=esb",
            "-addext",
            "subjectAltName=IP:127.0.0.1,DNS:registry,DNS:registry.esb.test",
        ]);
        openssl.args(["-addext", "basicConstraints=CA:FALSE"]);
        openssl.arg("-keyout").arg(&made.key).arg("-out").arg(&made.certificate);
        let failed = |source| Error::Run { program: "openssl".to_owned(), source };
        let output = openssl.output().map_err(failed)?;
        if output.status.success() {
            return Ok(made);
        }
        Err(Error::Failed {
            command: "openssl req".to_owned(),
            status: output.status.to_string(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// The certificate as a token's header carries it.
    fn der(&self) -> io::Result<String> {
        let pem = fs::read_to_string(&self.certificate)?;
        Ok(pem.lines().filter(|line| !line.starts_with("-----")).collect())
    }

    fn sign(&self, text: &str) -> io::Result<Vec<u8>> {
        let mut child = Command::new("openssl")
            .args(["dgst", "-sha256", "-sign"])
            .arg(&self.key)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(text.as_bytes())?;
        }
        Ok(child.wait_with_output()?.stdout)
    }
}

/// A request for a token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenRequest {
    pub method: String,
    /// `repository:NAME:pull,push`, as they were asked for.
    pub scopes: Vec<String>,
    pub granted: bool,
}

/// A running token server, which ends with the process.
#[derive(Debug)]
pub struct TokenServer {
    address: String,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    identity: Identity,
    log: Mutex<Vec<TokenRequest>>,
    /// How many of the next tokens are over when they are handed out.
    stale: Mutex<usize>,
}

impl TokenServer {
    /// Starts a server on a free loopback port that signs with an identity.
    ///
    /// # Errors
    /// [`Error::Net`] when no port is free.
    pub fn start(identity: Identity) -> Result<Self, Error> {
        let listen = || {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            let address = listener.local_addr()?.to_string();
            Ok((listener, address))
        };
        let (listener, address) = listen().map_err(Error::net("listen on", "127.0.0.1:0"))?;
        let shared = Shared { identity, log: Mutex::default(), stale: Mutex::default() };
        let shared = Arc::new(shared);
        thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                for client in listener.incoming().flatten() {
                    let shared = Arc::clone(&shared);
                    // A client that goes away is a client's right.
                    thread::spawn(move || drop(serve(&client, &shared)));
                }
            }
        });
        Ok(Self { address, shared })
    }

    /// The URL that a registry's challenge names.
    pub fn realm(&self) -> String {
        format!("http://{}/token", self.address)
    }

    /// The certificate of the token issuer that a registry must trust.
    pub fn certificate(&self) -> &Path {
        &self.shared.identity.certificate
    }

    /// Everything that was asked, in order.
    pub fn requests(&self) -> Vec<TokenRequest> {
        self.shared.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Issues the next tokens as expired, although the response says that they are not.
    pub fn stale(&self, count: usize) {
        *self.shared.stale.lock().unwrap_or_else(PoisonError::into_inner) = count;
    }
}

fn serve(client: &TcpStream, shared: &Shared) -> io::Result<()> {
    client.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(client);
    let Some(head) = Head::read(&mut reader)? else { return Ok(()) };
    let (mut framed, mut buffer) = (Body::new(head.request_framing()?), Vec::new());
    let mut body = Vec::new();
    while let Some(piece) = framed.next(&mut reader, &mut buffer)? {
        if piece == Piece::Payload {
            body.extend_from_slice(&buffer);
        }
    }
    let [method, target, _] = &head.first;
    let form = if method == "POST" {
        form_pairs(&String::from_utf8_lossy(&body))
    } else {
        form_pairs(target.split_once('?').map_or("", |(_, query)| query))
    };
    let has = |name: &str, value: &str| form.iter().any(|(key, own)| key == name && own == value);
    let granted = if method == "POST" {
        has("grant_type", "refresh_token") && has("refresh_token", "refresh")
    } else {
        head.header("authorization") == Some(BASIC)
    };
    let scopes = form.iter().filter(|(key, _)| key == "scope");
    let scopes = scopes.flat_map(|(_, value)| value.split(' ').map(str::to_owned)).collect();
    let request = TokenRequest { method: method.clone(), scopes, granted };
    let (status, body) = if granted {
        let mut stale = shared.stale.lock().unwrap_or_else(PoisonError::into_inner);
        let token = token(&shared.identity, &request.scopes, *stale > 0)?;
        *stale = stale.saturating_sub(1);
        (200, format!(r#"{{"token":"{token}","access_token":"{token}","expires_in":300}}"#))
    } else {
        (401, r#"{"details":"who are you"}"#.to_owned())
    };
    shared.log.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    let length = body.len();
    let mut client = client;
    write!(client, "HTTP/1.1 {status} Said\r\nContent-Length: {length}\r\n")?;
    write!(client, "Content-Type: application/json\r\nConnection: close\r\n\r\n{body}")
}

/// A token for all of the scopes (JSON Web Token, RS256).
fn token(identity: &Identity, scopes: &[String], stale: bool) -> io::Result<String> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = now.as_secs();
    let until = if stale { now.saturating_sub(1000) } else { now + 300 };
    let entry = |scope: &String| {
        let (kind, rest) = scope.split_once(':')?;
        let (name, actions) = rest.rsplit_once(':')?;
        let actions: Vec<String> = actions.split(',').map(|word| format!("\"{word}\"")).collect();
        let actions = actions.join(",");
        Some(format!(r#"{{"type":"{kind}","name":"{name}","actions":[{actions}]}}"#))
    };
    let access: Vec<String> = scopes.iter().filter_map(entry).collect();
    let header = format!(r#"{{"typ":"JWT","alg":"RS256","x5c":["{}"]}}"#, identity.der()?);
    let from = now.saturating_sub(2000);
    let claims = format!(
        r#"{{"iss":"{ISSUER}","sub":"user","aud":"{ISSUER}","exp":{until},"nbf":{from},"iat":{from},"jti":"{now}","access":[{}]}}"#,
        access.join(",")
    );
    let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = URL_SAFE_NO_PAD.encode(identity.sign(&text)?);
    Ok(format!("{text}.{signature}"))
}

/// The pairs of a form or a query, percent-decoded; what is not encoded well stays as it is.
pub fn form_pairs(text: &str) -> Vec<(String, String)> {
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(key), decode(value))
    };
    text.split('&').filter(|text| !text.is_empty()).map(pair).collect()
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).filter(|_| *first == b'%');
        let hex = hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match (hex, first) {
            (Some(byte), _) => bytes.push(byte),
            (None, b'+') => bytes.push(b' '),
            (None, other) => bytes.push(*other),
        }
        rest = if hex.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_decoded() {
        let pairs = form_pairs("scope=repository%3Aa%2Fb%3Apull+x&y=1%&z");
        let pairs: Vec<(&str, &str)> =
            pairs.iter().map(|(key, value)| (&**key, &**value)).collect();
        assert_eq!(pairs, [("scope", "repository:a/b:pull x"), ("y", "1%"), ("z", "")]);
    }
}
