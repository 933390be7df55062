//! Interrupts a sync: by SIGKILL, a full disk, another sync; and checks how much memory a large
//! layer takes.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use esb_test::{Fault, LoggingProxy, Registry, Rule};
use serde_json::json;

use super::{
    parts::{Parts, expect},
    sync::{Sites, equal},
};
use crate::{
    bench::memory,
    checks::{Outcome, Trouble},
    command::{output, run},
};

/// The large layer, in bytes, and the most memory that its copy may take, in MiB.
const LARGE: u64 = 512 * 1024 * 1024;
const MEMORY: f64 = 48.0;

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
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
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

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _left_behind = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

/// The disk of the target is full, then it is not; our own is full.
pub(crate) fn full_disk(parts: &Parts) -> Outcome {
    let mut sites = Sites::start(parts, "full")?;
    let (disk, cache) = (sites.folder.join("small"), parts.work.join("caches/sync-no-room"));
    let small = SmallDisk::mount(&disk, "1m")?;
    sites.target = Registry::start(&disk)?;
    let file = sites.file(sites.source.address(), &["one"])?;
    let said = expect(&mut sites.import(parts, &file, "full"), 4)?;
    said.tells(&["IMAGE_PUSH_FAILED", "/from/acme/one"])?;
    sites.absent("one")?;
    small.grow()?;
    expect(&mut sites.import(parts, &file, "full"), 0)?;
    sites.agree("one")?;
    let _no_room = SmallDisk::mount(&cache, "16k")?;
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
        children.push(import.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?);
    }
    for child in children {
        let ended = child.wait_with_output()?;
        let said = String::from_utf8_lossy(&ended.stderr);
        equal(&format!("exit code, after {said}"), &Some(0), &ended.status.code())?;
    }
    sites.agree("one")?;
    sites.agree("two")?;
    equal("kept", &0, &kept_bytes(&parts.work.join("caches/sync-twice/partial")))
}

/// A layer of half a GiB goes through a process that stays small.
pub(crate) fn memory_is_bounded(parts: &Parts) -> Outcome {
    let sites = Sites::start(parts, "large")?;
    let layout = sites.folder.join("layout-large");
    let blobs = layout.join("blobs/sha256");
    fs::create_dir_all(&blobs)?;
    // Zeros are an empty archive, and take no room here.
    let zeros = layout.join("zeros");
    fs::File::create(&zeros)?.set_len(LARGE)?;
    let sum = output(Command::new("sha256sum").arg(&zeros))?;
    let hex = sum.split(' ').next().unwrap_or_default().to_owned();
    fs::rename(&zeros, blobs.join(&hex))?;
    let digest: esb_oci::Digest = format!("sha256:{hex}").parse().map_err(|_| "no digest")?;
    let layer = esb_oci::Descriptor::new(esb_oci::media_type::OCI_LAYER_TAR, digest, LARGE);
    let mut config = esb_oci::ImageConfig::empty("amd64");
    let history = esb_oci::History { created: "1980-01-01T00:00:00Z", created_by: "check" };
    config.push_layer(digest, &history);
    let document = |kind: &str, bytes: Vec<u8>| -> Outcome<esb_oci::Descriptor> {
        let digest = esb_oci::Digest::of(&bytes);
        fs::write(blobs.join(digest.hex()), &bytes)?;
        Ok(esb_oci::Descriptor::new(kind, digest, bytes.len() as u64))
    };
    let config = document(esb_oci::media_type::OCI_CONFIG, config.to_bytes())?;
    let kind = esb_oci::media_type::OCI_MANIFEST;
    let manifest = json!({
        "schemaVersion": 2, "mediaType": kind, "config": config, "layers": [layer],
    });
    let manifest = document(kind, manifest.to_string().into_bytes())?;
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    fs::write(layout.join("index.json"), index.to_string())?;
    fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
    run(Command::new("skopeo")
        .args(["--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"])
        .arg(format!("oci:{}", layout.display()))
        .arg(format!("docker://{}/acme/large:1", sites.source.address())))?;
    let file = sites.file(sites.source.address(), &["large"])?;
    let peak = memory::peak(&mut sites.import(parts, &file, "large"))?;
    sites.agree("large")?;
    if peak < MEMORY {
        return Ok(());
    }
    Err(Trouble::Failed(format!("a layer of {LARGE} bytes took {peak:.1} MiB of memory")))
}
