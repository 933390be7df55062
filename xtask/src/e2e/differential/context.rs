//! Makes build contexts from text, one entry a line.
//!
//! Owns what lies on the disk, twice where it matters: as a person may have it, and with the modes
//! that an image of ours gives it (architecture, invariant 4), for the engine that keeps modes.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
};

use flate2::{Compression, write::GzEncoder};

use crate::checks::Outcome;

/// Writes a context: `path = content`, `path/`, `path -> target`, `path => file with another name`,
/// `path @ tar entries, with commas between`; a mode may stand in front, `0700 path = …`.
pub(super) fn write(root: &Path, text: &str, normal: bool) -> Outcome {
    fs::create_dir_all(root)?;
    for line in text.lines().filter(|line| !line.is_empty()) {
        let (mode, line) = match line.split_once(' ') {
            Some((mode, rest)) if mode.len() == 4 && mode.starts_with('0') => {
                (u32::from_str_radix(mode, 8).map_err(|error| error.to_string())?, rest)
            }
            _ => (if line.ends_with('/') { 0o755 } else { 0o644 }, line),
        };
        entry(root, line, mode, normal)?;
    }
    if normal {
        // Folders that no line names have the mode that the process gives them.
        for folder in walkdir::WalkDir::new(root) {
            let folder = folder.map_err(|error| error.to_string())?;
            if folder.file_type().is_dir() {
                fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
            }
        }
    }
    Ok(())
}

fn entry(root: &Path, line: &str, mode: u32, normal: bool) -> Outcome {
    let place = |path: &str| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap_or(root))?;
        Ok::<_, std::io::Error>(path)
    };
    if !line.contains(" @ ") {
        if let Some((path, target)) = line.split_once(" -> ") {
            return Ok(symlink(target, place(path)?)?);
        }
        if let Some((path, target)) = line.split_once(" => ") {
            return Ok(fs::hard_link(root.join(target), place(path)?)?);
        }
    }
    if let Some(path) = line.strip_suffix('/') {
        let path = place(path)?;
        fs::create_dir_all(&path)?;
        let mode = if normal { 0o755 } else { mode };
        return Ok(fs::set_permissions(&path, fs::Permissions::from_mode(mode))?);
    }
    let executable = if mode & 0o111 == 0 { 0o644 } else { 0o755 };
    let mode = if normal { executable } else { mode };
    let (path, content) = if let Some((path, entries)) = line.split_once(" @ ") {
        (path, archive(path, entries)?)
    } else {
        let (path, content) = line.split_once(" = ").unwrap_or((line, ""));
        (path, content.as_bytes().to_vec())
    };
    let path = place(path)?;
    fs::write(&path, content)?;
    Ok(fs::set_permissions(&path, fs::Permissions::from_mode(mode))?)
}

/// A tar, compressed when its name says so. Its entries have the modes of an image, for unpacking
/// keeps them: `d/`, `f = content`, `+f = content` for a program, `l -> target`, `h => entry`.
fn archive(name: &str, entries: &str) -> Outcome<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    for entry in entries.split(", ") {
        let mut header = tar::Header::new_gnu();
        let (entry, mode) = match entry.strip_prefix('+') {
            Some(entry) => (entry, 0o755),
            None => (entry, if entry.ends_with('/') { 0o755 } else { 0o644 }),
        };
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(0);
        let (path, content) = if let Some((path, target)) = entry.split_once(" -> ") {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_mode(0o777);
            builder.append_link(&mut header, path, target)?;
            continue;
        } else if let Some((path, target)) = entry.split_once(" => ") {
            header.set_entry_type(tar::EntryType::Link);
            builder.append_link(&mut header, path, target)?;
            continue;
        } else if let Some(path) = entry.strip_suffix('/') {
            header.set_entry_type(tar::EntryType::Directory);
            (path, "")
        } else {
            header.set_entry_type(tar::EntryType::Regular);
            entry.split_once(" = ").unwrap_or((entry, ""))
        };
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, path, content.as_bytes())?;
    }
    let tar = builder.into_inner()?;
    if !name.ends_with("gz") {
        return Ok(tar);
    }
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&tar)?;
    Ok(gzip.finish()?)
}
