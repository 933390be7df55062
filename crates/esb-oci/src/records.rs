//! Records: small values by kind and key, in one file for each kind.
//!
//! Owns that file: a line for each write, added at its end in one piece, so that any number of
//! processes may write and be killed at any moment; the last line of a key counts. A hundred
//! records cost one read and no new files. Large ones have a file of their own, whose digest stands
//! in their line. Each line carries a check of itself, so that damage is found; one from before
//! there were checks is no record. A kind's name carries the version of its values
//! (docs/contracts/formats.md#kinds-of-records). Refuses to promise anything: a line that cannot be read is no
//! record, and what another process writes now may not be seen, or be lost when lines that no longer
//! count are dropped.

use std::{
    collections::HashMap,
    fs::{File, Permissions},
    io::{Read as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    Digest, Folder, FolderError, Hasher, collect,
    damage::{Damage, DamageLog},
    hash_file,
};
use bytes::Bytes;

/// The folder of all records in a store.
pub(crate) const FOLDER: &str = "records";

/// What the names of the files end with.
pub(crate) const ENDING: &str = ".log";

/// Larger values have a file of their own, and this and the file's digest stand in their line.
const LARGE: usize = 64 * 1024;
const ELSEWHERE: u8 = b'@';

/// How many hex digits the check of a line has, and what a line has beside its value.
const CHECK: usize = 16;
const AROUND: usize = 64 + 1 + CHECK + 1 + 2;

/// Of a file of so many bytes lines that no longer count are dropped, when they are most of it.
const TIDY: usize = 256 * 1024;

/// A file of more bytes is begun anew.
const LIMIT: u64 = 256 * 1024 * 1024;

/// The records of a store, each kind read when it is asked for first.
#[derive(Debug)]
pub(crate) struct Records {
    folder: Folder,
    damage: Arc<DamageLog>,
    kinds: Mutex<HashMap<String, RecordKind>>,
}

/// The records of one kind in memory.
#[derive(Debug, Default)]
struct RecordKind {
    lines: Lines,
    /// Where lines are added, once one was.
    file: Option<File>,
}

/// Lines by their keys; the last one of a key counts.
type Lines = HashMap<Digest, KnownLine>;

/// A line without its key. Its check is compared when it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct KnownLine {
    text: Bytes,
    /// Nothing stands between its end and the next one: whoever wrote it was not killed meanwhile.
    is_whole: bool,
}

/// What a line is.
enum Line {
    Good(Bytes),
    /// From before lines had a check, or not written to its end.
    None,
    Damaged,
}

impl Records {
    pub(crate) fn new(root: &Folder, damage: Arc<DamageLog>) -> Self {
        Self { folder: root.join(FOLDER), damage, kinds: Mutex::default() }
    }

    /// The bytes of a record.
    pub(crate) fn get(&self, kind: &str, key: Digest) -> Option<Bytes> {
        let line = self.kind(kind, |known| {
            let line = look(kind, key, known.lines.get(&key)?);
            if !matches!(line, Line::Good(_)) {
                known.lines.remove(&key);
            }
            Some(line)
        })?;
        match line {
            Line::Good(value) if value.first() == Some(&ELSEWHERE) => {
                self.large(kind, key, &value[1..])
            }
            Line::Good(value) => Some(value),
            Line::None => None,
            Line::Damaged => {
                self.note(kind);
                None
            }
        }
    }

    fn note(&self, kind: &str) {
        let path = self.folder.path().join(format!("{kind}{ENDING}"));
        self.damage.note(Damage::Records { path });
    }

