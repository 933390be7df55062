//! Folders that tasks work in.

use std::{fs, io, path::Path};

/// Makes a folder, without what an earlier run left in it.
pub(crate) fn empty(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => fs::create_dir_all(folder),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_an_earlier_run_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a/b");
        for _ in 0..2 {
            empty(&folder).unwrap();
            assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
            fs::write(folder.join("left"), "").unwrap();
        }
        let error = empty(&folder.join("left")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotADirectory);
    }
}
