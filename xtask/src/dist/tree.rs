//! Files of an archive or a package, in one order, with one time and one owner.

use std::{
    collections::BTreeMap, fs, io::Write as _, os::unix::fs::PermissionsExt as _, path::Path,
};

use flate2::{Compression, GzBuilder};

use crate::checks::Outcome;

/// Files by their paths, with their modes.
#[derive(Debug, Default)]
pub(super) struct Tree(BTreeMap<String, (u32, Vec<u8>)>);

impl Tree {
    pub(super) fn add(&mut self, path: impl Into<String>, mode: u32, bytes: &[u8]) {
        self.0.insert(path.into(), (mode, bytes.to_vec()));
    }

    /// An archive of them: the same bytes for the same files and time.
    pub(super) fn to_tar(&self, epoch: u64) -> Outcome<Vec<u8>> {
        let mut archive = tar::Builder::new(Vec::new());
        for (path, (mode, bytes)) in &self.0 {
            let mut header = tar::Header::new_ustar();
            header.set_mode(*mode);
            header.set_size(bytes.len() as u64);
            header.set_mtime(epoch);
            header.set_uid(0);
            header.set_gid(0);
            archive.append_data(&mut header, path, bytes.as_slice())?;
        }
        Ok(archive.into_inner()?)
    }

    /// How large they are together.
    pub(super) fn size(&self) -> usize {
        self.0.values().map(|(_, bytes)| bytes.len()).sum()
    }

    /// Their paths, with what they hold.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(path, (_, bytes))| (path.as_str(), bytes.as_slice()))
    }

    /// Writes them below a folder.
    pub(super) fn write(&self, folder: &Path) -> Outcome {
        for (path, (mode, bytes)) in &self.0 {
            let path = folder.join(path);
            if let Some(parent) = path.parent() {
                // Whatever the mask of this process: modes are part of a package.
                for folder in parent.ancestors().take_while(|one| one.starts_with(folder)) {
                    fs::create_dir_all(folder)?;
                    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
                }
            }
            fs::write(&path, bytes)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(*mode))?;
        }
        Ok(())
    }
}

/// Compresses as well as gzip can, without a time or a name.
pub(super) fn gzip(bytes: &[u8]) -> Outcome<Vec<u8>> {
    let mut writer = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    writer.write_all(bytes)?;
    Ok(writer.finish()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_adding_does_not_matter() {
        let made = |names: [&str; 2]| {
            let mut tree = Tree::default();
            for name in names {
                tree.add(name, 0o644, name.as_bytes());
            }
            tree.to_tar(1_000).unwrap()
        };
        assert_eq!(made(["a/b", "c"]), made(["c", "a/b"]));
    }
}