    /// Lets a kind be read again.
    pub(crate) fn forget(&self, kind: &str) {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner).remove(kind);
    }

    fn large(&self, kind: &str, key: Digest, digest: &[u8]) -> Option<Bytes> {
        let name = name_of(kind, key);
        let metadata = self.folder.metadata(&name).ok()??;
        let path = self.folder.path().join(&name);
        collect::note_use(&path, &metadata);
        let value = self.folder.read(&name, LIMIT).ok()??;
        if Digest::of(&value).hex().as_bytes() == digest {
            return Some(Bytes::from(value));
        }
        let _still_there = self.folder.remove_file(&name);
        self.damage.note(Damage::File { path });
        None
    }

    /// Writes a record, unless it is the one that is there.
    pub(crate) fn set(&self, kind: &str, key: Digest, value: Vec<u8>) -> Result<(), FolderError> {
        let value = if value.len() > LARGE {
            self.folder.replace(name_of(kind, key), |file| write_readable(file, &value))?;
            let digest = Digest::of(&value).hex();
            [&[ELSEWHERE], digest.as_bytes()].concat()
        } else {
            value
        };
        let text = Bytes::from([check(kind, key, &value).as_bytes(), b" ", &value].concat());
        let line = KnownLine { text, is_whole: true };
        self.kind(kind, |known| {
            if known.lines.get(&key) == Some(&line) {
                return Ok(());
            }
            let file = match &mut known.file {
                Some(file) => file,
                none => none.insert(self.folder.append(format!("{kind}{ENDING}"))?),
            };
            let mut text = Vec::with_capacity(line.text.len() + AROUND);
            write_line(&mut text, key, &line.text);
            file.write_all(&text).map_err(|source| {
                let path = self.folder.path();
                FolderError::Io { action: "write a record in", path, source }
            })?;
            known.lines.insert(key, line);
            Ok(())
        })
    }

    fn kind<T>(&self, name: &str, look: impl FnOnce(&mut RecordKind) -> T) -> T {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kind) = kinds.get_mut(name) {
            return look(kind);
        }
        let kind = RecordKind { lines: self.read(name), file: None };
        look(kinds.entry(name.to_owned()).or_insert(kind))
    }

    /// All records of a kind. A file of which most counts no longer is written anew.
    fn read(&self, kind: &str) -> Lines {
        let name = format!("{kind}{ENDING}");
        let Ok(Some(metadata)) = self.folder.metadata(&name) else { return Lines::new() };
        if metadata.len() > LIMIT {
            let _gone = self.folder.remove_file(&name);
            return Lines::new();
        }
        collect::note_use(&self.folder.path().join(&name), &metadata);
        let Ok(Some(text)) = self.folder.read(&name, LIMIT) else { return Lines::new() };
        let text = Bytes::from(text);
        let (lines, is_damaged) = lines(&text);
        if is_damaged {
            self.note(kind);
        }
        let counts: usize = lines.values().map(|line| line.text.len() + AROUND - CHECK - 1).sum();
        if is_damaged || text.len() > TIDY && counts < text.len() / 2 {
            let _still_long = self.rewrite(&name, &lines);
        }
        lines
    }

    fn rewrite(&self, name: &str, lines: &Lines) -> Result<(), FolderError> {
        let mut text = Vec::new();
        for (key, line) in lines {
            write_line(&mut text, *key, &line.text);
        }
        self.folder.replace(name, |file| write_readable(file, &text))
    }

    /// Looks at every record of a kind. With `remove` those that are damaged are dropped.
    pub(crate) fn check(&self, kind: &str, remove: bool) -> Result<Checked, FolderError> {
        let name = format!("{kind}{ENDING}");
        let mut checked = Checked::default();
        let Some(text) = self.folder.read(&name, LIMIT)? else { return Ok(checked) };
        let (mut known, mut is_damaged) = lines(&Bytes::from(text));
        known.retain(|key, line| match look(kind, *key, line) {
            Line::Good(value) => {
                checked.good += 1;
                let path = self.folder.path().join(name_of(kind, *key));
                let digest = value.strip_prefix(&[ELSEWHERE]);
                let is_other = digest.is_some_and(|digest| {
                    hash_file(&path).is_ok_and(|(found, _)| found.hex().as_bytes() != digest)
                });
                if is_other {
                    checked.damaged.push(Damage::File { path });
                }
                true
            }
            Line::None => false,
            Line::Damaged => {
                is_damaged = true;
                false
            }
        });
        if remove {
            for damage in &checked.damaged {
                self.folder
                    .join(kind)
                    .remove_file(damage.path().file_name().unwrap_or_default())?;
            }
            if is_damaged {
                self.rewrite(&name, &known)?;
            }
            self.forget(kind);
        }
        if is_damaged {
            let path = self.folder.path().join(&name);
            checked.damaged.insert(0, Damage::Records { path });
        }
        Ok(checked)
    }
}

