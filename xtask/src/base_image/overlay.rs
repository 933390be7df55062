//! Adds to Debian what an AWS base image has: scripts, the runtime client, the emulator, an
//! interpreter.
//!
//! Owns one tar archive, all of it owned by root, for mmdebstrap to unpack over the new root.
//! Refuses times: the layers set them.

use super::{
    Error,
    version::{Language, Version},
};
use std::{
    fs::{self, File},
    io::{self, BufWriter, Read},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};
use tar::{Builder, EntryType, Header};
use walkdir::{DirEntry, WalkDir};

const ENTRYPOINT: &str = include_str!("files/lambda-entrypoint.sh");
const BOOTSTRAP: &str = include_str!("files/bootstrap");
const BOOTSTRAP_PY: &str = include_str!("files/bootstrap.py");
const PIP: &str = include_str!("files/pip");
const FINISH: &str = include_str!("files/finish.sh");
const BOOTSTRAP_JAVA: &str = include_str!("files/bootstrap-java");
const FINISH_JAVA: &str = include_str!("files/finish-java.sh");

/// Where the finishing script lies inside until it has run.
pub(super) const FINISH_PATH: &str = "/finish-stand-in.sh";

/// Everything of ours that decides what a stand-in is, for the recipe's digest.
pub(super) fn texts(language: Language) -> &'static [&'static str] {
    match language {
        Language::Python => &[ENTRYPOINT, BOOTSTRAP, BOOTSTRAP_PY, PIP, FINISH],
        Language::Java => &[ENTRYPOINT, BOOTSTRAP_JAVA, FINISH_JAVA],
    }
}

/// Names below an interpreter's library that no function needs.
const NOT_COPIED: &[&str] = &[
    "__pycache__",
    "config-",
    "ensurepip",
    "idlelib",
    "site-packages",
    "test",
    "tests",
    "tkinter",
    "turtledemo",
    "_tkinter.",
    "nis.",
];

/// The most bytes of the emulator in its wheel.
const RIE_LIMIT: u64 = 64 * 1024 * 1024;

/// Where the overlay's parts lie on this machine.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    pub(super) version: Version,
    /// A folder with the runtime client, and for Python the SDK.
    pub(super) runtime: &'a Path,
    /// pip's target with pip itself; not there for Java.
    pub(super) site_packages: &'a Path,
    /// The wheel that has the emulator.
    pub(super) rie_wheel: &'a Path,
    /// An interpreter's folder, when Debian does not have the version.
    pub(super) interpreter: Option<&'a Path>,
}

/// Writes the overlay as a tar archive.
pub(super) fn write(parts: &Parts, archive: &Path) -> Result<(), Error> {
    let file = File::create(archive).map_err(Error::file("create", archive))?;
    let mut overlay = Overlay { tar: Builder::new(BufWriter::new(file)), path: archive };
    let version = parts.version.name();
    let text = |template: &str| template.replace("@VERSION@", version);
    overlay.text("lambda-entrypoint.sh", 0o755, ENTRYPOINT)?;
    let rie = emulator(parts.rie_wheel)?;
    overlay.file("usr/local/bin/aws-lambda-rie", 0o755, rie.len() as u64, rie.as_slice())?;
    if parts.version.language() == Language::Java {
        for folder in ["opt", "var/task", "var/lang", "var/runtime"] {
            overlay.folder(Path::new(folder))?;
        }
        overlay.text(&FINISH_PATH[1..], 0o755, FINISH_JAVA)?;
        overlay.text("var/runtime/bootstrap", 0o755, &text(BOOTSTRAP_JAVA))?;
        overlay.tree(parts.runtime, Path::new("var/runtime/lib"), &[])?;
        return overlay.finish();
    }
    let library = format!("var/lang/lib/python{version}");
    for folder in ["opt", "var/task", "var/lang", "var/lang/bin", "var/lang/lib", &library] {
        overlay.folder(Path::new(folder))?;
    }
    overlay.text(&FINISH_PATH[1..], 0o755, FINISH)?;
    overlay.tree(parts.runtime, Path::new("var/runtime"), &["__pycache__", "bin"])?;
    overlay.text("var/runtime/bootstrap", 0o755, &text(BOOTSTRAP))?;
    overlay.text("var/runtime/bootstrap.py", 0o644, BOOTSTRAP_PY)?;
    let packages = PathBuf::from(&library).join("site-packages");
    overlay.tree(parts.site_packages, &packages, &["__pycache__", "bin"])?;
    for name in ["pip".to_owned(), "pip3".to_owned(), format!("pip{version}")] {
        overlay.text(&format!("var/lang/bin/{name}"), 0o755, &text(PIP))?;
    }
    if let Some(prefix) = parts.interpreter {
        overlay.interpreter(prefix, version, &library)?;
    }
    overlay.finish()
}

