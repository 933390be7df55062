//! Splits one archive of a root file system into layers.
//!
//! Owns what is left out, which layer a path belongs to, and bytes that depend on the content
//! alone: sorted paths, one time for all, owners and modes as they are. Refuses devices, which a
//! container gets from its engine.

use super::Error;
use flate2::{Compression, GzBuilder, write::GzEncoder};
use sha2::{Digest as _, Sha256};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::File,
    io::{self, BufReader, BufWriter, Read as _, Seek as _, SeekFrom, Write},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    thread,
};
use tar::{Archive, Builder, EntryType, Header};

/// The layers, lowest first, with what each is.
pub(super) const LAYERS: [&str; 3] =
    ["Debian", "the interpreter in /var/lang", "the runtime client, the SDK and the emulator"];

/// Paths that are not needed, or that would differ from build to build. A slash at the end leaves
/// the folder itself.
const LEFT_OUT: &[&str] = &[
    "dev/",
    "etc/hostname",
    "etc/resolv.conf",
    "proc/",
    "run/",
    "sys/",
    "tmp/",
    "usr/share/doc/",
    "usr/share/info/",
    "usr/share/lintian",
    "usr/share/locale/",
    "usr/share/man/",
    "var/cache/apt/",
    "var/cache/debconf/",
    "var/cache/ldconfig/",
    "var/lib/apt/lists/",
    "var/lib/dpkg/status-old",
    "var/lib/dpkg/available",
    "var/log/",
    "var/tmp/",
];

/// A layer that has been written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layer {
    /// Of the compressed bytes, in hexadecimal digits.
    pub(super) digest: String,
    /// Of the archive, in hexadecimal digits.
    pub(super) diff_id: String,
    /// Compressed bytes.
    pub(super) size: u64,
    pub(super) path: PathBuf,
}

/// One entry of the archive.
#[derive(Debug, Clone)]
struct Item {
    header: Header,
    position: u64,
    size: u64,
    link: Option<PathBuf>,
}

/// Where a file's content lies in the archive, by the path under which it lies there.
type Items = BTreeMap<Vec<u8>, Item>;

/// Splits the archive into layers, written into `folder` side by side.
pub(super) fn split(archive: &Path, folder: &Path, epoch: u64) -> Result<Vec<Layer>, Error> {
    let items = index(archive).map_err(Error::file("read", archive))?;
    let results: Vec<Result<Layer, Error>> = thread::scope(|scope| {
        let start = |number: usize| {
            let (items, target) = (&items, folder.join(format!("layer-{number}")));
            scope.spawn(move || {
                let written = write(archive, items, number, &target, epoch);
                written.map_err(Error::file("write", &target))
            })
        };
        let running: Vec<_> = (0..LAYERS.len()).map(start).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, Result<Layer, Error>>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        running.into_iter().map(join).collect()
    });
    results.into_iter().collect()
}

fn index(archive: &Path) -> io::Result<Items> {
    let mut archive = Archive::new(BufReader::new(File::open(archive)?));
    let mut items = Items::new();
    for entry in archive.entries_with_seek()? {
        let entry = entry?;
        let path = plain(&entry.path()?);
        if path.is_empty() {
            continue; // the root itself
        }
        items.insert(
            path,
            Item {
                header: entry.header().clone(),
                position: entry.raw_file_position(),
                size: entry.size(),
                link: entry.link_name()?.map(std::borrow::Cow::into_owned),
            },
        );
    }
    Ok(items)
}

/// A path without a leading `./` and without a slash at its end.
fn plain(path: &Path) -> Vec<u8> {
    let path: PathBuf = path.components().filter(|part| is_name(*part)).collect();
    path.as_os_str().as_bytes().to_vec()
}

fn is_name(part: std::path::Component) -> bool {
    matches!(part, std::path::Component::Normal(_))
}

