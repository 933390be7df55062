//! uv, where this machine has none: one version, fetched once by pip from the configured index.
//!
//! Owns which bytes are run. Refuses any other.

use std::{fs, io, os::unix::fs::OpenOptionsExt as _, path::Path, path::PathBuf};

use esb_model::Event;
use esb_oci::Digest;

use super::{FOLDER, Installer, job::Job, run::Program};
use crate::{Error, blocking::blocking, fingerprint::Fingerprint, unpack::io_error};

const VERSION: &str = "0.13.9";

/// SHA-256 of its wheels: Linux on both architectures, with glibc and with musl, and macOS.
const WHEELS: [&str; 5] = [
    "d7f459fe4fd247d830351c75686d3996ace3c6f3f728eb0e85a30b7ada0cef19",
    "5435c5ce14a56431208ca0996416d310f1598e8c2c8ba707688985a16bb82dbe",
    "2c45530751517d6c3bbc69a19473f6effe47cce047bede01ffd8af7ea7b36b25",
    "c16ed11e013557536b3e60065f1b912f6407bd6518e041b961e23ef9e6b4fbf5",
    "66c512266d633bef48384a1f53003f41f2a8e7b36fe6e7fbfd3e0fd52d96fa63",
];

impl Installer {
    /// uv from the store, where it is put first when it is not there. `None`, with the reason told,
    /// when that is not to be or cannot be.
    pub(super) async fn own_uv(
        &self,
        job: &Job<'_>,
        python: &Path,
    ) -> Result<Option<PathBuf>, Error> {
        let mut key = Fingerprint::new("uv");
        key.text(VERSION);
        let place = self.store.root().join(FOLDER).join(key.finish().hex());
        let running = self.claim(&place);
        let _working = running.lock().await;
        let uv = place.join("uv");
        if !uv.is_file() {
            if !self.tools.install_uv {
                return Ok(None);
            }
            if let Err(reason) = self.fetch(job, python, &place).await? {
                let decision = format!("pip installs: uv {VERSION} could not be fetched: {reason}");
                let subject = job.image;
                job.reporter.event(&Event::Decided { subject, decision: &decision });
                return Ok(None);
            }
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
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).map_err(io_error("write", &path)).map(|()| path)
        };
        let wanted = format!("uv=={VERSION} --hash=sha256:{}\n", WHEELS.join(" --hash=sha256:"));
        let wanted = write("uv.txt", &wanted)?;
        let wheels = folder.path().join("wheels");
        let mut program = Program::new(python);
        self.surround(&mut program, job, folder.path());
        for (name, value) in job.settings.for_pip() {
            program.variable(&name, &value);
        }
        program
            .arguments(&["-m", "pip", "download", "--no-deps", "--require-hashes", "--no-input"])
            .arguments(&["--only-binary", ":all:", "--disable-pip-version-check", "--quiet"])
            .arguments(&["--progress-bar", "off", "-d"])
            .argument(&wheels)
            .arguments(&["-r"])
            .argument(wanted);
        let hidden = job.hidden();
        let log = program.run(&mut |_| {}).await.map_err(io_error("run", python))?;
        if !log.success() {
            return Ok(Err(hidden.text(&log.last())));
        }
        let place = place.to_owned();
        blocking(move || unpack(&wheels, &place, folder.path())).await
    }
}

/// Takes the program out of the one wheel of a folder, if it is one that may run.
fn unpack(wheels: &Path, place: &Path, folder: &Path) -> Result<Result<(), String>, Error> {
    let failed = |error: io::Error| io_error("read", wheels)(error);
    let entry = fs::read_dir(wheels).map_err(failed)?.flatten().next();
    let Some(wheel) = entry.map(|entry| entry.path()) else {
        return Ok(Err("nothing came".to_owned()));
    };
    let bytes = fs::read(&wheel).map_err(io_error("read", &wheel))?;
    let digest = Digest::of(&bytes).hex();
    if !WHEELS.contains(&&*digest) {
        return Ok(Err(format!("its SHA-256 is {digest}, which is none of those that may run")));
    }
    let unzip = || {
        let mut archive = zip::ZipArchive::new(io::Cursor::new(&bytes))?;
        let mut program = archive.by_name(&format!("uv-{VERSION}.data/scripts/uv"))?;
        let own = folder.join("uv");
        fs::create_dir(&own)?;
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o755).open(own.join("uv"))?;
        io::copy(&mut program, &mut file)?;
        file.sync_all()?;
        match fs::rename(&own, place) {
            // Another process was faster.
            Err(_) if place.join("uv").is_file() => Ok(()),
            other => other,
        }
    };
    unzip().map_err(io_error("unpack uv into", place))?;
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
        fs::write(wheels.join("uv-0.13.9-py3-none-any.whl"), "x").unwrap();
        let place = folder.path().join("place");
        let refused = unpack(&wheels, &place, folder.path()).unwrap().unwrap_err();
        assert!(refused.contains("none of those that may run"), "{refused}");
        assert!(!place.exists());
        assert!(WHEELS.iter().all(|hash| hash.parse::<Digest>().is_ok() || hash.len() == 64));
    }
}
