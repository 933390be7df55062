//! Sends one request to the Lambda Runtime Interface Emulator in a container.

use std::{net::SocketAddr, time::Duration};

use esb_image::Container;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

/// The port inside a function's container.
pub(super) const PORT: u16 = 8080;

/// The most bytes of a response; Lambda's own limit is 6 MB.
const RESPONSE_LIMIT: u64 = 64 * 1024 * 1024;

/// How long the emulator may take to listen (docs/contracts/platform.md#what-a-worker-needs).
const READY_LIMIT: Duration = Duration::from_secs(10);

/// The response of a function.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    /// `X-Amz-Function-Error` was there.
    pub(super) function_error: bool,
    pub(super) body: Vec<u8>,
}

/// Why there is no response.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoResponse {
    /// Nothing came in this time.
    Late(Duration),
    /// The container ended, with this exit code.
    Ended(i64),
    /// The container runs, and nothing listens in it.
    Closed,
    /// In words.
    Broken(String),
}

/// Sends an event, waiting for the emulator to listen first.
pub(super) async fn invoke(
    container: &dyn Container,
    event: &[u8],
    limit: Duration,
) -> Result<Response, NoResponse> {
    let start = Instant::now();
    loop {
        match timeout(limit, ask(container.address(), event)).await {
            Err(_) => return Err(NoResponse::Late(limit)),
            Ok(Ok(bytes)) if !bytes.is_empty() => return parse(&bytes),
            Ok(_) => {}
        }
        // The function may have got the event: it is not sent to another container.
        if let Ok(Some(code)) = container.exit_code().await {
            return Err(NoResponse::Ended(code));
        }
        if start.elapsed() >= READY_LIMIT {
            return Err(NoResponse::Closed);
        }
        // Docker's proxy listens before the emulator does.
        sleep(Duration::from_millis(50)).await;
    }
}

async fn ask(address: SocketAddr, event: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    // HTTP/1.0: the response is not chunked and ends with the connection.
    let head = format!(
        "POST /2015-03-31/functions/function/invocations HTTP/1.0\r\nHost: {address}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        event.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(event).await?;
    let mut bytes = Vec::new();
    stream.take(RESPONSE_LIMIT).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

fn parse(bytes: &[u8]) -> Result<Response, NoResponse> {
    let broken = |reason: &str| NoResponse::Broken(reason.to_owned());
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.ok_or_else(|| broken("what listens on port 8080 does not speak HTTP"))?;
    let head = String::from_utf8_lossy(&bytes[..end]);
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let function_error =
        head.lines().any(|line| line.to_ascii_lowercase().starts_with("x-amz-function-error:"));
    Ok(Response {
        status: status.ok_or_else(|| broken("the response has no status"))?,
        function_error,
        body: bytes[end + 4..].to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_status_error_and_body() {
        let response =
            parse(b"HTTP/1.0 200 OK\r\nX-Amz-Function-Error: Unhandled\r\n\r\n{}").unwrap();
        assert_eq!((response.status, response.function_error), (200, true));
        assert_eq!(response.body, b"{}");
        assert!(parse(b"nonsense").is_err());
    }
}