fn left_out(path: &[u8]) -> bool {
    LEFT_OUT.iter().any(|other| {
        let other = other.as_bytes();
        if other.ends_with(b"/") {
            path.len() > other.len() && path.starts_with(other)
        } else {
            path == other || path.strip_prefix(other).is_some_and(|rest| rest.starts_with(b"/"))
        }
    })
}

/// The number of the layer that a path belongs to.
fn layer_of(path: &[u8]) -> usize {
    let below = |folder: &str| {
        let rest = path.strip_prefix(folder.as_bytes());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    };
    if below("var/lang") {
        return 1;
    }
    let runtime =
        ["var/runtime", "var/task", "opt", "lambda-entrypoint.sh", "usr/local/bin/aws-lambda-rie"];
    if runtime.into_iter().any(below) { 2 } else { 0 }
}

fn write(
    archive: &Path,
    items: &Items,
    number: usize,
    target: &Path,
    epoch: u64,
) -> io::Result<Layer> {
    let mut source = File::open(archive)?;
    let file = Hashing::new(BufWriter::new(File::create(target)?));
    let gzip: GzEncoder<_> = GzBuilder::new().mtime(0).write(file, Compression::new(6));
    // Whole blocks: what the compressor gives depends on how its input is cut.
    let blocks = BufWriter::with_capacity(64 * 1024, gzip);
    let mut tar = Builder::new(Hashing::new(blocks));

    // The first path of each content in this layer carries it; the others are links to that one.
    let mut carriers: BTreeMap<Vec<u8>, PathBuf> = BTreeMap::new();
    for (path, item) in items {
        if left_out(path) || layer_of(path) != number {
            continue;
        }
        let name = Path::new(std::ffi::OsStr::from_bytes(path));
        let (content, item) = match (item.header.entry_type(), &item.link) {
            (EntryType::Link, Some(link)) => {
                let content = plain(link);
                let found = items.get(&content).ok_or(io::ErrorKind::NotFound)?;
                (content, found)
            }
            _ => (path.clone(), item),
        };
        let mut header = Header::new_gnu();
        header.set_mode(item.header.mode()? & 0o7777);
        header.set_uid(item.header.uid()?);
        header.set_gid(item.header.gid()?);
        header.set_mtime(epoch);
        header.set_size(0);
        header.set_entry_type(item.header.entry_type());
        match item.header.entry_type() {
            EntryType::Directory => tar.append_data(&mut header, name, io::empty())?,
            EntryType::Symlink => {
                let link = item.link.as_deref().ok_or(io::ErrorKind::InvalidData)?;
                tar.append_link(&mut header, name, link)?;
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                if let Some(carrier) = carriers.get(&content) {
                    header.set_entry_type(EntryType::Link);
                    tar.append_link(&mut header, name, carrier)?;
                    continue;
                }
                carriers.insert(content, name.to_owned());
                header.set_entry_type(EntryType::Regular);
                header.set_size(item.size);
                source.seek(SeekFrom::Start(item.position))?;
                let data = BufReader::new(&source).take(item.size);
                tar.append_data(&mut header, name, data)?;
            }
            _ => {} // devices, pipes
        }
    }
    let (blocks, diff_id, _) = tar.into_inner()?.finish();
    let gzip = blocks.into_inner()?;
    let (file, digest, size) = gzip.finish()?.finish();
    file.into_inner()?.sync_all()?;
    Ok(Layer { digest, diff_id, size, path: target.to_owned() })
}

/// Counts and hashes what it passes on.
struct Hashing<W> {
    inner: W,
    hash: Sha256,
    size: u64,
}

impl<W: Write> Hashing<W> {
    fn new(inner: W) -> Self {
        Self { inner, hash: Sha256::new(), size: 0 }
    }

