//! Layers compressed with zstd, read as a stream.
//!
//! Owns several frames behind each other, and frames that are skipped. Refuses to check what it
//! reads: a blob is verified as a whole (architecture, invariant 6).

use std::io::{self, Read};

use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

/// Whether bytes at the start of a blob are those of zstd.
pub(crate) fn is_zstd(start: &[u8]) -> bool {
    start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) || is_skipped(start)
}

fn is_skipped(start: &[u8]) -> bool {
    matches!(start, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

/// Reads what frames hold, one after the other, with memory for one window of at most 100 MiB.
pub(crate) struct Frames<R: Read> {
    state: FrameState<R>,
}

enum FrameState<R: Read> {
    /// Between two frames.
    Between(R),
    Inside(Box<StreamingDecoder<Source<R>, FrameDecoder>>),
    Ended,
}

/// A reader, and the start of a frame that was taken from it.
type Source<R> = io::Chain<io::Cursor<[u8; 4]>, R>;

impl<R: Read> Frames<R> {
    pub(crate) fn new(source: R) -> Self {
        Self { state: FrameState::Between(source) }
    }
}

impl<R: Read> Read for Frames<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        loop {
            match std::mem::replace(&mut self.state, FrameState::Ended) {
                FrameState::Ended => return Ok(0),
                FrameState::Between(source) => self.state = open(source)?,
                FrameState::Inside(mut frame) => {
                    let read = frame.read(into)?;
                    if read > 0 {
                        self.state = FrameState::Inside(frame);
                        return Ok(read);
                    }
                    self.state = FrameState::Between(frame.into_inner().into_inner().1);
                }
            }
        }
    }
}

/// Begins the next frame, or passes one that is to be skipped.
fn open<R: Read>(mut source: R) -> io::Result<FrameState<R>> {
    let mut start = [0; 4];
    match source.read(&mut start[..1])? {
        0 => return Ok(FrameState::Ended),
        _ => source.read_exact(&mut start[1..])?,
    }
    if is_skipped(&start) {
        let mut length = [0; 4];
        source.read_exact(&mut length)?;
        let length = u32::from_le_bytes(length).into();
        io::copy(&mut source.by_ref().take(length), &mut io::sink())?;
        return Ok(FrameState::Between(source));
    }
    let frame = StreamingDecoder::new(io::Cursor::new(start).chain(source))
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok(FrameState::Inside(Box::new(frame)))
}

#[cfg(test)]
mod tests {
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;

    fn read(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        Frames::new(bytes).read_to_end(&mut all).map(|_| all)
    }

    #[test]
    fn frames_and_what_is_skipped() {
        let text: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
        let frame = compress_to_vec(&text[..], CompressionLevel::Fastest);
        assert!(is_zstd(&frame));
        assert_eq!(read(&frame).unwrap(), text);
        let skipped = [&[0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
        assert!(is_zstd(&skipped));
        let second = compress_to_vec(&b"more"[..], CompressionLevel::Fastest);
        let all = [&skipped[..], &frame, &skipped, &second, &skipped].concat();
        assert_eq!(read(&all).unwrap(), [&text[..], b"more"].concat());
        assert!(read(b"").unwrap().is_empty());
    }

    #[test]
    fn damage_is_told() {
        let frame = compress_to_vec(&[7; 1000][..], CompressionLevel::Fastest);
        assert!(read(&frame[..frame.len() - 2]).is_err());
        assert!(read(&[&frame[..], b"x"].concat()).is_err());
        assert!(read(b"no frame").is_err());
    }
}
