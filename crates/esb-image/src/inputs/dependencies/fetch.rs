//! Fetches uv where this machine has none: one fixed version, by pip from the configured index.
//!
//! Owns which bytes are run. Refuses any other.

use std::{
    collections::BTreeMap, fs, io, os::unix::fs::OpenOptionsExt as _, path::Path, path::PathBuf,
};

use esb_model::Event;
use esb_oci::Digest;

use super::{FOLDER, InstallRequest, Installer, job::Job, put_in_place, run::Program};
use crate::{Error, blocking::blocking, error::io_error, fingerprint::Fingerprint};

const VERSION: &str = "0.13.9";

/// What its wheel is called in the store.
pub(super) const WHEEL: &str = "uv.whl";

/// More bytes than any of its wheels has.
const MAX_WHEEL: u64 = 256 * 1024 * 1024;

/// SHA-256 of its wheels: Linux on both architectures, with glibc and with musl, and macOS.
const WHEELS: [&str; 5] = [
    "d7f459fe4fd247d830351c75686d3996ace3c6f3f728eb0e85a30b7ada0cef19",
    "5435c5ce14a56431208ca0996416d310f1598e8c2c8ba707688985a16bb82dbe",
    "2c45530751517d6c3bbc69a19473f6effe47cce047bede01ffd8af7ea7b36b25",
    "c16ed11e013557536b3e60065f1b912f6407bd6518e041b961e23ef9e6b4fbf5",
    "66c512266d633bef48384a1f53003f41f2a8e7b36fe6e7fbfd3e0fd52d96fa63",
];

impl Installer {
    /// uv of the store, in a folder of this run: there a wheel is kept, and its bytes are compared
    /// before each run. It is fetched when it is not there. `None`, with the reason told, when that
    /// is not to be or cannot be.
    pub(super) async fn own_uv(
        &self,
        job: &Job<'_>,
        python: &Path,
        folder: &Path,
    ) -> Result<Option<PathBuf>, Error> {
        let mut key = Fingerprint::new("uv-wheel");
        key.text(VERSION);
        let place = self.store.root().join(FOLDER).join(key.finish().hex());
        let running = self.claim(&place);
        let _working = running.lock().await;
        let uv = folder.join("uv");
        let unpacked = || {
            let (place, uv) = (place.clone(), uv.clone());
            blocking(move || unpack(&place.join(WHEEL), &uv))
        };
        let is_there = place.join(WHEEL).is_file();
        let mut result = if is_there { unpacked().await? } else { Err("it is not there".into()) };
        let may_fetch = match &self.tools.offline {
            Some(folders) => !folders.is_empty(),
            None => self.tools.install_uv,
        };
        if result.is_err() && may_fetch {
            result = match self.fetch(job, python, &place).await? {
                Ok(()) => unpacked().await?,
                refused => refused,
            };
        } else if !is_there {
            return Ok(None);
        }
        if let Err(reason) = result {
            let decision = format!("pip installs: uv {VERSION} could not be used: {reason}");
            let subject = job.image;
            job.reporter.event(&Event::Decided { subject, decision: &decision });
            return Ok(None);
        }
        self.store.note_use(&place);
        Ok(Some(uv))
    }

    async fn fetch(
        &self,
        job: &Job<'_>,
        python: &Path,
        place: &Path,
    ) -> Result<Result<(), String>, Error> {
        let folder = self.scratch()?;
        let wheels = folder.path().join("wheels");
        if let Err(reason) = self.download_uv(job, python, (folder.path(), &wheels), None).await? {
            return Ok(Err(reason));
        }
        let place = place.to_owned();
        blocking(move || keep(&wheels, &place, folder.path())).await
    }

