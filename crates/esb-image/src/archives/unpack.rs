//! Unpacks archives into folders: zip for code and layers, tar for `ADD`.
//!
//! Enforces limits, and writes nothing outside of the target, not even through a link that the
//! archive itself contains. Modes become those of an image, links stay links.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, BufReader, Read, Write as _},
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};

use zip::CompressionMethod;

use crate::{
    Error,
    archives::{
        tar_entries::{MAX_PATH, TarReader},
        zstd::{Frames, is_zstd},
    },
    error::io_error,
    paths,
};

/// Limits for unpacking an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnpackLimits {
    pub entries: usize,
    /// Bytes of all files together, uncompressed.
    pub bytes: u64,
}

impl Default for UnpackLimits {
    /// More than Lambda takes (250 MiB), far less than a disk.
    fn default() -> Self {
        Self { entries: 200_000, bytes: 2 * 1024 * 1024 * 1024 }
    }
}

/// The kinds of archives that `ADD` unpacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TarKind {
    Plain,
    Gzip,
    Zstd,
    /// Compressed in a way that only another engine reads.
    Other(&'static str),
}

/// Whether a file is an archive that `ADD` unpacks, by its content.
pub(crate) fn tar_kind(path: &Path) -> io::Result<Option<TarKind>> {
    let mut start = [0; 6];
    let mut file = esb_oci::open_file(path)?;
    let read = file.read(&mut start)?;
    let start = &start[..read];
    let other = [(&b"BZh"[..], "bzip2"), (b"\xfd7zXZ\0", "xz")];
    if let Some((_, name)) = other.iter().find(|(magic, _)| start.starts_with(magic)) {
        return Ok(Some(TarKind::Other(name)));
    }
    let file = BufReader::new(esb_oci::open_file(path)?);
    Ok(if start.starts_with(&[0x1f, 0x8b]) {
        has_entry(flate2::read::MultiGzDecoder::new(file)).then_some(TarKind::Gzip)
    } else if is_zstd(start) {
        has_entry(Frames::new(file)).then_some(TarKind::Zstd)
    } else {
        has_entry(file).then_some(TarKind::Plain)
    })
}

fn has_entry(reader: impl Read) -> bool {
    let mut archive = TarReader::new(reader);
    archive.entries().is_ok_and(|mut entries| matches!(entries.next(), Some(Ok(_))))
}

/// Unpacks a tar, compressed or not, into an empty folder; gives the folders that it names itself.
pub(crate) fn unpack_tar(
    path: &Path,
    kind: TarKind,
    target: &Path,
    limits: UnpackLimits,
) -> Result<BTreeSet<String>, Error> {
    let mut named = BTreeSet::new();
    let mut unpacker = Unpacker::new(path, target, limits);
    let file = BufReader::new(esb_oci::open_file(path).map_err(io_error("read", path))?);
    let reader: Box<dyn Read> = match kind {
        TarKind::Gzip => Box::new(flate2::read::MultiGzDecoder::new(file)),
        TarKind::Zstd => Box::new(Frames::new(file)),
        _ => Box::new(file),
    };
    let mut archive = TarReader::new(reader);
    let damaged = |error: io::Error| archive_error(path, format!("it is damaged: {error}"));
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let name = entry.path_bytes().into_owned();
        let name = unpacker.cleaned(&name)?;
        let link = entry.link_name_bytes().map(std::borrow::Cow::into_owned);
        let header = entry.header();
        let mode = header.mode().map_err(damaged)?;
        let kind = header.entry_type();
        if kind.is_dir() {
            unpacker.folder(&name)?;
            named.insert(name);
        } else if kind.is_symlink() {
            unpacker.link(&name, link.as_deref().unwrap_or_default())?;
        } else if kind.is_hard_link() {
            let to = unpacker.cleaned(link.as_deref().unwrap_or_default())?;
            unpacker.hard_link(&name, &to)?;
        } else if kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse() {
            unpacker.file(&name, mode, &mut entry)?;
        } else if !kind.is_pax_global_extensions() {
            return Err(archive_error(path, format!("`{name}` is a device or a pipe")));
        }
    }
    Ok(named)
}

