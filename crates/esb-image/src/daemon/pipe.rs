//! Joins code that blocks (tar, gzip, files) to streams, with a bounded number of blocks between.

use std::io::{self, Read, Write};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::mpsc;

/// Bytes that go over at a time.
const BLOCK: usize = 128 * 1024;
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

/// The writing end of a stream, for code that blocks.
pub(crate) struct BlockingWriter {
    sender: mpsc::Sender<io::Result<Bytes>>,
    block: Vec<u8>,
}

impl Write for BlockingWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..taken]);
        if self.block.len() == BLOCK {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let block = std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK));
        self.sender.blocking_send(Ok(block.into())).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// The stream of what `work` writes on a thread that may block. Its failure ends the stream.
pub(crate) fn write_blocking(
    work: impl FnOnce(&mut BlockingWriter) -> io::Result<()> + Send + 'static,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let (sender, mut receiver) = mpsc::channel(WAITING);
    tokio::task::spawn_blocking(move || {
        let mut writer = BlockingWriter { sender, block: Vec::with_capacity(BLOCK) };
        if let Err(error) = work(&mut writer).and_then(|()| writer.flush()) {
            // A reader that is gone does not want to know.
            let _gone = writer.sender.blocking_send(Err(error));
        }
    });
    stream::poll_fn(move |cx| receiver.poll_recv(cx))
}

#[cfg(test)]
mod tests {
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
