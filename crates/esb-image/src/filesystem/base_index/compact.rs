//! Encodes an index as a short text, which is an annotation in the manifests of our own base
//! images.
//!
//! Owns that form: sorted paths of which each leaves out what it shares with the one before it,
//! compressed, in Base64. Refuses texts that are no index of ours.

use std::{
    collections::BTreeMap,
    io::{self, BufReader, Read as _, Write as _},
};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
use serde::{Deserialize, Serialize};

use super::{BaseIndex, Weight};
use crate::{archives::tar_entries::MAX_PATH, paths};

/// What every text starts with; another number is another form
/// (docs/contracts/formats.md#images-in-a-registry).
const VERSION: &str = "1:";

/// The most bytes of a text. Registries take manifests of 4 MiB; larger indexes stay here.
const MAX_TEXT: usize = 1024 * 1024;

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
    let mut entries: Vec<(&str, u8)> =
        Vec::with_capacity(index.files.len() + index.links.len() + index.folders.len());
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

/// The index of a text; `None` when it is none, or too large.
pub(crate) fn decode(from: &str) -> Option<BaseIndex> {
    if from.len() <= MAX_TEXT { unpack(from) } else { None }
}

fn unpack(from: &str) -> Option<BaseIndex> {
    let compressed = STANDARD_NO_PAD.decode(from.strip_prefix(VERSION)?).ok()?;
    // Read as a stream: few bytes may unpack to many.
    let mut from = BufReader::new(ZlibDecoder::new(&*compressed)).bytes();
    // They come sorted: a tree that is made of all at once is made faster.
    let (mut folders, mut links, mut files) = (Vec::new(), Vec::new(), Vec::new());
    let mut before: Vec<u8> = Vec::new();
    let mut weight = Weight::default();
    while let Some(kind) = from.next() {
        let same = usize::try_from(take_number(&mut from)?).ok()?;
        before.truncate(same);
        take_text(&mut from, &mut before)?;
        let path = std::str::from_utf8(&before).ok()?;
        if path.is_empty() || !paths::is_clean(path) {
            return None;
        }
        weight.add(path, "")?;
        let path = path.to_owned();
        match kind.ok()? {
            FILE => files.push(path),
            LINK => {
                let mut target = Vec::new();
                take_text(&mut from, &mut target)?;
                let target = String::from_utf8(target).ok()?;
                weight.add("", &target)?;
                links.push((path, target));
            }
            PLAIN_FOLDER => folders.push((path, (0o755, 0, 0))),
            FOLDER => {
                let mode = u32::try_from(take_number(&mut from)?).ok()?;
                let (uid, gid) = (take_number(&mut from)?, take_number(&mut from)?);
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

fn take_number(from: &mut impl Iterator<Item = io::Result<u8>>) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..63).step_by(7) {
        let byte = from.next()?.ok()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Adds a text to the end of another, which must not become longer than a path.
fn take_text(from: &mut impl Iterator<Item = io::Result<u8>>, into: &mut Vec<u8>) -> Option<()> {
    let length = usize::try_from(take_number(from)?).ok()?;
    if length.saturating_add(into.len()) > MAX_PATH {
        return None;
    }
    for _ in 0..length {
        into.push(from.next()?.ok()?);
    }
    Some(())
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
            assert_eq!(decode(&text.replacen("1:", "2:", 1)), None, "another form");
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
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(9));
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
        // Texts that unpack to far more than they are.
        let many = |entry: &[u8], count| {
            let mut bytes = vec![FILE, 0, 1, b'a'];
            (0..count).for_each(|_| bytes.extend(entry));
            pack(&bytes)
        };
        let long = [&[FILE, 0, 0xff, 0x1f][..], &[b'a'; 0xfff]].concat(); // 4095 bytes
        assert!(decode(&pack(&long)).is_some());
        for text in [
            many(&[FILE, 1, 0], 1_000_000),
            many(&[LINK, 1, 0, 0], 1_000_000),
            pack(&[&[FILE, 0, 0xff, 0xff, 0x7f][..], &vec![b'a'; 0x001f_ffff]].concat()),
            pack(&[&long[..], &[LINK, 0xff, 0x1f, 2, b'a', b'a', 0]].concat()),
            pack(&[&[LINK, 0, 1, b'a', 0xff, 0x3f][..], &[b'a'; 0x1fff]].concat()),
            many(&long, 10_000),
        ] {
            assert!(text.len() < 100_000, "{}", text.len());
            assert_eq!(decode(&text), None, "{}", &text[..40]);
        }
        for text in ["", "1:", "1:!", "1:AAAA", "2:", &pack(b"")[2..]] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
