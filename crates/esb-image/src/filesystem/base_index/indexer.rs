//! Makes the index of a base image from its layers: decompression, tar, whiteouts.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Read},
};

use esb_oci::{Digest, WHITEOUT};

use super::{BaseIndex, Weight, is_accounts, keeper::Keeper};
use crate::{
    archives::{diff_id::uncompressed, tar_entries::TarReader},
    filesystem::{
        accounts,
        node::{IndexEntry, Node},
    },
    paths,
};

/// The most bytes of all layers, uncompressed.
const MAX_BYTES: u64 = 256 * 1024 * 1024 * 1024;

/// Makes an index from layers, lowest first.
#[derive(Debug, Default)]
pub(crate) struct Indexer {
    index: BaseIndex,
    keeper: Option<Keeper>,
    bytes: u64,
    /// Of all entries of all layers: what a layer removes was there before.
    weight: Weight,
}

/// An entry by its name in the layer, with what is kept of it.
type Found = (String, LayerEntry, Option<Box<Node>>);

/// One entry of a layer's archive.
#[derive(Debug)]
enum LayerEntry {
    Folder(u32, u64, u64),
    Link(String),
    File,
    Text(String),
}

impl Indexer {
    /// Keeps what a build copies as well.
    pub(crate) fn keeping(keeper: Keeper) -> Self {
        Self { keeper: Some(keeper), ..Self::default() }
    }

    /// Reads one layer, compressed or not, to its end, and gives the digest of its uncompressed
    /// content.
    pub(crate) fn layer(&mut self, layer: impl Read) -> io::Result<Digest> {
        uncompressed(layer, |content| self.entries(content)).map(|((), digest)| digest)
    }

    pub(crate) fn finish(self) -> BaseIndex {
        self.index
    }

    /// What was kept; see [`Keeper::finish`].
    pub(crate) fn into_kept(self) -> Result<BTreeMap<String, Node>, BTreeSet<String>> {
        self.keeper.map_or_else(|| Ok(BTreeMap::new()), Keeper::finish)
    }

    fn entries(&mut self, layer: impl Read) -> io::Result<()> {
        let mut layer = layer.take(MAX_BYTES.saturating_sub(self.bytes));
        let mut found = Vec::new();
        let mut archive = TarReader::new(&mut layer);
        for entry in archive.entries()? {
            let mut entry = entry?;
            let path = entry.path_bytes();
            // A name that is no text can be no target of ours; it only has to be there.
            let path = String::from_utf8_lossy(&path);
            if path.split('/').any(|part| part == "..") {
                return Err(invalid(&format!("an entry is called `{}`", path.escape_debug())));
            }
            let path = paths::clean(&path);
            let kind = entry.header().entry_type();
            let kept = match &mut self.keeper {
                Some(keeper) => keeper.take(&path, &mut entry)?,
                None => None,
            };
            let header = entry.header();
            let what = if kind.is_dir() {
                LayerEntry::Folder(header.mode()?, header.uid()?, header.gid()?)
            } else if kind.is_symlink() {
                let target = entry.link_name_bytes().unwrap_or_default();
                LayerEntry::Link(String::from_utf8_lossy(&target).into_owned())
            } else if kind.is_pax_global_extensions() {
                continue;
            } else if kind.is_file() && is_accounts(&path) && entry.size() <= accounts::MAX_BYTES {
                let mut text = Vec::new();
                entry.read_to_end(&mut text)?;
                LayerEntry::Text(String::from_utf8_lossy(&text).into_owned())
            } else {
                LayerEntry::File
            };
            let text =
                if let LayerEntry::Link(text) | LayerEntry::Text(text) = &what { text } else { "" };
            self.weight.add(&path, text).ok_or_else(too_many)?;
            found.push((path, what, kept.map(Box::new)));
        }
        io::copy(&mut layer, &mut io::sink())?;
        self.bytes = MAX_BYTES - layer.limit();
        if layer.limit() == 0 {
            return Err(invalid("the image's layers are too large"));
        }
        self.merge(found)
    }

