//! Connects code that blocks (tar, gzip, files) to asynchronous streams, with a bounded number of
//! blocks between.

#[cfg(any(feature = "docker", test))]
mod writing;

use std::io::{self, Read};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use tokio::sync::mpsc;

#[cfg(any(feature = "docker", test))]
pub(crate) use writing::write_blocking;

/// Blocks that may wait.
const WAITING: usize = 8;

/// The reading end of a stream, for code that blocks. Must be read outside the runtime's threads.
pub(crate) struct BlockingReader {
    receiver: mpsc::Receiver<io::Result<Bytes>>,
    block: Bytes,
}

impl Read for BlockingReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.block.is_empty() {
            match self.receiver.blocking_recv() {
                Some(block) => self.block = block?,
                None => return Ok(0),
            }
        }
        let taken = self.block.len().min(into.len());
        into[..taken].copy_from_slice(&self.block.split_to(taken));
        Ok(taken)
    }
}

/// Lets `work` read a stream on a thread that may block.
///
/// # Errors
/// What `work` returns, or the stream's failure as `work` sees it.
pub(crate) async fn read_blocking<
    T: Send + 'static,
    E: std::error::Error + Send + Sync + 'static,
>(
    stream: impl Stream<Item = Result<Bytes, E>>,
    work: impl FnOnce(BlockingReader) -> T + Send + 'static,
) -> io::Result<T> {
    let (sender, receiver) = mpsc::channel(WAITING);
    let reader = BlockingReader { receiver, block: Bytes::new() };
    let done = tokio::task::spawn_blocking(move || work(reader));
    let mut stream = std::pin::pin!(stream);
    while let Some(block) = stream.next().await {
        // A reader that is gone has read enough.
        if sender.send(block.map_err(io::Error::other)).await.is_err() {
            break;
        }
    }
    drop(sender);
    done.await.map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[tokio::test]
    async fn bytes_arrive_whole_and_errors_too() {
        let stream = write_blocking(|writer| {
            for _ in 0..100 {
                writer.write_all(&[7; 10_001])?;
            }
            Ok(())
        });
        let read = read_blocking(stream, |mut reader| {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).map(|_| bytes)
        });
        let bytes = read.await.unwrap().unwrap();
        assert_eq!(bytes.len(), 1_000_100);
        assert!(bytes.iter().all(|byte| *byte == 7));

        let stream = write_blocking(|_| Err(io::Error::other("broken")));
        let read = read_blocking(stream, |mut reader| io::copy(&mut reader, &mut io::sink()));
        assert_eq!(read.await.unwrap().unwrap_err().to_string(), "broken");
    }
}
