//! Keeps the beginning of a slow download, so that a later process resumes it.
//!
//! Owns a folder of the content store with the first bytes of blobs, one file for each. Only slow
//! downloads leave anything: on a fast link to read again costs less than to write everything down.
//! Only the holder of a file's lock reads or writes it. Nothing here is verified: the reader of a
//! blob hashes it from its first byte on.

use std::{
    io::{self, Read as _, Write as _},
    time::{Duration, Instant},
};

use bytes::Bytes;
use esb_oci::{ContentStore, Descriptor, Folder, LockedFile};

/// The folder in the store.
const FOLDER: &str = "partial";
/// How much has to arrive before a download is known to be slow or fast.
const PROBE: u64 = 1024 * 1024;
/// How much is read at once of what an earlier run left.
const BLOCK: usize = 256 * 1024;

/// Where downloads leave what they have.
#[derive(Debug, Clone)]
pub(crate) struct Partials {
    folder: Folder,
    slow: Duration,
}

impl Partials {
    /// In a store; downloads whose first MiB takes longer than `slow` are kept.
    pub(crate) fn new(store: &ContentStore, slow: Duration) -> Self {
        Self { folder: store.folder().join(FOLDER), slow }
    }

    /// Opens what an earlier run left of a blob, and the file for more.
    pub(crate) fn open(&self, blob: &Descriptor) -> PartialBlob {
        let (folder, name) = (self.folder.clone(), blob.digest.hex());
        let state = match existing(&folder, &name, blob.size) {
            Existing::File(file, length) => DownloadState::Replaying { file, left: length },
            // Too small to be worth it, or somebody else's.
            Existing::Taken => DownloadState::Off,
            Existing::None if blob.size <= PROBE => DownloadState::Off,
            Existing::None => DownloadState::Probing { since: Instant::now(), held: Vec::new() },
        };
        let start = match &state {
            DownloadState::Replaying { left, .. } => *left,
            _ => 0,
        };
        PartialBlob { folder, name, slow: self.slow, state, start, size: blob.size, done: 0 }
    }
}

enum Existing {
    File(LockedFile, u64),
    Taken,
    None,
}

fn existing(folder: &Folder, name: &str, size: u64) -> Existing {
    let Ok(Some(_)) = folder.metadata(name) else { return Existing::None };
    let Ok(file) = folder.append(name) else { return Existing::None };
    let length = file.metadata().map(|found| found.len()).unwrap_or_default();
    if file.try_lock().is_err() {
        return Existing::Taken;
    }
    let file = LockedFile::new(file);
    if length > size || length == 0 {
        // It is not what its name says.
        let _gone = folder.remove_file(name);
        return Existing::None;
    }
    Existing::File(file, length)
}

/// The first bytes of one blob on disk, as its download goes on.
#[derive(Debug)]
pub(crate) struct PartialBlob {
    folder: Folder,
    name: String,
    slow: Duration,
    state: DownloadState,
    /// How many bytes an earlier run left.
    start: u64,
    size: u64,
    /// How many bytes of the blob went by.
    done: u64,
}

#[derive(Debug)]
enum DownloadState {
    /// Reads what an earlier run left.
    Replaying {
        file: LockedFile,
        left: u64,
    },
    /// Finds out whether the download is slow.
    Probing {
        since: Instant,
        held: Vec<Bytes>,
    },
    Keeping(LockedFile),
    Off,
}

impl PartialBlob {
    /// Where the download has to begin.
    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    /// The next bytes that an earlier run left; `None` after the last.
    pub(crate) fn replay(&mut self) -> Option<io::Result<Bytes>> {
        let DownloadState::Replaying { file, left } = &mut self.state else { return None };
        let mut block = vec![0; usize::try_from(*left).unwrap_or(BLOCK).min(BLOCK)];
        if let Err(error) = (&**file).read_exact(&mut block) {
            self.give_up();
            return Some(Err(error));
        }
        *left -= block.len() as u64;
        self.done += block.len() as u64;
        if *left == 0
            && let DownloadState::Replaying { file, .. } =
                std::mem::replace(&mut self.state, DownloadState::Off)
        {
            self.state = DownloadState::Keeping(file);
        }
        self.end();
        Some(Ok(block.into()))
    }

