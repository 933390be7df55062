//! Reads the entries of tar archives whose headers may be hostile.
//!
//! The tar crate reads what describes an entry (long names of GNU tar, PAX headers, maps of sparse
//! files) into memory, however much it is. Owns the limits on that, and on names. Entries are
//! counted by those who keep something of them.

use std::{
    cell::Cell,
    io::{self, Read},
    rc::Rc,
};

/// The most bytes that describe one entry, which is what Go's `archive/tar` takes too.
const MAX_HEADERS: u64 = 1024 * 1024;

/// The most bytes of a name, or of a link's target: what Linux takes as a path.
pub(crate) const MAX_PATH: usize = 4096;

/// The size of a tar's blocks.
const BLOCK: u64 = 512;

/// A tar archive that is read as a stream.
pub(crate) struct TarReader<R: Read> {
    archive: tar::Archive<Metered<R>>,
    meter: Rc<Meter>,
}

impl<R: Read> TarReader<R> {
    pub(crate) fn new(reader: R) -> Self {
        let meter = Rc::new(Meter::default());
        meter.end.set(MAX_HEADERS);
        let metered = Metered { reader, meter: Rc::clone(&meter) };
        Self { archive: tar::Archive::new(metered), meter }
    }

    /// The entries, each to be read before the next one is asked for.
    pub(crate) fn entries(&mut self) -> io::Result<TarEntries<'_, R>> {
        Ok(TarEntries { entries: self.archive.entries()?, meter: Rc::clone(&self.meter) })
    }
}

/// The entries of a tar archive.
pub(crate) struct TarEntries<'a, R: Read> {
    entries: tar::Entries<'a, Metered<R>>,
    meter: Rc<Meter>,
}

impl<'a, R: Read> Iterator for TarEntries<'a, R> {
    type Item = io::Result<tar::Entry<'a, Metered<R>>>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.entries.next()?.and_then(|mut entry| {
            let content = content_size(&mut entry)?;
            // What may be read until the entry after this one is known: the content, up to the end
            // of its block, and the next headers.
            let end = self.meter.position.get().saturating_add(content);
            let end = end.checked_next_multiple_of(BLOCK).unwrap_or(u64::MAX);
            self.meter.end.set(end.saturating_add(MAX_HEADERS));
            check_length("name", entry.path_bytes().len())?;
            check_length("link", entry.link_name_bytes().map_or(0, |link| link.len()))?;
            Ok(entry)
        });
        Some(entry)
    }
}

/// How many bytes of an archive an entry's content takes.
fn content_size<R: Read>(entry: &mut tar::Entry<'_, R>) -> io::Result<u64> {
    if !entry.header().entry_type().is_gnu_sparse() {
        return Ok(entry.size());
    }
    // Its own size is the one with the holes, and a PAX header may give a third one.
    if entry.pax_extensions()?.is_some() {
        return Err(invalid("a sparse file of GNU tar has a PAX header"));
    }
    entry.header().entry_size()
}

fn check_length(what: &str, length: usize) -> io::Result<()> {
    if length <= MAX_PATH {
        return Ok(());
    }
    Err(invalid(&format!("the {what} of an entry has {length} bytes; the limit is {MAX_PATH}")))
}

