//! Writes layers whose bytes depend on their content alone.
//!
//! The caller gives entries in the order in which they shall stand; names, times and owners of
//! this machine never get in (architecture, invariant 4).

use std::io::{self, Read, Write};

use crate::{Digest, Threads, digest::HashingWriter, gzip::GzipWriter};

/// 1980-01-01T00:00:00Z: the time of files unless `SOURCE_DATE_EPOCH` says otherwise. Earlier times
/// break Python's zipfile.
pub const DEFAULT_EPOCH: i64 = 315_532_800;

/// Owner and mode of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Attributes {
    /// Permission bits, with setuid, setgid and sticky.
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
}

impl Attributes {
    /// Root's, with a mode.
    pub fn root(mode: u32) -> Self {
        Self { mode, uid: 0, gid: 0 }
    }
}

/// The digests and the size of a layer that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerDigests {
    /// Of the uncompressed tar.
    pub diff_id: Digest,
    /// Of the compressed blob.
    pub digest: Digest,
    /// Bytes of the compressed blob.
    pub size: u64,
}

/// Writes one gzip-compressed layer in a single pass.
pub struct LayerWriter<W: Write> {
    tar: TarWriter<HashingWriter<GzipWriter<HashingWriter<W>>>>,
}

impl<W: Write> std::fmt::Debug for LayerWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LayerWriter").field("epoch", &self.tar.epoch).finish_non_exhaustive()
    }
}

impl<W: Write> LayerWriter<W> {
    /// A layer into `inner`, all entries with the time `epoch` (seconds since 1970), compressed by
    /// the calling thread.
    pub fn new(inner: W, epoch: i64) -> Self {
        Self::with_threads(inner, epoch, Threads::new(1))
    }

    /// The same layer, byte by byte, compressed with the help of `threads` when it is large.
    pub fn with_threads(inner: W, epoch: i64, threads: Threads) -> Self {
        let gzip = GzipWriter::new(HashingWriter::new(inner), threads);
        Self { tar: TarWriter::new(HashingWriter::new(gzip), epoch) }
    }

    /// The archive that the layer is, to write entries to.
    pub fn tar(&mut self) -> &mut TarWriter<impl Write> {
        &mut self.tar
    }

    /// See [`TarWriter::dir`].
    pub fn dir(&mut self, path: &str, attributes: Attributes) -> io::Result<()> {
        self.tar.dir(path, attributes)
    }

    /// See [`TarWriter::file`].
    ///
    /// # Errors
    /// Also when the content is shorter or longer: a file that changed while it was read.
    pub fn file(
        &mut self,
        path: &str,
        attributes: Attributes,
        size: u64,
        content: &mut dyn Read,
    ) -> io::Result<()> {
        self.tar.file(path, attributes, size, content)
    }

    /// A symbolic link.
    pub fn symlink(&mut self, path: &str, attributes: Attributes, target: &str) -> io::Result<()> {
        self.tar.symlink(path, attributes, target)
    }

    /// A hard link to an entry written before.
    pub fn hard_link(&mut self, path: &str, attributes: Attributes, to: &str) -> io::Result<()> {
        self.tar.hard_link(path, attributes, to)
    }

    /// Ends the layer.
    pub fn finish(self) -> io::Result<(W, LayerDigests)> {
        finish(self.tar.finish()?)
    }
}

/// Compresses a layer that is a tar already, as [`LayerWriter`] does it, without a change.
///
/// # Errors
/// When `tar` cannot be read to its end, or `into` fails.
pub fn compress_layer<W: Write>(tar: &mut dyn Read, into: W) -> io::Result<(W, LayerDigests)> {
    let gzip = GzipWriter::new(HashingWriter::new(into), Threads::of_machine());
    let mut writer = HashingWriter::new(gzip);
    io::copy(tar, &mut writer)?;
    finish(writer)
}