    /// Puts uv's wheels into a folder of wheels: for this machine, and for Linux on both
    /// architectures, where an index has them. Says what came.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub async fn fetch_uv(
        &self,
        request: InstallRequest<'_>,
        to: &Path,
    ) -> Result<BTreeMap<String, u64>, Error> {
        let mut came = BTreeMap::new();
        let job = self.job(request).await?;
        let Some(python) = &self.tools.python else { return Ok(came) };
        for platform in [None, Some("manylinux_2_17_x86_64"), Some("manylinux_2_17_aarch64")] {
            let folder = self.scratch()?;
            let wheels = folder.path().join("wheels");
            let folders = (folder.path(), &*wheels);
            if self.download_uv(&job, python, folders, platform).await?.is_err() {
                continue;
            }
            let to = to.to_owned();
            let moved = blocking(move || {
                let moved = super::wheelhouse::move_wheels(&wheels, &to);
                drop(folder);
                moved
            });
            came.extend(moved.await?);
        }
        Ok(came)
    }

    /// Has pip download uv's wheel, for this machine or for another platform.
    async fn download_uv(
        &self,
        job: &Job<'_>,
        python: &Path,
        (folder, wheels): (&Path, &Path),
        platform: Option<&str>,
    ) -> Result<Result<(), String>, Error> {
        let mut options = String::new();
        for place in self.tools.offline.iter().flatten() {
            let place = super::entry::escaped(&place.to_string_lossy());
            options.extend(["--find-links file://", &*place, "\n"]);
        }
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::write(&path, text).map_err(io_error("write", &path)).map(|()| path)
        };
        let wanted =
            format!("uv=={VERSION} --hash=sha256:{}\n{options}", WHEELS.join(" --hash=sha256:"));
        let wanted = write("uv.txt", &wanted)?;
        let mut program = Program::new(python);
        self.surround(&mut program, job, folder);
        for (name, value) in self.reachable(job.settings.for_pip()) {
            program.variable(&name, &value);
        }
        program
            .arguments(&["-m", "pip", "download", "--no-deps", "--require-hashes", "--no-input"])
            .arguments(&["--only-binary", ":all:", "--disable-pip-version-check", "--quiet"])
            .arguments(&["--progress-bar", "off", "-d"])
            .argument(wheels)
            .arguments(&["-r"])
            .argument(wanted);
        if let Some(platform) = platform {
            program.arguments(&["--platform", platform]);
        }
        let hidden = job.hidden();
        let log = program.run(&mut |_| {}).await.map_err(io_error("run", python))?;
        Ok(if log.success() { Ok(()) } else { Err(hidden.text(&log.last())) })
    }
}

/// Puts the one wheel of a folder where it is kept, if it is one that may run.
fn keep(wheels: &Path, place: &Path, folder: &Path) -> Result<Result<(), String>, Error> {
    let failed = |error: io::Error| io_error("read", wheels)(error);
    let entry = fs::read_dir(wheels).map_err(failed)?.flatten().next();
    let Some(wheel) = entry.map(|entry| entry.path()) else {
        return Ok(Err("nothing came".to_owned()));
    };
    if let Err(reason) = verified(&wheel)? {
        return Ok(Err(reason));
    }
    let own = folder.join("own");
    let put = || {
        fs::create_dir(&own)?;
        fs::rename(&wheel, own.join(WHEEL))
    };
    put().map_err(io_error("put uv into", &own))?;
    // What is there is not what may run, or another process was faster.
    put_in_place(&own, place, folder, true)?;
    Ok(Ok(()))
}

/// The bytes of a wheel that may run.
pub(super) fn verified(wheel: &Path) -> Result<Result<Vec<u8>, String>, Error> {
    let bytes = match esb_oci::read_file(wheel, MAX_WHEEL) {
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            return Ok(Err(error.to_string()));
        }
        read => read.map_err(io_error("read", wheel))?,
    };
    let digest = Digest::of(&bytes).hex();
    if !WHEELS.contains(&&*digest) {
        return Ok(Err(format!("its SHA-256 is {digest}, which is none of those that may run")));
    }
    Ok(Ok(bytes))
}

/// Takes the program out of a wheel that may run.
fn unpack(wheel: &Path, uv: &Path) -> Result<Result<(), String>, Error> {
    let bytes = match verified(wheel)? {
        Ok(bytes) => bytes,
        Err(reason) => return Ok(Err(reason)),
    };
    let unzip = || {
        let mut archive = zip::ZipArchive::new(io::Cursor::new(&bytes))?;
        let mut program = archive.by_name(&format!("uv-{VERSION}.data/scripts/uv"))?;
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o700).open(uv)?;
        io::copy(&mut program, &mut file).map(drop)
    };
    unzip().map_err(io_error("unpack uv into", uv))?;
    Ok(Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_bytes_are_not_unpacked() {
        let folder = tempfile::tempdir().unwrap();
        let wheels = folder.path().join("wheels");
        fs::create_dir(&wheels).unwrap();
        let wheel = wheels.join("uv-0.13.9-py3-none-any.whl");
        fs::write(&wheel, "x").unwrap();
        let (place, uv) = (folder.path().join("place"), folder.path().join("uv"));
        // Neither what came nor what is kept is trusted.
        for refused in [keep(&wheels, &place, folder.path()), unpack(&wheel, &uv)] {
            let refused = refused.unwrap().unwrap_err();
            assert!(refused.contains("none of those that may run"), "{refused}");
        }
        assert!(!place.exists() && !uv.exists());
        assert!(WHEELS.iter().all(|hash| hash.parse::<Digest>().is_ok() || hash.len() == 64));
    }
}