/// What was found in the records of one kind.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    pub(crate) good: usize,
    pub(crate) damaged: Vec<Damage>,
}

/// The lines of a file by their keys, and whether some are no lines of ours.
fn lines(text: &Bytes) -> (Lines, bool) {
    let (mut lines, mut is_damaged) = (Lines::new(), false);
    let mut parts = text.split(|byte| *byte == b'\n').peekable();
    while let Some(line) = parts.next() {
        if line.is_empty() {
            continue;
        }
        // Each begins and ends with a line's end: a killed process leaves one that does not.
        let is_whole = parts.peek().is_some_and(|next| next.is_empty());
        let key = line.get(..64).and_then(|key| std::str::from_utf8(key).ok());
        let key = key.filter(|_| line.len() > 65 && line[64] == b' ');
        match key.and_then(|hex| format!("sha256:{hex}").parse().ok()) {
            Some(key) => {
                let text = text.slice_ref(&line[65..]);
                drop(lines.insert(key, KnownLine { text, is_whole }));
            }
            None => is_damaged |= is_whole,
        }
    }
    (lines, is_damaged)
}

/// What a killed process left of its last line ends before this one.
fn write_line(text: &mut Vec<u8>, key: Digest, line: &[u8]) {
    text.extend_from_slice(b"\n");
    text.extend_from_slice(key.hex().as_bytes());
    text.extend_from_slice(b" ");
    text.extend_from_slice(line);
    text.extend_from_slice(b"\n");
}

fn look(kind: &str, key: Digest, line: &KnownLine) -> Line {
    let is_check = |text: &[u8]| text.iter().all(u8::is_ascii_hexdigit);
    match line.text.split_at_checked(CHECK) {
        Some((said, [b' ', value @ ..])) if is_check(said) => {
            if said == check(kind, key, value).as_bytes() {
                Line::Good(line.text.slice_ref(value))
            } else if line.is_whole {
                Line::Damaged
            } else {
                Line::None
            }
        }
        _ => Line::None,
    }
}

/// What stands in a line before its value: a value is found under no other key, and in no other
/// kind.
fn check(kind: &str, key: Digest, value: &[u8]) -> String {
    let mut hasher = Hasher::default();
    for part in [kind.as_bytes(), b"\n", key.bytes(), value] {
        hasher.update(part);
    }
    hasher.finish().0.hex()[..CHECK].to_owned()
}