fn finish<W: Write>(
    tar: HashingWriter<GzipWriter<HashingWriter<W>>>,
) -> io::Result<(W, LayerDigests)> {
    let (gzip, diff_id, _) = tar.finish();
    let (inner, digest, size) = gzip.finish()?.finish();
    Ok((inner, LayerDigests { diff_id, digest, size }))
}

/// Writes an uncompressed tar: what a layer holds, or a build context.
pub struct TarWriter<W: Write> {
    inner: W,
    epoch: i64,
}

impl<W: Write> std::fmt::Debug for TarWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TarWriter").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

impl<W: Write> TarWriter<W> {
    /// A tar into `inner`, all entries with the time `epoch` (seconds since 1970).
    pub fn new(inner: W, epoch: i64) -> Self {
        Self { inner, epoch }
    }

    /// A folder; `path` is relative and without a trailing slash.
    pub fn dir(&mut self, path: &str, attributes: Attributes) -> io::Result<()> {
        self.header(&format!("{path}/"), tar::EntryType::Directory, attributes, 0, None)
    }

    /// A file whose content is exactly `size` bytes of `content`.
    ///
    /// # Errors
    /// Also when the content is shorter or longer: a file that changed while it was read.
    pub fn file(
        &mut self,
        path: &str,
        attributes: Attributes,
        size: u64,
        content: &mut dyn Read,
    ) -> io::Result<()> {
        self.header(path, tar::EntryType::Regular, attributes, size, None)?;
        let copied = io::copy(&mut content.take(size), &mut self.inner)?;
        let more = content.read(&mut [0])?;
        if copied != size || more != 0 {
            let text = format!("`{}` changed while it was read", path.escape_debug());
            return Err(io::Error::other(text));
        }
        self.pad(size)
    }

    /// A symbolic link.
    pub fn symlink(&mut self, path: &str, attributes: Attributes, target: &str) -> io::Result<()> {
        self.header(path, tar::EntryType::Symlink, attributes, 0, Some(target))
    }

    /// A hard link to an entry written before.
    pub fn hard_link(&mut self, path: &str, attributes: Attributes, to: &str) -> io::Result<()> {
        self.header(path, tar::EntryType::Link, attributes, 0, Some(to))
    }

    /// Ends the tar and gives the writer back.
    pub fn finish(mut self) -> io::Result<W> {
        self.inner.write_all(&[0; 1024])?;
        Ok(self.inner)
    }

    fn header(
        &mut self,
        path: &str,
        kind: tar::EntryType,
        attributes: Attributes,
        size: u64,
        link: Option<&str>,
    ) -> io::Result<()> {
        let mut header = tar::Header::new_ustar();
        let mut extended = Vec::new();
        if !path.is_ascii() || header.set_path(path).is_err() {
            pax_record(&mut extended, "path", path);
            header.set_path("long-name")?;
        }
        if let Some(link) = link
            && (!link.is_ascii() || header.set_link_name_literal(link).is_err())
        {
            pax_record(&mut extended, "linkpath", link);
            header.set_link_name_literal("long-name")?;
        }
        if size >= 1 << 33 {
            pax_record(&mut extended, "size", &size.to_string());
        }
        for (name, id) in [("uid", attributes.uid), ("gid", attributes.gid)] {
            if id >= 1 << 21 {
                pax_record(&mut extended, name, &id.to_string());
            }
        }
        if !extended.is_empty() {
            let mut pax = tar::Header::new_ustar();
            pax.set_path("pax-header")?;
            pax.set_entry_type(tar::EntryType::XHeader);
            pax.set_size(extended.len() as u64);
            self.write_header(&mut pax, Attributes::root(0o644))?;
            self.inner.write_all(&extended)?;
            self.pad(extended.len() as u64)?;
        }
        header.set_entry_type(kind);
        header.set_size(if size >= 1 << 33 { 0 } else { size });
        self.write_header(&mut header, attributes)
    }

