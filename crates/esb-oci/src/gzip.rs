//! The pinned compressor: the same bytes in give the same bytes out, however they arrive.

use std::io::{self, Write};

use flate2::{Compression, GzBuilder, write::GzEncoder};

/// The compressor's level; part of every layer's digest.
const LEVEL: u32 = 4;

/// The compressor always gets blocks of this size (but for the last): its output depends on how
/// the input is cut.
const BLOCK: usize = 128 * 1024;

/// Compresses to gzip without time or name in the header.
pub(crate) struct GzipWriter<W: Write> {
    encoder: GzEncoder<W>,
    block: Vec<u8>,
}

impl<W: Write> GzipWriter<W> {
    pub(crate) fn new(inner: W) -> Self {
        let encoder =
            GzBuilder::new().mtime(0).operating_system(255).write(inner, Compression::new(LEVEL));
        Self { encoder, block: Vec::with_capacity(BLOCK) }
    }

    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.encoder.write_all(&self.block)?;
        self.encoder.finish()
    }
}

impl<W: Write> Write for GzipWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..taken]);
        if self.block.len() == BLOCK {
            self.encoder.write_all(&self.block)?;
            self.block.clear();
        }
        Ok(taken)
    }

    /// Does nothing: a flush would change the output.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Digest;

    fn compress(data: &[u8], chunk: usize) -> Vec<u8> {
        let mut writer = GzipWriter::new(Vec::new());
        for part in data.chunks(chunk) {
            writer.write_all(part).unwrap();
        }
        writer.finish().unwrap()
    }

    #[test]
    fn output_depends_on_content_alone() {
        let data: Vec<u8> = (0..700_000u32)
            .flat_map(|i| (i.wrapping_mul(2_654_435_761) >> 20).to_le_bytes())
            .collect();
        let whole = compress(&data, data.len());
        for chunk in [1000, 4096, BLOCK - 1, BLOCK + 1] {
            assert_eq!(compress(&data, chunk), whole, "{chunk}");
        }
        // Pinned: an upgrade of the compressor must not change digests unseen.
        assert_eq!(
            Digest::of(&whole).to_string(),
            "sha256:5aa3f1ab51e35d438d52bf4f4b489e42ab87cf7e747de8916b009db2e0579cd1"
        );
    }
}
