//! The mode of functions.yml while secret values stand in it
//! (docs/contracts/platform.md#configuration-files).

use std::{fs, os::unix::fs::MetadataExt as _};

use esb_oci::Folder;

use crate::{ConfigFile, Error, READABLE};

/// The mode of a file that its owner alone may read.
pub const OF_OWNER: u32 = 0o600;

/// The mode of a file that the group of its folder may read too.
pub(crate) const OF_GROUP: u32 = 0o640;

/// The user that a Gateway reads as, by the numbers of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reader {
    /// The user.
    pub uid: u32,
    /// Its group, where that is known.
    pub gid: Option<u32>,
}

/// The narrowest mode with which a reader can read functions.yml in a folder: [`READABLE`] where
/// that is not known.
///
/// # Errors
/// When the folder cannot be looked at.
pub fn secret_mode(folder: &Folder, reader: Option<Reader>) -> Result<u32, Error> {
    let Some(reader) = reader else { return Ok(READABLE) };
    folder.make()?;
    let of_folder = folder.open_folder()?.metadata();
    let of_folder = of_folder.map_err(Error::io("look at", folder.path()))?;
    let file = folder.metadata(ConfigFile::Functions.name())?;
    let probe = folder.temporary(".check-")?;
    let own = fs::metadata(probe.path()).map_err(Error::io("look at", probe.path()))?.uid();
    // Only root gives files away.
    let owner = if own == 0 { file.as_ref().unwrap_or(&of_folder).uid() } else { own };
    let may_give = std::os::unix::fs::chown(probe.path(), None, Some(of_folder.gid())).is_ok();
    Ok(mode_for(reader, owner, may_give.then_some(of_folder.gid())))
}

/// The mode of a file with this owner, and this group where it can have it.
pub fn mode_for(reader: Reader, owner: u32, group: Option<u32>) -> u32 {
    if reader.uid == 0 || reader.uid == owner {
        OF_OWNER
    } else if reader.gid.is_some() && reader.gid == group {
        OF_GROUP
    } else {
        READABLE
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::publish::replace;

    #[test]
    fn who_reads_decides() {
        let check = |uid, gid, owner, group, expected: u32| {
            assert_eq!(mode_for(Reader { uid, gid }, owner, group), expected);
        };
        check(0, None, 1000, None, 0o600);
        check(1000, None, 1000, None, 0o600);
        check(1000, Some(1000), 0, Some(1000), 0o640);
        check(1000, Some(1000), 0, None, 0o644);
        check(1000, None, 0, Some(1000), 0o644);
        check(1000, Some(1000), 0, Some(5), 0o644);
    }

    #[test]
    fn a_file_has_its_folders_group() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(dir.path());
        assert_eq!(secret_mode(&folder, None).unwrap(), 0o644);
        let own = fs::metadata(dir.path()).unwrap();
        let same = Reader { uid: own.uid(), gid: None };
        assert_eq!(secret_mode(&folder, Some(same)).unwrap(), 0o600);
        let other = Reader { uid: own.uid() + 1, gid: Some(own.gid()) };
        assert_eq!(secret_mode(&folder, Some(other)).unwrap(), 0o640);
        replace(&folder, "functions.yml", b"x", OF_GROUP).unwrap();
        let file = fs::metadata(dir.path().join("functions.yml")).unwrap();
        assert_eq!((file.permissions().mode() & 0o777, file.gid()), (0o640, own.gid()));
    }
}