    /// Whiteouts take away what lower layers have, never what this one brings.
    fn merge(&mut self, found: Vec<Found>) -> io::Result<()> {
        if let Some(keeper) = &mut self.keeper {
            keeper.layer_ended();
        }
        for (path, ..) in &found {
            let folder = self.real(paths::parent(path));
            match paths::name(path).strip_prefix(WHITEOUT) {
                Some(".wh..opq") => self.remove(&folder, false),
                Some(name) => self.remove(&paths::join(&folder, name), true),
                None => {}
            }
        }
        for (path, found, kept) in found {
            let name = paths::name(&path);
            if path.is_empty() || name.starts_with(WHITEOUT) {
                continue;
            }
            let folder = self.real(paths::parent(&path));
            self.parents(&folder)?;
            let path = paths::join(&folder, name);
            match (&found, &mut self.keeper) {
                (LayerEntry::Folder(..), _) | (_, None) => {}
                (_, Some(keeper)) => keeper.set(&path, kept.map(|node| *node)),
            }
            match found {
                LayerEntry::Folder(mode, uid, gid) => {
                    self.index.links.remove(&path);
                    self.index.files.remove(&path);
                    self.index.texts.remove(&path);
                    self.index.folders.insert(path, (mode & 0o7777, uid, gid));
                }
                LayerEntry::Link(target) => {
                    self.index.remove(&path, true);
                    self.index.links.insert(path, target);
                }
                LayerEntry::File => {
                    self.index.remove(&path, true);
                    self.index.files.insert(path);
                }
                LayerEntry::Text(text) => {
                    self.index.remove(&path, true);
                    self.index.files.insert(path.clone());
                    self.index.texts.insert(path, text);
                }
            }
        }
        Ok(())
    }

    fn remove(&mut self, path: &str, itself: bool) {
        self.index.remove(path, itself);
        if let Some(keeper) = &mut self.keeper {
            keeper.remove(path, itself);
        }
    }

    /// A folder with the links in its path followed, as unpacking follows them.
    fn real(&self, folder: &str) -> String {
        if self.index.get(folder) == Some(IndexEntry::Folder) {
            return folder.to_owned(); // the usual case: no part of it is a link
        }
        let link = |path: &str| match self.index.get(path) {
            Some(IndexEntry::Link(target)) => Ok(Some(target.to_owned())),
            _ => Ok(None),
        };
        paths::follow_links(folder, link, || ()).unwrap_or_else(|()| folder.to_owned())
    }

    /// Folders that no layer names are there all the same.
    fn parents(&mut self, folder: &str) -> io::Result<()> {
        let mut folder = folder;
        while !folder.is_empty() && !self.index.folders.contains_key(folder) {
            self.weight.add(folder, "").ok_or_else(too_many)?;
            self.index.links.remove(folder);
            self.index.files.remove(folder);
            self.index.folders.insert(folder.to_owned(), (0o755, 0, 0));
            folder = paths::parent(folder);
        }
        Ok(())
    }
}

fn too_many() -> io::Error {
    invalid("it has too many entries, or their names are too long")
}

