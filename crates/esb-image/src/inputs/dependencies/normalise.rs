//! Makes what a tool installed the same on every machine.
//!
//! Owns what is taken away (bytecode, notes of the tool about itself and about this machine) and
//! what is rewritten (the first line of scripts, the list of a package's files).

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use esb_oci::WHITEOUT;

use crate::{Error, archives::unpack::set_mode, error::io_error, paths};

/// The interpreter of AWS's Python images.
const INTERPRETER: &str = "#!/var/lang/bin/python3";

/// The most files of one installation.
const MAX_FILES: usize = 500_000;

/// Notes that say how and from where it was installed.
///
/// An address that a package came from may hold a password, or a signature that differs each time.
const NOTES: [&str; 6] =
    ["INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json", "uv_build.json", ".lock"];

/// The largest text that is rewritten, in bytes.
const MAX_TEXT: u64 = 64 * 1024 * 1024;

/// Normalises an installation.
pub(crate) fn normalise(folder: &Path) -> Result<(), Error> {
    narrow(folder)?;
    let mut installation = Installation::new(folder);
    installation.walk(folder, "")?;
    let Installation { removed, changed, records, .. } = installation;
    for record in records {
        rewrite_record(&record, &removed, &changed)?;
    }
    Ok(())
}

/// Tools follow the umask, with which every user could write to what goes into images.
fn narrow(path: &Path) -> Result<(), Error> {
    let mode = fs::metadata(path).map_err(io_error("look at", path))?.permissions().mode();
    if mode & 0o002 == 0 {
        return Ok(());
    }
    set_mode(path, mode & 0o7775)
}

struct Installation<'a> {
    root: &'a Path,
    files: usize,
    /// Clean paths below the root.
    removed: BTreeSet<String>,
    changed: BTreeSet<String>,
    records: Vec<PathBuf>,
}

impl<'a> Installation<'a> {
    fn new(root: &'a Path) -> Self {
        Self {
            root,
            files: 0,
            removed: BTreeSet::new(),
            changed: BTreeSet::new(),
            records: Vec::new(),
        }
    }

