//! Records: small values by kind and key, in one file for each kind.
//!
//! Owns that file: a line for each write, added at its end in one piece, so that any number of
//! processes may write and be killed at any moment; the last line of a key counts. A hundred
//! records cost one read and no new files. Large ones have a file of their own. Refuses to promise
//! anything: a line that cannot be read is no record, and what another process writes now may not
//! be seen, or be lost when lines that no longer count are dropped.

use std::{
    collections::HashMap,
    fs::File,
    io::{Read as _, Write as _},
    sync::{Mutex, PoisonError},
};

use crate::{Digest, Folder, FolderError, collect};
use bytes::Bytes;

/// The folder of all records in a store.
pub(crate) const FOLDER: &str = "records";

/// What the names of the files end with.
pub(crate) const ENDING: &str = ".log";

/// Larger values have a file of their own, and this stands in their line.
const LARGE: usize = 64 * 1024;
const ELSEWHERE: &[u8] = b"@";

/// Of a file of so many bytes lines that no longer count are dropped, when they are most of it.
const TIDY: usize = 256 * 1024;

/// A file of more bytes is begun anew.
const LIMIT: u64 = 256 * 1024 * 1024;

/// The records of a store, each kind read when it is asked for first.
#[derive(Debug)]
pub(crate) struct Records {
    folder: Folder,
    kinds: Mutex<HashMap<String, RecordKind>>,
}

/// The records of one kind in memory.
#[derive(Debug, Default)]
struct RecordKind {
    values: HashMap<Digest, Bytes>,
    /// Where lines are added, once one was.
    file: Option<File>,
}

impl Records {
    pub(crate) fn new(root: &Folder) -> Self {
        Self { folder: root.join(FOLDER), kinds: Mutex::default() }
    }

    /// The bytes of a record.
    pub(crate) fn get(&self, kind: &str, key: Digest) -> Option<Bytes> {
        let known = self.kind(kind, |kind| kind.values.get(&key).cloned());
        match known {
            Some(value) if value != ELSEWHERE => Some(value),
            Some(_) => self.large(kind, key),
            None => None,
        }
    }

    /// Lets a kind be read again.
    pub(crate) fn forget(&self, kind: &str) {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner).remove(kind);
    }

    fn large(&self, kind: &str, key: Digest) -> Option<Bytes> {
        let name = name_of(kind, key);
        let metadata = self.folder.metadata(&name).ok()??;
        collect::note_use(&self.folder.path().join(&name), &metadata);
        self.folder.read(&name, LIMIT).ok()?.map(Bytes::from)
    }

    /// Writes a record, unless it is the one that is there.
    pub(crate) fn set(&self, kind: &str, key: Digest, value: Vec<u8>) -> Result<(), FolderError> {
        let value = if value.len() > LARGE {
            self.folder.replace(name_of(kind, key), |file| file.write_all(&value))?;
            Bytes::from_static(ELSEWHERE)
        } else {
            Bytes::from(value)
        };
        // What a killed process left of its last line ends here.
        let mut line = Vec::with_capacity(value.len() + 68);
        line.extend_from_slice(b"\n");
        line.extend_from_slice(key.hex().as_bytes());
        line.extend_from_slice(b" ");
        line.extend_from_slice(&value);
        line.extend_from_slice(b"\n");
        self.kind(kind, |known| {
            if value != ELSEWHERE && known.values.get(&key) == Some(&value) {
                return Ok(());
            }
            let file = match &mut known.file {
                Some(file) => file,
                none => none.insert(self.folder.append(format!("{kind}{ENDING}"))?),
            };
            file.write_all(&line).map_err(|source| {
                let path = self.folder.path();
                FolderError::Io { action: "write a record in", path, source }
            })?;
            known.values.insert(key, value);
            Ok(())
        })
    }

    fn kind<T>(&self, name: &str, look: impl FnOnce(&mut RecordKind) -> T) -> T {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kind) = kinds.get_mut(name) {
            return look(kind);
        }
        let kind = RecordKind { values: self.read(name), file: None };
        look(kinds.entry(name.to_owned()).or_insert(kind))
    }

    /// All records of a kind. A file of which most counts no longer is written anew.
    fn read(&self, kind: &str) -> HashMap<Digest, Bytes> {
        let name = format!("{kind}{ENDING}");
        let Ok(Some(metadata)) = self.folder.metadata(&name) else { return HashMap::new() };
        if metadata.len() > LIMIT {
            let _gone = self.folder.remove_file(&name);
            return HashMap::new();
        }
        collect::note_use(&self.folder.path().join(&name), &metadata);
        let Ok(Some(text)) = self.folder.read(&name, LIMIT) else { return HashMap::new() };
        let text = Bytes::from(text);
        let mut values = HashMap::new();
        for line in text.split(|byte| *byte == b'\n').filter(|line| line.len() > 65) {
            let key = std::str::from_utf8(&line[..64]).ok().filter(|_| line[64] == b' ');
            let key = key.and_then(|hex| format!("sha256:{hex}").parse().ok());
            if let Some(key) = key {
                values.insert(key, text.slice_ref(&line[65..]));
            }
        }
        let counts: usize = values.values().map(|value| value.len() + 67).sum();
        if text.len() > TIDY && counts < text.len() / 2 {
            let _still_long = self.rewrite(&name, &values);
        }
        values
    }

    fn rewrite(&self, name: &str, values: &HashMap<Digest, Bytes>) -> Result<(), FolderError> {
        let mut text = Vec::new();
        for (key, value) in values {
            text.extend_from_slice(format!("\n{} ", key.hex()).as_bytes());
            text.extend_from_slice(value);
            text.push(b'\n');
        }
        self.folder.replace(name, |file| file.write_all(&text))
    }
}

