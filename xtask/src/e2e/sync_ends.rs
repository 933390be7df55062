//! What ends a sync in the middle: SIGKILL, a full disk, another sync.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use esb_test::{Fault, LoggingProxy, Registry, Rule};

use super::{
    parts::{Parts, expect},
    sync::{Sites, equal},
};
use crate::{
    checks::{Outcome, Trouble},
    command::output,
};

/// The longest wait for a step of another process.
const PATIENCE: Duration = Duration::from_mins(2);

/// Killed inside a blob of a slow source, the next run asks for the rest of it alone.
pub(crate) fn killed(parts: &Parts) -> Outcome {
    let sites = Sites::start(parts, "killed")?;
    let proxy = LoggingProxy::start(sites.source.address())?;
    let slow = Fault::Slow { piece: 200_000, pause: Duration::from_millis(100) };
    proxy.inject(Rule::on("GET", "/blobs/", slow));
    let file = sites.file(&proxy.address(), &["one"])?;
    let mut import = sites.import(parts, &file, "killed");
    let mut child = import.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let kept = parts.work.join("caches/sync-killed/partial");
    let start = Instant::now();
    while kept_bytes(&kept) < 1_300_000 {
        if start.elapsed() > PATIENCE || child.try_wait()?.is_some() {
            return Err("the sync left nothing to go on with".into());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill()?;
    child.wait()?;
    sites.absent("one")?;
    let left = kept_bytes(&kept);
    proxy.heal();
    proxy.clear();
    expect(&mut sites.import(parts, &file, "killed"), 0)?;
    sites.agree("one")?;
    let requests = proxy.requests();
    let range = format!("bytes={left}-");
    let rest = requests.iter().filter(|r| r.header("range") == Some(&range));
    let read: Vec<u64> = rest.map(|r| r.response_bytes).collect();
    // A layer is an archive: three million bytes, a header, and the padding.
    match read[..] {
        [size] if size < 3_000_000 - left + 20_000 => Ok(()),
        _ => Err(Trouble::Failed(format!("{left} bytes were there: {requests:#?}"))),
    }
}

/// Bytes that downloads left in a folder.
fn kept_bytes(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum()
}

/// A folder of a limited size.
struct Small<'a>(&'a Path);

impl<'a> Small<'a> {
    fn mount(folder: &'a Path, size: &str) -> Outcome<Self> {
        fs::create_dir_all(folder)?;
        let size = format!("size={size}");
        output(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder))?;
        Ok(Self(folder))
    }

    fn grow(&self) -> Outcome {
        let options = ["-o", "remount,size=100m"];
        output(Command::new("mount").args(options).arg(self.0)).map(drop)
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        let _left_behind = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

/// The disk of the target is full, then it is not; our own is full.
pub(crate) fn full_disk(parts: &Parts) -> Outcome {
    let mut sites = Sites::start(parts, "full")?;
    let (disk, cache) = (sites.folder.join("small"), parts.work.join("caches/sync-no-room"));
    let small = Small::mount(&disk, "1m")?;
    sites.target = Registry::start(&disk)?;
    let file = sites.file(sites.source.address(), &["one"])?;
    let said = expect(&mut sites.import(parts, &file, "full"), 4)?;
    said.tells(&["IMAGE_PUSH_FAILED", "/from/acme/one"])?;
    sites.absent("one")?;
    small.grow()?;
    expect(&mut sites.import(parts, &file, "full"), 0)?;
    sites.agree("one")?;
    let _no_room = Small::mount(&cache, "16k")?;
    let file = sites.file(sites.source.address(), &["two"])?;
    expect(&mut sites.import(parts, &file, "no-room"), 0)?;
    sites.agree("two")
}

/// Two syncs of the same images at once, with one memory.
pub(crate) fn two_at_once(parts: &Parts) -> Outcome {
    let sites = Sites::start(parts, "twice")?;
    let proxy = LoggingProxy::start(sites.source.address())?;
    proxy.inject(Rule::on(
        "GET",
        "/blobs/",
        Fault::Slow { piece: 500_000, pause: Duration::from_millis(30) },
    ));
    let file = sites.file(&proxy.address(), &["one", "two"])?;
    let mut children = Vec::new();
    for _ in 0..2 {
        let mut import = sites.import(parts, &file, "twice");
        children.push(import.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
    }
    for mut child in children {
        equal("exit code", &Some(0), &child.wait()?.code())?;
    }
    sites.agree("one")?;
    sites.agree("two")?;
    equal("kept", &0, &kept_bytes(&parts.work.join("caches/sync-twice/partial")))
}
