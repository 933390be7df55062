//! Encodes an index as a short text, which is an annotation in the manifests of our own base
//! images.
//!
//! Owns that form: sorted paths of which each leaves out what it shares with the one before it,
//! compressed, in Base64. Refuses texts that are no index of ours.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
use serde::{Deserialize, Serialize};

use super::{BaseIndex, MAX_ENTRIES};
use crate::paths;

/// What every text starts with; another number is another form.
const VERSION: &str = "1:";

/// The most bytes of a text. Registries take manifests of 4 MiB; larger indexes stay here.
const MAX_TEXT: usize = 1024 * 1024;

/// The most bytes of an index that is not compressed.
const MAX_BYTES: u64 = 256 * 1024 * 1024;

const FILE: u8 = 0;
const LINK: u8 = 1;
/// A folder of root with mode 755.
const PLAIN_FOLDER: u8 = 2;
const FOLDER: u8 = 3;

/// An index on the disk: its text, and what the text leaves out.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Stored {
    entries: String,
    texts: BTreeMap<String, String>,
}

impl From<BaseIndex> for Stored {
    fn from(index: BaseIndex) -> Self {
        Self { entries: pack(&index), texts: index.texts }
    }
}

impl TryFrom<Stored> for BaseIndex {
    type Error = &'static str;

    fn try_from(Stored { entries, texts }: Stored) -> Result<Self, Self::Error> {
        let index = unpack(&entries).ok_or("no index of ours")?;
        Ok(Self { texts, ..index })
    }
}

/// The text of an index, unless it would be too large.
pub(crate) fn encode(index: &BaseIndex) -> Option<String> {
    Some(pack(index)).filter(|text| text.len() <= MAX_TEXT)
}

fn pack(index: &BaseIndex) -> String {
    let mut entries: Vec<(&str, u8)> = Vec::with_capacity(index.len());
    entries.extend(index.files.iter().map(|path| (&**path, FILE)));
    entries.extend(index.links.keys().map(|path| (&**path, LINK)));
    let plain = (0o755, 0, 0);
    entries.extend(index.folders.iter().map(|(path, attributes)| {
        (&**path, if *attributes == plain { PLAIN_FOLDER } else { FOLDER })
    }));
    entries.sort_unstable();
    let mut bytes = Vec::new();
    let mut before = "";
    for (path, kind) in entries {
        let same = path.bytes().zip(before.bytes()).take_while(|(a, b)| a == b).count();
        bytes.push(kind);
        number(&mut bytes, same as u64);
        text(&mut bytes, &path.as_bytes()[same..]);
        match kind {
            LINK => text(&mut bytes, index.links[path].as_bytes()),
            FOLDER => {
                let (mode, uid, gid) = index.folders[path];
                for part in [mode.into(), uid, gid] {
                    number(&mut bytes, part);
                }
            }
            _ => {}
        }
        before = path;
    }
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(9));
    let packed = encoder.write_all(&bytes).and_then(|()| encoder.finish());
    let mut into = VERSION.to_owned();
    STANDARD_NO_PAD.encode_string(packed.expect("memory takes every byte"), &mut into);
    into
}

/// The index of a text; `None` when it is none.
pub(crate) fn decode(from: &str) -> Option<BaseIndex> {
    unpack(from).filter(|_| from.len() <= MAX_TEXT)
}

