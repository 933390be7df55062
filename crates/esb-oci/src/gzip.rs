//! Deterministic gzip compression: the output depends on the input alone, not on the sizes of
//! writes or on the number of threads.
//!
//! Owns one gzip member that is made of blocks of a fixed size, each deflated by itself and ended
//! on a whole byte, so that blocks may be compressed at the same time and joined in order. Refuses
//! to hold more than a few blocks at once.

use std::{
    collections::VecDeque,
    io::{self, Write},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
};

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

/// The compressor's level; part of every layer's digest.
const LEVEL: u32 = 4;

/// Bytes of a block (but for the last); part of every layer's digest. What a block holds is all
/// that its compressed form depends on.
const BLOCK: usize = 512 * 1024;

/// Magic, deflate, no flags, no time, no extra flags, unknown operating system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// The most threads that one run spends on compression by default: each holds two blocks.
const MOST: usize = 8;

/// Threads that may compress beside the one that writes a layer, shared by all layers of a run.
/// Cheap to clone.
///
/// Layers of a single block never take one, and no layer waits for one: without, it compresses by
/// itself. The bytes are the same.
#[derive(Debug, Clone)]
pub struct Threads {
    free: Arc<AtomicUsize>,
    most: usize,
    spare: Arc<Spare>,
}

/// Memory of finished work that the next block uses again: hundreds of layers would else take and
/// give back megabytes each, and the C library keeps a good part of what comes and goes like that.
#[derive(Debug, Default)]
struct Spare {
    compressors: Mutex<Vec<Compress>>,
    buffers: Mutex<Vec<Vec<u8>>>,
}

impl Spare {
    fn compressor(&self) -> Compress {
        let spare = pop(&self.compressors);
        spare.unwrap_or_else(|| Compress::new(Compression::new(LEVEL), false))
    }

    fn buffer(&self) -> Vec<u8> {
        pop(&self.buffers).unwrap_or_default()
    }

    fn keep_compressor(&self, mut compressor: Compress) {
        compressor.reset();
        self.compressors.lock().unwrap_or_else(PoisonError::into_inner).push(compressor);
    }

    fn keep_buffer(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }
}

fn pop<T>(spare: &Mutex<Vec<T>>) -> Option<T> {
    spare.lock().unwrap_or_else(PoisonError::into_inner).pop()
}

impl Threads {
    /// `number` threads that compress; with one, the thread that writes a layer compresses it.
    pub fn new(number: usize) -> Self {
        let most = number.saturating_sub(1);
        Self { free: Arc::new(AtomicUsize::new(most)), most, spare: Arc::default() }
    }

    /// As many as this machine has processors, within reason.
    pub fn of_machine() -> Self {
        Self::new(thread::available_parallelism().map_or(1, usize::from).min(MOST))
    }

    /// Runs the work beside the caller when a thread is free.
    fn start(&self, block: Block) -> Work {
        let took =
            self.free.fetch_update(Ordering::AcqRel, Ordering::Acquire, |free| free.checked_sub(1));
        if took.is_err() {
            return Work::Done(block.deflate(&self.spare));
        }
        let (free, spare) = (Arc::clone(&self.free), Arc::clone(&self.spare));
        let spawned = thread::Builder::new().name("compress".to_owned()).spawn(move || {
            let done = block.deflate(&spare);
            free.fetch_add(1, Ordering::AcqRel);
            done
        });
        match spawned {
            Ok(thread) => Work::Running(thread),
            Err(error) => {
                self.free.fetch_add(1, Ordering::AcqRel);
                Work::Done(Err(error))
            }
        }
    }
}

/// Part of the input, whole.
struct Block {
    bytes: Vec<u8>,
    last: bool,
}

/// A block's compressed form and what the member's end needs to know of it.
struct Deflated {
    bytes: Vec<u8>,
    crc: Crc,
}

impl Block {
    fn deflate(self, spare: &Spare) -> io::Result<Deflated> {
        let Self { bytes, last } = self;
        let mut crc = Crc::new();
        crc.update(&bytes);
        // Everything fits at once, so that no output depends on how much room there was.
        let mut into = spare.buffer();
        into.reserve_exact(bytes.len() + bytes.len() / 8 + 1024);
        let mut deflate = spare.compressor();
        let flush = if last { FlushCompress::Finish } else { FlushCompress::Sync };
        let status = deflate.compress_vec(&bytes, &mut into, flush).map_err(io::Error::other)?;
        let expected = if last { Status::StreamEnd } else { Status::Ok };
        if status != expected || deflate.total_in() != bytes.len() as u64 {
            return Err(io::Error::other("a block did not compress into its room"));
        }
        spare.keep_compressor(deflate);
        spare.keep_buffer(bytes);
        Ok(Deflated { bytes: into, crc })
    }
}

