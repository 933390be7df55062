//! Reads the uncompressed content of layers and computes its digest, the diff ID.
//!
//! Recognises how a layer is compressed. The archive inside is not read here.

use std::io::{self, Read};

use esb_oci::{Digest, Hasher};

use crate::archives::zstd::{Frames, is_zstd};

/// Gives the content of a layer, compressed or not, to `work`, and reads it to its end; with what
/// `work` gives, the digest of all that was read.
pub(crate) fn uncompressed<T>(
    mut layer: impl Read,
    work: impl FnOnce(&mut dyn Read) -> io::Result<T>,
) -> io::Result<(T, Digest)> {
    let mut start = [0; 4];
    let read = read_start(&mut layer, &mut start)?;
    let mut layer = (&start[..read]).chain(layer);
    let (done, hasher) = {
        let inner: Box<dyn Read + '_> = if is_zstd(&start) {
            Box::new(Frames::new(&mut layer))
        } else if start.starts_with(&[0x1f, 0x8b]) {
            Box::new(flate2::read::MultiGzDecoder::new(&mut layer))
        } else {
            Box::new(&mut layer)
        };
        let mut content = Hashed { inner, hasher: Hasher::default() };
        let done = work(&mut content)?;
        io::copy(&mut content, &mut io::sink())?;
        (done, content.hasher)
    };
    // What follows the content belongs to the blob, which is verified as a whole.
    io::copy(&mut layer, &mut io::sink())?;
    Ok((done, hasher.finish().0))
}

struct Hashed<R> {
    inner: R,
    hasher: Hasher,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        self.hasher.update(&into[..read]);
        Ok(read)
    }
}

fn read_start(from: &mut impl Read, into: &mut [u8]) -> io::Result<usize> {
    let mut read = 0;
    while read < into.len() {
        match from.read(&mut into[read..])? {
            0 => break,
            more => read += more,
        }
    }
    Ok(read)
}