/// Unpacks a zip into an empty folder.
pub(crate) fn unpack_zip(path: &Path, target: &Path, limits: UnpackLimits) -> Result<(), Error> {
    let mut unpacker = Unpacker::new(path, target, limits);
    let file = esb_oci::open_file(path).map_err(io_error("read", path))?;
    let damaged = |error: zip::result::ZipError| archive_error(path, error.to_string());
    let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(damaged)?;
    for position in 0..archive.len() {
        let mut entry = archive.by_index(position).map_err(damaged)?;
        let name = unpacker.name(entry.name_raw())?;
        if !matches!(entry.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
            return Err(unpacker.refuse(format!(
                "`{}` is compressed by another method than deflate: make the archive with `zip -r`",
                name.escape_debug()
            )));
        }
        let mode = entry.unix_mode().unwrap_or(0o644);
        if entry.is_dir() {
            unpacker.folder(&name)?;
        } else if entry.is_symlink() {
            let mut to = Vec::new();
            (&mut entry)
                .take(MAX_PATH as u64 + 1)
                .read_to_end(&mut to)
                .map_err(|error| archive_error(path, format!("`{name}` is damaged: {error}")))?;
            unpacker.link(&name, &to)?;
        } else {
            unpacker.file(&name, mode, &mut entry)?;
        }
    }
    Ok(())
}

/// Writes the entries of one archive.
struct Unpacker<'a> {
    archive: &'a Path,
    target: &'a Path,
    /// What is still allowed of it.
    limits: UnpackLimits,
    most: UnpackLimits,
}

impl<'a> Unpacker<'a> {
    fn new(archive: &'a Path, target: &'a Path, most: UnpackLimits) -> Self {
        Self { archive, target, limits: most, most }
    }

    fn refuse(&self, reason: impl Into<String>) -> Error {
        archive_error(self.archive, reason)
    }

    /// A name as a clean path that stays inside.
    fn name(&self, raw: &[u8]) -> Result<String, Error> {
        let name =
            std::str::from_utf8(raw).map_err(|_| self.refuse("a name in it is not UTF-8"))?;
        if name.starts_with('/') || name.contains('\0') || name.split('/').any(|part| part == "..")
        {
            let name = name.escape_debug();
            return Err(self.refuse(format!("`{name}` would be written outside of it")));
        }
        Ok(paths::clean(name))
    }

    /// A name as engines read those of tars: `..` takes a part away, and `/` is the target.
    fn cleaned(&self, raw: &[u8]) -> Result<String, Error> {
        let inside = std::str::from_utf8(raw)
            .ok()
            .filter(|name| name.starts_with('/') || !paths::escapes(name))
            .map(paths::clean);
        inside.map_or_else(|| self.name(raw), |name| self.name(name.as_bytes()))
    }

    fn count(&mut self) -> Result<(), Error> {
        let most = self.most.entries;
        let rest = self.limits.entries.checked_sub(1);
        self.limits.entries =
            rest.ok_or_else(|| self.refuse(format!("it has more than {most} entries")))?;
        Ok(())
    }

    /// Makes a folder; no part of its path may be anything else.
    fn folder(&mut self, name: &str) -> Result<(), Error> {
        self.count()?;
        self.folders(name)
    }

    fn folders(&self, name: &str) -> Result<(), Error> {
        let mut path = self.target.to_owned();
        for part in name.split('/').filter(|part| !part.is_empty()) {
            path.push(part);
            match fs::symlink_metadata(&path) {
                Ok(found) if found.is_dir() => continue,
                Ok(_) => {
                    let name = name.escape_debug();
                    return Err(self.refuse(format!("`{name}` leads through a file or link")));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(io_error("look at", &path)(error)),
            }
            fs::create_dir(&path).map_err(io_error("create", &path))?;
            set_mode(&path, 0o755)?;
        }
        Ok(())
    }

    /// The place of a new file or link; an earlier one of the same name goes.
    fn place(&mut self, name: &str) -> Result<PathBuf, Error> {
        self.count()?;
        self.folders(paths::parent(name))?;
        let path = self.target.join(name);
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_dir() => {
                let name = name.escape_debug();
                Err(self.refuse(format!("`{name}` is a folder and a file")))
            }
            Ok(_) => {
                fs::remove_file(&path).map_err(io_error("replace", &path))?;
                Ok(path)
            }
            Err(_) => Ok(path),
        }
    }

    fn file(&mut self, name: &str, mode: u32, content: &mut dyn Read) -> Result<(), Error> {
        let path = self.place(name)?;
        let mut file = File::options()
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(io_error("create", &path))?;
        let mut block = vec![0; 128 * 1024];
        loop {
            let read = content.read(&mut block).map_err(|error| {
                self.refuse(format!("`{}` is damaged: {error}", name.escape_debug()))
            })?;
            if read == 0 {
                break;
            }
            let most = self.most.bytes;
            let rest = self.limits.bytes.checked_sub(read as u64);
            self.limits.bytes = rest.ok_or_else(|| {
                self.refuse(format!("its files have more than {most} bytes together"))
            })?;
            file.write_all(&block[..read]).map_err(io_error("write", &path))?;
        }
        set_mode(&path, if mode & 0o111 == 0 { 0o644 } else { 0o755 })
    }