/// Whether a file begins as one of records does; one that nothing was written to yet may be one.
pub(crate) fn is_file_of_records(folder: &Folder, name: &str) -> bool {
    let mut start = Vec::new();
    let read = |file: File| file.take(66).read_to_end(&mut start).ok();
    if folder.open(name).ok().flatten().and_then(read).is_none() {
        return false;
    }
    start.iter().enumerate().all(|(at, byte)| match at {
        0 => *byte == b'\n',
        65 => *byte == b' ',
        _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
    })
}

/// Where a large record lies in the folder of all records.
fn name_of(kind: &str, key: Digest) -> String {
    format!("{kind}/{}", key.hex())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};

    use super::*;

    fn set(records: &Records, key: Digest, value: &[u8]) {
        records.set("k", key, value.to_vec()).unwrap();
    }

    #[test]
    fn what_is_there_already_adds_no_line() {
        let folder = tempfile::tempdir().unwrap();
        let key = Digest::of(b"1");
        let length = || fs::metadata(folder.path().join("records/k.log")).unwrap().len();
        set(&Records::new(&Folder::new(folder.path())), key, b"1");
        let before = length();
        let later = Records::new(&Folder::new(folder.path()));
        set(&later, key, b"1");
        assert_eq!(length(), before);
        set(&later, key, b"2");
        assert!(length() > before);
        assert_eq!(
            Records::new(&Folder::new(folder.path())).get("k", key).as_deref(),
            Some(&b"2"[..])
        );
    }

    #[test]
    fn the_last_line_counts_and_torn_ones_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let [one, two] = [Digest::of(b"1"), Digest::of(b"2")];
        let records = Records::new(&Folder::new(folder.path()));
        assert_eq!(records.get("k", one), None);
        set(&records, one, b"1");
        set(&records, one, b"[2]");
        assert_eq!(records.get("k", one).as_deref(), Some(&b"[2]"[..]));
        assert_eq!(records.get("other", one), None);

        let path = folder.path().join("records/k.log");
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(format!("{} half", &two.hex()[..40]).as_bytes()).unwrap();
        set(&records, two, b"3");
        let later = Records::new(&Folder::new(folder.path()));
        assert_eq!(later.get("k", one).as_deref(), Some(&b"[2]"[..]));
        assert_eq!(later.get("k", two).as_deref(), Some(&b"3"[..]));
    }

    #[test]
    fn large_records_lie_elsewhere_and_old_lines_are_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let [one, two] = [Digest::of(b"1"), Digest::of(b"2")];
        let records = Records::new(&Folder::new(folder.path()));
        set(&records, one, &vec![b'x'; LARGE + 1]);
        let mut value = vec![b'y'; LARGE];
        for number in 0..9 {
            value[0] = b'0' + number;
            set(&records, two, &value);
        }
        let path = folder.path().join("records/k.log");
        assert!(fs::metadata(&path).unwrap().len() > 9 * LARGE as u64);
        let later = Records::new(&Folder::new(folder.path()));
        assert_eq!(later.get("k", one).unwrap().len(), LARGE + 1);
        assert_eq!(later.get("k", two).as_deref(), Some(&*value));
        assert!(fs::metadata(&path).unwrap().len() < 2 * LARGE as u64);
        set(&later, one, b"small");
        let last = Records::new(&Folder::new(folder.path()));
        assert_eq!(last.get("k", one).as_deref(), Some(&b"small"[..]));
        assert_eq!(last.get("k", two).as_deref(), Some(&*value));
    }
}