/// Temporary files are private; records are read by all users of a store.
fn write_readable(file: &mut File, content: &[u8]) -> std::io::Result<()> {
    file.write_all(content)?;
    file.set_permissions(Permissions::from_mode(0o644))
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

    fn open(folder: &std::path::Path) -> Records {
        Records::new(&Folder::new(folder), Arc::default())
    }

    fn set(records: &Records, key: Digest, value: &[u8]) {
        records.set("k", key, value.to_vec()).unwrap();
    }

    #[test]
    fn what_is_there_already_adds_no_line() {
        let folder = tempfile::tempdir().unwrap();
        let key = Digest::of(b"1");
        let length = || fs::metadata(folder.path().join("records/k.log")).unwrap().len();
        set(&open(folder.path()), key, b"1");
        let before = length();
        let later = open(folder.path());
        set(&later, key, b"1");
        assert_eq!(length(), before);
        set(&later, key, b"2");
        assert!(length() > before);
        assert_eq!(open(folder.path()).get("k", key).as_deref(), Some(&b"2"[..]));
    }

    #[test]
    fn the_last_line_counts_and_torn_ones_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let [one, two] = [Digest::of(b"1"), Digest::of(b"2")];
        let records = open(folder.path());
        assert_eq!(records.get("k", one), None);
        set(&records, one, b"1");
        set(&records, one, b"[2]");
        assert_eq!(records.get("k", one).as_deref(), Some(&b"[2]"[..]));
        assert_eq!(records.get("other", one), None);

        let path = folder.path().join("records/k.log");
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(format!("{} half", &two.hex()[..40]).as_bytes()).unwrap();
        set(&records, two, b"3");
        let later = open(folder.path());
        assert_eq!(later.get("k", one).as_deref(), Some(&b"[2]"[..]));
        assert_eq!(later.get("k", two).as_deref(), Some(&b"3"[..]));
    }

    #[test]
    fn large_records_lie_elsewhere_and_old_lines_are_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let [one, two] = [Digest::of(b"1"), Digest::of(b"2")];
        let records = open(folder.path());
        set(&records, one, &vec![b'x'; LARGE + 1]);
        let mut value = vec![b'y'; LARGE];
        for number in 0..9 {
            value[0] = b'0' + number;
            set(&records, two, &value);
        }
        let path = folder.path().join("records/k.log");
        assert!(fs::metadata(&path).unwrap().len() > 9 * LARGE as u64);
        let later = open(folder.path());
        assert_eq!(later.get("k", one).unwrap().len(), LARGE + 1);
        assert_eq!(later.get("k", two).as_deref(), Some(&*value));
        assert!(fs::metadata(&path).unwrap().len() < 2 * LARGE as u64);
        set(&later, one, b"small");
        let last = open(folder.path());
        assert_eq!(last.get("k", one).as_deref(), Some(&b"small"[..]));
        assert_eq!(last.get("k", two).as_deref(), Some(&*value));
    }

    #[test]
    fn damage_is_found_and_what_has_no_check_is_no_record() {
        let folder = tempfile::tempdir().unwrap();
        let [one, two, old] = [Digest::of(b"1"), Digest::of(b"2"), Digest::of(b"3")];
        let path = folder.path().join("records/k.log");
        let write = || {
            let records = open(folder.path());
            set(&records, one, b"[1]");
            set(&records, two, b"[2]");
            set(&records, old, &vec![b'x'; LARGE + 1]);
        };
        let found = |records: &Records| {
            [one, two].map(|key| records.get("k", key).map(|value| value.to_vec()))
        };
        write();
        let good = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = good.split('\n').filter(|line| !line.is_empty()).collect();
        let [first, second] = [&lines[0][64..], &lines[1][64..]];
        let exchanged = good
            .replace(lines[0], &format!("{}{second}", one.hex()))
            .replace(lines[1], &format!("{}{first}", two.hex()));
        for (text, is_told) in [
            (exchanged, true),
            (good.replace("[1]", "[7]").replace("[2]", "[8]"), true),
            (good.replace('[', "\u{1}"), true),
            ("\nrandom\n".to_owned(), true),
            (format!("\n{} [1]\n\n{} [2]\n", one.hex(), two.hex()), false),
            // Torn by the end of a process.
            (format!("{}\n", &good[..good.find('[').unwrap()]), true),
            (good[..good.find('[').unwrap()].to_owned(), false),
            (String::new(), false),
        ] {
            fs::write(&path, &text).unwrap();
            let records = open(folder.path());
            assert_eq!(found(&records), [None, None], "{text}");
            assert_eq!(!records.damage.take().is_empty(), is_told, "{text}");
            write();
            let again = open(folder.path());
            assert_eq!(found(&again), [Some(b"[1]".to_vec()), Some(b"[2]".to_vec())], "{text}");
            assert_eq!(again.damage.take(), [], "{text}");
        }

        let large = folder.path().join("records").join(name_of("k", old));
        fs::write(&large, vec![b'y'; LARGE + 1]).unwrap();
        let records = open(folder.path());
        assert_eq!(records.get("k", old), None);
        assert_eq!(records.damage.take(), [Damage::File { path: large.clone() }]);
        assert!(!large.exists());
    }
}