fn unpack(from: &str) -> Option<BaseIndex> {
    let from = from.strip_prefix(VERSION)?;
    let compressed = STANDARD_NO_PAD.decode(from).ok()?;
    let mut bytes = Vec::new();
    ZlibDecoder::new(&*compressed).take(MAX_BYTES).read_to_end(&mut bytes).ok()?;
    let mut left = &*bytes;
    // They come sorted: a tree that is made of all at once is made faster.
    let (mut folders, mut links, mut files) = (Vec::new(), Vec::new(), Vec::new());
    let mut before: Vec<u8> = Vec::new();
    let mut count = 0;
    while let Some((kind, rest)) = left.split_first() {
        left = rest;
        let same = usize::try_from(take_number(&mut left)?).ok()?;
        let end = take_text(&mut left)?;
        before.truncate(same);
        before.extend_from_slice(end);
        let path = std::str::from_utf8(&before).ok()?;
        count += 1;
        if path.is_empty() || paths::clean(path) != path || count > MAX_ENTRIES {
            return None;
        }
        let path = path.to_owned();
        match *kind {
            FILE => files.push(path),
            LINK => {
                let target = std::str::from_utf8(take_text(&mut left)?).ok()?;
                links.push((path, target.to_owned()));
            }
            PLAIN_FOLDER => folders.push((path, (0o755, 0, 0))),
            FOLDER => {
                let mode = u32::try_from(take_number(&mut left)?).ok()?;
                let (uid, gid) = (take_number(&mut left)?, take_number(&mut left)?);
                folders.push((path, (mode, uid, gid)));
            }
            _ => return None,
        }
    }
    Some(BaseIndex {
        folders: folders.into_iter().collect(),
        links: links.into_iter().collect(),
        files: files.into_iter().collect(),
        texts: BTreeMap::new(),
    })
}

/// Seven bits a byte, the lowest first; the eighth says that more follow.
fn number(into: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        into.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    into.push((value & 0x7f) as u8);
}

fn text(into: &mut Vec<u8>, bytes: &[u8]) {
    number(into, bytes.len() as u64);
    into.extend_from_slice(bytes);
}

fn take_number(from: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..63).step_by(7) {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn take_text<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(take_number(from)?).ok()?;
    let (text, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> BaseIndex {
        let mut index = BaseIndex::default();
        for number in 0..2000 {
            index.files.insert(format!("usr/lib/python3/module_{number}.py"));
        }
        index.files.insert("etc/ä b\n".to_owned());
        index.links.insert("lib".to_owned(), "usr/lib".to_owned());
        index.links.insert("bin".to_owned(), String::new());
        for (path, attributes) in
            [("usr", (0o755, 0, 0)), ("tmp", (0o1777, 0, 0)), ("home/u", (0o700, 993, 1 << 40))]
        {
            index.folders.insert(path.to_owned(), attributes);
        }
        index
    }

    #[test]
    fn an_index_comes_back() {
        for index in [sample(), BaseIndex::default()] {
            let text = encode(&index).unwrap();
            assert_eq!(decode(&text), Some(index));
        }
        assert!(encode(&sample()).unwrap().len() < 6000);
        assert_eq!(encode(&sample()), encode(&sample()));
    }

    #[test]
    fn a_record_keeps_what_the_text_leaves_out() {
        let mut index = sample();
        index.texts.insert("etc/passwd".to_owned(), "u:x:1000:1000".to_owned());
        let record = serde_json::to_vec(&index).unwrap();
        assert!(record.len() < 6100, "{}", record.len());
        assert_eq!(serde_json::from_slice::<BaseIndex>(&record).unwrap(), index);
        assert!(serde_json::from_str::<BaseIndex>(r#"{"entries": "x", "texts": {}}"#).is_err());
    }

    #[test]
    fn other_texts_are_refused() {
        let pack = |bytes: &[u8]| {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(1));
            encoder.write_all(bytes).unwrap();
            format!("1:{}", STANDARD_NO_PAD.encode(encoder.finish().unwrap()))
        };
        assert!(decode(&pack(&[FILE, 0, 1, b'a'])).is_some());
        for bytes in [
            &[FILE, 0, 0][..],
            &[FILE, 0, 1, b'/'],
            &[FILE, 0, 2, b'.', b'.'],
            &[FILE, 0, 9, b'a'],
            &[FILE, 0, 1, 0xff],
            &[9, 0, 1, b'a'],
            &[FOLDER, 0, 1, b'a', 1],
            &[FILE, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
        ] {
            assert_eq!(decode(&pack(bytes)), None, "{bytes:?}");
        }
        for text in ["", "1:", "1:!", "1:AAAA", "2:", &pack(b"")[2..]] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