    fn link(&mut self, name: &str, target: &[u8]) -> Result<(), Error> {
        let target = std::str::from_utf8(target)
            .ok()
            .filter(|target| !target.is_empty() && !target.contains('\0'))
            .filter(|target| target.len() <= MAX_PATH)
            .ok_or_else(|| self.refuse(format!("the link `{}` is damaged", name.escape_debug())))?;
        // Relative to where the link lies. An absolute one is the image's business.
        let from_root = format!("{}/{target}", paths::parent(name));
        if !target.starts_with('/') && paths::escapes(&from_root) {
            let name = name.escape_debug();
            return Err(self.refuse(format!("the link `{name}` leads out of it")));
        }
        let path = self.place(name)?;
        symlink(target, &path).map_err(io_error("create", &path))
    }

    fn hard_link(&mut self, name: &str, to: &str) -> Result<(), Error> {
        self.folders(paths::parent(to))?;
        let from = self.target.join(to);
        if !fs::symlink_metadata(&from).is_ok_and(|found| found.is_file()) {
            let name = name.escape_debug();
            return Err(self.refuse(format!("the link `{name}` has no file")));
        }
        let path = self.place(name)?;
        fs::hard_link(&from, &path).map_err(io_error("create", &path))
    }
}

pub(crate) fn set_mode(path: &Path, mode: u32) -> Result<(), Error> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .map_err(io_error("set the mode of", path))
}