    fn finish(self) -> (W, String, u64) {
        (self.inner, hex(&self.hash.finalize()), self.size)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    /// Path, kind, owner, mode, link target and content of each entry.
    fn listing(layer: &Layer) -> Vec<String> {
        let file = File::open(&layer.path).unwrap();
        let mut archive = Archive::new(flate2::read::GzDecoder::new(file));
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut content = String::new();
            entry.read_to_string(&mut content).unwrap();
            let header = entry.header();
            format!(
                "{} {:?} {}:{} {:o} {} {} {content}",
                entry.path().unwrap().display(),
                header.entry_type(),
                header.uid().unwrap(),
                header.gid().unwrap(),
                header.mode().unwrap(),
                header.mtime().unwrap(),
                entry.link_name().unwrap().unwrap_or_default().display(),
            )
        });
        entries.collect()
    }

    fn archive(path: &Path, mtime: u64) {
        let mut tar = Builder::new(File::create(path).unwrap());
        let mut add = |kind, name: &str, mode, link: &str, content: &str| {
            let mut header = Header::new_gnu();
            header.set_entry_type(kind);
            header.set_mode(mode);
            header.set_uid(0);
            header.set_gid(42);
            header.set_mtime(mtime);
            header.set_size(content.len() as u64);
            if link.is_empty() {
                tar.append_data(&mut header, name, content.as_bytes()).unwrap();
            } else {
                tar.append_link(&mut header, name, link).unwrap();
            }
        };
        add(EntryType::Directory, "./", 0o755, "", "");
        add(EntryType::Directory, "./usr/", 0o755, "", "");
        add(EntryType::Regular, "./usr/z", 0o4755, "", "content");
        add(EntryType::Link, "./usr/a", 0o4755, "./usr/z", "");
        add(EntryType::Link, "./var/lang/bin/z", 0o4755, "./usr/z", "");
        add(EntryType::Symlink, "./bin", 0o777, "usr/bin", "");
        add(EntryType::Directory, "./usr/share/doc/", 0o755, "", "");
        add(EntryType::Regular, "./usr/share/doc/x", 0o644, "", "words");
        add(EntryType::Char, "./console", 0o600, "", "");
        add(EntryType::Directory, "./opt/", 0o755, "", "");
        tar.into_inner().unwrap();
    }

    #[test]
    fn layers_are_sorted_and_keep_owners_modes_and_links() {
        let dir = tempfile::tempdir().unwrap();
        let whole = dir.path().join("root.tar");
        archive(&whole, 1_700_000_000);
        let layers = split(&whole, dir.path(), 7).unwrap();
        let listings: Vec<Vec<String>> = layers.iter().map(listing).collect();
        assert_eq!(
            listings,
            [
                vec![
                    "bin Symlink 0:42 777 7 usr/bin ",
                    "usr Directory 0:42 755 7  ",
                    "usr/a Regular 0:42 4755 7  content",
                    "usr/share/doc Directory 0:42 755 7  ",
                    "usr/z Link 0:42 4755 7 usr/a ",
                ],
                vec!["var/lang/bin/z Regular 0:42 4755 7  content"],
                vec!["opt Directory 0:42 755 7  "],
            ]
        );
    }

    #[test]
    fn the_same_content_gives_the_same_bytes() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let digests = [(&one, 1_600_000_000), (&two, 1_700_000_000)].map(|(dir, mtime)| {
            let whole = dir.path().join("root.tar");
            archive(&whole, mtime);
            split(&whole, dir.path(), 7).unwrap().into_iter().map(|layer| layer.digest).collect()
        });
        let [first, second]: [Vec<String>; 2] = digests;
        assert_eq!(first, second);
    }

    #[test]
    fn only_whole_names_are_left_out() {
        for (path, out) in [
            ("dev", false),
            ("dev/null", true),
            ("device", false),
            ("etc/hostname", true),
            ("etc/hostnames", false),
            ("usr/share/lintian/x", true),
        ] {
            assert_eq!(left_out(path.as_bytes()), out, "{path}");
        }
    }
}