    fn walk(&mut self, folder: &Path, name: &str) -> Result<(), Error> {
        for entry in fs::read_dir(folder).map_err(io_error("list", folder))? {
            let entry = entry.map_err(io_error("list", folder))?;
            let (path, kind) = (entry.path(), entry.file_type().map_err(io_error("list", folder))?);
            if !kind.is_symlink() {
                narrow(&path)?;
            }
            let Ok(own) = entry.file_name().into_string() else { continue };
            let name = paths::join(name, &own);
            if own.starts_with(WHITEOUT) {
                let reason =
                    "in an image its name deletes a file; use another version of the package";
                return Err(io_error("install", &path)(std::io::Error::other(reason)));
            }
            self.files += 1;
            if self.files > MAX_FILES {
                let reason = std::io::Error::other(format!("it has more than {MAX_FILES} files"));
                return Err(io_error("list", self.root)(reason));
            }
            if kind.is_dir() {
                if own == "__pycache__" {
                    fs::remove_dir_all(&path).map_err(io_error("remove", &path))?;
                    self.removed.insert(name);
                } else {
                    self.walk(&path, &name)?;
                }
            } else if kind.is_file() {
                self.file(&path, name, &own)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, name: String, own: &str) -> Result<(), Error> {
        let in_metadata = paths::parent(&name).ends_with(".dist-info");
        let drop = is_bytecode(own) || name == ".lock" || in_metadata && NOTES.contains(&own);
        if drop {
            fs::remove_file(path).map_err(io_error("remove", path))?;
            self.removed.insert(name);
        } else if in_metadata && own == "RECORD" {
            self.records.push(path.to_owned());
        } else if name.starts_with("bin/") && rewrite_script(path)? {
            self.changed.insert(name);
        }
        Ok(())
    }
}

fn is_bytecode(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "pyc")
}

fn read(path: &Path) -> Result<String, Error> {
    let bytes = esb_oci::read_file(path, MAX_TEXT).map_err(io_error("read", path))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Scripts start with the interpreter that installed them; it is none of the image's.
fn rewrite_script(path: &Path) -> Result<bool, Error> {
    let bytes = match esb_oci::read_file(path, MAX_TEXT) {
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => return Ok(false),
        read => read.map_err(io_error("read", path))?,
    };
    let Ok(text) = String::from_utf8(bytes) else { return Ok(false) };
    let Some((first, rest)) = text.split_once('\n') else { return Ok(false) };
    let rest = if first.starts_with("#!") && first.contains("python") {
        rest
    } else if first == "#!/bin/sh" && rest.starts_with("'''exec' ") {
        // The form for interpreters with long names: three lines.
        match rest.split_once("\n' '''\n") {
            Some((_, rest)) => rest,
            None => return Ok(false),
        }
    } else {
        return Ok(false);
    };
    let new = format!("{INTERPRETER}\n{rest}");
    if new == text {
        return Ok(false);
    }
    fs::write(path, new).map_err(io_error("write", path))?;
    Ok(true)
}

/// Sorts a list of files; what is gone goes, what changed loses its hash.
fn rewrite_record(
    path: &Path,
    removed: &BTreeSet<String>,
    changed: &BTreeSet<String>,
) -> Result<(), Error> {
    let text = read(path)?;
    let mut lines = BTreeSet::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let name = match line.strip_prefix('"') {
            Some(rest) => rest.split('"').next().unwrap_or(rest),
            None => line.split(',').next().unwrap_or(line),
        };
        // Scripts lie beside the packages, and are named from the interpreter's own folder.
        let name = paths::clean(name);
        let gone = removed.contains(&name)
            || is_bytecode(&name)
            || name.split('/').any(|part| part == "__pycache__");
        if gone {
            continue;
        }
        lines.insert(if changed.contains(&name) { format!("{name},,") } else { line.to_owned() });
    }
    let mut new: String = lines.into_iter().collect::<Vec<_>>().join("\n");
    new.push('\n');
    fs::write(path, new).map_err(io_error("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_installation_is_the_same_everywhere() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("p/__init__.py", "");
        write("p/__pycache__/__init__.cpython-313.pyc", "x");
        write("p/old.pyc", "x");
        write("bin/tool", "#!/home/me/venv/bin/python3.11\nprint()\n");
        write("bin/long", "#!/bin/sh\n'''exec' \"/a b/python\" \"$0\" \"$@\"\n' '''\nprint()\n");
        write("bin/native", "#!/bin/sh\necho python\n");
        write("p-1.dist-info/INSTALLER", "pip\n");
        write("p-1.dist-info/REQUESTED", "");
        write("p-1.dist-info/direct_url.json", "{\"url\": \"file:///home/me/p\"}");
        write("q-1.dist-info/direct_url.json", "{\"url\": \"https://host/q?sig=hunter2\"}");
        write(
            "q-1.dist-info/RECORD",
            "q-1.dist-info/direct_url.json,sha256=b,9\nq.py,sha256=a,1\n",
        );
        write("INSTALLER", "a file of the package");
        write(".lock", "");
        write(
            "p-1.dist-info/RECORD",
            "p/__init__.py,sha256=a,0\r\np-1.dist-info/INSTALLER,sha256=b,4\n\
             p/__pycache__/__init__.cpython-313.pyc,,\n../../bin/tool,sha256=c,44\n\
             ../../bin/native,sha256=d,2\n\"p/a,b.py\",sha256=e,1\np-1.dist-info/RECORD,,\n",
        );
        normalise(folder.path()).unwrap();

        let read = |path: &str| fs::read_to_string(folder.path().join(path)).unwrap();
        assert_eq!(read("bin/tool"), "#!/var/lang/bin/python3\nprint()\n");
        assert_eq!(read("bin/long"), "#!/var/lang/bin/python3\nprint()\n");
        assert_eq!(read("bin/native"), "#!/bin/sh\necho python\n");
        assert_eq!(
            read("p-1.dist-info/RECORD"),
            "\"p/a,b.py\",sha256=e,1\n../../bin/native,sha256=d,2\nbin/tool,,\n\
             p-1.dist-info/RECORD,,\np/__init__.py,sha256=a,0\n"
        );
        for gone in [
            "p/__pycache__",
            "p/old.pyc",
            ".lock",
            "p-1.dist-info/INSTALLER",
            "p-1.dist-info/REQUESTED",
            "p-1.dist-info/direct_url.json",
            "q-1.dist-info/direct_url.json",
        ] {
            assert!(!folder.path().join(gone).exists(), "{gone}");
        }
        assert_eq!(read("q-1.dist-info/RECORD"), "q.py,sha256=a,1\n");
        assert!(folder.path().join("INSTALLER").exists());
    }
}
