//! Sends one request to the Lambda Runtime Interface Emulator in a container.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

/// The port inside a function's container.
pub(crate) const PORT: u16 = 8080;

/// The most bytes of a response; Lambda's own limit is 6 MB.
const RESPONSE_LIMIT: u64 = 64 * 1024 * 1024;

/// How long the emulator may take to listen (docs/contracts/platform.md#what-a-worker-needs).
const READY_LIMIT: Duration = Duration::from_secs(10);

/// The response of a function.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// `X-Amz-Function-Error` was there.
    pub(crate) function_error: bool,
    pub(crate) body: Vec<u8>,
}

/// Sends an event, waiting for the emulator to listen first.
pub(crate) async fn invoke(
    address: SocketAddr,
    event: &[u8],
    limit: Duration,
) -> Result<Response, String> {
    let start = Instant::now();
    loop {
        match timeout(limit, ask(address, event)).await {
            Err(_) => return Err(format!("no response within {} s", limit.as_secs())),
            Ok(Ok(bytes)) if !bytes.is_empty() => return parse(&bytes),
            // Docker's proxy listens before the emulator does.
            Ok(_) if start.elapsed() < READY_LIMIT => sleep(Duration::from_millis(50)).await,
            Ok(Ok(_)) => return Err("the connection was closed without a response".to_owned()),
            Ok(Err(error)) => return Err(error.to_string()),
        }
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

fn parse(bytes: &[u8]) -> Result<Response, String> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.ok_or("the response is no HTTP")?;
    let head = String::from_utf8_lossy(&bytes[..end]);
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let function_error =
        head.lines().any(|line| line.to_ascii_lowercase().starts_with("x-amz-function-error:"));
    Ok(Response {
        status: status.ok_or("the response has no status")?,
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