fn invalid(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

/// How far an archive was read, and how far it may be.
#[derive(Default)]
struct Meter {
    position: Cell<u64>,
    end: Cell<u64>,
}

/// A reader that ends with an error where headers become too large.
pub(crate) struct Metered<R> {
    reader: R,
    meter: Rc<Meter>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let position = self.meter.position.get();
        let left = usize::try_from(self.meter.end.get() - position).unwrap_or(usize::MAX);
        if left == 0 && !into.is_empty() {
            return Err(invalid(&format!(
                "what describes an entry has more than {MAX_HEADERS} bytes"
            )));
        }
        let most = into.len().min(left);
        let read = self.reader.read(&mut into[..most])?;
        self.meter.position.set(position + read as u64);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// A header of a kind, and content that is made as it is read.
    fn entry(kind: tar::EntryType, size: u64, content: u8) -> impl Read {
        let mut header = tar::Header::new_gnu();
        header.set_path("a").unwrap();
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_cksum();
        let padding = size.next_multiple_of(BLOCK) - size;
        io::Cursor::new(header.as_bytes().to_vec())
            .chain(io::repeat(content).take(size))
            .chain(io::repeat(0).take(padding))
    }

    fn read(archive: impl Read) -> io::Result<Vec<u64>> {
        let mut reader = TarReader::new(archive);
        let mut sizes = Vec::new();
        for found in reader.entries()? {
            let mut found = found?;
            sizes.push(io::copy(&mut found, &mut io::sink())?);
        }
        Ok(sizes)
    }

    fn refusal(archive: impl Read) -> String {
        read(archive).unwrap_err().to_string()
    }

    #[test]
    fn contents_may_be_larger_than_headers() {
        use tar::EntryType as Kind;
        let large = 3 * MAX_HEADERS + 1;
        let archive = entry(Kind::Regular, large, 1)
            .chain(entry(Kind::Regular, 0, 0))
            .chain(entry(Kind::XGlobalHeader, large, b'x'))
            .chain(entry(Kind::Regular, 5, 1));
        assert_eq!(read(archive).unwrap(), [large, 0, large, 5]);
    }

    #[test]
    fn contents_may_be_passed_over() {
        use tar::EntryType as Kind;
        let large = 3 * MAX_HEADERS + 1;
        let archive = entry(Kind::Regular, large, 1).chain(entry(Kind::Regular, 7, 1));
        let mut reader = TarReader::new(archive);
        let sizes: Vec<u64> = reader.entries().unwrap().map(|one| one.unwrap().size()).collect();
        assert_eq!(sizes, [large, 7]);
    }

    #[test]
    fn headers_have_a_limit() {
        use tar::EntryType as Kind;
        let huge = 1 << 40;
        for kind in [Kind::GNULongName, Kind::GNULongLink, Kind::XHeader] {
            let first = refusal(entry(kind, huge, b'x'));
            assert!(first.contains("more than 1048576 bytes"), "{first}");
            let later = refusal(entry(Kind::Regular, 3, 0).chain(entry(kind, huge, b'x')));
            assert!(later.contains("more than 1048576 bytes"), "{later}");
        }
    }

    #[test]
    fn names_and_links_have_a_limit() {
        use tar::EntryType as Kind;
        for (kind, what) in [(Kind::GNULongName, "name"), (Kind::GNULongLink, "link")] {
            let long = entry(kind, MAX_PATH as u64 + 1, b'x').chain(entry(Kind::Symlink, 0, 0));
            let expected = format!("the {what} of an entry has 4097 bytes; the limit is 4096");
            assert_eq!(refusal(long), expected);
            let fits = entry(kind, MAX_PATH as u64, b'x').chain(entry(Kind::Symlink, 0, 0));
            assert_eq!(read(fits).unwrap(), [0]);
        }
        for key in ["path", "linkpath"] {
            let mut archive = tar::Builder::new(Vec::new());
            let value = vec![b'x'; MAX_PATH + 1];
            archive.append_pax_extensions([(key, &*value)]).unwrap();
            let mut bytes = archive.into_inner().unwrap();
            bytes.truncate(bytes.len() - 1024); // the end of the archive
            let archive = io::Cursor::new(bytes).chain(entry(Kind::Symlink, 0, 0));
            assert!(refusal(archive).contains("the limit is 4096"), "{key}");
        }
    }

    #[test]
    fn sparse_files_of_two_sizes_are_refused() {
        let mut archive = tar::Builder::new(Vec::new());
        archive.append_pax_extensions([("size", &b"0"[..])]).unwrap();
        let mut bytes = archive.into_inner().unwrap();
        bytes.truncate(bytes.len() - 1024);
        let mut header = tar::Header::new_gnu();
        header.set_path("a").unwrap();
        header.set_entry_type(tar::EntryType::GNUSparse);
        header.as_gnu_mut().unwrap().set_real_size(0);
        header.set_size(1 << 40);
        header.set_cksum();
        bytes.write_all(header.as_bytes()).unwrap();
        let said = refusal(&bytes[..]);
        assert!(said.contains("sparse"), "{said}");
    }
}
