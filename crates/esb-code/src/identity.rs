//! Tells files apart by what the file system says of them, so that unchanged ones are not read.

use std::{
    fs, io,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use esb_oci::Digest;

/// How much older than now a file must be, in nanoseconds, for a later change to show: file systems
/// have clocks of their own, and some count whole seconds.
const FINE: i128 = 50_000_000;
const COARSE: i128 = 2_500_000_000;

/// A key that changes with the content of a file, and with what it is read for. `None` when a change
/// might not show in it.
pub(crate) fn of(path: &Path, purpose: &str) -> Option<Digest> {
    let found = fs::metadata(path).ok()?;
    let nanoseconds =
        |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
    let modified = nanoseconds(found.mtime(), found.mtime_nsec());
    let changed = nanoseconds(found.ctime(), found.ctime_nsec());
    let last = modified.max(changed);
    let tick = if last % 1_000_000_000 == 0 { COARSE } else { FINE };
    if now().ok()? - last <= tick {
        return None;
    }
    let (size, device, inode) = (found.size(), found.dev(), found.ino());
    let mut text =
        format!("{purpose}\0{size} {modified} {changed} {device} {inode}\0").into_bytes();
    text.extend(path.as_os_str().as_bytes());
    Some(Digest::of(&text))
}

fn now() -> io::Result<i128> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(io::Error::other)?;
    i128::try_from(now.as_nanos()).map_err(io::Error::other)
}
