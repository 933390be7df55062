//! Sends the build context to a daemon: first the list of all files, then those that the daemon
//! asks for.
//!
//! Owns the sending side of the protocol (`fsutil`): STAT for each entry in the order of a walk,
//! DATA for each entry that is asked for, FIN. Refuses names and patterns of the daemon's own: it
//! gets what the Dockerfile copies and nothing else.
//!
//! A daemon takes a file for unchanged when path, size and time are the same, so a file's time is
//! made of its content: a fresh clone sends nothing, and no change is missed. Times are later than
//! the image's, which the daemon gives to all files that are.

use std::{
    fs,
    io::{self, Read},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bollard_buildkit_proto::fsutil::types::{Packet, Stat, packet::PacketType};
use esb_oci::Digest;
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

use crate::context::{Item, ItemKind};

/// Bytes of a file that travel at a time.
const BLOCK: usize = 64 * 1024;
/// Packets that may wait for the connection.
pub(super) const WAITING: usize = 8;
/// Go's marks of folders and links among the bits of a mode.
const FOLDER: u32 = 1 << 31;
const LINK: u32 = 1 << 27;
const NANOS: i64 = 1_000_000_000;
/// Files get times within a year after the image's.
const SPAN: i64 = 1 << 25;

/// The files that a daemon may fetch under one name.
#[derive(Debug, Default)]
pub(super) struct FileTree {
    entries: Vec<Sent>,
    bytes: AtomicU64,
    files: AtomicU64,
    failure: Mutex<Option<(PathBuf, io::Error)>>,
}

#[derive(Debug)]
struct Sent {
    path: String,
    mode: u32,
    time: i64,
    what: EntryContent,
}

#[derive(Debug)]
enum EntryContent {
    Folder,
    Link(String),
    File(PathBuf),
    Text(Vec<u8>),
}

impl FileTree {
    /// The files, folders and links of a context; `epoch` is the image's time in seconds since 1970.
    pub(super) fn of_context(items: &[Item], epoch: i64) -> Self {
        let sent = items.iter().map(|item| {
            let (mark, time, what) = match &item.kind {
                ItemKind::Folder => (FOLDER, epoch * NANOS, EntryContent::Folder),
                ItemKind::Link(target) => (LINK, epoch * NANOS, EntryContent::Link(target.clone())),
                ItemKind::File(content) => {
                    (0, time(content.digest, epoch), EntryContent::File(content.path.clone()))
                }
            };
            Sent { path: item.path.clone(), mode: mark | item.attributes.mode, time, what }
        });
        let mut entries: Vec<Sent> = sent.collect();
        // As a walk finds them: `a/b` comes before `a-b`.
        entries.sort_by(|a, b| a.path.split('/').cmp(b.path.split('/')));
        Self { entries, ..Self::default() }
    }

    /// Files of texts, by name.
    pub(super) fn of_texts(texts: &[(&str, &str)], epoch: i64) -> Self {
        let sent = texts.iter().map(|(name, text)| Sent {
            path: (*name).to_owned(),
            mode: 0o644,
            time: time(Digest::of(text.as_bytes()), epoch),
            what: EntryContent::Text(text.as_bytes().to_vec()),
        });
        let mut entries: Vec<Sent> = sent.collect();
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Self { entries, ..Self::default() }
    }

    /// Files and bytes of files that were fetched so far.
    pub(super) fn fetched(&self) -> (u64, u64) {
        (self.files.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }

    /// Takes the error of the file that could not be read on this machine.
    pub(super) fn take_failure(&self) -> Option<(PathBuf, io::Error)> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn failed(&self, path: &std::path::Path, error: io::Error) -> Status {
        let status = Status::internal(format!("`{}`: {error}", path.display()));
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert((path.to_owned(), error));
        status
    }

    fn stat(&self, sent: &Sent) -> Result<Stat, Status> {
        let mut stat = Stat {
            path: sent.path.clone(),
            mode: sent.mode,
            mod_time: sent.time,
            ..Stat::default()
        };
        match &sent.what {
            EntryContent::Folder => {}
            EntryContent::Link(target) => stat.linkname.clone_from(target),
            EntryContent::Text(text) => stat.size = i64::try_from(text.len()).unwrap_or(i64::MAX),
            EntryContent::File(path) => {
                let found = fs::metadata(path).map_err(|error| self.failed(path, error))?;
                stat.size = i64::try_from(found.len()).unwrap_or(i64::MAX);
            }
        }
        Ok(stat)
    }

    /// Tells all entries. Blocks.
    fn tell(&self, out: &mpsc::Sender<Result<Packet, Status>>) -> Result<(), Status> {
        let send = |stat| {
            let packet =
                Packet { r#type: PacketType::PacketStat.into(), stat, ..Packet::default() };
            out.blocking_send(Ok(packet)).map_err(gone)
        };
        for sent in &self.entries {
            send(Some(self.stat(sent)?))?;
        }
        send(None)
    }

    /// Sends the content of one entry. Blocks.
    fn send(&self, id: u32, out: &mpsc::Sender<Result<Packet, Status>>) -> Result<(), Status> {
        let entry = usize::try_from(id).ok().and_then(|id| self.entries.get(id));
        let (mut reader, path): (Box<dyn Read>, _) = match entry.map(|entry| &entry.what) {
            Some(EntryContent::File(path)) => {
                let file = esb_oci::open_file(path).map_err(|error| self.failed(path, error))?;
                (Box::new(file), path.clone())
            }
            Some(EntryContent::Text(text)) => (Box::new(&text[..]), PathBuf::new()),
            _ => return Err(Status::invalid_argument("there is no such file")),
        };
        self.files.fetch_add(1, Ordering::Relaxed);
        loop {
            let mut data = vec![0; BLOCK];
            let read = reader.read(&mut data).map_err(|error| self.failed(&path, error))?;
            data.truncate(read);
            self.bytes.fetch_add(read as u64, Ordering::Relaxed);
            let packet =
                Packet { r#type: PacketType::PacketData.into(), id, data, ..Packet::default() };
            out.blocking_send(Ok(packet)).map_err(gone)?;
            if read == 0 {
                return Ok(());
            }
        }
    }
}

/// A time that follows from content, after `epoch`, in nanoseconds since 1970.
fn time(content: Digest, epoch: i64) -> i64 {
    let bits = i64::from_str_radix(&content.hex()[..15], 16).expect("a digest has hex digits");
    (epoch + 1) * NANOS + bits % (SPAN * NANOS)
}

/// Answers the requests of one daemon until it has what it needs. Errors are sent to the daemon.
pub(super) async fn serve(
    tree: Arc<FileTree>,
    mut asked: Streaming<Packet>,
    out: mpsc::Sender<Result<Packet, Status>>,
) {
    let blocking = |work: Box<dyn FnOnce() -> Result<(), Status> + Send>| async {
        let done = tokio::task::spawn_blocking(work).await;
        done.unwrap_or_else(|error| Err(Status::internal(error.to_string())))
    };
    let telling = {
        let (tree, out) = (Arc::clone(&tree), out.clone());
        blocking(Box::new(move || tree.tell(&out)))
    };
    let sending = async {
        while let Some(packet) = asked.message().await? {
            match packet.r#type() {
                PacketType::PacketReq => {
                    let (tree, out) = (Arc::clone(&tree), out.clone());
                    blocking(Box::new(move || tree.send(packet.id, &out))).await?;
                }
                PacketType::PacketFin => {
                    let fin = Packet { r#type: PacketType::PacketFin.into(), ..Packet::default() };
                    return out.send(Ok(fin)).await.map_err(gone);
                }
                PacketType::PacketErr => {
                    return Err(Status::aborted(String::from_utf8_lossy(&packet.data)));
                }
                PacketType::PacketStat | PacketType::PacketData => {}
            }
        }
        Ok(())
    };
    if let Err(status) = tokio::try_join!(telling, sending) {
        let data = status.message().as_bytes().to_vec();
        let packet = Packet { r#type: PacketType::PacketErr.into(), data, ..Packet::default() };
        // A daemon that is gone does not want to know.
        let _gone = out.send(Ok(packet)).await;
    }
}

fn gone<T>(_: T) -> Status {
    Status::cancelled("the daemon is gone")
}

#[cfg(test)]
mod tests {
    use esb_oci::Attributes;

    use super::*;

    #[test]
    fn entries_stand_in_the_order_of_a_walk() {
        let attributes = Attributes::root(0o755);
        let entry = |path: &str| Item { path: path.to_owned(), attributes, kind: ItemKind::Folder };
        let tree = FileTree::of_context(&["a", "a-b", "a/b", "a/b/c"].map(entry), 0);
        let paths: Vec<&str> = tree.entries.iter().map(|entry| &*entry.path).collect();
        assert_eq!(paths, ["a", "a/b", "a/b/c", "a-b"]);
    }

    #[test]
    fn times_follow_from_content() {
        let check = |text: &str, epoch: i64| {
            let time = time(Digest::of(text.as_bytes()), epoch);
            assert!(time > epoch * NANOS && time < (epoch + 2 * SPAN) * NANOS, "{time}");
            time
        };
        assert_eq!(check("a", 315_532_800), check("a", 315_532_800));
        assert_ne!(check("a", 315_532_800), check("b", 315_532_800));
        assert_ne!(check("a", 0), check("b", 0));
    }
}
