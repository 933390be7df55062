//! HTTP/1.1 messages as bytes: where a head ends, and which bytes of a body are payload.
//!
//! Owns the framing (length, chunks, until close) for the client and the proxy. Keeps every byte
//! as it came, so that the proxy can pass it on unchanged. Refuses HTTP/2 and upgrades.

use std::io::{self, BufRead, Read as _};

/// The most bytes that a head may have.
const HEAD_LIMIT: u64 = 64 * 1024;
/// The most bytes that a chunk's size line or a trailer line may have.
const LINE_LIMIT: u64 = 8 * 1024;
/// The most trailer lines.
const TRAILER_LIMIT: usize = 64;
/// The most payload handed on at once.
const PIECE: u64 = 64 * 1024;

/// A request's or a response's head, as it came and as it reads.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    /// All of its bytes, the empty line included.
    pub(crate) raw: Vec<u8>,
    /// The three words of its first line.
    pub(crate) first: [String; 3],
    pub(crate) headers: Vec<(String, String)>,
}

impl Head {
    /// Reads one head; `None` when the other side closed before its first byte.
    pub(crate) fn read(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut raw = Vec::new();
        loop {
            let before = raw.len();
            let room = HEAD_LIMIT.saturating_sub(before as u64);
            reader.by_ref().take(room).read_until(b'\n', &mut raw)?;
            match &raw[before..] {
                [] if raw.is_empty() => return Ok(None),
                [] => return Err(invalid("the head is too long or ends early")),
                b"\r\n" | b"\n" if before == 0 => raw.clear(), // a stray line break before a request
                b"\r\n" | b"\n" => break,
                line if !line.ends_with(b"\n") => {
                    return Err(invalid("the head is too long or ends early"));
                }
                _ => {}
            }
        }
        Self::parse(raw).map(Some)
    }

    fn parse(raw: Vec<u8>) -> io::Result<Self> {
        let text = String::from_utf8_lossy(&raw);
        let mut lines = text.lines();
        let mut words = lines.next().unwrap_or_default().splitn(3, ' ').map(str::to_owned);
        let first = [words.next(), words.next(), words.next()].map(Option::unwrap_or_default);
        if first[1].is_empty() {
            return Err(invalid("the first line of a head has too few words"));
        }
        let headers = lines
            .filter(|line| !line.is_empty())
            .map(|line| match line.split_once(':') {
                Some((name, value)) => Ok((name.to_owned(), value.trim().to_owned())),
                None => Err(invalid("a header line without a colon")),
            })
            .collect::<io::Result<_>>()?;
        Ok(Self { raw, first, headers })
    }

    /// The first header of that name, in whatever case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.as_str())
    }

    /// The status code of a response's head.
    pub(crate) fn status(&self) -> io::Result<u16> {
        self.first[1].parse().map_err(|_| invalid("a status that is not a number"))
    }

    /// Whether the connection ends with this message.
    pub(crate) fn closes(&self) -> bool {
        let version_1_0 = self.first.iter().any(|word| word == "HTTP/1.0");
        let connection = self.header("connection").unwrap_or_default().to_ascii_lowercase();
        connection.contains("close") || (version_1_0 && !connection.contains("keep-alive"))
    }

    /// How a request's body is framed.
    pub(crate) fn request_framing(&self) -> io::Result<Framing> {
        Ok(self.framing()?.unwrap_or(Framing::Length(0)))
    }

    /// How the body of a response with this head to a request of `method` is framed.
    pub(crate) fn response_framing(&self, method: &str) -> io::Result<Framing> {
        let status = self.status()?;
        if method == "HEAD" || status < 200 || status == 204 || status == 304 {
            return Ok(Framing::Length(0));
        }
        Ok(self.framing()?.unwrap_or(Framing::UntilClose))
    }

    fn framing(&self) -> io::Result<Option<Framing>> {
        if let Some(coding) = self.header("transfer-encoding") {
            return match coding.to_ascii_lowercase().as_str() {
                "chunked" => Ok(Some(Framing::Chunked)),
                _ => Err(invalid("an unknown transfer coding")),
            };
        }
        match self.header("content-length") {
            None => Ok(None),
            Some(length) => match length.parse() {
                Ok(length) => Ok(Some(Framing::Length(length))),
                Err(_) => Err(invalid("a content length that is not a number")),
            },
        }
    }
}

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

/// What a piece of a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Chunk sizes, line breaks, trailers.
    Frame,
    /// Bytes that the sender means.
    Payload,
}

/// A body being read, piece by piece.
#[derive(Debug)]
pub(crate) struct Body(ReadState);

#[derive(Debug)]
enum ReadState {
    Length(u64),
    UntilClose,
    ChunkSize,
    Chunk(u64),
    ChunkEnd,
    Trailers(usize),
    Done,
}

impl Body {
    pub(crate) fn new(framing: Framing) -> Self {
        Self(match framing {
            Framing::Length(0) => ReadState::Done,
            Framing::Length(length) => ReadState::Length(length),
            Framing::Chunked => ReadState::ChunkSize,
            Framing::UntilClose => ReadState::UntilClose,
        })
    }

