//! A writer whose output is read as an asynchronous stream.

use std::io::{self, Write};

use bytes::Bytes;
use futures_util::{Stream, stream};
use tokio::sync::mpsc;

use super::WAITING;

/// Bytes that go over at a time.
const BLOCK: usize = 128 * 1024;

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
