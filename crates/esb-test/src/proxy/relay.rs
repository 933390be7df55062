//! Relays one client's connection, request after request.
//!
//! Owns the passing on of bytes and the harm that a rule asks for. Each request gets a connection
//! of its own to upstream, so that no idle one can be stale; the client's is kept alive as the
//! client and upstream agree.

use super::{
    Fault, RequestHead, Shared,
    record::{SharedExchange, lock},
};
use crate::wire::{Body, Framing, Head, Piece};
use rustix::net::sockopt::set_socket_linger;
use sha2::{Digest as _, Sha256};
use std::{
    io::{self, BufRead as _, BufReader, Write as _},
    net::{Shutdown, TcpStream},
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

/// The longest wait for the next bytes of either side.
const PATIENCE: Duration = Duration::from_mins(5);

/// The first byte of whoever speaks TLS.
const TLS_HANDSHAKE: u8 = 0x16;

/// How long a client may go on sending a body that was already answered before the connection
/// ends.
const EARLY: Duration = Duration::from_secs(1);

type Reader<'a> = BufReader<&'a TcpStream>;

/// What becomes of the client's connection after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    KeepAlive,
    Close,
    Reset,
}

/// Serves a client until one side ends the connection.
pub(super) fn serve(client: &TcpStream, shared: &Shared) {
    let _unlimited = client.set_read_timeout(Some(PATIENCE));
    let _delayed = client.set_nodelay(true);
    let mut reader = BufReader::new(client);
    loop {
        // A client that goes away in the middle is a client's right; the record shows how far it got.
        match exchange(client, &mut reader, shared) {
            Ok(Next::KeepAlive) if !shared.stopping() => {}
            Ok(Next::Reset) => {
                // Without lingering, closing discards what is queued and sends a reset.
                let _best_effort = set_socket_linger(client, Some(Duration::ZERO));
                return;
            }
            Ok(_) | Err(_) => {
                let _gone = client.shutdown(Shutdown::Both);
                return;
            }
        }
    }
}

fn exchange(client: &TcpStream, reader: &mut Reader, shared: &Shared) -> io::Result<Next> {
    if reader.fill_buf()?.first() == Some(&TLS_HANDSHAKE) {
        // As Go's servers do.
        let mut client = client;
        client.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\nthis is no TLS server\n")?;
        return Ok(Next::Close);
    }
    let Some(head) = Head::read(reader)? else { return Ok(Next::Close) };
    let [method, target, _] = head.first.clone();
    let request = RequestHead { method, target, headers: head.headers.clone() };
    let under_way = UnderWay::begin(&shared.under_way);
    let entry = shared.log.begin(&request, under_way.count);
    let fault = shared.rules.pick(&request);
    lock(&entry).harmed = fault.is_some();
    if let Some(Fault::Answer { status, headers, body }) = &fault {
        return answer(client, reader, &head, &entry, *status, headers, body);
    }
    if fault == Some(Fault::Swallow) {
        return answer(client, reader, &head, &entry, 201, &[], b"");
    }
    if let Some(Fault::Hang { time }) = &fault {
        shared.stall(*time);
    }
    let Ok(upstream) = TcpStream::connect(shared.upstream) else {
        let text = b"upstream does not answer\n";
        return answer(client, reader, &head, &entry, 502, &[], text);
    };
    let upstream = shared.remember(upstream);
    forward(client, reader, &upstream, &head, &entry, fault.as_ref(), shared)
}

/// A request that is under way, until this is dropped.
struct UnderWay<'a> {
    all: &'a AtomicUsize,
    /// How many there were at its beginning.
    count: usize,
}