    /// Takes note of bytes that arrived.
    pub(crate) fn note(&mut self, bytes: &Bytes) {
        self.done += bytes.len() as u64;
        match &mut self.state {
            DownloadState::Keeping(file) => {
                if (&**file).write_all(bytes).is_err() {
                    // A full disk must not keep an image from being copied.
                    self.give_up();
                }
            }
            DownloadState::Probing { since, held } => {
                held.push(bytes.clone());
                if self.done >= PROBE {
                    let held = std::mem::take(held);
                    self.state = if since.elapsed() < self.slow || self.done >= self.size {
                        DownloadState::Off
                    } else {
                        self.begin(&held).map_or(DownloadState::Off, DownloadState::Keeping)
                    };
                }
            }
            DownloadState::Replaying { .. } | DownloadState::Off => {}
        }
        self.end();
    }

    fn begin(&self, held: &[Bytes]) -> Option<LockedFile> {
        let file = self.folder.append(&self.name).ok()?;
        file.try_lock().ok()?;
        let file = LockedFile::new(file);
        if file.metadata().ok()?.len() > 0 {
            // Another process was faster, and is done.
            return None;
        }
        if held.iter().try_for_each(|bytes| (&*file).write_all(bytes)).is_err() {
            let _gone = self.folder.remove_file(&self.name);
            return None;
        }
        Some(file)
    }

    /// Removes what was kept once all of the blob went by: whoever reads it knows by then whether
    /// it is the right one, and if it is not, the next run must not begin with it.
    fn end(&mut self) {
        if self.done >= self.size && matches!(self.state, DownloadState::Keeping(_)) {
            self.give_up();
        }
    }

    /// Removes what was kept.
    fn give_up(&mut self) {
        let _gone = self.folder.remove_file(&self.name);
        self.state = DownloadState::Off;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use esb_oci::Digest;

    #[test]
    fn only_slow_downloads_leave_something_and_one_at_a_time_goes_on_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = ContentStore::open(folder.path()).unwrap();
        let whole = vec![7; 3 << 20];
        let blob = Descriptor::new("x", Digest::of(&whole), whole.len() as u64);
        let part = |from: usize, to: usize| Bytes::copy_from_slice(&whole[from..to]);
        let path = folder.path().join(FOLDER).join(blob.digest.hex());

        let mut fast = Partials::new(&store, Duration::from_hours(1)).open(&blob);
        fast.note(&part(0, 2 << 20));
        assert!(!path.exists());

        let slow = Partials::new(&store, Duration::ZERO);
        let mut first = slow.open(&blob);
        first.note(&part(0, 1000));
        assert!(!path.exists(), "it is not known to be slow yet");
        first.note(&part(1000, 2 << 20));
        assert_eq!(slow.open(&blob).start(), 0, "somebody else's");
        drop(first);

        let mut second = slow.open(&blob);
        assert_eq!(second.start(), 2 << 20);
        let mut again = Vec::new();
        while let Some(block) = second.replay() {
            again.extend_from_slice(&block.unwrap());
        }
        assert_eq!(again, whole[..2 << 20]);
        second.note(&part(2 << 20, (2 << 20) + 10));
        drop(second);
        assert_eq!(fs::metadata(&path).unwrap().len(), (2 << 20) + 10);

        let mut third = slow.open(&blob);
        while third.replay().is_some() {}
        third.note(&part((2 << 20) + 10, 3 << 20));
        assert!(!path.exists(), "all of it went by");
        assert_eq!(slow.open(&blob).start(), 0);

        fs::write(&path, vec![0; (3 << 20) + 1]).unwrap();
        assert_eq!(slow.open(&blob).start(), 0, "more than the blob has");
        assert!(!path.exists());
    }
}