    fn write_header(&mut self, header: &mut tar::Header, attributes: Attributes) -> io::Result<()> {
        header.set_mode(attributes.mode);
        header.set_uid(if attributes.uid >= 1 << 21 { 0 } else { attributes.uid });
        header.set_gid(if attributes.gid >= 1 << 21 { 0 } else { attributes.gid });
        header.set_mtime(self.epoch.max(0).cast_unsigned());
        header.set_cksum();
        self.inner.write_all(header.as_bytes())
    }

    fn pad(&mut self, size: u64) -> io::Result<()> {
        let over = usize::try_from(size % 512).expect("below 512");
        if over == 0 { Ok(()) } else { self.inner.write_all(&[0; 512][over..]) }
    }
}

/// One record of a PAX header: its length counts itself.
fn pax_record(into: &mut Vec<u8>, key: &str, value: &str) {
    let rest = key.len() + value.len() + 3; // space, equals sign, line feed
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    into.extend_from_slice(format!("{length} {key}={value}\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (Vec<u8>, LayerDigests) {
        let mut layer = LayerWriter::new(Vec::new(), DEFAULT_EPOCH);
        let long = "d/".repeat(150) + "file";
        layer.dir("opt", Attributes::root(0o755)).unwrap();
        layer.file("opt/a", Attributes::root(0o644), 3, &mut &b"abc"[..]).unwrap();
        layer.file(&long, Attributes { mode: 0o755, uid: 1, gid: 2 }, 0, &mut &b""[..]).unwrap();
        layer.symlink("opt/ä", Attributes::root(0o777), "ziel/ü").unwrap();
        layer.hard_link("opt/b", Attributes::root(0o644), "opt/a").unwrap();
        layer.finish().unwrap()
    }

    #[test]
    fn a_reader_sees_what_was_written() {
        let (blob, digests) = sample();
        assert_eq!(Digest::of(&blob), digests.digest);
        let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(&blob[..]));
        let mut seen = Vec::new();
        for entry in tar.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut content = String::new();
            entry.read_to_string(&mut content).unwrap();
            let header = entry.header();
            assert_eq!(header.mtime().unwrap(), 315_532_800);
            seen.push(format!(
                "{:o} {}:{} {} {:?} {content}",
                header.mode().unwrap(),
                header.uid().unwrap(),
                header.gid().unwrap(),
                entry.path().unwrap().display(),
                entry.link_name().unwrap().map(|link| link.display().to_string()),
            ));
        }
        let long = "d/".repeat(150) + "file";
        assert_eq!(
            seen,
            [
                "755 0:0 opt/ None ",
                "644 0:0 opt/a None abc",
                &format!("755 1:2 {long} None "),
                "777 0:0 opt/ä Some(\"ziel/ü\") ",
                "644 0:0 opt/b Some(\"opt/a\") ",
            ]
        );
    }

    #[test]
    fn a_tar_at_hand_is_compressed_the_same_way() {
        let mut tar = TarWriter::new(Vec::new(), DEFAULT_EPOCH);
        tar.file("a", Attributes::root(0o644), 3, &mut &b"abc"[..]).unwrap();
        let tar = tar.finish().unwrap();
        let mut layer = LayerWriter::new(Vec::new(), DEFAULT_EPOCH);
        layer.file("a", Attributes::root(0o644), 3, &mut &b"abc"[..]).unwrap();
        assert_eq!(compress_layer(&mut &tar[..], Vec::new()).unwrap(), layer.finish().unwrap());
    }

    #[test]
    fn a_file_that_changes_size_is_an_error() {
        let mut layer = LayerWriter::new(Vec::new(), 0);
        for content in [&b"ab"[..], b"abcd"] {
            assert!(layer.file("f", Attributes::root(0o644), 3, &mut &content[..]).is_err());
        }
    }

    #[test]
    fn bytes_are_pinned() {
        assert_eq!(
            sample().1.digest.to_string(),
            "sha256:cb2848704bd563b9bd1d54457ffdaf00705fd95e80532b4caf1899d2ab228928"
        );
    }
}