/// A block on its way.
enum Work {
    Running(JoinHandle<io::Result<Deflated>>),
    Done(io::Result<Deflated>),
}

impl Work {
    fn wait(self) -> io::Result<Deflated> {
        match self {
            Self::Done(result) => result,
            Self::Running(thread) => {
                thread.join().map_err(|_| io::Error::other("a thread that compressed ended"))?
            }
        }
    }
}

/// Compresses to gzip without time or name in the header.
pub(crate) struct GzipWriter<W: Write> {
    inner: W,
    threads: Threads,
    /// What was written and is no whole block, or might be the last one.
    block: Vec<u8>,
    /// In order.
    working: VecDeque<Work>,
    crc: Crc,
    started: bool,
}

impl<W: Write> GzipWriter<W> {
    pub(crate) fn new(inner: W, threads: Threads) -> Self {
        let (block, working) = (threads.spare.buffer(), VecDeque::new());
        Self { inner, threads, block, working, crc: Crc::new(), started: false }
    }

    pub(crate) fn finish(mut self) -> io::Result<W> {
        let bytes = std::mem::take(&mut self.block);
        self.working
            .push_back(Work::Done(Block { bytes, last: true }.deflate(&self.threads.spare)));
        while !self.working.is_empty() {
            self.take_first()?;
        }
        self.inner.write_all(&self.crc.sum().to_le_bytes())?;
        self.inner.write_all(&self.crc.amount().to_le_bytes())?;
        Ok(self.inner)
    }

    /// Gives the block to who compresses it; of a few blocks on their way the first is waited for.
    fn send(&mut self) -> io::Result<()> {
        let bytes = std::mem::replace(&mut self.block, self.threads.spare.buffer());
        self.working.push_back(self.threads.start(Block { bytes, last: false }));
        while self.working.len() > self.threads.most {
            self.take_first()?;
        }
        Ok(())
    }

    fn take_first(&mut self) -> io::Result<()> {
        let Some(work) = self.working.pop_front() else { return Ok(()) };
        let done = work.wait()?;
        if !std::mem::replace(&mut self.started, true) {
            self.inner.write_all(&HEADER)?;
        }
        self.crc.combine(&done.crc);
        self.inner.write_all(&done.bytes)?;
        self.threads.spare.keep_buffer(done.bytes);
        Ok(())
    }
}

impl<W: Write> Write for GzipWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Only now that more follows is it sure that a whole block is not the last.
        if self.block.len() == BLOCK && !bytes.is_empty() {
            self.send()?;
        }
        let taken = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    /// Does nothing: a flush would change the output.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::Digest;

    fn compress(data: &[u8], chunk: usize, threads: usize) -> Vec<u8> {
        let mut writer = GzipWriter::new(Vec::new(), Threads::new(threads));
        for part in data.chunks(chunk.max(1)) {
            writer.write_all(part).unwrap();
        }
        writer.finish().unwrap()
    }

    fn sample(words: u32) -> Vec<u8> {
        (0..words).flat_map(|i| (i.wrapping_mul(2_654_435_761) >> 20).to_le_bytes()).collect()
    }

    #[test]
    fn output_depends_on_content_alone() {
        let data = sample(1_000_000);
        let whole = compress(&data, data.len(), 1);
        for chunk in [1000, 4096, BLOCK - 1, BLOCK, BLOCK + 1] {
            for threads in [1, 2, 8] {
                assert!(compress(&data, chunk, threads) == whole, "{chunk}, {threads} threads");
            }
        }
        // Pinned: an upgrade of the compressor must not change digests unseen.
        assert_eq!(
            Digest::of(&whole).to_string(),
            "sha256:3cb1d01eff10a90a586e1db217671f7c6b24a918c9ec0558965cee76f0480d88"
        );
    }

    #[test]
    fn it_is_one_member_that_every_reader_reads() {
        let large = sample(600_000);
        let noise: Vec<u8> = sample(300_000)
            .chunks(4)
            .flat_map(|word| Digest::of(word).hex().into_bytes())
            .take(BLOCK * 2)
            .collect();
        for data in [&b""[..], b"a", &large, &large[..BLOCK], &large[..2 * BLOCK], &noise] {
            let blob = compress(data, data.len(), 4);
            let mut read = Vec::new();
            // Reads the first member alone.
            flate2::read::GzDecoder::new(&blob[..]).read_to_end(&mut read).unwrap();
            assert!(read == data, "{} bytes", data.len());
        }
    }

    #[test]
    fn a_thread_that_was_taken_is_given_back() {
        let threads = Threads::new(3);
        let mut writer = GzipWriter::new(Vec::new(), threads.clone());
        writer.write_all(&sample(1_000_000)).unwrap();
        writer.finish().unwrap();
        assert_eq!(threads.free.load(Ordering::Acquire), 2);
    }
}