impl<'a> UnderWay<'a> {
    fn begin(all: &'a AtomicUsize) -> Self {
        Self { all, count: all.fetch_add(1, Ordering::SeqCst) + 1 }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.all.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Answers in upstream's place, once the request's body has been read.
fn answer(
    mut client: &TcpStream,
    reader: &mut Reader,
    request: &Head,
    entry: &SharedExchange,
    status: u16,
    headers: &[(String, String)],
    body: &[u8],
) -> io::Result<Next> {
    // A client that waits for leave to send its body gets none, and may not send it.
    let waits = request.header("expect").is_some();
    let mut hash = Sha256::new();
    if !waits {
        let mut framed = Body::new(request.request_framing()?);
        let mut buffer = Vec::new();
        while let Some(piece) = framed.next(reader, &mut buffer)? {
            if piece == Piece::Payload {
                lock(entry).request_bytes += buffer.len() as u64;
                hash.update(&buffer);
            }
        }
    }
    let body = if request.first[0] == "HEAD" { &[] } else { body };
    let mut text = format!("HTTP/1.1 {status} Injected\r\nContent-Length: {}\r\n", body.len());
    if status == 201 {
        text.push_str("Docker-Content-Digest: sha256:");
        let digest = format!("{:x}", hash.finalize());
        text.push_str(&digest);
        text.push_str("\r\n");
    }
    for (name, value) in headers {
        text.push_str(name);
        text.push_str(": ");
        text.push_str(value);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    {
        let mut entry = lock(entry);
        entry.status = Some(status);
        entry.response_bytes = body.len() as u64;
    }
    client.write_all(text.as_bytes())?;
    client.write_all(body)?;
    Ok(if waits || request.closes() { Next::Close } else { Next::KeepAlive })
}

/// Passes the request on and the answer back, both at once: upstream may answer before it has read
/// the whole request.
fn forward(
    client: &TcpStream,
    reader: &mut Reader,
    mut upstream: &TcpStream,
    request: &Head,
    entry: &SharedExchange,
    fault: Option<&Fault>,
    shared: &Shared,
) -> io::Result<Next> {
    upstream.set_read_timeout(Some(PATIENCE))?;
    upstream.set_nodelay(true)?;
    upstream.write_all(&request.raw)?;
    let framing = request.request_framing()?;
    let cut = match fault {
        Some(Fault::ResetRequest { after }) => Some(*after),
        _ => None,
    };
    if framing == Framing::Length(0) && cut.is_none() {
        return respond(client, upstream, request, entry, fault, shared);
    }
    let (sent, all_sent) = mpsc::channel();
    thread::scope(|scope| {
        let upload = scope.spawn(move || {
            let next = send_body(reader, upstream, framing, entry, cut);
            match next {
                // The answer may have come and gone.
                Ok(Next::KeepAlive) => drop(sent.send(())),
                // Whoever waits for upstream's answer need not wait any longer.
                _ => drop(upstream.shutdown(Shutdown::Both)),
            }
            next
        });
        let answered = respond(client, upstream, request, entry, fault, shared);
        let early = answered.is_err() || all_sent.recv_timeout(EARLY).is_err();
        if early {
            // Ends an upload that nobody reads any more.
            let _gone = upstream.shutdown(Shutdown::Both);
            let _gone = client.shutdown(Shutdown::Read);
        }
        let uploaded = upload.join().unwrap_or(Ok(Next::Close));
        match (uploaded, answered) {
            (Ok(Next::Reset), _) => Ok(Next::Reset),
            (_, Ok(Next::KeepAlive)) if early => Ok(Next::Close),
            (_, answered) => answered,
        }
    })
}

/// Passes the request's body on, as far as `cut` allows.
fn send_body(
    reader: &mut Reader,
    mut upstream: &TcpStream,
    framing: Framing,
    entry: &SharedExchange,
    cut: Option<u64>,
) -> io::Result<Next> {
    let (mut body, mut buffer, mut passed) = (Body::new(framing), Vec::new(), 0);
    let mut left = cut;
    loop {
        if left == Some(0) {
            return Ok(Next::Reset);
        }
        let Some(piece) = body.next(reader, &mut buffer)? else { break };
        if piece == Piece::Payload {
            if let Some(left) = &mut left {
                buffer.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= buffer.len() as u64;
            }
            passed += buffer.len() as u64;
            lock(entry).request_bytes = passed;
        }
        upstream.write_all(&buffer)?;
    }
    // A body shorter than the cut is cut at its end.
    Ok(if cut.is_some() { Next::Reset } else { Next::KeepAlive })
}

/// Passes the answer back.
fn respond(
    mut client: &TcpStream,
    upstream: &TcpStream,
    request: &Head,
    entry: &SharedExchange,
    fault: Option<&Fault>,
    shared: &Shared,
) -> io::Result<Next> {
    let mut reader = BufReader::new(upstream);
    let mut head = loop {
        let head = Head::read(&mut reader)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        if head.status()? >= 200 {
            break head;
        }
        client.write_all(&head.raw)?; // such as leave to send the body
    };
    if let Some(Fault::Header { name, value }) = fault {
        head.raw = with_header(&head, name, value);
    }
    let framing = head.response_framing(&request.first[0])?;
    lock(entry).status = Some(head.status()?);
    client.write_all(&head.raw)?;

    let mut harm = Harm { fault, shared, passed: 0 };
    let (mut body, mut buffer) = (Body::new(framing), Vec::new());
    if let Some(end) = harm.now(client)? {
        return Ok(end);
    }
    while let Some(piece) = body.next(&mut reader, &mut buffer)? {
        if piece == Piece::Frame {
            client.write_all(&buffer)?;
            continue;
        }
        let mut rest = buffer.as_mut_slice();
        while !rest.is_empty() {
            let (now, later) = rest.split_at_mut(harm.room(rest.len()));
            harm.corrupt(now);
            harm.passed += now.len() as u64;
            lock(entry).response_bytes = harm.passed;
            client.write_all(now)?;
            if let Some(end) = harm.now(client)? {
                return Ok(end);
            }
            rest = later;
        }
    }
    let closes = framing == Framing::UntilClose || head.closes() || request.closes();
    Ok(if closes { Next::Close } else { Next::KeepAlive })
}

/// A fault in the body of an answer.
struct Harm<'a> {
    fault: Option<&'a Fault>,
    shared: &'a Shared,
    /// Payload bytes that were passed on.
    passed: u64,
}

impl Harm<'_> {
    /// Where in the body the flow is interrupted.
    fn point(&self) -> Option<u64> {
        match self.fault? {
            Fault::ResetResponse { after }
            | Fault::Truncate { after }
            | Fault::Stall { after, .. } => Some(*after),
            Fault::Slow { piece, .. } => Some(self.passed.next_multiple_of((*piece).max(1))),
            _ => None,
        }
    }

    /// How many of `length` bytes may pass before the next interruption.
    fn room(&self, length: usize) -> usize {
        let left = match (self.fault, self.point()) {
            (Some(Fault::Slow { piece, .. }), Some(point)) if point == self.passed => Some(*piece),
            (_, point) => point.and_then(|point| point.checked_sub(self.passed)),
        };
        match left {
            Some(left) if left > 0 => length.min(usize::try_from(left).unwrap_or(usize::MAX)),
            _ => length,
        }
    }

    /// Interrupts the flow where that is due; gives how it ends, when it ends.
    fn now(&self, client: &TcpStream) -> io::Result<Option<Next>> {
        if self.point() != Some(self.passed) {
            return Ok(None);
        }
        match self.fault {
            Some(Fault::ResetResponse { .. }) => Ok(Some(Next::Reset)),
            Some(Fault::Truncate { .. }) => {
                client.shutdown(Shutdown::Write)?;
                Ok(Some(Next::Close))
            }
            Some(Fault::Stall { time, .. } | Fault::Slow { pause: time, .. }) => {
                self.shared.stall(*time);
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    fn corrupt(&self, bytes: &mut [u8]) {
        let Some(Fault::Corrupt { at }) = self.fault else { return };
        let offset = at.checked_sub(self.passed).and_then(|offset| usize::try_from(offset).ok());
        if let Some(byte) = offset.and_then(|offset| bytes.get_mut(offset)) {
            *byte ^= 0x20;
        }
    }
}

/// The head's bytes with one header replaced or added.
fn with_header(head: &Head, name: &str, value: &str) -> Vec<u8> {
    let mut text = head.first.join(" ");
    text.push_str("\r\n");
    let others = head.headers.iter().filter(|(key, _)| !key.eq_ignore_ascii_case(name));
    let all = others.map(|(name, value)| (name.as_str(), value.as_str()));
    for (name, value) in all.chain([(name, value)]) {
        text.push_str(name);
        text.push_str(": ");
        text.push_str(value);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    text.into_bytes()
}