fn invalid(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use esb_oci::{Attributes, LayerWriter};

    use super::*;

    /// A layer of lines: `d path`, `f path`, `l path target`.
    fn layer(text: &str) -> Vec<u8> {
        let mut layer = LayerWriter::new(Vec::new(), 0);
        for line in text.lines() {
            let words: Vec<_> = line.split_whitespace().collect();
            match words[..] {
                ["d", path] => layer.dir(path, Attributes::root(0o755)).unwrap(),
                ["f", path] => layer.file(path, Attributes::root(0o644), 0, &mut &b""[..]).unwrap(),
                ["l", path, to] => layer.symlink(path, Attributes::root(0o777), to).unwrap(),
                _ => panic!("{line}"),
            }
        }
        layer.finish().unwrap().0
    }

    fn index(layers: &[&str]) -> BaseIndex {
        let mut indexer = Indexer::default();
        for text in layers {
            indexer.layer(&layer(text)[..]).unwrap();
        }
        indexer.finish()
    }

    fn check(layers: &[&str], expected: &str) {
        let index = index(layers);
        let mut lines: Vec<_> = index
            .folders
            .keys()
            .map(|path| format!("{path}/"))
            .chain(index.links.iter().map(|(path, target)| format!("{path}->{target}")))
            .chain(index.files.iter().cloned())
            .collect();
        lines.sort();
        assert_eq!(lines.join(" "), expected, "{layers:?}");
    }

    #[test]
    fn layers_lie_on_each_other() {
        check(&["d a\nf a/x\nl l a"], "a/ a/x l->a");
        check(&["f a/b/x"], "a/ a/b/ a/b/x");
        check(&["f a/x\nf a/y\nf b", "f a/.wh.x\nf .wh.b"], "a/ a/y");
        check(&["f a/x\nf a/y\nf ab/z", "f a/.wh..wh..opq\nf a/n"], "a/ a/n ab/ ab/z");
        check(&["f a/x/y", "f a/x"], "a/ a/x");
        check(&["f a", "d a\nf a/x"], "a/ a/x");
        check(&["f a/x", "f .wh.a\nf a/y"], "a/ a/y");
        check(&["d usr/lib\nl lib usr/lib", "f lib/x"], "lib->usr/lib usr/ usr/lib/ usr/lib/x");
        check(&["f a/x", "l a b"], "a->b");
    }

    #[test]
    fn layers_may_be_compressed_in_any_way() {
        let tar = {
            let mut tar = Vec::new();
            let gzip = layer("d a\nf a/x");
            flate2::read::MultiGzDecoder::new(&gzip[..]).read_to_end(&mut tar).unwrap();
            tar
        };
        let level = ruzstd::encoding::CompressionLevel::Fastest;
        let zstd = ruzstd::encoding::compress_to_vec(&tar[..], level);
        for bytes in [&tar, &zstd] {
            let mut indexer = Indexer::default();
            indexer.layer(&bytes[..]).unwrap();
            assert_eq!(indexer.finish(), index(&["d a\nf a/x"]));
        }
    }

    #[test]
    fn accounts_are_kept() {
        let text = |layers: &[&[(&str, &str)]]| {
            let mut indexer = Indexer::default();
            for files in layers {
                let mut layer = LayerWriter::new(Vec::new(), 0);
                for (path, text) in *files {
                    let size = text.len() as u64;
                    layer.file(path, Attributes::root(0o644), size, &mut text.as_bytes()).unwrap();
                }
                indexer.layer(&layer.finish().unwrap().0[..]).unwrap();
            }
            indexer.finish().text(accounts::USERS).map(str::to_owned)
        };
        assert_eq!(text(&[&[("etc/passwd", "a"), ("x", "y")]]).as_deref(), Some("a"));
        assert_eq!(text(&[&[("etc/passwd", "a")], &[("./etc/passwd", "b")]]).as_deref(), Some("b"));
        assert_eq!(text(&[&[("etc/passwd", "a")], &[("etc/.wh.passwd", "")]]), None);
        assert_eq!(text(&[&[("etc/passwd", "a")], &[(".wh.etc", "")]]), None);
        assert_eq!(text(&[&[("x", "y")]]), None);
    }

    #[test]
    fn hostile_layers() {
        let zstd = [0x28, 0xb5, 0x2f, 0xfd, 0];
        assert!(Indexer::default().layer(&zstd[..]).is_err());
        let whole = layer("f a\nf b");
        assert!(Indexer::default().layer(&whole[..whole.len() / 2]).is_err());
        assert!(Indexer::default().layer(&layer("f x/../../y")[..]).is_err());
        check(&["l loop loop", "f loop/x"], "loop/ loop/x");
    }

    #[test]
    fn questions() {
        let index = index(&["d a\nf a/x\nl l a\nf ab"]);
        assert_eq!(index.get(""), Some(IndexEntry::Folder));
        assert_eq!(index.get("l"), Some(IndexEntry::Link("a")));
        assert_eq!((index.get("a/x"), index.get("n")), (Some(IndexEntry::File), None));
        assert_eq!(index.below("a").collect::<Vec<_>>(), ["a/x"]);
        assert_eq!(index.below("").collect::<Vec<_>>(), ["a", "l", "a/x", "ab"]);
        let bytes = serde_json::to_vec(&index).unwrap();
        assert_eq!(serde_json::from_slice::<BaseIndex>(&bytes).unwrap(), index);
    }
}
