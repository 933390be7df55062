//! Normalises the layers of `docker save` to the layers that are published.

use std::{
    fs::File,
    io::{self, Read, Seek as _, SeekFrom},
};

use esb_oci::{
    Attributes, BlobWriter, ContentStore, Digest, LayerDigests, LayerWriter, StoreError,
    compress_layer,
};

use crate::archives::tar_entries::TarReader;

/// The most entries that a layer may have.
const ENTRIES: usize = 5_000_000;

/// Compresses the tar in `spooled` into the store. With an epoch, all entries get this time and
/// lose what the embedded engine never writes (names of owners, extended attributes), unless the
/// layer holds something that would not survive it.
pub(crate) fn store_layer(
    store: &ContentStore,
    spooled: &mut File,
    epoch: Option<i64>,
) -> Result<LayerDigests, StoreError> {
    if let Some(epoch) = epoch {
        let writer = store.writer()?;
        if let Some((writer, layer)) = normalise(spooled, writer, epoch).map_err(failed(store))? {
            writer.commit(layer.digest)?;
            return Ok(layer);
        }
    }
    let writer = store.writer()?;
    spooled.seek(SeekFrom::Start(0)).map_err(failed(store))?;
    let (writer, layer): (BlobWriter, _) =
        compress_layer(spooled, writer).map_err(failed(store))?;
    writer.commit(layer.digest)?;
    Ok(layer)
}

/// A failed read or write of a spooled layer.
pub(crate) fn failed(store: &ContentStore) -> impl FnOnce(io::Error) -> StoreError {
    let path = store.root().to_owned();
    move |source| StoreError::Io { action: "store a layer in", path, source }
}

/// `None` when the layer holds what [`LayerWriter`] cannot say: devices, capabilities of files,
/// names that are not UTF-8.
fn normalise<W: io::Write>(
    spooled: &mut File,
    into: W,
    epoch: i64,
) -> io::Result<Option<(W, LayerDigests)>> {
    spooled.seek(SeekFrom::Start(0))?;
    let mut layer = LayerWriter::new(into, epoch);
    let mut archive = TarReader::new(io::BufReader::with_capacity(128 * 1024, spooled));
    for (count, entry) in archive.entries()?.enumerate() {
        if count >= ENTRIES {
            return Err(io::Error::other(format!("a layer has more than {ENTRIES} entries")));
        }
        let mut entry = entry?;
        if has_capabilities(&mut entry)? {
            return Ok(None);
        }
        let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(str::to_owned);
        let Some(path) = text(&entry.path_bytes()) else { return Ok(None) };
        let path = path.strip_prefix("./").unwrap_or(&path).trim_end_matches('/').to_owned();
        if path.is_empty() || path == "." {
            return Ok(None);
        }
        let link = match entry.link_name_bytes() {
            Some(link) => match text(&link) {
                Some(link) => link,
                None => return Ok(None),
            },
            None => String::new(),
        };
        let header = entry.header();
        let (Ok(mode), Ok(uid), Ok(gid)) = (header.mode(), header.uid(), header.gid()) else {
            return Ok(None);
        };
        let attributes = Attributes { mode: mode & 0o7777, uid, gid };
        match header.entry_type() {
            tar::EntryType::Directory => layer.dir(&path, attributes)?,
            tar::EntryType::Regular => {
                let size = entry.size();
                layer.file(&path, attributes, size, &mut entry as &mut dyn Read)?;
            }
            tar::EntryType::Symlink => layer.symlink(&path, attributes, &link)?,
            tar::EntryType::Link => layer.hard_link(&path, attributes, &link)?,
            _ => return Ok(None),
        }
    }
    layer.finish().map(Some)
}

fn has_capabilities(entry: &mut tar::Entry<'_, impl Read>) -> io::Result<bool> {
    let Some(records) = entry.pax_extensions()? else { return Ok(false) };
    for record in records {
        if record?.key_bytes() == b"SCHILY.xattr.security.capability" {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The compression of a blob, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    Tar,
    Gzip,
    Zstd,
}

impl Compression {
    pub(crate) fn of(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            _ => Self::Tar,
        }
    }
}

/// The key of what was made of a layer.
pub(crate) fn record_key(diff_id: Digest, epoch: Option<i64>) -> Digest {
    Digest::of(format!("{diff_id} {epoch:?}").as_bytes())
}

#[cfg(test)]
mod tests {
    use std::io::{Seek as _, Write as _};

    use esb_oci::{DEFAULT_EPOCH, TarWriter};

    use super::*;

    fn spool(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        file
    }

    fn sample(epoch: i64) -> Vec<u8> {
        let mut tar = TarWriter::new(Vec::new(), epoch);
        tar.dir("a", Attributes::root(0o755)).unwrap();
        let owner = Attributes { mode: 0o4755, uid: 7, gid: 8 };
        tar.file("a/b", owner, 3, &mut &b"abc"[..]).unwrap();
        tar.symlink("a/c", Attributes::root(0o777), "b").unwrap();
        tar.hard_link("a/d", owner, "a/b").unwrap();
        tar.file("a/.wh.e", Attributes::root(0o644), 0, &mut &b""[..]).unwrap();
        tar.finish().unwrap()
    }

    #[test]
    fn times_alone_do_not_change_a_layer() {
        let folder = tempfile::tempdir().unwrap();
        let store = ContentStore::open(folder.path()).unwrap();
        let layer = |time, epoch| store_layer(&store, &mut spool(&sample(time)), epoch).unwrap();
        let one = layer(1, Some(DEFAULT_EPOCH));
        assert_eq!(one, layer(2, Some(DEFAULT_EPOCH)));
        assert_eq!(one.diff_id, Digest::of(&sample(DEFAULT_EPOCH)));
        assert_eq!(store.size(one.digest), Some(one.size));
        assert_eq!(layer(2, None).diff_id, Digest::of(&sample(2)));
    }

    #[test]
    fn what_cannot_be_said_stays_as_it_is() {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Char);
        header.set_mode(0o600);
        header.set_size(0);
        header.set_mtime(5);
        tar.append_data(&mut header, "dev/null", io::empty()).unwrap();
        let tar = tar.into_inner().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let store = ContentStore::open(folder.path()).unwrap();
        let layer = store_layer(&store, &mut spool(&tar), Some(0)).unwrap();
        assert_eq!(layer.diff_id, Digest::of(&tar));
    }
}