/// A package's list of files without its scripts, which stay behind: they name the interpreter that
/// ran pip.
fn without_scripts(record: &str) -> String {
    let stays = |line: &&str| !line.starts_with("../../bin/") && !line.starts_with("bin/");
    record.split_inclusive('\n').filter(stays).collect()
}

/// The emulator for this machine's kind of processor, out of its wheel.
fn emulator(wheel: &Path) -> Result<Vec<u8>, Error> {
    let machine = match std::env::consts::ARCH {
        "aarch64" => "arm64",
        other => other,
    };
    let file = File::open(wheel).map_err(Error::file("open", wheel))?;
    let unpack = |source| Error::Wheel { path: wheel.to_owned(), source };
    let mut wheel_files = zip::ZipArchive::new(file).map_err(unpack)?;
    let name = format!("samcli/local/rapid/aws-lambda-rie-{machine}");
    let entry = wheel_files.by_name(&name).map_err(unpack)?;
    let mut bytes = Vec::new();
    entry.take(RIE_LIMIT).read_to_end(&mut bytes).map_err(Error::file("unpack", wheel))?;
    Ok(bytes)
}

struct Overlay<'a> {
    tar: Builder<BufWriter<File>>,
    path: &'a Path,
}

impl Overlay<'_> {
    fn finish(self) -> Result<(), Error> {
        let finish = |tar: Builder<BufWriter<File>>| tar.into_inner()?.into_inner()?.sync_data();
        finish(self.tar).map_err(Error::file("write", self.path))
    }

    fn text(&mut self, path: &str, mode: u32, text: &str) -> Result<(), Error> {
        self.file(path, mode, text.len() as u64, text.as_bytes())
    }

    fn file(
        &mut self,
        path: impl AsRef<Path>,
        mode: u32,
        size: u64,
        content: impl Read,
    ) -> Result<(), Error> {
        let mut header = header(EntryType::Regular, mode);
        header.set_size(size);
        let wrote = self.tar.append_data(&mut header, path, content);
        wrote.map_err(Error::file("write", self.path))
    }

    fn folder(&mut self, path: &Path) -> Result<(), Error> {
        let mut header = header(EntryType::Directory, 0o755);
        let wrote = self.tar.append_data(&mut header, path, io::empty());
        wrote.map_err(Error::file("write", self.path))
    }

    fn link(&mut self, path: &Path, target: &Path) -> Result<(), Error> {
        let mut header = header(EntryType::Symlink, 0o777);
        let wrote = self.tar.append_link(&mut header, path, target);
        wrote.map_err(Error::file("write", self.path))
    }

    /// Everything below `from`, but for the names in `without`; one that ends in `-` or `.` stands
    /// for all that begin so.
    fn tree(&mut self, from: &Path, to: &Path, without: &[&str]) -> Result<(), Error> {
        let wanted = |entry: &DirEntry| {
            let name = entry.file_name().to_string_lossy();
            let unwanted = |other: &&str| {
                if other.ends_with(['-', '.']) { name.starts_with(*other) } else { name == *other }
            };
            entry.depth() == 0 || !without.iter().any(unwanted)
        };
        let walk = WalkDir::new(from).sort_by_file_name().into_iter().filter_entry(wanted);
        for entry in walk {
            let entry = entry.map_err(|error| {
                let path = error.path().unwrap_or(from).to_owned();
                Error::File { action: "read", path, source: error.into() }
            })?;
            let inside = entry.path().strip_prefix(from).unwrap_or(Path::new(""));
            let target = to.join(inside);
            if entry.file_type().is_dir() {
                self.folder(&target)?;
            } else if entry.file_name() == "RECORD" {
                let read = Error::file("read", entry.path());
                let record = without_scripts(&fs::read_to_string(entry.path()).map_err(read)?);
                self.file(target, 0o644, record.len() as u64, record.as_bytes())?;
            } else {
                self.copy(entry.path(), &target)?;
            }
        }
        Ok(())
    }

    /// One file or symbolic link.
    fn copy(&mut self, from: &Path, to: &Path) -> Result<(), Error> {
        let read = Error::file("read", from);
        let metadata = match fs::symlink_metadata(from) {
            Ok(metadata) => metadata,
            Err(error) => return Err(read(error)),
        };
        if metadata.is_symlink() {
            let target = fs::read_link(from).map_err(read)?;
            return self.link(to, &target);
        }
        let mode = if metadata.permissions().mode() & 0o111 == 0 { 0o644 } else { 0o755 };
        let file = File::open(from).map_err(read)?;
        self.file(to, mode, metadata.len(), file.take(metadata.len()))
    }

    /// An interpreter's binary, shared libraries and standard library, without its packages.
    fn interpreter(&mut self, prefix: &Path, version: &str, library: &str) -> Result<(), Error> {
        let binary = prefix.join(format!("bin/python{version}"));
        self.copy(&binary, &Path::new("var/lang/bin").join(format!("python{version}")))?;
        let folder = prefix.join("lib");
        let entries = fs::read_dir(&folder).map_err(Error::file("read folder", &folder))?;
        let mut libraries: Vec<PathBuf> = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                name.starts_with("libpython") && name.contains(".so")
            })
            .collect();
        libraries.sort();
        for path in libraries {
            let name = path.file_name().unwrap_or_default();
            self.copy(&path, &Path::new("var/lang/lib").join(name))?;
        }
        let from = prefix.join(format!("lib/python{version}"));
        self.tree(&from, Path::new(library), NOT_COPIED)
    }
}