fn archive_error(path: &Path, reason: impl Into<String>) -> Error {
    Error::Archive { path: path.to_owned(), reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use zip::write::SimpleFileOptions;

    use super::*;

    /// Lines: `d path`, `f path mode content`, `l path target`.
    fn zip_of(path: &Path, text: &str) {
        let mut writer = zip::ZipWriter::new(File::create(path).unwrap());
        for line in text.lines() {
            let words: Vec<_> = line.split(' ').collect();
            let options = SimpleFileOptions::default();
            match words[..] {
                ["d", path] => writer.add_directory(path, options).unwrap(),
                ["f", path, mode, content] => {
                    let mode = u32::from_str_radix(mode, 8).unwrap();
                    writer.start_file(path, options.unix_permissions(mode)).unwrap();
                    writer.write_all(content.as_bytes()).unwrap();
                }
                ["l", path, to] => writer.add_symlink(path, to, options).unwrap(),
                _ => panic!("{line}"),
            }
        }
        writer.finish().unwrap();
    }

    #[test]
    fn another_method_than_deflate_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.zip");
        zip_of(&path, "f a 644 content");
        let mut bytes = fs::read(&path).unwrap();
        for (mark, offset) in [(b"PK\x03\x04", 8), (b"PK\x01\x02", 10)] {
            let at = bytes.windows(4).position(|window| window == mark).unwrap() + offset;
            bytes[at] = 12; // bzip2
        }
        fs::write(&path, bytes).unwrap();
        let target = folder.path().join("t");
        fs::create_dir(&target).unwrap();
        let error = unpack_zip(&path, &target, UnpackLimits::default()).unwrap_err().to_string();
        assert!(error.contains("`a` is compressed by another method than deflate"), "{error}");
        assert_eq!(fs::read_dir(&target).unwrap().count(), 0);
    }

    fn show(folder: &Path, prefix: &str, lines: &mut Vec<String>) {
        let mut entries: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            let name = format!("{prefix}{}", path.file_name().unwrap().to_str().unwrap());
            let found = fs::symlink_metadata(&path).unwrap();
            if found.is_symlink() {
                lines.push(format!("{name}->{}", fs::read_link(&path).unwrap().display()));
            } else if found.is_dir() {
                lines.push(format!("{name}/"));
                show(&path, &format!("{name}/"), lines);
            } else {
                let mode = found.permissions().mode() & 0o7777;
                lines.push(format!("{name} {mode:o} {}", fs::read_to_string(path).unwrap()));
            }
        }
    }

    fn unzip(text: &str, limits: UnpackLimits) -> Result<String, Error> {
        let folder = tempfile::tempdir().unwrap();
        let (archive, target) = (folder.path().join("a.zip"), folder.path().join("target"));
        fs::create_dir(&target).unwrap();
        zip_of(&archive, text);
        unpack_zip(&archive, &target, limits)?;
        let mut lines = Vec::new();
        show(&target, "", &mut lines);
        Ok(lines.join(", "))
    }

    #[test]
    fn zips_keep_modes_and_links() {
        let check = |text: &str, expected: &str| {
            assert_eq!(unzip(text, UnpackLimits::default()).unwrap(), expected, "{text}");
        };
        check("d e\nf a/b 640 x\nf a/run 700 y\nl a/l b", "a/, a/b 644 x, a/l->b, a/run 755 y, e/");
        check("l lib/l ../bin/x\nl abs /opt/x", "abs->/opt/x, lib/, lib/l->../bin/x");
        check("f ./a 644 x", "a 644 x");
    }

    #[test]
    fn zips_that_would_write_elsewhere_are_refused() {
        for text in [
            "f ../x 644 y",
            "f a/../../x 644 y",
            "f /etc/x 644 y",
            "l a /etc\nf a/x 644 y",
            "l a ..\nf a/x 644 y",
            "l a b/../../x",
            "l d/a ../../x",
            "f a 644 x\nf a/b 644 y",
            "d a\nf a 644 x",
        ] {
            let error = unzip(text, UnpackLimits::default()).unwrap_err();
            assert!(matches!(error, Error::Archive { .. }), "{text}: {error}");
        }
    }

    #[test]
    fn limits_hold_whatever_the_headers_say() {
        let text = format!("f a 644 {}\nf b 644 {}", "0".repeat(600_000), "0".repeat(600_000));
        let limits = UnpackLimits { entries: 2, bytes: 1_200_000 };
        assert!(unzip(&text, limits).is_ok());
        for limits in
            [UnpackLimits { entries: 1, ..limits }, UnpackLimits { bytes: 1_199_999, ..limits }]
        {
            let error = unzip(&text, limits).unwrap_err();
            assert!(matches!(error, Error::Archive { .. }), "{error}");
            assert!(error.to_string().contains("more than 1"), "the limit is named: {error}");
        }
    }

    #[test]
    fn what_is_no_zip() {
        let folder = tempfile::tempdir().unwrap();
        let archive = folder.path().join("a.zip");
        fs::write(&archive, "no zip").unwrap();
        let error = unpack_zip(&archive, folder.path(), UnpackLimits::default()).unwrap_err();
        assert!(matches!(error, Error::Archive { .. }), "{error}");
    }

    fn tar_of(entries: &[(&str, tar::EntryType, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, kind, text) in entries {
            let mut header = tar::Header::new_ustar();
            header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(0o750);
            let is_file = kind.is_file();
            header.set_size(if is_file { text.len() as u64 } else { 0 });
            if !is_file {
                header.set_link_name_literal(text).unwrap();
            }
            header.set_cksum();
            builder.append(&header, if is_file { text.as_bytes() } else { b"" }).unwrap();
        }
        builder.into_inner().unwrap()
    }

    #[test]
    fn tars() {
        use tar::EntryType as Kind;
        let folder = tempfile::tempdir().unwrap();
        let archive = folder.path().join("a.tar");
        let unpack = |entries: &[_]| {
            let target = tempfile::tempdir().unwrap();
            fs::write(&archive, tar_of(entries)).unwrap();
            assert_eq!(tar_kind(&archive).unwrap(), Some(TarKind::Plain));
            unpack_tar(&archive, TarKind::Plain, target.path(), UnpackLimits::default())?;
            let mut lines = Vec::new();
            show(target.path(), "", &mut lines);
            Ok::<_, Error>(lines.join(", "))
        };
        assert_eq!(
            unpack(&[
                ("a/", Kind::Directory, ""),
                ("a/f", Kind::Regular, "x"),
                ("h", Kind::Link, "a/f"),
                ("l", Kind::Symlink, "a"),
            ])
            .unwrap(),
            "a/, a/f 755 x, h 755 x, l->a"
        );
        assert_eq!(
            unpack(&[
                ("d/../f", Kind::Regular, "x"),
                ("/g", Kind::Regular, "y"),
                ("h", Kind::Link, "/x/../g"),
            ])
            .unwrap(),
            "f 755 x, g 755 y, h 755 y"
        );
        for bad in [
            ("../x", Kind::Regular, "x"),
            ("a/../../x", Kind::Regular, "x"),
            ("h", Kind::Link, "/etc/passwd"),
            ("h", Kind::Link, "none"),
            ("p", Kind::Fifo, ""),
        ] {
            assert!(matches!(unpack(&[bad]), Err(Error::Archive { .. })), "{bad:?}");
        }
    }

    #[test]
    fn archives_are_told_by_their_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let check = |content: &[u8], expected| {
            fs::write(&path, content).unwrap();
            assert_eq!(tar_kind(&path).unwrap(), expected, "{content:?}");
        };
        let tar = tar_of(&[("a", tar::EntryType::Regular, "x")]);
        let gzip = |content: &[u8]| {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        };
        check(&tar, Some(TarKind::Plain));
        check(&gzip(&tar), Some(TarKind::Gzip));
        check(&gzip(b"no tar"), None);
        check(b"text", None);
        check(b"", None);
        check(&[0; 2048], None);
        check(b"BZh9", Some(TarKind::Other("bzip2")));
    }
}
