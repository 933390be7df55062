//! Plain HTTP requests to a part on loopback.
//!
//! Owns the smallest client that tests need: is it ready, invoke this, what did you store; on a
//! connection of its own, or on one that is kept. Refuses TLS and redirects.

use crate::{
    Error,
    wire::{Body, Head, Piece, invalid},
};
use std::{
    io::{self, BufRead, BufReader, IoSlice, Write},
    net::{TcpStream, ToSocketAddrs as _},
    time::Duration,
};

/// The most bytes of a response's body.
const BODY_LIMIT: usize = 64 * 1024 * 1024;

/// An answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers, as they came.
    pub headers: Vec<(String, String)>,
    /// The payload, without its framing.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of that name, in whatever case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.as_str())
    }

    /// The body as text, with a mark where it is not UTF-8.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends one request to `address` (`127.0.0.1:PORT`) and reads the whole answer, at most 64 MiB.
///
/// `target` is the path with its query. `limit` bounds the connection and each wait for bytes.
///
/// # Errors
/// [`Error::Net`] when the other side does not answer, or not in HTTP.
pub fn request(
    address: &str,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
    limit: Duration,
) -> Result<Response, Error> {
    let stream = connect(address, limit).map_err(Error::net("connect to", address))?;
    exchange(&stream, address, method, target, headers, body)
        .map_err(Error::net("get an answer from", address))
}

/// A connection that is kept for further requests.
#[derive(Debug)]
pub struct Connection {
    address: String,
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Connects to `address` (`127.0.0.1:PORT`); `limit` bounds this and each wait for bytes.
    pub fn open(address: &str, limit: Duration) -> Result<Self, Error> {
        let stream = connect(address, limit).map_err(Error::net("connect to", address))?;
        Ok(Self { address: address.to_owned(), stream: BufReader::new(stream) })
    }

    /// As [`request`], on this connection. Headers that frame the body are this client's own.
    ///
    /// # Errors
    /// [`Error::Net`] also when the other side closed the connection meanwhile.
    pub fn request(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Response, Error> {
        let mut ask = || {
            let head = request_head(&self.address, true, method, target, headers, body);
            send(self.stream.get_ref(), &head, body)?;
            read_response(&mut self.stream, method)
        };
        ask().map_err(Error::net("get an answer from", &*self.address))
    }

    /// Whether the other side neither closed the connection nor sent something that was not asked
    /// for, as far as is known here.
    pub fn is_quiet(&self) -> bool {
        let stream = self.stream.get_ref();
        let looked = stream.set_nonblocking(true).and_then(|()| stream.peek(&mut [0]));
        let is_quiet = looked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        is_quiet && stream.set_nonblocking(false).is_ok()
    }
}

fn connect(address: &str, limit: Duration) -> io::Result<TcpStream> {
    let resolved = address.to_socket_addrs()?.next().ok_or_else(|| invalid("no address"))?;
    let stream = TcpStream::connect_timeout(&resolved, limit)?;
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends a request over any open stream and reads the answer.
pub(crate) fn exchange<S>(
    stream: &S,
    host: &str,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Response>
where
    for<'a> &'a S: io::Read + io::Write,
{
    send(stream, &request_head(host, false, method, target, headers, body), body)?;
    read_response(&mut BufReader::new(stream), method)
}

fn request_head(
    host: &str,
    keep: bool,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> String {
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n");
    if !keep {
        head.push_str("Connection: close\r\n");
    }
    for (name, value) in headers {
        head.push_str(name);
        head.push_str(": ");
        head.push_str(value);
        head.push_str("\r\n");
    }
    if !body.is_empty() || matches!(method, "POST" | "PUT" | "PATCH") {
        head.push_str("Content-Length: ");
        head.push_str(&body.len().to_string());
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    head
}

/// Writes head and body, in one packet where they fit into one.
fn send(mut writer: impl Write, head: &str, body: &[u8]) -> io::Result<()> {
    let head = head.as_bytes();
    let sent = writer.write_vectored(&[IoSlice::new(head), IoSlice::new(body)])?;
    if sent < head.len() {
        writer.write_all(&head[sent..])?;
        writer.write_all(body)?;
    } else {
        writer.write_all(&body[sent - head.len()..])?;
    }
    writer.flush()
}

fn read_response(reader: &mut impl BufRead, method: &str) -> io::Result<Response> {
    let head = loop {
        let head = Head::read(reader)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        if head.status()? >= 200 {
            break head;
        }
    };
    let mut framed = Body::new(head.response_framing(method)?);
    let (mut body, mut buffer) = (Vec::new(), Vec::new());
    while let Some(piece) = framed.next(reader, &mut buffer)? {
        if piece == Piece::Payload {
            body.extend_from_slice(&buffer);
        }
        if body.len() > BODY_LIMIT {
            return Err(invalid("the body is too long"));
        }
    }
    Ok(Response { status: head.status()?, headers: head.headers, body })
}
