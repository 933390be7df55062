//! Reads files that a project, a layout or a person brings.
//!
//! A name in a repository may be a link to a device, or a pipe that nobody writes to. So everything
//! opens files here: regular files only, and never waiting; whole contents have a limit. Refuses to
//! decide which files may lie outside of a project.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read as _},
    path::Path,
};

/// Opens a regular file to read it; links are followed.
///
/// # Errors
/// When it is missing, cannot be read, or is a folder, a pipe or a device.
pub fn open_file(path: &Path) -> io::Result<File> {
    // A device may do something when it is opened.
    regular(&fs::metadata(path)?)?;
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt as _;
        let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits();
        options.custom_flags(flags.cast_signed());
    }
    let file = options.open(path)?;
    regular(&file.metadata()?)?;
    Ok(file)
}

/// The content of a regular file of at most `limit` bytes.
///
/// # Errors
/// As [`open_file`], and when it is larger.
pub fn read_file(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = open_file(path)?;
    if file.metadata()?.len() > limit {
        return Err(too_large(limit));
    }
    read(file, limit)
}

/// The content, at most `limit` bytes, of what a person names: a file, or a pipe of another program.
///
/// # Errors
/// When it cannot be read, or is larger.
pub fn read_given(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read(File::open(path)?, limit)
}

/// Whether a path leads to a file outside of a folder, by a link or by itself. What cannot be found
/// is not outside.
pub fn leads_outside(path: &Path, folder: &Path) -> bool {
    match (path.canonicalize(), folder.canonicalize()) {
        (Ok(path), Ok(folder)) => !path.starts_with(folder),
        _ => false,
    }
}

fn read(file: File, limit: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut content)?;
    if content.len() as u64 > limit { Err(too_large(limit)) } else { Ok(content) }
}

fn regular(found: &Metadata) -> io::Result<()> {
    if found.is_file() {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"))
}

fn too_large(limit: u64) -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {limit} bytes"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use rustix::fs::{FileType, Mode};

    use super::*;

    #[test]
    fn files_are_read_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "12345").unwrap();
        symlink("file", at("link")).unwrap();
        for name in ["file", "link"] {
            assert_eq!(read_file(&at(name), 5).unwrap(), b"12345");
            let error = read_file(&at(name), 4).unwrap_err();
            assert_eq!(error.to_string(), "it has more than 4 bytes");
        }
        // One whose size is not known before it is read.
        assert!(!read_file(Path::new("/proc/self/status"), 1 << 20).unwrap().is_empty());
        assert!(read_file(Path::new("/proc/self/status"), 9).is_err());
        let mode = Mode::from_bits_truncate(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), FileType::Fifo, mode, 0).unwrap();
        symlink("/dev/zero", at("zero")).unwrap();
        for name in ["pipe", "zero", "."] {
            for read in [read_file(&at(name), 5).map(drop), open_file(&at(name)).map(drop)] {
                assert_eq!(read.unwrap_err().to_string(), "it is not a regular file", "{name}");
            }
        }
        let missing = read_file(&at("missing"), 5).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn what_a_person_names_may_be_a_pipe() {
        let zero = read_given(Path::new("/dev/zero"), 1000).unwrap_err();
        assert_eq!(zero.to_string(), "it has more than 1000 bytes");
        assert_eq!(read_given(Path::new("/dev/null"), 0).unwrap(), b"");
    }

    #[test]
    fn links_may_lead_outside() {
        let folder = tempfile::tempdir().unwrap();
        let project = folder.path().join("project");
        fs::create_dir(&project).unwrap();
        fs::write(folder.path().join("other"), "").unwrap();
        fs::write(project.join("own"), "").unwrap();
        symlink("../other", project.join("out")).unwrap();
        symlink("own", project.join("in")).unwrap();
        let outside = |name: &str| leads_outside(&project.join(name), &project);
        assert!(outside("out") && outside("../other"));
        assert!(!outside("own") && !outside("in") && !outside("missing"));
    }
}
