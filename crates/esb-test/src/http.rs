//! One plain HTTP request to a part on loopback.
//!
//! Owns the smallest client that tests need: is it ready, invoke this, what did you store. Refuses
//! TLS, redirects and connection reuse.

use crate::{
    Error,
    wire::{Body, Head, Piece, invalid},
};
use std::{
    io::{self, BufRead, BufReader, Write},
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
    let connect = || {
        let resolved = address.to_socket_addrs()?.next().ok_or_else(|| invalid("no address"))?;
        let stream = TcpStream::connect_timeout(&resolved, limit)?;
        stream.set_read_timeout(Some(limit))?;
        stream.set_write_timeout(Some(limit))?;
        Ok(stream)
    };
    let stream = connect().map_err(Error::net("connect to", address))?;
    exchange(&stream, address, method, target, headers, body)
        .map_err(Error::net("get an answer from", address))
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
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
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
    let mut writer = stream;
    writer.write_all(head.as_bytes())?;
    writer.write_all(body)?;
    writer.flush()?;
    read_response(&mut BufReader::new(stream), method)
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