    /// Reads the next piece into `buffer`, in place of what was there; `None` at the end.
    pub(crate) fn next(
        &mut self,
        reader: &mut impl BufRead,
        buffer: &mut Vec<u8>,
    ) -> io::Result<Option<Piece>> {
        buffer.clear();
        match &mut self.0 {
            ReadState::Done => Ok(None),
            ReadState::UntilClose => {
                some(reader, PIECE, buffer)?;
                if buffer.is_empty() {
                    self.0 = ReadState::Done;
                    return Ok(None);
                }
                Ok(Some(Piece::Payload))
            }
            ReadState::Length(left) | ReadState::Chunk(left) => {
                some(reader, PIECE.min(*left), buffer)?;
                if buffer.is_empty() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                *left -= buffer.len() as u64;
                match self.0 {
                    ReadState::Length(0) => self.0 = ReadState::Done,
                    ReadState::Chunk(0) => self.0 = ReadState::ChunkEnd,
                    _ => {}
                }
                Ok(Some(Piece::Payload))
            }
            ReadState::ChunkSize => {
                line(reader, buffer)?;
                let text = String::from_utf8_lossy(buffer);
                let digits = text.split(';').next().unwrap_or_default().trim();
                self.0 = match u64::from_str_radix(digits, 16) {
                    Ok(0) => ReadState::Trailers(0),
                    Ok(size) => ReadState::Chunk(size),
                    Err(_) => return Err(invalid("a chunk size that is not a number")),
                };
                Ok(Some(Piece::Frame))
            }
            ReadState::ChunkEnd => {
                line(reader, buffer)?;
                self.0 = ReadState::ChunkSize;
                Ok(Some(Piece::Frame))
            }
            ReadState::Trailers(count) => {
                line(reader, buffer)?;
                *count += 1;
                if *count > TRAILER_LIMIT {
                    return Err(invalid("too many trailers"));
                }
                if matches!(buffer.as_slice(), b"\r\n" | b"\n") {
                    self.0 = ReadState::Done;
                }
                Ok(Some(Piece::Frame))
            }
        }
    }
}

/// What one read gives, at most `limit` bytes; nothing at the end.
fn some(reader: &mut impl BufRead, limit: u64, buffer: &mut Vec<u8>) -> io::Result<()> {
    let available = reader.fill_buf()?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let taken = available.len().min(limit);
    buffer.extend_from_slice(&available[..taken]);
    reader.consume(taken);
    Ok(())
}

fn line(reader: &mut impl BufRead, buffer: &mut Vec<u8>) -> io::Result<()> {
    reader.by_ref().take(LINE_LIMIT).read_until(b'\n', buffer)?;
    if buffer.ends_with(b"\n") { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

pub(crate) fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a head and a body; gives the payload, and asserts that no byte was lost or changed.
    fn check(wire: &str, method: Option<&str>, payload: &str) {
        let mut reader = io::BufReader::with_capacity(7, wire.as_bytes());
        let head = Head::read(&mut reader).unwrap().unwrap();
        let framing = match method {
            Some(method) => head.response_framing(method),
            None => head.request_framing(),
        };
        let mut body = Body::new(framing.unwrap());
        let (mut all, mut meant, mut buffer) = (head.raw.clone(), Vec::new(), Vec::new());
        while let Some(piece) = body.next(&mut reader, &mut buffer).unwrap() {
            all.extend_from_slice(&buffer);
            if piece == Piece::Payload {
                meant.extend_from_slice(&buffer);
            }
        }
        assert_eq!(String::from_utf8(meant).unwrap(), payload);
        assert!(wire.as_bytes().starts_with(&all), "changed: {:?}", String::from_utf8_lossy(&all));
    }

    #[test]
    fn bodies_end_where_their_framing_says() {
        check("POST / HTTP/1.1\r\ncontent-length: 10\r\n\r\n0123456789POST", None, "0123456789");
        check("GET / HTTP/1.1\r\nhost: x\r\n\r\nGET", None, "");
        check(
            "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
             3;ext=1\r\nabc\r\nA\r\n0123456789\r\n0\r\nx-trailer: 1\r\n\r\nGET",
            None,
            "abc0123456789",
        );
        check("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabcdef", Some("GET"), "abc");
        check("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n", Some("HEAD"), "");
        check("HTTP/1.1 204 No Content\r\n\r\nrest", Some("DELETE"), "");
        check("HTTP/1.1 200 OK\r\n\r\nuntil the end", Some("GET"), "until the end");
    }

    #[test]
    fn a_head_that_is_wrong_or_endless_is_refused() {
        let long = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(70_000));
        for wire in
            [long.as_str(), "GET / HTTP/1.1\r\nhost", "word\r\n\r\n", "A / B\r\nword\r\n\r\n"]
        {
            let result = Head::read(&mut wire.as_bytes());
            assert!(result.is_err(), "{result:?}");
        }
        assert!(Head::read(&mut &b""[..]).unwrap().is_none());
    }

    #[test]
    fn a_body_that_ends_early_is_an_error() {
        for framing in [Framing::Length(5), Framing::Chunked] {
            let (mut reader, mut buffer) = (&b"4\r\n"[..], Vec::new());
            let mut body = Body::new(framing);
            let mut result = Ok(Some(Piece::Frame));
            for _ in 0..3 {
                result = body.next(&mut reader, &mut buffer);
                if result.is_err() {
                    break;
                }
            }
            assert!(result.is_err(), "{framing:?}");
        }
    }
}