fn header(kind: EntryType, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(0);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_loses_its_scripts_only() {
        let record =
            "../../bin/jp.py,sha256=x,1\njmespath/bin/x.py,,\njmespath/ast.py,sha256=y,2\n";
        let wanted = "jmespath/bin/x.py,,\njmespath/ast.py,sha256=y,2\n";
        assert_eq!(without_scripts(record), wanted);
    }

    #[test]
    fn names_are_left_out_whole_or_by_their_beginning() {
        let dir = tempfile::tempdir().unwrap();
        let library = dir.path().join("library");
        for name in ["os.py", "test/x.py", "tests.py", "config-3.12/y", "config.py", "nis.so"] {
            let path = library.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "text").unwrap();
        }
        let archive = dir.path().join("overlay.tar");
        let tar = Builder::new(BufWriter::new(File::create(&archive).unwrap()));
        let mut overlay = Overlay { tar, path: &archive };
        overlay.tree(&library, Path::new("lib"), NOT_COPIED).unwrap();
        overlay.tar.into_inner().unwrap().into_inner().unwrap();
        let mut written = tar::Archive::new(File::open(&archive).unwrap());
        let names: Vec<String> = written
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect();
        assert_eq!(names, ["lib/", "lib/config.py", "lib/os.py", "lib/tests.py"]);
    }
}
